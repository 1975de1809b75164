import dataclasses
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.params.errors import UserError
from hdl.params.neuron import FIELDS
from mapping.program import Program
from mapping.storage import digest, load, save
from mapping.validate import problems
from tests.kit import random_program


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(random_program(1), tmp_path)
    return tmp_path


def equal(a: object, b: object) -> bool:
    """Deep equality of Programs, arrays and their types included."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if dataclasses.is_dataclass(a):
        names = [f.name for f in dataclasses.fields(a)]
        return type(a) is type(b) and all(equal(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and set(a) == set(b) and all(equal(a[k], b[k]) for k in a)
    return a == b


def edit(directory: Path, change) -> None:
    """Change program.json by a function of its document."""
    path = directory / "program.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def members(directory: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(directory / "arrays.npz") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(directory: Path, parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """Replace arrays.npz, and its checksum in program.json."""
    with zipfile.ZipFile(directory / "arrays.npz", "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    sum_of = hashlib.sha256((directory / "arrays.npz").read_bytes()).hexdigest()
    edit(directory, lambda d: d.update(arrays_sha256=sum_of))


def npy(array: np.ndarray, pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=pickle)
    return out.getvalue()


def with_array(directory: Path, name: str, array: np.ndarray) -> None:
    rewrite(directory, {**members(directory), f"{name}.npy": npy(array)})


def fault(directory: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(directory)
    message = str(caught.value)
    assert "\n" not in message
    return message


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    graded=st.booleans(),
    cuba=st.booleans(),
    bits=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, seed, graded, cuba, bits):
    program = random_program(seed, graded=graded, cuba=cuba, weight_bits=bits)
    directory = tmp_path_factory.mktemp("p")
    save(program, directory)
    again = load(directory)
    assert equal(program, again)
    assert digest(program) == digest(again)


def test_the_same_program_gives_the_same_bytes(tmp_path):
    save(random_program(5), tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b" / "c")
    for name in ("program.json", "arrays.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / "c" / name).read_bytes()


def test_the_digest_sees_every_weight():
    program = random_program(5)
    q = program.projections[0]
    other = dataclasses.replace(q, weights=np.where(np.arange(len(q.weights)) == 3, 1, q.weights))
    assert not np.array_equal(other.weights, q.weights)
    changed = dataclasses.replace(program, projections=(other, *program.projections[1:]))
    assert digest(changed) != digest(program)


def test_numpy_reads_the_arrays(saved):
    program = load(saved)
    with np.load(saved / "arrays.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["projection.0.weights"], program.projections[0].weights)
    assert len(members(saved)) == 10 * len(program.populations) + 3 * len(program.projections)


def test_a_save_replaces_and_leaves_nothing_beside(saved):
    save(random_program(2), saved)
    assert sorted(p.name for p in saved.iterdir()) == ["arrays.npz", "program.json"]
    assert equal(load(saved), random_program(2))


def test_a_failed_write_keeps_the_old_file(saved, monkeypatch):
    before = (saved / "arrays.npz").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"can't be written: No space left on device"):
        save(random_program(2), saved)
    assert (saved / "arrays.npz").read_bytes() == before
    assert sorted(p.name for p in saved.iterdir()) == ["arrays.npz", "program.json"]


def test_invalid_programs_are_not_saved(tmp_path):
    program = dataclasses.replace(random_program(1), readout="loudest")
    with pytest.raises(UserError, match="readout: must be one of count, last, max, mean, none"):
        save(program, tmp_path)
    program = dataclasses.replace(random_program(1), options={"x": np.ones(2)})
    with pytest.raises(UserError, match="options and notes must be plain JSON"):
        save(program, tmp_path)
    assert list(tmp_path.iterdir()) == []


def change(key: str, value: object, *where):
    """An edit that sets document[where...][key]; the value None removes it."""

    def act(document):
        for step in where:
            document = document[step]
        if value is None:
            del document[key]
        else:
            document[key] = value

    return act


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (change("schema", "other"), "not a Nervure program"),
        (change("version", 99), "version 99, this Nervure reads 1; compile the model again"),
        (change("version", True), "version True"),
        (change("readout", None), "program.json: 'readout' is missing"),
        (change("extra", 1), "program.json: unknown key 'extra'"),
        (change("name", 5), "program.json: 'name' must be str, not int"),
        (change("inputs", {}), "program.json: 'inputs' must be list, not dict"),
        (change("membrane_bits", "16", "formats"), "formats: 'membrane_bits' must be int, not str"),
        (change("membrane_bits", 64, "formats"), "formats: membrane_bits must be in 2..32, not 64"),
        (change("graded", 1, "inputs", 0), "inputs[0]: 'graded' must be bool, not int"),
        (change("size", True, "inputs", 0), "inputs[0]: 'size' must be int, not bool"),
        (change("size", 10**12, "inputs", 0), "in0_0: size must be in 1..67108864"),
        (change("scale", -1.0, "inputs", 0), "in0_0: scale must be a positive number, not -1.0"),
        (change("scale", float("nan"), "inputs", 0), "in0_0: scale must be a positive number"),
        (change("scale", 10**400, "inputs", 0), "a scale is too large"),
        (change("graded", True, "inputs", 0), "in0_0: a graded input needs payload_bits"),
        (change("level", -1, "populations", 0), "pop1_0: level must be a number of at least 0"),
        (change("kind", None, "populations", 0), "populations[0]: 'kind' is missing"),
        (change(0, 7, "populations"), "populations[0]: must be an object, not int"),
        (change("size", 9, "populations", 0), "pop1_0: membrane_decay must have shape (9,)"),
        (change("name", "in0_0", "populations", 0), "in0_0: the name is used twice"),
        (change("level", 9, "populations", 0), "populations: they must stand by ascending level"),
        (change("target", "zz", "projections", 0), "there is no population 'zz'"),
        (change("source", "zz", "projections", 0), "there is no input or population 'zz'"),
        (change("weight_bits", 17, "projections", 0), "weight_bits must be in 1..16, not 17"),
        (change("weight_bits", 2, "projections", 0), "weights must be in -2..1 (2 bits), not"),
        (change("weight_bits", 1, "projections", 0), "weights must be -1 or 1 where weight_bits"),
        (change("exponent", 16, "projections", 0), "exponent must be in 0..15, not 16"),
        (change("delay", 2, "projections", 0), "delay must be in 0..1, not 2"),
        (change("outputs", ["zz"]), "outputs: there is no population 'zz'"),
        (change("outputs", [3]), "outputs: must be names"),
        (change("readout", "loud"), "readout: must be one of count, last, max, mean, none"),
        (change("notes", [{"node": 1}]), "notes[0]: must be an object of texts"),
        (change("arrays_sha256", "00"), "arrays.npz: its SHA-256 is not the one in program.json"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_named(saved, act, message):
    edit(saved, act)
    assert message in fault(saved)


def test_delays_must_suit_the_levels(saved):
    program = load(saved)
    forward = next(i for i, q in enumerate(program.projections)
                   if q.source == "pop1_0" and q.target == "pop2_0")  # fmt: skip
    loop = next(i for i, q in enumerate(program.projections) if q.source == q.target == "pop1_0")
    edit(saved, change("delay", 1, "projections", forward))
    edit(saved, change("delay", 0, "projections", loop))
    message = fault(saved)
    assert "pop1_0->pop2_0: delay 1 needs a target level not above the source's, not 2 and 1" in (
        message
    )
    assert "pop1_0->pop1_0: delay 0 needs a source level below the target's, not 1 and 1" in message


def test_all_problems_come_at_once(saved):
    edit(saved, change("readout", None))
    edit(saved, change("name", 3, "inputs", 0))
    (saved / "arrays.npz").unlink()
    message = fault(saved)
    assert "'readout' is missing" in message
    assert "arrays.npz: can't be read (No such file or directory)" in message


def size_of(program: Program, name: str) -> int:
    return next(p.size for p in (*program.inputs, *program.populations) if p.name == name)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_beyond_their_width_are_named(saved, name):
    size = load(saved).populations[0].size
    with_array(saved, f"population.0.{name}", np.full(size, 1 << 20))
    assert f"pop1_0: {name} must be in " in fault(saved)
    assert ", not 1048576" in fault(saved)


def test_wrong_synapses_are_named(saved):
    program = load(saved)
    q = program.projections[0]
    targets = size_of(program, q.target)

    def one(name: str, place: int, value: int) -> np.ndarray:
        array = getattr(q, name).copy()
        array[place] = value
        return array

    row = int(np.flatnonzero(np.diff(q.indptr) > 1)[0])
    repeat = one("indices", q.indptr[row] + 1, q.indices[q.indptr[row]])
    for name, array, message in (
        ("indices", one("indices", 0, targets), f"indices must be in 0..{targets - 1}"),
        ("indices", one("indices", 0, -1), "indices must be in"),
        ("indices", repeat, f"must ascend without repeats, those of row {row} do not"),
        ("indices", q.indices[:-1], "indices must have shape"),
        ("indptr", one("indptr", 0, 1), "indptr must rise from 0 to the number of synapses"),
        ("indptr", one("indptr", -1, 0), "indptr must rise from 0"),
        ("indptr", q.indptr[:-1], "indptr must have shape"),
        ("weights", one("weights", 0, 8), "weights must be in -8..7 (4 bits), not 8"),
        ("weights", q.weights.astype(float), "weights must hold int64, not float64"),
    ):
        save(program, saved)
        with_array(saved, f"projection.0.{name}", array)
        assert f"{q.source}->{q.target}: " in fault(saved)
        assert message in fault(saved)


def test_binary_rows_must_be_full(tmp_path):
    program = random_program(1, weight_bits=1)
    q = program.projections[0]
    indptr = np.minimum(q.indptr, len(q.indices) - 1)
    short = dataclasses.replace(q, indptr=indptr, indices=q.indices[:-1], weights=q.weights[:-1])
    broken = dataclasses.replace(program, projections=(short, *program.projections[1:]))
    assert any("rows must be full where weight_bits is 1" in text for text in problems(broken))


def test_membrane_scales_must_be_positive(saved):
    size = load(saved).populations[0].size
    with_array(saved, "population.0.membrane_scale", np.zeros(size))
    assert "pop1_0: membrane_scale must be positive and finite" in fault(saved)
    with_array(saved, "population.0.membrane_scale", np.ones(size, int))
    assert "pop1_0: membrane_scale must hold float64, not int64" in fault(saved)


def test_wrong_archives_are_named(saved):
    program, name = load(saved), "population.0.bias.npy"
    good = members(saved)
    header = npy(np.zeros(4, np.int8))
    huge = header.replace(b"(4,)", b"(4000000000000,)").replace(b" " * 12 + b"\n", b"\n")
    for parts, message in (
        ({k: v for k, v in good.items() if k != name}, f"{name!r} is missing"),
        ({**good, "../evil.npy": header}, "unknown member '../evil.npy'"),
        ({**good, "/etc/x.npy": header}, "unknown member '/etc/x.npy'"),
        ({**good, name: b"junk"}, f"{name!r}: "),
        ({**good, name: huge}, "4000000000000 numbers announced, 4 bytes there"),
        ({**good, name: good[name] + b"x"}, "bytes there"),
        ({**good, name: npy(np.zeros((2, 2), int))}, "must be a list of numbers"),
        ({**good, name: npy(np.array(["a"]))}, "must be a list of numbers"),
        ({**good, name: npy(np.array([{}], object), pickle=True)}, "must be a list of numbers"),
    ):
        save(program, saved)
        rewrite(saved, parts)
        assert message in fault(saved)
    save(program, saved)
    rewrite(saved, good, zipfile.ZIP_DEFLATED)
    assert f"{name!r} must be stored uncompressed" in fault(saved)


def test_broken_files_are_named(saved):
    arrays = (saved / "arrays.npz").read_bytes()
    (saved / "arrays.npz").write_bytes(arrays[:-40])
    assert "arrays.npz: not a readable archive" in fault(saved)
    flipped = bytearray(arrays)
    flipped[len(arrays) // 3] ^= 4
    (saved / "arrays.npz").write_bytes(flipped)
    assert "arrays.npz: its SHA-256 is not the one in program.json" in fault(saved)
    (saved / "program.json").write_text("{")
    assert "program.json: not JSON" in fault(saved)
    (saved / "program.json").write_bytes(b"\xff\xfe\x00")
    assert "program.json: not JSON" in fault(saved)
    (saved / "program.json").write_text("[" * 100000)
    assert "program.json: not JSON" in fault(saved)
    (saved / "program.json").write_text("[]")
    assert "program.json: not a Nervure program" in fault(saved)
    (saved / "program.json").unlink()
    assert "can't be read (No such file or directory); name a directory" in fault(saved)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_escapes_as_another_error(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("p")
    save(random_program(3, (3, 4, 2)), directory)
    before = digest(load(directory))
    path = directory / data.draw(st.sampled_from(["program.json", "arrays.npz"]))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        program = load(directory)
    except UserError:
        return
    assert problems(program) == []
    assert path.name == "program.json" or digest(program) == before
