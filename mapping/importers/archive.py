"""What holds for every zip archive of tensors, checked before anything is read from it."""

from __future__ import annotations

import zipfile
from collections import Counter

import numpy as np

__all__ = ["MAX_AXES", "MAX_BYTES", "check_finite", "check_members"]

MAX_BYTES = 1 << 30
"""Most bytes of tensors that a file may unpack to."""

MAX_AXES = 8


def check_members(members: list[zipfile.ZipInfo], size: int, again: str) -> None:
    """That names stay within the archive, come once, and lie apart in a file of `size` bytes.

    Raises ValueError; `again` tells how to write the file properly.
    """
    names = [m.filename for m in members]
    for name in names:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise ValueError(f"has a member {name[:80]!r} that leaves the archive; {again}")
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ValueError(f"has the member {name[:80]!r} {times} times; {again}")
    if sum(m.compress_size for m in members) > size:
        raise ValueError(f"has members that overlap; {again}")


def check_finite(key: str, values: np.ndarray) -> None:
    """ValueError if some are NaN or infinite."""
    if values.dtype.kind in "fc" and (bad := int(np.count_nonzero(~np.isfinite(values)))):
        raise ValueError(
            f"'{key}' has {bad} of {values.size} values that are NaN or infinite; train or export "
            "it again"
        )
