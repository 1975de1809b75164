"""Which tile each core gets: short ways for many events.

Cost: events per step times hops, summed over pairs of cores; the host is the tile (0, -1).
Start: row by row, or the heaviest talkers next to each other; then annealing by swaps.
"""

from __future__ import annotations

import numpy as np

__all__ = ["distances", "mesh_size", "place"]


def mesh_size(cores: int, width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Columns and rows of a nearly square mesh with at least `cores` tiles."""
    if width is None and height is None:
        width = max(1, int(np.ceil(np.sqrt(cores))))
    if width is None:
        assert height is not None
        width = -(-cores // height)
    return width, height if height is not None else -(-cores // width)


def distances(width: int, height: int) -> np.ndarray:
    """Hops between tiles, row by row; the last row and column is the host."""
    x = np.append(np.tile(np.arange(width), height), 0)
    y = np.append(np.repeat(np.arange(height), width), -1)
    return np.abs(x[:, None] - x) + np.abs(y[:, None] - y)


def place(traffic: np.ndarray, width: int, height: int, seed: int = 0) -> np.ndarray:
    """Tile of each core. `traffic` [cores + 1, cores + 1]: events per step, the host last."""
    cores, tiles = len(traffic) - 1, width * height
    if tiles == 1:
        return np.zeros(cores, dtype=np.int64)
    hops = distances(width, height)
    flow = np.zeros((tiles + 1, tiles + 1))
    flow[:cores, :cores] = (traffic + traffic.T)[:cores, :cores]
    flow[-1, :cores] = flow[:cores, -1] = (traffic + traffic.T)[-1, :cores]
    rng = np.random.default_rng(seed)
    starts = [np.arange(tiles), _greedy(flow, hops)]
    best = min(
        (_anneal(flow, hops, start, rng) for start in starts),
        key=lambda where: _cost(flow, hops, where),
    )
    return best[:cores]


def _cost(flow: np.ndarray, hops: np.ndarray, where: np.ndarray) -> float:
    at = np.append(where, len(where))
    return float((flow * hops[np.ix_(at, at)]).sum())


def _greedy(flow: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """One core after another, the one most tied to those placed, to its best free tile."""
    tiles = len(flow) - 1
    where = np.full(tiles, -1)
    free = np.ones(tiles, dtype=bool)
    tie = flow[-1, :tiles].copy()
    pull = np.zeros((tiles, tiles))  # cost of core i at tile t
    pull += flow[-1, :tiles, None] * hops[-1, :tiles]
    left = np.ones(tiles, dtype=bool)
    for _ in range(tiles):
        core = int(np.argmax(np.where(left, tie + 1e-9 * flow[:tiles, :tiles].sum(1), -1.0)))
        price = np.where(free, pull[core] + 1e-6 * hops[-1, :tiles], np.inf)
        tile = int(np.argmin(price))
        where[core], free[tile], left[core] = tile, False, False
        tie += flow[core, :tiles]
        pull += flow[core, :tiles, None] * hops[tile, :tiles]
    return where


def _anneal(
    flow: np.ndarray, hops: np.ndarray, where: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Swap two cores, or a core and an empty tile, while it cools."""
    tiles = len(where)
    at = np.append(where, tiles)
    rounds = min(400 * tiles, 40_000)
    cost = best_cost = _cost(flow, hops, where)
    best = where.copy()
    heat = cost / max(tiles, 1) * 0.5
    pairs = rng.integers(tiles, size=(rounds, 2))
    chances = rng.random(rounds)
    for k in range(rounds):
        i, j = pairs[k]
        if i == j:
            continue
        change = hops[at[j]][at] - hops[at[i]][at]
        gap = flow[i] - flow[j]
        # The pair's own distance does not change: leave its two terms out.
        delta = 2 * (gap @ change - gap[i] * change[i] - gap[j] * change[j])
        limit = heat * (1 - k / rounds) ** 2
        if delta <= 0 or (limit > 0 and chances[k] < np.exp(-delta / limit)):
            at[i], at[j] = at[j], at[i]
            cost += delta
            if cost < best_cost - 1e-9:
                best_cost, best = cost, at[:-1].copy()
    return best
