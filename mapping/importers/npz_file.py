"""Read the arrays of a numpy archive (.npz) without pickles and within limits."""

from __future__ import annotations

import os
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from hdl.params.errors import UserError
from mapping.importers.archive import MAX_AXES, MAX_BYTES, check_finite, check_members

__all__ = ["read_npz"]

_AGAIN = "save it again with numpy.savez(path, **arrays)"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays by name, in the file's order.

    UserError, with what was found and what to do, for any file that is not an archive of finite
    numbers.
    """
    file = Path(path)
    if not file.exists():
        raise UserError(f"{path}: there is no such file; check the path")
    if not file.is_file():
        raise UserError(f"{path}: is a directory; name the .npz file in it")
    try:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"is no numpy archive (no zip archive); {_AGAIN}")
        with zipfile.ZipFile(file) as archive:
            return _arrays(archive, file.stat().st_size)
    except PermissionError:
        raise UserError(f"{path}: may not be read; change its permissions") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: the file is damaged ({error}); copy or write it again") from None


def _arrays(archive: zipfile.ZipFile, size: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    check_members(members, size, _AGAIN)
    for member in members:
        if member.flag_bits & 1 or member.compress_type not in _METHODS:
            raise ValueError(
                f"member {member.filename[:80]!r} is encrypted or oddly packed; {_AGAIN}"
            )
        if not member.filename.endswith(".npy"):
            raise ValueError(f"member {member.filename[:80]!r} is no array; {_AGAIN}")
    total = sum(m.file_size for m in members)
    if total > MAX_BYTES:
        raise ValueError(
            f"its arrays take {total / 2**30:.1f} GiB, at most {MAX_BYTES / 2**30:g} GiB are read; "
            "split the model"
        )
    if not members:
        raise ValueError(f"holds no arrays; {_AGAIN}")
    found = {}
    for member in members:
        key = member.filename.removesuffix(".npy")
        with archive.open(member) as handle:
            found[key] = _array(key, handle, member.file_size)
        check_finite(key, found[key])
    return found


def _array(key: str, handle: IO[bytes], size: int) -> np.ndarray:
    """One array; its header is checked before room is made for its numbers."""
    try:
        version = npy.read_magic(handle)
        if version not in _HEADERS:
            raise ValueError("unknown version")
        shape, by_columns, dtype = _HEADERS[version](handle)
    except ValueError as error:
        text = str(error).splitlines()[0][:80]
        raise ValueError(f"'{key}' is no array of numpy ({text}); {_AGAIN}") from None
    if dtype.hasobject:
        raise ValueError(f"'{key}' holds pickled objects, which are not read; save numbers only")
    if dtype.kind not in "fiubc" or dtype.itemsize > 16:
        raise ValueError(f"'{key}' holds {str(dtype)[:40]}, not numbers; save numbers only")
    if len(shape) > MAX_AXES:
        raise ValueError(f"'{key}' has {len(shape)} axes, at most {MAX_AXES} are read; reshape it")
    wanted, there = prod(shape) * dtype.itemsize, size - handle.tell()
    if min(shape, default=0) < 0 or wanted != there:
        raise ValueError(
            f"'{key}' takes {wanted} bytes, {there} are there; copy or write the file again"
        )
    values = np.frombuffer(handle.read(wanted), dtype).astype(dtype.newbyteorder("="))
    if by_columns:
        return np.ascontiguousarray(values.reshape(shape[::-1]).T)
    return values.reshape(shape)
