"""Graph files: what is written is read, mapped where it can be, and every corruption is named."""

import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array, save_npz

from hdl.params.errors import UserError
from mapping.arrays_file import read_arrays, write_arrays
from mapping.connectivity import Connectivity
from mapping.graph_file import is_graph_file, read_graph, write_graph


def random_graph(seed, inputs, sizes, density=0.3, names=()):
    rng = np.random.default_rng(seed)
    neurons = sum(sizes)
    hits = rng.random((inputs + neurons, neurons)) < density
    return Connectivity(
        inputs=inputs,
        indptr=np.r_[0, np.cumsum(hits.sum(axis=1))],
        indices=np.nonzero(hits)[1].astype(np.int32),
        spikes=rng.random(inputs + neurons).astype(np.float32),
        population=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        synapse_bits=rng.integers(0, 99, neurons),
        names=names,
    )


def small(**changes):
    """Arrays of two inputs, four neurons; None leaves one out."""
    arrays = {
        "inputs": 2,
        "indptr": [0, 2, 3, 3, 5, 6, 7],
        "indices": [0, 3, 1, 0, 2, 3, 3],
        "spikes": [1.0, 0.5, 0, 2, 1, 1],
        "sizes": [3, 1],
        **changes,
    }
    return {key: np.array(value) for key, value in arrays.items() if value is not None}


def same(a, b):
    for key, value in vars(a).items():
        other = getattr(b, key)
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, key
            assert np.array_equal(value, other), key
        else:
            assert value == other, key


@pytest.mark.parametrize(
    ("inputs", "sizes", "density"),
    [(0, (1,), 1.0), (0, (1,), 0.0), (3, (1, 2), 0.5), (5, (17, 1, 30), 0.2)],
)
def test_what_is_written_is_read(tmp_path, inputs, sizes, density):
    names = tuple(f"größe {i}" for i in range(len(sizes)))
    graph = random_graph(1, inputs, sizes, density, names)
    path = tmp_path / "g.npz"
    write_graph(path, graph)
    same(graph, read_graph(path))
    first = path.read_bytes()
    write_graph(path, read_graph(path))
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["g.npz"]
    with np.load(path) as loaded:  # any tool can read it
        assert np.array_equal(loaded["indices"], graph.indices)


def test_arrays_of_ours_are_mapped_and_the_file_is_never_changed(tmp_path):
    path = tmp_path / "g.npz"
    write_graph(path, random_graph(2, 4, (40, 50)))
    before = path.read_bytes()
    arrays = read_arrays(path)
    for name in ("indptr", "indices", "spikes", "synapse_bits"):
        base = arrays[name]
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert isinstance(base, np.memmap), name
        assert arrays[name].ctypes.data % 64 == 0, name
    arrays["indices"][:] = 7
    assert path.read_bytes() == before


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", [np.int64, np.uint16, ">i4"])
def test_files_of_other_tools_are_read(tmp_path, save, kind):
    arrays = small()
    for key in ("indptr", "indices", "sizes"):
        arrays[key] = arrays[key].astype(kind)
    save(tmp_path / "g.npz", **arrays)
    graph = read_graph(tmp_path / "g.npz", weight_bits=5)
    assert graph.indices.dtype == np.int32
    assert graph.indices.tolist() == [0, 3, 1, 0, 2, 3, 3]
    assert graph.population.tolist() == [0, 0, 0, 1]
    assert graph.synapse_bits.tolist() == [10, 5, 5, 15]
    assert graph.spikes.dtype == np.float32


def test_what_is_left_out_has_defaults_and_targets_are_sorted(tmp_path):
    arrays = small(inputs=None, spikes=None, sizes=None, indices=[3, 0, 5, 2, 0, 3, 3])
    np.savez(tmp_path / "g.npz", **arrays)
    graph = read_graph(tmp_path / "g.npz")
    assert (graph.inputs, graph.neurons) == (0, 6)
    assert graph.indices.tolist() == [0, 3, 5, 0, 2, 3, 3]
    assert graph.spikes.tolist() == [1] * 6
    assert graph.population.tolist() == [0] * 6


