"""Numpy archives: every type of array, and every way to be refused."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from hdl.params.errors import UserError
from mapping.importers import npz_file
from mapping.importers.npz_file import read_npz


def refused(path: Path) -> str:
    """The message, without the path."""
    with pytest.raises(UserError) as caught:
        read_npz(path)
    found = str(caught.value)
    assert found.startswith(f"{path}: ")
    assert "\n" not in found
    return found.removeprefix(f"{path}: ")


def stored(array, **header) -> bytes:
    """A .npy file, with a header that may lie."""
    out = io.BytesIO()
    npy.write_array_header_1_0(out, {**npy.header_data_from_array_1_0(array), **header})
    return out.getvalue() + array.tobytes()


def made(path, *members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as z:
        for name, data in members:
            z.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_all_types_and_orders_come_back(save, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for kind in ("f2", "f4", "f8", ">f4", "i1", ">i2", "i4", "i8", "u1", "?", "c8", "c16"):
        for shape in ((), (5,), (2, 3), (2, 3, 4)):
            values = rng.integers(0, 2, shape).astype(kind)
            arrays[f"{kind}{shape}"] = values
            arrays[f"{kind}{shape}F"] = np.asfortranarray(values)
    arrays["empty"] = np.zeros((0, 3))
    path = tmp_path / "m.npz"
    save(path, **arrays)
    found = read_npz(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype.newbyteorder("="), name
        assert found[name].shape == array.shape, name
        assert (found[name] == array).all(), name


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_objects_are_refused_and_do_not_run(tmp_path):
    witness, path = tmp_path / "witness", tmp_path / "m.npz"
    np.savez(path, ok=np.ones(2), evil=np.array([Evil(witness)], object))
    assert refused(path) == "'evil' holds pickled objects, which are not read; save numbers only"
    assert not witness.exists()
    np.load(path, allow_pickle=True)["evil"][0].close()  # the attack is real
    assert witness.exists()


ONES = np.ones(4)
BAD_ARRAYS = [
    (stored(ONES, shape=(1 << 50,)), "'x' takes 9007199254740992 bytes, 32 are there"),
    (stored(ONES, shape=(3,)), "'x' takes 24 bytes, 32 are there"),
    (stored(ONES, shape=(-2, -2)), "'x' takes 32 bytes, 32 are there"),
    (stored(ONES, shape=(1,) * 9), "'x' has 9 axes, at most 8 are read"),
    (stored(ONES, descr="S8"), "'x' holds |S8, not numbers; save numbers only"),
    (stored(ONES, descr="M8[s]"), "'x' holds datetime64[s], not numbers"),
    (stored(ONES, descr=[("a", "f8")]), "'x' holds [('a', '<f8')], not numbers"),
    (stored(ONES, descr="|O"), "'x' holds pickled objects, which are not read"),
    (b"\x93NUMPY\x07\x00" + bytes(40), "'x' is no array of numpy (unknown version)"),
    (b"hello", "'x' is no array of numpy ("),
    (b"", "'x' is no array of numpy ("),
    (stored(np.array([1.0, np.nan, np.inf])), "'x' has 2 of 3 values that are NaN or infinite"),
    (stored(np.array([1j, np.inf * 1j])), "'x' has 1 of 2 values that are NaN or infinite"),
]


@pytest.mark.parametrize(("data", "expected"), BAD_ARRAYS, ids=range(len(BAD_ARRAYS)))
def test_bad_arrays_by_their_message(data, expected, tmp_path):
    assert refused(made(tmp_path / "m.npz", ("x.npy", data))).startswith(expected)


def test_bad_archives_by_their_message(tmp_path, monkeypatch):
    path, good = tmp_path / "m.npz", ("x.npy", stored(ONES))
    for name in ("../x.npy", "a/../../x.npy", "/etc/x.npy", "a\\..\\x.npy", "\\x.npy"):
        assert "that leaves the archive" in refused(made(path, (name, stored(ONES))))
    with pytest.warns(UserWarning, match="Duplicate"):
        made(path, good, good)
    assert refused(path).startswith("has the member 'x.npy' 2 times")
    assert refused(made(path, good, ("notes.txt", b""))).startswith("member 'notes.txt' is no arr")
    assert refused(made(path, good, compression=zipfile.ZIP_BZIP2)).startswith(
        "member 'x.npy' is encrypted or oddly packed"
    )
    assert refused(made(path)) == (
        "holds no arrays; save it again with numpy.savez(path, **arrays)"
    )
    monkeypatch.setattr(npz_file, "MAX_BYTES", 1 << 16)
    bomb = made(path, ("x.npy", bytes(1 << 17)), compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1000
    assert "at most 6.10352e-05 GiB are read; split the model" in refused(bomb)


def test_members_that_overlap_are_refused(tmp_path):
    """A directory that lists the same bytes many times would unpack to more than the file has."""
    path = made(tmp_path / "m.npz", ("x0.npy", stored(np.ones(500))))
    data = path.read_bytes()
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = b"".join(data[at:end].replace(b"x0.npy", b"x%d.npy" % i) for i in range(9))
    tail = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 9, 9, len(entries), at, 0)
    path.write_bytes(data[:at] + entries + tail)
    assert refused(path).startswith("has members that overlap")


def test_files_that_are_none(tmp_path):
    assert refused(tmp_path / "none.npz") == "there is no such file; check the path"
    assert refused(tmp_path) == "is a directory; name the .npz file in it"
    for data in (b"", b"PK", stored(ONES)):
        (tmp_path / "m.npz").write_bytes(data)
        assert refused(tmp_path / "m.npz").startswith("is no numpy archive (no zip archive)")


@pytest.mark.parametrize("seed", range(2))
def test_damaged_files_are_refused_or_read(seed, tmp_path):
    """Flipped, cut and repeated bytes: a message or finite numbers, never another exception."""
    rng = random.Random(seed)
    path = tmp_path / "m.npz"
    (np.savez_compressed if seed % 2 else np.savez)(path, w=np.ones((3, 4)), n=np.int64(3))
    good = path.read_bytes()
    outcomes = set()
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at, kind = rng.randrange(len(data)), rng.randrange(3)
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[at : at + rng.randint(1, 40)]
            else:
                data[at:at] = data[at : at + rng.randint(1, 40)]
        path.write_bytes(data)
        try:
            found = read_npz(path)
            outcomes.add("read")
            assert all(np.isfinite(v).all() for v in found.values())
        except UserError as error:
            outcomes.add("several lines" if "\n" in str(error) else "refused")
    assert outcomes == {"read", "refused"}, f"seed {seed}"
