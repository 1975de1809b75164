"""Archives of plain arrays (.npz) of any size: mapped into memory where they can be.

An array that stands uncompressed, native and aligned in the file is mapped (copy on write: nothing
reaches the file); any other is read. Headers are checked against the bytes there before room is
made, checksums after; pickles are never read.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from hdl.params.errors import UserError
from mapping.importers.archive import check_members

__all__ = ["member_names", "read_arrays", "write_arrays"]

#: Most bytes of one array: 2**31 numbers of 4 bytes.
MAX_BYTES = 8 << 30
#: Where an array's numbers start in a file of ours: a multiple of this.
ALIGN = 64
AGAIN = "write it again with numpy.savez(path, **arrays)"
STAMP = (1980, 1, 1, 0, 0, 0)


def _opened(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise UserError(f"{path}: there is no such file; check the path")
    if not path.is_file():
        raise UserError(f"{path}: is a directory; name the .npz file in it")
    try:
        return zipfile.ZipFile(path)
    except PermissionError:
        raise UserError(f"{path}: may not be read; change its permissions") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        raise UserError(f"{path}: is no numpy archive, or is damaged; {AGAIN}") from None


def member_names(path: Path | str) -> list[str]:
    """Names of the arrays in a file; none if it is no archive."""
    try:
        with _opened(Path(path)) as archive:
            return [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
    except UserError:
        return []


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """All arrays of numbers and texts, by name; UserError with what is wrong."""
    path = Path(path)
    found: dict[str, np.ndarray] = {}
    with _opened(path) as archive:
        try:
            members = archive.infolist()
            check_members(members, path.stat().st_size, AGAIN)
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name == member.filename:
                    raise ValueError(f"member {name[:80]!r} is no array; {AGAIN}")
                if member.flag_bits & 1:
                    raise ValueError(f"'{name}' is encrypted; {AGAIN}")
                found[name] = _array(path, archive, member, name)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, struct.error) as e:
            text = " ".join(str(e).split())[:120]
            raise UserError(f"{path}: the file is damaged ({text}); copy or {AGAIN}") from None
    return found


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(member) as handle:
        try:
            version = npy.read_magic(handle)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, _, dtype = read(handle)
        except (ValueError, KeyError) as error:
            text = str(error).splitlines()[0][:80]
            raise ValueError(f"'{name}' is no array of numpy ({text}); {AGAIN}") from None
        if dtype.hasobject or dtype.kind not in "biufUS":
            kind = "pickled objects" if dtype.hasobject else str(dtype)[:40]
            raise ValueError(f"'{name}' holds {kind}, which is not read; save plain numbers")
        begin = handle.tell()
        wanted, there = prod(shape) * dtype.itemsize, member.file_size - begin
        if len(shape) > 1 or min(shape, default=0) < 0:
            raise ValueError(f"'{name}' must have one axis at most, not {list(shape)}")
        if wanted != there:
            raise ValueError(f"'{name}' takes {wanted} bytes, {there} are there; {AGAIN}")
        if wanted > MAX_BYTES:
            raise ValueError(
                f"'{name}' takes {wanted / 2**30:.1f} GiB, at most {MAX_BYTES / 2**30:g} are read"
            )
        if member.compress_type == zipfile.ZIP_STORED and wanted and dtype.isnative:
            return _mapped(path, archive, member, name, begin, dtype, shape)
        values = np.frombuffer(bytearray(handle.read()), dtype)
        return values.astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def _mapped(
    path: Path,
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    name: str,
    begin: int,
    dtype: np.dtype,
    shape: tuple[int, ...],
) -> np.ndarray:
    """The array whose numbers stand `begin` bytes after the start of the member's data."""
    assert archive.fp is not None
    archive.fp.seek(member.header_offset + 26)
    named, extra = struct.unpack("<HH", archive.fp.read(4))
    at = member.header_offset + 30 + named + extra
    whole = np.memmap(path, np.uint8, "c", at, begin + prod(shape) * dtype.itemsize)
    if zlib.crc32(whole.data) != member.CRC:
        raise ValueError(f"'{name}' is damaged (its checksum is wrong); copy or {AGAIN}")
    values = np.asarray(whole)[begin:].view(dtype).reshape(shape)
    return values if values.flags.aligned else values.copy()


def write_arrays(path: Path | str, arrays: dict[str, np.ndarray]) -> None:
    """Uncompressed, in the order given, aligned so that they can be mapped; same arrays, same
    bytes. Written beside, then renamed."""
    path = Path(path)
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: can't be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                array = np.ascontiguousarray(array).reshape(array.shape)
                info = zipfile.ZipInfo(f"{name}.npy", STAMP)
                info.create_system, info.external_attr = 3, 0o644 << 16
                # The .npy header is a multiple of 64 itself; a private extra field fills up, 20
                # bytes are those of zip64 sizes.
                begin = file.tell() + 30 + len(info.filename.encode()) + 20
                fill = -(begin + 4) % ALIGN
                info.extra = struct.pack("<HH", 0x4E56, fill) + bytes(fill)
                with archive.open(info, "w", force_zip64=True) as member:
                    npy.write_array_header_1_0(member, npy.header_data_from_array_1_0(array))
                    member.write(array.reshape(-1).view(np.uint8).data if array.size else b"")
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(beside, 0o666 & ~mask)
        os.replace(beside, path)
    except BaseException as error:
        Path(beside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(f"{path}: can't be written: {error.strerror}") from None
        raise
