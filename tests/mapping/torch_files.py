"""Write torch archives for tests byte by byte, valid or not, without torch."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short",
         "i1": "Char", "u1": "Byte", "b1": "Bool", "c8": "ComplexFloat",
         "c16": "ComplexDouble"}  # fmt: skip
DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(values: Any) -> bytes:
    """A tuple."""
    return b"(" + b"".join(number(int(v)) for v in values) + b"t"


def tensor(
    key: str = "0", kind: str = "Float", count: int = 1, offset: int = 0,
    size: Any = (1,), stride: Any = (1,),
) -> bytes:  # fmt: skip
    """A view of a storage."""
    storage = f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + number(count)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + storage + b"tQ"
        + number(offset) + numbers(size) + numbers(stride) + b"\x89" + DICT + b"tR"
    )  # fmt: skip


def state(items: Mapping[str, bytes]) -> bytes:
    """The pickle of an OrderedDict whose values are pickled already."""
    return b"\x80\x02" + DICT + b"(" + b"".join(text(k) + v for k, v in items.items()) + b"u."


def archive(
    path: Path, pickle: bytes, storages: Mapping[str, bytes] | None = None, **more: Any
) -> Path:
    """Write the archive; more: members by name, their slashes written "__"."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("m/data.pkl", pickle)
        made.writestr("m/byteorder", more.pop("byteorder", "little"))
        for key, data in (storages or {}).items():
            made.writestr(f"m/data/{key}", data)
        for name, data in more.items():
            made.writestr(name.replace("__", "/"), data)
    return path


def save(path: Path, tensors: Mapping[str, Any], order: str = "little") -> Path:
    """Write arrays as torch.save does."""
    items, storages = {}, {}
    for i, (name, value) in enumerate(tensors.items()):
        array = np.ascontiguousarray(value)
        shape = np.shape(value)
        strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        kind = KINDS[array.dtype.str[1:]]
        items[name] = tensor(str(i), kind, array.size, 0, shape, strides)
        storages[str(i)] = array.astype(array.dtype.newbyteorder("<>"[order == "big"])).tobytes()
    return archive(path, state(items), storages, byteorder=order)
