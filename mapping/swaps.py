"""Annealing of a placement by swaps of two tiles, in compiled loops over sparse traffic.

Nodes 0 .. tiles - 1 fill the mesh, those without traffic stand for empty tiles; node `tiles`, the
host, never moves. Traffic is symmetric CSR of tiles + 1 rows without a diagonal, in integers, so
that sums don't depend on how a machine adds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["anneal", "balance"]

STAGES = 64


@njit(cache=True, nogil=True)
def _draw(x: np.ndarray, y: np.ndarray, width: int, height: int, span: int) -> tuple[int, int, int]:
    """A node, and a column and a row at most `span` away from it."""
    a = np.random.randint(width * height)
    low, high = max(x[a] - span, 0), min(x[a] + span, width - 1)
    qx = low + np.random.randint(high - low + 1)
    low, high = max(y[a] - span, 0), min(y[a] + span, height - 1)
    return a, qx, low + np.random.randint(high - low + 1)


@njit(cache=True, nogil=True)
def _longer(
    indptr: np.ndarray, indices: np.ndarray, weight: np.ndarray, x: np.ndarray, y: np.ndarray,
    a: int, qx: int, qy: int,
) -> int:  # fmt: skip
    """What a swap of node a to (qx, qy) adds to events times hops of a's traffic.

    That with the node of (qx, qy), which comes here, stays as it is.
    """
    px, py = x[a], y[a]
    change = 0
    for k in range(indptr[a], indptr[a + 1]):
        nx, ny = x[indices[k]], y[indices[k]]
        old = abs(px - nx) + abs(py - ny)
        new = abs(qx - nx) + abs(qy - ny)
        change += weight[k] * ((new if new else old) - old)
    return change


@njit(cache=True, nogil=True)
def anneal(
    indptr: np.ndarray, indices: np.ndarray, weight: np.ndarray, x: np.ndarray, y: np.ndarray,
    width: int, height: int, moves: int, heat: float, reach: float, seed: int,
) -> None:  # fmt: skip
    """Shorter ways: swaps while it cools; columns and rows `x`, `y` of the nodes change in place.

    Tries `moves` swaps of a node with a tile at most `reach` columns and rows away. That shrinks to
    1 while the temperature falls from `heat` to a hundredth (a shrinking window as in VPR: Betz and
    Rose, FPL 1997). The best state at the end of any of 64 stages is kept.
    """
    np.random.seed(seed)
    at = np.empty(width * height, np.int32)
    for node in range(len(at)):
        at[y[node] * width + x[node]] = node
    cost = best = 0
    best_x, best_y = x.copy(), y.copy()
    for stage in range(STAGES):
        left = 1.0 - stage / STAGES
        temperature = heat * 0.01 ** (1.0 - left)
        span = max(1, int(reach * left + 0.5))
        for _ in range(moves // STAGES):
            a, qx, qy = _draw(x, y, width, height, span)
            px, py = x[a], y[a]
            b = at[qy * width + qx]
            if a == b:
                continue
            change = _longer(indptr, indices, weight, x, y, a, qx, qy)
            change += _longer(indptr, indices, weight, x, y, b, px, py)
            if change <= 0 or np.random.random() < np.exp(-change / temperature):
                x[a], y[a], x[b], y[b] = qx, qy, px, py
                at[py * width + px], at[qy * width + qx] = b, a
                cost += change
        if cost < best:
            best = cost
            best_x[:], best_y[:] = x, y
    x[:], y[:] = best_x, best_y


@njit(cache=True, nogil=True)
def _way(loads: np.ndarray, x: int, y: int, to_x: int, to_y: int, events: float) -> float:
    """Adds events on the way X first, Y then; returns by how much the sum of 4th powers grew."""
    grown = 0.0
    if y < 0 <= to_y:  # from the host, which hangs below (0, 0)
        old = loads[2, 0, 0]
        new = loads[2, 0, 0] = old + events
        grown, y = new**4 - old**4, 0
    direction = 0 if to_x > x else 1
    for i in range(x, to_x) if to_x > x else range(x, to_x, -1):
        old = loads[direction, y + 1, i]
        new = loads[direction, y + 1, i] = old + events
        grown += new**4 - old**4
    direction = 2 if to_y > y else 3
    for j in range(y, to_y) if to_y > y else range(y, to_y, -1):
        old = loads[direction, j + 1, to_x]
        new = loads[direction, j + 1, to_x] = old + events
        grown += new**4 - old**4
    return grown


@njit(cache=True, nogil=True)
def _ways(
    indptr: np.ndarray, indices: np.ndarray, out: np.ndarray, into: np.ndarray,
    x: np.ndarray, y: np.ndarray, loads: np.ndarray, a: int, but: int, sign: float,
) -> float:  # fmt: skip
    """Adds all traffic of node a but that with `but`, times `sign`; returns as _way does."""
    grown = 0.0
    for k in range(indptr[a], indptr[a + 1]):
        n = indices[k]
        if n != but:
            if out[k]:
                grown += _way(loads, x[a], y[a], x[n], y[n], sign * out[k])
            if into[k]:
                grown += _way(loads, x[n], y[n], x[a], y[a], sign * into[k])
    return grown


@njit(cache=True, nogil=True)
def balance(
    indptr: np.ndarray, indices: np.ndarray, out: np.ndarray, into: np.ndarray,
    x: np.ndarray, y: np.ndarray, loads: np.ndarray, moves: int, slack: int, seed: int,
) -> None:  # fmt: skip
    """A lighter heaviest link: swaps that lower the sum of 4th powers of the links' loads.

    out, into : traffic that each node sends to, and receives from, the nodes at `indices`.
    loads : of the links now (mapping/links.py), all traffic counted. slack : what events times
    hops may grow by.
    """
    np.random.seed(seed)
    height, width = loads.shape[1] - 1, loads.shape[2]
    weight = out + into
    at = np.empty(width * height, np.int32)
    for node in range(len(at)):
        at[y[node] * width + x[node]] = node
    for _ in range(moves):
        a, qx, qy = _draw(x, y, width, height, 2)
        px, py = x[a], y[a]
        b = at[qy * width + qx]
        if a == b:
            continue
        change = _longer(indptr, indices, weight, x, y, a, qx, qy)
        change += _longer(indptr, indices, weight, x, y, b, px, py)
        if change > slack:
            continue
        grown = _ways(indptr, indices, out, into, x, y, loads, a, -1, -1.0)
        grown += _ways(indptr, indices, out, into, x, y, loads, b, a, -1.0)
        x[a], y[a], x[b], y[b] = qx, qy, px, py
        grown += _ways(indptr, indices, out, into, x, y, loads, a, -1, 1.0)
        grown += _ways(indptr, indices, out, into, x, y, loads, b, a, 1.0)
        if grown < 0:
            at[py * width + px], at[qy * width + qx] = b, a
            slack -= change
        else:
            _ways(indptr, indices, out, into, x, y, loads, a, -1, -1.0)
            _ways(indptr, indices, out, into, x, y, loads, b, a, -1.0)
            x[a], y[a], x[b], y[b] = px, py, qx, qy
            _ways(indptr, indices, out, into, x, y, loads, a, -1, 1.0)
            _ways(indptr, indices, out, into, x, y, loads, b, a, 1.0)
