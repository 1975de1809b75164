"""Delay and shuffle buffer, from the equations in hdl/params/sc/delay.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.delay import DecorrelateParams, DelayParams
from sim.golden.sc.batch import rows
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import mask

__all__ = ["DecorrelateModel", "DelayModel", "delayed"]


def delayed(words: np.ndarray, cycles: int, length: int) -> np.ndarray:
    """Packed streams `cycles` later, zeros first: words shifted by words, then by bits."""
    words = np.asarray(words, dtype=np.uint64)
    whole, part = divmod(cycles, 64)
    moved = np.zeros_like(words)
    moved[..., whole:] = words[..., : max(words.shape[-1] - whole, 0)]
    if part:
        carry = moved[..., :-1] >> np.uint64(64 - part)
        moved <<= np.uint64(part)
        moved[..., 1:] |= carry
    return moved & mask(length)


class DelayModel:
    """Golden twin of `hdl.sc.delay.Delay`."""

    def __init__(self, params: DelayParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream a."""
        return {"y": delayed(a, self.params.cycles, length)}


@njit(cache=True, nogil=True)
def _shuffle(a, index, depth, y):  # type: ignore[no-untyped-def]
    held = np.empty(depth, np.uint64)
    for run in range(a.shape[0]):
        for k in range(depth):
            held[k] = k % 2
        for t in range(index.shape[1]):
            bit = (a[run, t >> 6] >> np.uint64(t & 63)) & np.uint64(1)
            k = index[run, t]
            if k < depth:
                held[k], bit = bit, held[k]
            y[run, t >> 6] |= bit << np.uint64(t & 63)


class DecorrelateModel:
    """Golden twin of `hdl.sc.delay.Decorrelate`."""

    def __init__(self, params: DecorrelateParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, index: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream a and index, int64 [..., length]."""
        batch, (a, index) = rows(a, np.asarray(index)[..., :length])
        y = np.zeros_like(a)
        _shuffle(a, index, self.params.depth, y)
        return {"y": y.reshape(*batch, -1)}
