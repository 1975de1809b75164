"""Read the tensors of a torch file (.pt, .pth) without torch and without running its pickle.

Such a file is a zip archive without compression: `NAME/data.pkl` describes a dictionary of tensors,
`NAME/data/0`, `1`, ... hold their numbers. What the pickle may say is ruled by
mapping/importers/torch_pickle.py; the archive is checked here before anything is read from it.
"""

from __future__ import annotations

import os
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from mapping.importers.archive import MAX_AXES, MAX_BYTES, check_finite, check_members
from mapping.importers.torch_pickle import Tensor, read_pickle

__all__ = ["MAX_BYTES", "read_torch"]

MAX_PICKLE = 1 << 24
_AGAIN = "save it again with torch.save(model.state_dict(), path)"
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def read_torch(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors by name, in the file's order.

    float16 and bfloat16 become float32, other types stay. UserError, with what was found and what
    to do, for any file that is not a dictionary of finite tensors.
    """
    file = Path(path)
    if not file.exists():
        raise UserError(f"{path}: there is no such file; check the path")
    if not file.is_file():
        raise UserError(f"{path}: is a directory; name the .pt file in it")
    try:
        with open(file, "rb") as handle:
            if handle.read(len(_LEGACY)) == _LEGACY:
                raise ValueError(f"is in torch's old format (before 1.6); {_AGAIN}")
            handle.seek(0)
            if not zipfile.is_zipfile(handle):
                raise ValueError(f"is no torch file (no zip archive); {_AGAIN}")
            with zipfile.ZipFile(handle) as archive:
                return _tensors(_Archive(archive, file.stat().st_size))
    except PermissionError:
        raise UserError(f"{path}: may not be read; change its permissions") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{path}: the file is damaged ({error}); copy or write it again") from None


class _Archive:
    """The members of a checked archive, by their names without the leading folder."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive = archive
        members = archive.infolist()
        names = [m.filename for m in members]
        check_members(members, size, _AGAIN)
        for member in members:
            if member.flag_bits & 1 or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"member {member.filename[:80]!r} is compressed or encrypted, which torch "
                    f"does not do; {_AGAIN}"
                )
        roots = [n.removesuffix("data.pkl") for n in names if n.count("/") == 1
                 and n.endswith("/data.pkl")]  # fmt: skip
        if len(roots) != 1:
            raise ValueError(f"is a zip archive, but holds no data.pkl of torch.save; {_AGAIN}")
        self.root = roots[0]
        self.members = {m.filename.removeprefix(self.root): m for m in members}
        if "constants.pkl" in self.members:
            raise ValueError(f"is a TorchScript program, which is not run; {_AGAIN}")

    def read(self, name: str, most: int) -> bytes:
        """A member of at most `most` bytes."""
        if name not in self.members:
            raise ValueError(f"{name!r} is missing in it; copy or write it again")
        if self.members[name].file_size > most:
            raise ValueError(f"{name!r} is larger than {most} bytes; split the model")
        return self.archive.read(self.members[name])


def _tensors(archive: _Archive) -> dict[str, np.ndarray]:
    found: dict[str, Any] = read_pickle(archive.read("data.pkl", MAX_PICKLE))
    if not found:
        raise ValueError(f"holds an empty dictionary; {_AGAIN}")
    for key, value in found.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"'{key}' is no tensor; {_AGAIN}, and nothing else in it")
        _check(key, value)
    total = sum(max(prod(v.size), v.storage.count) * 8 for v in found.values())
    if total > MAX_BYTES:
        raise ValueError(
            f"its tensors take {total / 2**30:.1f} GiB, at most {MAX_BYTES / 2**30:g} GiB are "
            "read; split the model"
        )
    order = "little"
    if "byteorder" in archive.members:
        order = archive.read("byteorder", 16).decode("ascii", "replace")
        if order not in ("little", "big"):
            raise ValueError(f"its byte order is {order!r}, not little or big; {_AGAIN}")
    return {key: _numbers(archive, key, value, order) for key, value in found.items()}


def _check(key: str, tensor: Tensor) -> None:
    """That a tensor lies within its storage and takes no more room than it."""
    storage, size = tensor.storage, tensor.size
    if not storage.key.isdecimal() or not storage.key.isascii():
        raise ValueError(f"'{key}' lies in a storage named {storage.key[:80]!r}; {_AGAIN}")
    if len(size) > MAX_AXES:
        raise ValueError(f"'{key}' has {len(size)} axes, at most {MAX_AXES} are read; reshape it")
    steps = ((n - 1) * stride for n, stride in zip(size, tensor.stride, strict=True))
    end = tensor.offset + sum(steps) + 1 if all(size) else 0
    if end > storage.count:
        raise ValueError(f"'{key}' reaches behind the end of its storage; write the file again")
    if prod(size) > storage.count:
        raise ValueError(f"'{key}' repeats its numbers (an expanded tensor); save a copy of it")


def _numbers(archive: _Archive, key: str, tensor: Tensor, order: str) -> np.ndarray:
    storage = tensor.storage
    kind = "u2" if storage.kind == "bf" else "u1" if storage.kind == "b1" else storage.kind
    dtype = np.dtype(kind).newbyteorder("<" if order == "little" else ">")
    raw = archive.read(f"data/{storage.key}", MAX_BYTES)
    if len(raw) != storage.count * dtype.itemsize:
        raise ValueError(
            f"'{key}' takes {storage.count * dtype.itemsize} bytes, its storage has {len(raw)}; "
            "copy or write the file again"
        )
    flat = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
    if storage.kind == "bf":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    elif storage.kind == "f2":
        flat = flat.astype(np.float32)
    elif storage.kind == "b1":
        flat = flat != 0
    strides = [stride * flat.itemsize for stride in tensor.stride]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides)
    values = np.array(view)
    check_finite(key, values)
    return values
