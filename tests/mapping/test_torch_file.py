"""Torch files: every type and layout of tensor, and every way to be refused."""

from __future__ import annotations

import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from torch_files import DICT, KINDS, archive, save, state, tensor, text

from hdl.params.errors import UserError
from mapping.importers.torch_file import read_torch
from mapping.importers.torch_pickle import read_pickle

EXAMPLE = Path(__file__).parents[2] / "examples" / "attention" / "model.pt"
ONE = {"0": struct.pack("<f", 1.5)}


def refused(path: Path) -> str:
    """The message, without the path."""
    with pytest.raises(UserError) as caught:
        read_torch(path)
    found = str(caught.value)
    assert found.startswith(f"{path}: ")
    assert "\n" not in found
    return found.removeprefix(f"{path}: ")


@pytest.mark.parametrize("order", ["little", "big"])
def test_all_types_and_shapes_come_back(order, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for kind in KINDS:
        for shape in ((), (5,), (2, 3), (2, 3, 4)):
            values = rng.integers(0, 2 if kind == "b1" else 100, shape)
            arrays[f"{kind}{shape}"] = np.asarray(values).astype(kind)
    arrays["negative"] = np.array([-1, -128, 127], np.int8)
    arrays["tiny"] = np.array([2.0**-24, -65504], np.float16)
    arrays["empty"] = np.zeros((0, 3), np.float32)
    found = read_torch(save(tmp_path / "m.pt", arrays, order))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == (np.float32 if array.dtype == np.float16 else array.dtype)
        assert found[name].shape == array.shape
        assert (found[name] == array).all(), name


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1.0, -0.15625, 3e38, 1e-40], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    items = {"w": tensor("0", "BFloat16", 4, size=(4,))}
    found = read_torch(archive(tmp_path / "m.pt", state(items), {"0": upper.tobytes()}))["w"]
    assert found.dtype == np.float32
    assert (found.view(np.uint32) == upper.astype(np.uint32) << 16).all()
    assert found[:2].tolist() == [1.0, -0.15625]


def test_views_of_a_shared_storage(tmp_path):
    data = np.arange(12, dtype="<f4")
    items = {
        "whole": tensor("0", count=12, size=(3, 4), stride=(4, 1)),
        "turned": tensor("0", count=12, size=(4, 3), stride=(1, 4)),
        "part": tensor("0", count=12, offset=5, size=(2, 2), stride=(4, 2)),
    }
    found = read_torch(archive(tmp_path / "m.pt", state(items), {"0": data.tobytes()}))
    table = data.reshape(3, 4)
    assert (found["whole"] == table).all()
    assert (found["turned"] == table.T).all()
    assert found["part"].tolist() == [[5, 7], [9, 11]]


def test_parameters_and_metadata_as_torch_writes_them(tmp_path):
    inner = tensor()
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + inner + b"\x88" + DICT + b"tR"
    metadata = b"}" + text("_metadata") + DICT + b"sb"
    data = state({"w": parameter})[:-1] + metadata + b"."
    assert read_torch(archive(tmp_path / "m.pt", data, ONE))["w"].tolist() == [1.5]


def test_memo_and_protocol_4(tmp_path):
    """MEMOIZE, FRAME, SHORT_BINUNICODE and STACK_GLOBAL, as pickle_protocol=4 writes them."""

    def short(value):
        return b"\x8c" + bytes([len(value)]) + value.encode()

    name = short("collections") + short("OrderedDict") + b"\x93\x94"
    body = name + b")R(" + short("w") + b"\x94" + tensor() + b"u."
    data = b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body
    assert read_torch(archive(tmp_path / "m.pt", data, ONE))["w"].tolist() == [1.5]


def test_the_shipped_model_of_torch_itself():
    found = read_torch(EXAMPLE)
    assert found["config.tokens"] == 8
    assert found["embed.weight"].dtype == np.float32
    assert EXAMPLE.stat().st_size < 300_000


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_no_content_of_a_file_runs(protocol, tmp_path):
    witness = tmp_path / "witness"
    data = pickle.dumps({"w": Evil(witness)}, protocol)
    message = refused(archive(tmp_path / "m.pt", data))
    assert ".open'" in message or "opcode" in message
    assert not witness.exists()
    pickle.loads(data)["w"].close()  # the attack is real
    assert witness.exists()


