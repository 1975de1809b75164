"""Rows of Gaussian draws, by the equations of hdl/params/crossbar/noise.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.crossbar.noise import MOST_COLUMNS, state_of
from hdl.params.sc.unit import check_integer
from sim.golden.crossbar.lanes import ANGLES, LANES, put_draws

__all__ = ["Draws", "advance", "column_draw", "draw_row", "draw_rows"]

_LAST = np.uint64(63)


@njit(cache=True, nogil=True)
def rotl(x, angle):
    """uint64 x rotated left by a uint64 angle of 0..63."""
    return (x << angle) | (x >> ((np.uint64(64) - angle) & _LAST))


@njit(cache=True, nogil=True)
def advance(s0, s1):
    """(s0, s1) after a row of draws."""
    t = s0 ^ s1
    return rotl(s0, np.uint64(24)) ^ t ^ (t << np.uint64(16)), rotl(t, np.uint64(37))


@njit(cache=True, nogil=True)
def draw_row(state, z):
    """One row of draws into z, int16 [MOST_COLUMNS]; `state`, uint64 [2], advances."""
    for chunk in range(len(z) // LANES):
        put_draws(ANGLES, chunk, state[0], state[1], z)
    state[0], state[1] = advance(state[0], state[1])


@njit(cache=True, nogil=True)
def draw_rows(state, z):
    """Successive rows of draws into z, int16 [rows, columns]; `state` advances."""
    row = np.empty(MOST_COLUMNS, np.int16)
    for r in range(z.shape[0]):
        draw_row(state, row)
        z[r] = row[: z.shape[1]]


@njit(cache=True, nogil=True)
def column_draw(state, column):
    """One row of draws, of which only one column is wanted: its z, int64; `state` advances."""
    s0, s1 = state[0], state[1]
    chunk, g, low = column // LANES, (column >> 3) & 7, np.uint64(8 * (column & 7))
    z = np.int64(0)
    for i in range(4):
        a, b, c = ANGLES[chunk, 3 * i, g], ANGLES[chunk, 3 * i + 1, g], ANGLES[chunk, 3 * i + 2, g]
        word = rotl(s0, a) ^ rotl(s1, b) ^ rotl(s0, c)
        byte = np.int64((word >> low) & np.uint64(255))
        z += -byte if i & 1 else byte
    state[0], state[1] = advance(s0, s1)
    return z


class Draws:
    """The draws of generator `entity` of a design, row after row.

    Members
    -------
    state : uint64 [2], s0 and s1.
    """

    def __init__(self, seed: int, entity: int, columns: int) -> None:
        check_integer("columns", columns, 1, MOST_COLUMNS)
        self.first = np.array(state_of(seed, entity), dtype=np.uint64)
        self.columns = columns
        self.restart()

    def restart(self) -> None:
        """Back to the first state."""
        self.state = self.first.copy()

    def rows(self, count: int) -> np.ndarray:
        """The next rows, int16 [count, columns]."""
        z = np.empty((count, self.columns), np.int16)
        draw_rows(self.state, z)
        return z
