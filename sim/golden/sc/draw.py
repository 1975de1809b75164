"""Draws of many bits from LFSRs: any stretch of the sequence, many bits at a time.

The state advances by a whole cycle at once: the n new bits of n steps are exclusive ors of n bits
each of the old state, as long as n is at most the lowest tap.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.lfsr import LfsrParams, jump

__all__ = ["draws", "states"]


@njit(cache=True, nogil=True)
def _advance(state, taps, steps):  # type: ignore[no-untyped-def]
    """The state after `steps` steps."""
    ones = (np.int64(1) << taps[0]) - 1
    while steps > 0:
        n = min(steps, taps[-1])
        new = np.int64(0)
        for tap in taps:
            new ^= state >> (tap - n)
        state = ((state << n) | (new & ((np.int64(1) << n) - 1))) & ones
        steps -= n
    return state


@njit(cache=True, nogil=True)
def _fill(out, state, taps, steps):  # type: ignore[no-untyped-def]
    for t in range(len(out)):
        out[t] = state
        state = _advance(state, taps, steps)


def states(generator: LfsrParams, count: int, first: int = 0) -> np.ndarray:
    """The states of cycles first .. first + count - 1, int64 [count]."""
    out = np.empty(count, dtype=np.int64)
    _fill(out, jump(generator, first), np.array(generator.taps), generator.steps)
    return out


def draws(generator: LfsrParams, bits: int, count: int, first: int = 0) -> np.ndarray:
    """Draws first .. first + count - 1 of `bits` bits, int64 [count]."""
    return states(generator, count, first) & ((1 << bits) - 1)