RUN = b"(S'true'\ntR"
BAD_PICKLES = {
    b"\x80\x02cposix\nsystem\n" + RUN + b".": "its pickle names 'posix.system'",
    b"\x80\x02cbuiltins\neval\n" + RUN + b".": "its pickle names 'builtins.eval'",
    b"\x80\x02c__main__\nNet\n)R.": "its pickle names '__main__.Net'",
    b"\x80\x04\x8c\x02os\x8c\x06system\x93.": "its pickle names 'os.system'",
    b"\x80\x02(S'true'\niposix\nsystem\n.": "its pickle has the opcode STRING",
    b"\x80\x02(K\x01iposix\nsystem\n.": "its pickle has the opcode INST",
    b"\x80\x02" + DICT + b"\x81.": "its pickle has the opcode NEWOBJ",
    b"\x80\x02ctorch\nFloatStorage\n}" + text("__call__") + b"K\x01sb.": (
        "its pickle sets attributes of the name torch.FloatStorage"
    ),
    b"\x80\x02ctorch\nFloatStorage\n)R.": "its pickle calls torch.FloatStorage in an unknown way",
    b"\x80\x02" + DICT + b"))s.": "a key is a tuple, not a name",
    b"\x80\x02)K\x01K\x02s.": "its pickle sets items of what is no dictionary",
    b"\x80\x02" + text("storage") + b"Q.": "its pickle refers to a storage in an unknown way",
    b"\x80\x02h\x07.": "its pickle recalls item 7, which it did not store",
    b"\x80\x02R.": "its pickle takes more from the stack than it put there",
    b"\x80\x02t.": "its pickle takes more from the stack than it put there",
    b"\x80\x02\x86.": "its pickle takes more from the stack than it put there",
    b"\x80\x02q\x00.": "its pickle takes more from the stack than it put there",
    b"\x80\x02.": "its pickle takes more from the stack than it put there",
    b"\x80\x02" + DICT: "pickle exhausted before seeing STOP",
    b"": "pickle exhausted before seeing STOP",
    b"\x80\x02K\x03.": "holds a int, not a dictionary",
    b"\x80\x02" + tensor() + b".": "holds a tensor, not a dictionary",
    b"\x80\x02}.": "holds an empty dictionary",
    state({"epoch": b"K\x03", "w": tensor()}): "'epoch' is no tensor",
    state({"model": DICT}): "'model' is no tensor",
    state({"w": tensor(size=(1, 1))}): "a tensor has no proper shape",
    state({"w": tensor(offset=-1)}): "a tensor has no proper shape",
    state({"w": tensor(size=(1 << 60,))}): "a tensor has no proper shape",
    state({"w": tensor(offset=1)}): "'w' reaches behind the end of its storage",
    state({"w": tensor(size=(2,))}): "'w' reaches behind the end of its storage",
    state({"w": tensor(size=(1 << 40,), stride=(0,))}): "'w' repeats its numbers",
    state({"w": tensor(size=(1,) * 9, stride=(1,) * 9)}): "'w' has 9 axes, at most 8 are read",
    state({"w": tensor("../data.pkl")}): "'w' lies in a storage named '../data.pkl'",
    state({"w": tensor("1")}): "'data/1' is missing in it",
    state({"w": tensor(count=2)}): "'w' takes 8 bytes, its storage has 4",
    state({"w": tensor(count=1 << 40)}): "its tensors take 8192.0 GiB, at most 1 GiB are read",
    state({"w": tensor(kind="Complex")}): "its pickle names 'torch.ComplexStorage'",
    state({"w": tensor(kind="Quint8")}): "its pickle names 'torch.Quint8Storage'",
}


@pytest.mark.parametrize("data", BAD_PICKLES, ids=range(len(BAD_PICKLES)))
def test_bad_pickles_by_their_message(data, tmp_path):
    message = refused(archive(tmp_path / "m.pt", data, ONE))
    assert message.startswith(BAD_PICKLES[data])


def test_a_key_is_not_hashed_before_it_is_known_to_be_a_name():
    """Sixty tuples in one another, each twice: hashing the last takes 2**60 steps."""
    data = b"\x80\x02" + DICT + b")"
    data += b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    with pytest.raises(ValueError, match="a key is a tuple"):
        read_pickle(data + b"K\x01s.")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "c8", "c16"])
