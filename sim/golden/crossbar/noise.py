"""Rows of Gaussian draws, by the equations of hdl/params/crossbar/noise.py.

Words are kept in four planes: plane i, place g is word(4g + i). The bytes of a plane, lowest first
(little-endian machines), are then u_i of columns 0, 1, 2, ...
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.crossbar.noise import MOST_COLUMNS, angles, state_of
from hdl.params.sc.unit import check_integer
from sim.golden.crossbar.narrow import draw

__all__ = ["Draws", "advance", "column_draw", "draw_row", "new_words", "row_words"]

_ANGLES = np.array([[angles(4 * g + i) for g in range(MOST_COLUMNS // 8)] for i in range(4)])
#: Rotations of s0, of s1, and again of s0 [plane, place].
FIRST, SECOND, THIRD = (np.ascontiguousarray(_ANGLES[:, :, k], np.uint64) for k in range(3))
_LAST = np.uint64(63)


@njit(cache=True, nogil=True, inline="always")
def rotl(x, angle):
    """uint64 x rotated left by a uint64 angle of 0..63."""
    return (x << angle) | (x >> ((np.uint64(64) - angle) & _LAST))


@njit(cache=True, nogil=True)
def advance(s0, s1):
    """(s0, s1) after a row of draws."""
    t = s0 ^ s1
    return rotl(s0, np.uint64(24)) ^ t ^ (t << np.uint64(16)), rotl(t, np.uint64(37))


@njit(cache=True, nogil=True)
def row_words(s0, s1, words):
    """Fill `words`, uint64 [4, groups of 8 columns], with the words of a row."""
    for i in range(4):
        plane, a, b, c = words[i], FIRST[i], SECOND[i], THIRD[i]
        for g in range(len(plane)):
            plane[g] = rotl(s0, a[g]) ^ rotl(s1, b[g]) ^ rotl(s0, c[g])


@njit(cache=True, nogil=True)
def new_words(columns):
    """Room for the words of a row of so many columns."""
    return np.empty((4, (columns + 7) >> 3), np.uint64)


@njit(cache=True, nogil=True)
def draw_row(state, words, z):
    """One row of draws into z, int16 [columns]; `state`, uint64 [2], advances."""
    row_words(state[0], state[1], words)
    state[0], state[1] = advance(state[0], state[1])
    u = words.view(np.uint8)
    u0, u1, u2, u3 = u[0], u[1], u[2], u[3]
    for c in range(len(z)):
        z[c] = draw(u0[c], u1[c], u2[c], u3[c])


@njit(cache=True, nogil=True)
def column_draw(state, column):
    """One row of draws, of which only one column is wanted: its z; `state` advances."""
    s0, s1 = state[0], state[1]
    g, low = column >> 3, np.uint64(8 * (column & 7))
    z = np.int64(0)
    for i in range(4):
        word = rotl(s0, FIRST[i, g]) ^ rotl(s1, SECOND[i, g]) ^ rotl(s0, THIRD[i, g])
        byte = np.int64((word >> low) & np.uint64(255))
        z += -byte if i & 1 else byte
    state[0], state[1] = advance(s0, s1)
    return z


@njit(cache=True, nogil=True)
def draw_rows(state, z):
    """Successive rows of draws into z, int16 [rows, columns]."""
    words = new_words(z.shape[1])
    for r in range(z.shape[0]):
        draw_row(state, words, z[r])


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
        self.state = self.first.copy()

    def rows(self, count: int) -> np.ndarray:
        """The next rows, int16 [count, columns]."""
        z = np.empty((count, self.columns), np.int16)
        draw_rows(self.state, z)
        return z
