"""Golden models, written from the equations in hdl/params.

They never import hdl units. numba keeps machine code beside the sources, and looks only at the
file of a function to tell whether it is stale, not at constants of hdl/params or functions of other
files that went into it. So it is thrown away here when any of these files is another one than when
it was made.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import hdl.params

__all__: list[str] = []

HERE = Path(__file__).parent


def _digest() -> str:
    """Of the contents of all sources that machine code may come from."""
    found = hashlib.blake2b(digest_size=16)
    for folder in (Path(hdl.params.__file__).parent, HERE):
        for path in sorted(folder.rglob("*.py")):
            found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def _discard_stale() -> None:
    """Removes machine code of other sources; nothing where it can't be written anyway."""
    stamp, digest = HERE / "__pycache__" / "sources", _digest()
    with suppress(OSError):
        if stamp.is_file() and stamp.read_text() == digest:
            return
        for pattern in ("*.nbi", "*.nbc"):
            for path in HERE.rglob(pattern):
                path.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=stamp.parent)
        with os.fdopen(handle, "w") as file:
            file.write(digest)
        os.replace(name, stamp)


_discard_stale()