def test_numbers_must_be_finite(value, kind, tmp_path):
    path = save(tmp_path / "m.pt", {"ok": np.ones(2, kind), "w": np.array([1, value, 2], kind)})
    assert refused(path) == (
        "'w' has 1 of 3 values that are NaN or infinite; train or export it again"
    )


def test_bad_archives_by_their_message(tmp_path):
    good = state({"w": tensor()})

    def made(*members, compression=zipfile.ZIP_STORED):
        path = tmp_path / "m.pt"
        with zipfile.ZipFile(path, "w", compression) as z:
            for name, data in members:
                z.writestr(name, data)
        return path

    plain = ("m/data.pkl", good)
    for name in ("../evil", "m/../../evil", "/etc/passwd", "m\\..\\evil", "\\evil"):
        message = refused(made(plain, (name, b"")))
        assert "that leaves the archive" in message
    with pytest.warns(UserWarning, match="Duplicate"):
        path = made(plain, plain)
    assert refused(path).startswith("has the member 'm/data.pkl' 2 times")
    assert refused(made(plain, compression=zipfile.ZIP_DEFLATED)).startswith(
        "member 'm/data.pkl' is compressed or encrypted, which torch does not do"
    )
    for members in ([("x", b"")], [("a/b/data.pkl", good)], [plain, ("n/data.pkl", good)], []):
        assert refused(made(*members)).startswith(
            "is a zip archive, but holds no data.pkl of torch.save"
        )
    assert refused(made(plain, ("m/constants.pkl", b""))).startswith("is a TorchScript program")
    assert refused(archive(tmp_path / "m.pt", good, ONE, byteorder="middle")).startswith(
        "its byte order is 'middle'"
    )
    assert refused(made(("m/data.pkl", bytes((1 << 24) + 1)))) == (
        "'data.pkl' is larger than 16777216 bytes; split the model"
    )


def test_members_that_overlap_are_refused(tmp_path):
    """A directory that lists the same bytes many times would unpack to more than the file has."""
    path = archive(tmp_path / "m.pt", state({"w": tensor()}), {"0": bytes(4000)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[data.rindex(b"PK\x01\x02") : end]
    copies = [entry.replace(b"m/data/0", b"m/data/%d" % i) for i in range(1, 9)]
    entries = bytes(data[at:end]) + b"".join(copies)
    count = struct.unpack_from("<H", data, end + 10)[0] + 8
    tail = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, count, count, len(entries), at, 0)
    path.write_bytes(bytes(data[:at]) + entries + tail)
    assert refused(path).startswith("has members that overlap")


def test_files_that_are_none(tmp_path):
    assert refused(tmp_path / "none.pt") == "there is no such file; check the path"
    assert refused(tmp_path) == "is a directory; name the .pt file in it"
    for data in (b"", b"PK", b"hello world" * 9, b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "m.pt").write_bytes(data)
        assert refused(tmp_path / "m.pt").startswith("is no torch file (no zip archive)")
    legacy = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
    (tmp_path / "m.pt").write_bytes(legacy + b"\x80\x02M\xe9\x03.")
    assert refused(tmp_path / "m.pt") == (
        "is in torch's old format (before 1.6); save it again with "
        "torch.save(model.state_dict(), path)"
    )


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_refused_or_read(seed, tmp_path):
    """Flipped, cut and repeated bytes: a message or finite numbers, never another exception."""
    rng = random.Random(seed)
    path = save(tmp_path / "m.pt", {"w": np.ones((3, 4), np.float32), "n": np.int64(3)})
    good = path.read_bytes()
    outcomes = set()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            kind = rng.randrange(3)
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[at : at + rng.randint(1, 40)]
            else:
                data[at:at] = data[at : at + rng.randint(1, 40)]
        path.write_bytes(data)
        try:
            found = read_torch(path)
            outcomes.add("read")
            assert all(np.isfinite(v).all() for v in found.values())
        except UserError as error:
            outcomes.add("several lines" if "\n" in str(error) else "refused")
    assert outcomes == {"read", "refused"}, f"seed {seed}"