def test_a_sparse_matrix_of_scipy_is_read(tmp_path):
    matrix = csr_array(random_array((30, 30), density=0.2, rng=np.random.default_rng(3)))
    for compressed in (True, False):
        save_npz(tmp_path / "m.npz", matrix, compressed=compressed)
        graph = read_graph(tmp_path / "m.npz")
        dense = np.zeros((30, 30), bool)
        dense[np.repeat(np.arange(30), np.diff(graph.indptr)), graph.indices] = True
        assert np.array_equal(dense, matrix.toarray() != 0)
    save_npz(tmp_path / "c.npz", matrix.tocsc())
    with pytest.raises(
        UserError, match=r"'format' must be csr; convert the matrix with .tocsr\(\)"
    ):
        read_graph(tmp_path / "c.npz")
    save_npz(tmp_path / "w.npz", csr_array(np.ones((2, 3))))
    with pytest.raises(UserError, match=r"'shape' must be \[neurons, neurons\], not \[2, 3\]"):
        read_graph(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indptr": None}, "'indptr' is missing; a graph has indptr, indices"),
        ({"weights": [1]}, "'weights' is unknown; a graph has"),
        ({"inputs": -1}, "'inputs' must be one whole number from 0, not -1"),
        ({"inputs": 1.5}, "'inputs' must be one whole number from 0, not 1.5"),
        ({"inputs": [1, 2]}, "'inputs' must be one whole number from 0, not 2 of int64"),
        ({"inputs": 6}, "'indptr' has 6 sources, 6 of them inputs: no neuron is left"),
        ({"indptr": np.zeros(0, int)}, "'indptr' is empty"),
        ({"indptr": [1, 2, 3, 3, 5, 6, 7]}, "'indptr' must start with 0, not 1"),
        ({"indptr": [0, 2, 3, 1, 5, 6, 7]}, "'indptr' falls at 3: 3 to 1"),
        ({"indptr": [0, 2, 3, 3, 5, 6, 8]}, "'indptr' ends with 8, 'indices' has 7 numbers"),
        ({"indptr": [0.0, 2, 3, 3, 5, 6, 7]}, "'indptr' must be a list of whole numbers"),
        ({"indices": [0, 3, 1, 0, 2, 4, 3]}, r"'indices' at 5 \(source 4\) is 4: .* in 0..3"),
        ({"indices": [0, 3, -1, 0, 2, 3, 3]}, r"'indices' at 2 \(source 1\) is -1"),
        ({"indices": np.array([0, 3, 1, 0, 2**40, 3, 3])}, r"'indices' at 4 \(source 3\)"),
        ({"indices": [3, 3, 1, 0, 2, 3, 3]}, "'indices' has target 3 twice from source 0"),
        ({"spikes": [1, 1, -0.5, 1, 1, 1]}, "'spikes' at 2 is -0.5: must be a finite number"),
        ({"spikes": [1, np.nan, 1, 1, 1, 1]}, "'spikes' at 1 is nan"),
        ({"spikes": [1, 1, 1, 1, 1, np.inf]}, "'spikes' at 5 is inf"),
        ({"spikes": [1, 1e39, 1, 1, 1, 1]}, "'spikes' at 1 is 1e"),
        ({"spikes": [1, 1]}, "'spikes' must have 6 numbers, not 2"),
        ({"spikes": ["a"] * 6}, "'spikes' must be a list of numbers"),
        ({"sizes": [3, 2]}, "'sizes' add up to 5, there are 4 neurons"),
        ({"sizes": [4, 0]}, r"'sizes' at 1 is 0: must be in 1..4"),
        ({"sizes": None, "population": [0, 0, 2, 2]}, "'population' at 2 is 2: must ascend from 0"),
        ({"sizes": None, "population": [1, 1, 1, 1]}, "'population' at 0 is 1"),
        ({"sizes": None, "population": [0, 1, 0, 1]}, "'population' at 2 is 0"),
        ({"population": [0, 0, 1, 1]}, "'sizes' and 'population' are both there; leave one out"),
        ({"names": ["a"]}, "'names' must be 2 texts"),
        ({"names": ["a", "a"]}, "'names' has 'a' twice"),
        ({"synapse_bits": [1, 2, 3]}, "'synapse_bits' must have 4 numbers, not 3"),
        ({"synapse_bits": [1, 2, 3, -4]}, "'synapse_bits' at 3 is -4"),
        ({"indices": [[0, 3], [1, 0]]}, "'indices' must have one axis at most"),
    ],
)
def test_a_wrong_graph_is_named_by_array_and_place(tmp_path, changes, message):
    path = tmp_path / "g.npz"
    np.savez(path, **small(**changes))
    with pytest.raises(UserError, match=message) as error:
        read_graph(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_what_is_no_archive_or_damaged_is_named(tmp_path):
    path = tmp_path / "g.npz"
    with pytest.raises(UserError, match="there is no such file"):
        read_graph(path)
    with pytest.raises(UserError, match="is a directory"):
        read_graph(tmp_path)
    path.write_text("nothing")
    with pytest.raises(UserError, match="is no numpy archive, or is damaged"):
        read_graph(path)
    assert not is_graph_file(path)
    write_graph(path, random_graph(4, 2, (300,)))
    assert is_graph_file(path)
    whole = bytearray(path.read_bytes())
    at = whole.index(read_graph(path).indices.tobytes())
    whole[at + 8] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UserError, match="'indices' is damaged"):
        read_graph(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        read_graph(path)


def test_pickles_are_never_read(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, **{**small(), "names": np.array([{}, {}], dtype=object)}, allow_pickle=True)
    with pytest.raises(UserError, match="'names' holds pickled objects"):
        read_graph(path)


def test_sizes_that_are_not_there_are_refused_before_room_is_made(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, **small())
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = parts["indices.npy"]
    assert b"(7,), }" + b" " * 9 in header  # the padding gives room for more digits
    parts["indices.npy"] = header.replace(b"(7,), }" + b" " * 9, b"(7000000000,), }")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(UserError, match="'indices' takes 56000000000 bytes, 56 are there"):
        read_graph(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "g.npz"
    write_arrays(path, {"a": np.arange(3)})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_arrays(path, {"a": np.array([object()])})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(UserError, match="can't be written: No such file or directory"):
        write_arrays(tmp_path / "none" / "g.npz", {})
