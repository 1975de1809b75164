"""Archives of plain arrays (.npz): read without trust, written atomically and reproducibly."""

import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hdl.params.errors import UserError

__all__ = ["read_npz", "write_npz"]

#: An array larger than this once unpacked is taken for a mistake.
MAX_BYTES = 8 << 30


def read_npz(path: Path | str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The wanted arrays that a .npz file has; sizes are checked before they are unpacked."""
    path = Path(path)
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            for name in names:
                key = name.removesuffix(".npy")
                if key not in wanted:
                    continue
                if (size := archive.getinfo(name).file_size) > MAX_BYTES:
                    raise UserError(
                        f"{path}: {key} has {size / 2**30:.0f} GiB, "
                        f"more than {MAX_BYTES / 2**30:.0f} GiB: split the file"
                    )
                with archive.open(name) as file:
                    arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a .npz file") from None
    except zipfile.BadZipFile:
        raise UserError(
            f"{path}: is not a .npz file, or is damaged "
            "(write one with numpy.savez(path, spikes=...))"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror or error}") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        hint = "arrays of Python objects are not accepted" if "ickle" in reason else reason
        raise UserError(f"{path}: {hint}") from None
    return arrays


def write_npz(path: Path | str, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as a compressed .npz: atomically, in the order given, without timestamps."""
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UserError(f"{path}: can't be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for key, array in arrays.items():
                info = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(info, buffer.getvalue(), compresslevel=6)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise UserError(f"{path}: can't be written: {error.strerror}") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
