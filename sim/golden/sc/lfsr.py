"""The linear feedback shift register, from its linear recurrence.

A Fibonacci LFSR puts out one new bit a step; those bits obey b(n) = b(n - w) ^ b(n - a) ^ ... for
taps (w, a, ...), and the state holds the last w of them, the newest lowest.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.lfsr import LfsrParams
from sim.golden.sc.checked import checked

__all__ = ["LfsrModel", "states"]


@njit(cache=True, nogil=True)
def _recur(bits, taps):  # type: ignore[no-untyped-def]
    for n in range(taps[0], len(bits)):
        new = np.uint8(0)
        for tap in taps:
            new ^= bits[n - tap]
        bits[n] = new


def states(width: int, taps: tuple[int, ...], seed: int, length: int) -> np.ndarray:
    """The first `length` states of single steps, int64, the seed first."""
    bits = np.zeros(width + max(length - 1, 0), dtype=np.uint8)
    bits[:width] = [(seed >> (width - 1 - k)) & 1 for k in range(width)]
    _recur(bits, np.array(taps))
    windows = np.lib.stride_tricks.sliding_window_view(bits, width)[:length]
    return windows.astype(np.int64) @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))


class LfsrModel:
    """Golden twin of `hdl.sc.lfsr.Lfsr`."""

    def __init__(self, params: LfsrParams) -> None:
        self.params = params

    @checked
    def run(self, length: int) -> dict[str, np.ndarray]:
        """The first `length` numbers: {"value": int64 [length]}."""
        p = self.params
        value = states(p.width, p.taps, p.seed, max(length - 1, 0) * p.steps + 1)[:: p.steps]
        ones = (1 << p.width) - 1
        if p.invert:
            value = value ^ ones
        return {"value": ((value << p.rotate) | (value >> (p.width - p.rotate)))[:length] & ones}
