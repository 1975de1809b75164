"""Two guards that the HDF5 library lacks on damaged files: endless loops and endless memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["bounded_memory", "damaged_heap"]

_HEADER = 16
_SMALLEST = 4096


def damaged_heap(path: str | os.PathLike[str]) -> int | None:
    """Offset of the first global heap collection whose objects do not add up; None if all do.

    A collection is "GCOL", version 1, three zero bytes, its size (8 bytes), then objects: index
    (2), references (2), zeros (4), size (8), data padded to 8. Index 0 is the free space behind
    the last object; its size holds its own header. The library steps over a free space of size 0
    without moving on.
    """
    if not Path(path).stat().st_size:
        return None
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(b"GCOL\x01\0\0\0")
        while at >= 0:
            end = at + _word(data, at + 8)
            if at % 8 == 0 and (end - at < _SMALLEST or not _adds_up(data, at + _HEADER, end)):
                return at
            at = data.find(b"GCOL\x01\0\0\0", at + 1)
    return None


def _word(data: mmap.mmap, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _adds_up(data: mmap.mmap, at: int, end: int) -> bool:
    while end - at >= _HEADER:
        index, size = int.from_bytes(data[at : at + 2], "little"), _word(data, at + 8)
        step = _HEADER + (size + 7) // 8 * 8 if index else size
        if step < _HEADER:
            return False
        at += step
    return at <= end <= len(data)


@contextmanager
def bounded_memory(extra: int) -> Iterator[None]:
    """Let the process grow by `extra` bytes at most; more is a MemoryError (Linux only).

    A flipped bit in a size makes the library ask for memory until the system kills the process.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = pages * resource.getpagesize() + extra
        if soft != resource.RLIM_INFINITY:
            wanted = min(wanted, soft)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
