"""Whether routes can deadlock: circles in the waits of flits that hold links.

A flit that holds a link waits for the next ones of all its copies; without a circle in these
dependences somebody can always move on (Dally and Seitz, IEEE Trans. Computers 1987), as local
ports always drain. Links are numbered as in mapping/links.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from mapping.cover import highest, lowest
from mapping.links import STEPS

__all__ = ["Link", "check", "dependence_cycle", "dependences"]

Link = tuple[int, int, int]  #: direction, row, column


@njit(cache=True, nogil=True)
def dependences(
    width: int, height: int, start: np.ndarray, first: np.ndarray, bottom: np.ndarray,
    top: np.ndarray, columns: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """bool [4, height + 1, width, 4]: whether a flit on a link asks for the one of that direction
    that leaves the link's end. Flits as mapping.links.add_flits takes them."""
    found = np.zeros((4, height + 1, width, 4), np.bool_)
    for n in range(len(start)):
        y, x = divmod(max(start[n], 0), width)
        row = y + 1
        for k in range(first[n], first[n + 1]):
            west, east = lowest(columns[k]), highest(columns[k])
            if start[n] < 0 and east:
                found[2, 0, 0, 0] = True
            for i in range(x, east - 1):
                found[0, row, i, 0] = True
            for i in range(x, west + 1, -1):
                found[1, row, i, 1] = True
            for i in range(west, east + 1):
                if not (columns[k] >> np.uint64(i)) & np.uint64(1):
                    continue
                for way, asked in ((2, top[k] > y), (3, bottom[k] < y)):
                    if asked and i > x:
                        found[0, row, i - 1, way] = True
                    elif asked and i < x:
                        found[1, row, i + 1, way] = True
                    elif asked and start[n] < 0:
                        found[2, 0, 0, way] = True
                for j in range(y, top[k] - 1):
                    found[2, j + 1, i, 2] = True
                for j in range(y, bottom[k] + 1, -1):
                    found[3, j + 1, i, 3] = True
    return found


def dependence_cycle(found: np.ndarray) -> list[Link] | None:
    """A circle of links, each asking for the next; None if there is none."""
    from scipy.sparse.csgraph import connected_components

    direction, row, column, way = np.nonzero(found)
    step = np.array(STEPS)[direction]
    shape = found.shape[:3]
    held = np.ravel_multi_index((direction, row, column), shape)
    asked = np.ravel_multi_index((way, row + step[:, 1], column + step[:, 0]), shape)
    size = found[..., 0].size
    graph = csr_array((np.ones(len(held), np.int8), (held, asked)), shape=(size, size))
    _, part = connected_components(graph, connection="strong")
    inside = part[held] == part[asked]
    if not inside.any():
        return None
    follow = dict(zip(held[inside].tolist(), asked[inside].tolist(), strict=True))
    path = [next(iter(follow))]
    while path.count(path[-1]) == 1:
        path.append(follow[path[-1]])
    circle = path[path.index(path[-1]) : -1]
    return [tuple(int(v) for v in np.unravel_index(link, shape)) for link in circle]  # type: ignore[misc]


def check(found: np.ndarray) -> None:
    """Raises RuntimeError with the circle, if there is one: the router generator is broken."""
    from mapping.links import name_of

    circle = dependence_cycle(found)
    if circle:
        raise RuntimeError(f"routes can deadlock: {', '.join(name_of(*link) for link in circle)}")
