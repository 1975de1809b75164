"""Which tile each core gets: short ways for many events.

Cost: events per step times hops, summed over pairs of cores; the host is the tile (0, -1).
Starts: row by row, a Hilbert curve, the slowest modes of the traffic's Laplacian; then annealing by
swaps. A second stage may spend some of what was gained on a lighter heaviest link.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, sparray

from mapping.starts import hilbert, spectral

__all__ = ["distances", "mean_hops", "mesh_size", "place"]

#: Partners of a core that annealing and the spectral start see, in the mean.
PARTNERS, STRONG = 32, 12

#: Swaps per tile that are tried: annealing, balancing.
MOVES, BALANCING = 2500, 200

#: Meshes of at most so many tiles anneal every start so often.
SMALL, RUNS = 64, 8


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


def _spots(tile: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of nodes, the host's added."""
    x, y = np.append(tile % width, 0), np.append(tile // width, -1)
    return x.astype(np.int32), y.astype(np.int32)


def _cost(flow: csr_array, tile: np.ndarray, width: int) -> float:
    """Events per step times hops."""
    x, y = _spots(tile, width)
    row = np.repeat(np.arange(flow.shape[0]), np.diff(flow.indptr))
    way = np.abs(x[row] - x[flow.indices]) + np.abs(y[row] - y[flow.indices])
    return float(flow.data @ way)


def mean_hops(traffic: np.ndarray | sparray, tile: np.ndarray, width: int) -> float:
    """Hops per event that leaves its core; `traffic` as `place` takes it."""
    flow = csr_array(traffic, dtype=np.float64)
    gone = float(flow.sum() - flow.diagonal().sum())
    return _cost(flow, tile, width) / gone if gone else 0.0


def place(
    traffic: np.ndarray | sparray,
    width: int,
    height: int,
    seed: int = 0,
    slack: float = 0.0,
    moves: int = MOVES,
) -> np.ndarray:
    """Tile of each core.

    traffic : [cores + 1, cores + 1] events per step from row to column, the host last.
    slack : share of the hops that may be given up for a lighter heaviest link, each event counted
        as a flit of its own. moves : swaps per tile that annealing tries.
    Raises ValueError for negative traffic or too few tiles.
    """
    directed = csr_array(traffic, dtype=np.float64)
    cores, tiles = directed.shape[0] - 1, width * height
    if directed.shape != (cores + 1, cores + 1) or not 0 <= cores <= tiles:
        raise ValueError(f"traffic: {directed.shape} does not fit {width} x {height} tiles")
    if not (np.isfinite(directed.data).all() and (directed.data >= 0).all()):
        raise ValueError("traffic must be finite and not negative")
    directed = _padded(directed, tiles)
    flow = csr_array(directed + directed.T)
    if tiles < 2 or not flow.nnz:
        return np.arange(cores)
    rng = np.random.default_rng(seed)
    near = _strongest(flow, PARTNERS)
    starts = [np.arange(tiles), hilbert(width, height)]
    modes = _spectral(_strongest(near, STRONG), width, height, rng)
    if modes is not None:
        starts.append(modes)
    if tiles > SMALL:
        starts = [min(starts, key=lambda tile: _cost(flow, tile, width))]
    else:
        starts *= RUNS
    ends = [_anneal(near, start, width, height, moves, rng) for start in starts]
    best = min(ends, key=lambda tile: _cost(flow, tile, width))
    if slack > 0:
        allowed = slack * _cost(flow, best, width) / 2
        best = _balance(directed, near, best, width, height, allowed, rng)
    return best[:cores]


def _padded(traffic: csr_array, tiles: int) -> csr_array:
    """Empty tiles as cores without traffic, before the host; none from a core to itself."""
    pairs = traffic.tocoo()
    host = traffic.shape[0] - 1
    row, column = (np.where(k == host, tiles, k) for k in pairs.coords)
    kept = (row != column) & (pairs.data > 0)
    return csr_array((pairs.data[kept], (row[kept], column[kept])), shape=(tiles + 1, tiles + 1))


def _strongest(flow: csr_array, partners: int) -> csr_array:
    """The traffic above a uniform background, which costs the same wherever the cores are."""
    most = partners * flow.shape[0]
    if flow.nnz <= most:
        return flow
    above = flow.data - np.partition(flow.data, -most)[-most]
    kept = above > 0
    if not kept.any():
        return flow
    indptr = np.append(0, np.cumsum(kept))[flow.indptr]
    return csr_array((above[kept], flow.indices[kept], indptr), shape=flow.shape)


def _spectral(
    flow: csr_array, width: int, height: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Placement by modes; cores without traffic take what tiles are left."""
    inner = flow[:-1, :-1]
    busy = np.diff(inner.indptr) > 0
    part = spectral(csr_array(inner[busy][:, busy]), width, height, rng)
    if part is None:
        return None
    tile = np.empty(width * height, np.int64)
    tile[busy], tile[~busy] = part, np.setdiff1d(np.arange(width * height), part)
    return tile


def _integers(flow: csr_array) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], float]:
    """indptr, indices and integer weights of a symmetric flow, and how much it was scaled."""
    scale = (1 << 30) / float(flow.data.max())
    weight = np.rint(flow.data * scale).astype(np.int32)
    return (flow.indptr.astype(np.uint64), flow.indices.astype(np.uint32), weight), scale


def _anneal(
    flow: csr_array, start: np.ndarray, width: int, height: int, moves: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    from mapping.swaps import anneal

    x, y = _spots(start, width)
    graph, scale = _integers(flow)
    heat = 0.3 * scale * float(flow.sum()) / len(start)
    reach = 4 if len(start) > SMALL else max(width, height)
    seed = int(rng.integers(1 << 31))
    anneal(*graph, x, y, width, height, moves * len(start), heat, reach, seed)
    return (y[:-1] * width + x[:-1]).astype(np.int64)


def _balance(
    directed: csr_array, near: csr_array, tile: np.ndarray, width: int, height: int, slack: float,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The placement, or one whose heaviest link carries less."""
    from mapping.links import add_unicast, no_loads
    from mapping.swaps import balance

    def loads(tile: np.ndarray) -> np.ndarray:
        out, pairs, at = no_loads(width, height), directed.tocoo(), np.append(tile, -1)
        add_unicast(out, at[pairs.row], at[pairs.col], pairs.data)
        return out

    x, y = _spots(tile, width)
    before = loads(tile)
    pairs = near.tocoo()
    row, column = pairs.coords
    there, back = (np.asarray(directed[i, j]) for i, j in ((row, column), (column, row)))
    (indptr, indices, weight), scale = _integers(near)
    out = np.rint(weight * (there / (there + back))).astype(np.int32)
    balance(
        indptr, indices, out, weight - out, x, y, before * scale, BALANCING * len(tile),
        int(slack * scale), int(rng.integers(1 << 31)),
    )  # fmt: skip
    after = (y[:-1] * width + x[:-1]).astype(np.int64)
    return after if loads(after).max() < before.max() else tile
