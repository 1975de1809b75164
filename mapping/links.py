"""What events put on the links of a mesh: one flit a destination, trees, products.

A link is (direction, row, column) of the tile that it leaves; directions are east, west, north,
south; row 0 is the host's, row y + 1 that of tiles y. A node is a tile's number or -1, the host,
whose flits start at (0, 0). All ways go X first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from mapping.cover import highest, lowest

__all__ = ["Links", "add_flits", "add_trees", "add_unicast", "extents", "name_of", "no_loads"]

#: Columns and rows from a tile to the next, by direction.
STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def name_of(direction: int, row: int, column: int) -> str:
    """A link as "x,y>x,y"; "host" stands for the tile (0, -1)."""
    dx, dy = STEPS[direction]
    ends = (column, row - 1), (column + dx, row - 1 + dy)
    return ">".join("host" if y < 0 else f"{x},{y}" for x, y in ends)


@dataclass(frozen=True, eq=False)
class Links:
    """loads : float64 [4, height + 1, width], events (or flits) per step of each link."""

    loads: np.ndarray

    @property
    def total(self) -> float:
        """Events times links, per step."""
        return float(self.loads.sum())

    @property
    def heaviest(self) -> tuple[str, float]:
        """The busiest link and its load."""
        direction, row, column = np.unravel_index(int(self.loads.argmax()), self.loads.shape)
        return name_of(int(direction), int(row), int(column)), float(self.loads.max())

    def named(self) -> dict[str, float]:
        """Loads of the links that carry anything."""
        used = zip(*np.nonzero(self.loads), strict=True)
        return dict(sorted((name_of(*map(int, at)), float(self.loads[at])) for at in used))


def no_loads(width: int, height: int) -> np.ndarray:
    return np.zeros((4, height + 1, width))


@njit(cache=True, nogil=True)
def _along(loads: np.ndarray, x: int, y: int, to: int, events: float) -> None:
    for i in range(x, to):
        loads[0, y + 1, i] += events
    for i in range(x, to, -1):
        loads[1, y + 1, i] += events


@njit(cache=True, nogil=True)
def _across(loads: np.ndarray, x: int, y: int, to: int, events: float) -> None:
    for j in range(y, to):
        loads[2, j + 1, x] += events
    for j in range(y, to, -1):
        loads[3, j + 1, x] += events


@njit(cache=True, nogil=True)
def _enter(loads: np.ndarray, start: int, events: float) -> tuple[int, int]:
    """Column and row where flits of that node start; the host's take one link to there."""
    if start < 0:
        loads[2, 0, 0] += events
        return 0, 0
    y, x = divmod(start, loads.shape[2])
    return x, y


@njit(cache=True, nogil=True)
def add_unicast(
    loads: np.ndarray, start: np.ndarray, target: np.ndarray, events: np.ndarray
) -> None:
    """One flit from each node to its target for each of its events."""
    for k in range(len(start)):
        if start[k] != target[k]:
            x, y = _enter(loads, start[k], events[k])
            to_y, to_x = (-1, 0) if target[k] < 0 else divmod(target[k], loads.shape[2])
            _along(loads, x, y, to_x, events[k])
            _across(loads, to_x, y, to_y, events[k])


@njit(cache=True, nogil=True)
def add_trees(
    loads: np.ndarray, start: np.ndarray, indptr: np.ndarray, tiles: np.ndarray, events: np.ndarray
) -> np.ndarray:
    """The union of all ways from each node to its set of tiles; returns the columns of each."""
    width = loads.shape[2]
    bottom, top = np.empty(width, np.int64), np.empty(width, np.int64)
    seen = np.full(width, -1, np.int64)
    columns = np.zeros(len(start), np.int32)
    for n in range(len(start)):
        if indptr[n] == indptr[n + 1]:
            continue
        x, y = _enter(loads, start[n], events[n])
        west = east = x
        for k in range(indptr[n], indptr[n + 1]):
            j, i = divmod(tiles[k], width)
            if seen[i] != n:
                seen[i], bottom[i], top[i] = n, y, y
                columns[n] += 1
            bottom[i], top[i] = min(bottom[i], j), max(top[i], j)
            west, east = min(west, i), max(east, i)
        _along(loads, x, y, east, events[n])
        _along(loads, x, y, west, events[n])
        for i in range(west, east + 1):
            if seen[i] == n:
                _across(loads, i, y, top[i], events[n])
                _across(loads, i, y, bottom[i], events[n])
    return columns


@njit(cache=True, nogil=True)
def extents(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest row of masks."""
    bottom, top = np.empty(len(rows), np.int16), np.empty(len(rows), np.int16)
    for k in range(len(rows)):
        bottom[k], top[k] = lowest(rows[k]), highest(rows[k])
    return bottom, top


@njit(cache=True, nogil=True)
def add_flits(
    loads: np.ndarray, start: np.ndarray, first: np.ndarray, bottom: np.ndarray, top: np.ndarray,
    columns: np.ndarray, events: np.ndarray,
) -> None:  # fmt: skip
    """Products: flits first[n] .. first[n + 1] of node n, from row `bottom` (-1: the host) to row
    `top` of all columns of the mask."""
    for n in range(len(start)):
        for k in range(first[n], first[n + 1]):
            x, y = _enter(loads, start[n], events[n])
            west, east = lowest(columns[k]), highest(columns[k])
            _along(loads, x, y, max(x, east), events[n])
            _along(loads, x, y, min(x, west), events[n])
            for i in range(west, east + 1):
                if (columns[k] >> np.uint64(i)) & np.uint64(1):
                    _across(loads, i, y, max(y, top[k]), events[n])
                    _across(loads, i, y, min(y, bottom[k]), events[n])
