"""A walk of steps -1, 0, 1 between two walls."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["walk"]


@njit(cache=True, nogil=True)
def _walk(steps, low, high):  # type: ignore[no-untyped-def]
    states = np.zeros((steps.shape[0], steps.shape[1] + 1), dtype=np.int64)
    for run in range(steps.shape[0]):
        state = 0
        for t in range(steps.shape[1]):
            state = min(max(state + steps[run, t], low), high)
            states[run, t + 1] = state
    return states


def walk(steps: np.ndarray, low: int, high: int) -> np.ndarray:
    """Where the walk stands before each step and after the last: int64 [..., length + 1].

    It starts at 0. A step beyond `low` or `high` is not taken. `steps` is [..., length].
    """
    flat = np.ascontiguousarray(steps, dtype=np.int64).reshape(-1, steps.shape[-1])
    return _walk(flat, low, high).reshape(*steps.shape[:-1], steps.shape[-1] + 1)
