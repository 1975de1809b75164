"""Traffic of a partition, and the routes of all its sources on a mesh.

Each source's events go to every core that holds a target, its own included: as one flit each
(unicast), along the union of their X-first ways (a tree), or as the hardware does it, one flit for
each product of rows and columns (mapping/cover.py).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from mapping.connectivity import Connectivity
from mapping.cover import bits_of, columns_of, cover_all, lowest
from mapping.deadlock import check, dependences
from mapping.links import Links, add_flits, add_trees, add_unicast, extents, no_loads
from mapping.tags import first_fit

__all__ = ["Products", "Routes", "core_traffic", "deliveries", "destinations", "route_all"]

#: Sources that are covered at a time.
STRETCH = 1 << 15

#: Columns and rows that a mask holds.
MOST_SIDE = 64


@njit(cache=True, nogil=True)
def _destinations(
    indptr: np.ndarray, indices: np.ndarray, core: np.ndarray, cores: int
) -> tuple[np.ndarray, np.ndarray]:
    seen = np.full(cores, -1, np.int64)
    first = np.zeros(len(indptr), np.int64)
    out = np.empty(max(len(indptr), 2 * cores), np.int32)
    end = 0
    for s in range(len(indptr) - 1):
        if end + cores > len(out):
            out = np.append(out, np.empty_like(out))
        for k in range(indptr[s], indptr[s + 1]):
            c = core[indices[k]]
            if seen[c] != s:
                seen[c] = s
                out[end] = c
                end += 1
        out[first[s] : end].sort()
        first[s + 1] = end
    return first, out[:end].copy()


def destinations(graph: Connectivity, core: np.ndarray, cores: int) -> tuple[np.ndarray, ...]:
    """indptr, cores: those that each source has targets in, ascending, CSR by source."""
    return _destinations(graph.indptr, graph.indices, core.astype(np.int32, copy=False), cores)


def core_traffic(graph: Connectivity, core: np.ndarray, cores: int) -> csr_array:
    """Events per step from core to core [cores + 1, cores + 1], the host, who sends for the inputs,
    last. A source counts once for each core that it reaches, its own included."""
    first, reached = destinations(graph, core, cores)
    home = np.concatenate([np.full(graph.inputs, cores), core])
    count = np.diff(first)
    pairs = np.repeat(graph.spikes.astype(np.float64), count), (np.repeat(home, count), reached)
    flow = csr_array(pairs, shape=(cores + 1, cores + 1))
    flow.sum_duplicates()
    flow.eliminate_zeros()
    return flow


@dataclass(frozen=True, kw_only=True, eq=False)
class Products:
    """Flits first[s] .. first[s + 1] of an event of source s: masks of tile rows and of columns."""

    first: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Routes:
    """Ways of all sources; loads are weighted by spikes, per step.

    events : sent by sources that have a target. packets : events times cores reached.
    unicast, tree, flits : loads of the links, one for each way of sending.
    reached : int32 [sources], cores of each source. entries : int32 [sources], route entries of
    each, its products; one for each column of its tree on meshes too wide for masks (over 64), on
    which `flits` is as `tree`, and `products`, `tag` and `axons` are None.
    tag : int32 of each flit, the axon number at all tiles that it reaches. axons : of each tile, up
    to the highest tag. fan_in : of each tile, distinct sources with targets there.
    """

    width: int
    height: int
    events: float
    packets: float
    unicast: Links
    tree: Links
    flits: Links
    reached: np.ndarray
    entries: np.ndarray
    products: Products | None
    tag: np.ndarray | None
    axons: np.ndarray | None
    fan_in: np.ndarray

    @property
    def traffic(self) -> float:
        """Events times links of the trees, per step."""
        return self.tree.total

    @property
    def heaviest(self) -> dict[str, str | float]:
        """The busiest link of the hardware's flits."""
        link, load = self.flits.heaviest
        return {"link": link, "load": load}


@njit(cache=True, nogil=True)
def deliveries(
    first: np.ndarray, rows: np.ndarray, columns: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The tiles that flits first[n] .. first[n + 1] reach, CSR by n."""
    indptr = np.zeros(len(first), np.int64)
    tiles = np.empty(max(4 * len(rows), 64), np.int32)
    one, end = np.uint64(1), 0
    for n in range(len(first) - 1):
        for k in range(first[n], first[n + 1]):
            if end + bits_of(rows[k]) * bits_of(columns[k]) > len(tiles):
                tiles = np.append(tiles, np.empty_like(tiles))
            r = rows[k]
            while r:
                y, r, c = lowest(r), r & (r - one), columns[k]
                while c:
                    tiles[end] = y * width + lowest(c)
                    c &= c - one
                    end += 1
        indptr[n + 1] = end
    return indptr, tiles[:end].copy()


def route_all(
    graph: Connectivity, core: np.ndarray, tile: np.ndarray, width: int, height: int
) -> Routes:
    """Routes of all sources. core : of each neuron; tile : of each core.

    Extra deliveries go to tiles with a core only. Raises RuntimeError if the routes could deadlock.
    """
    cores = len(tile)
    first, reached = destinations(graph, core, cores)
    count = np.diff(first).astype(np.int32)
    tiles = tile.astype(np.int32)[reached]
    start = np.concatenate([np.full(graph.inputs, -1), tile[core]]).astype(np.int32)
    events = graph.spikes.astype(np.float64)
    unicast, tree, flits = (no_loads(width, height) for _ in range(3))
    add_unicast(unicast, np.repeat(start, count), tiles, np.repeat(events, count))
    entries = add_trees(tree, start, first, tiles, events)
    products = tag = axons = None
    if max(width, height) <= MOST_SIDE:
        products = _cover(start, first, tiles, columns_of(tile, width, height), width, height)
        entries = np.diff(products.first).astype(np.int32)
        flow = start, products.first, *extents(products.rows), products.columns
        add_flits(flits, *flow, events)
        check(dependences(width, height, *flow))
        each = np.arange(len(products.rows) + 1)
        indptr, hit = deliveries(each, products.rows, products.columns, width)
        tag, axons = first_fit(indptr, hit, width * height)
    sent = np.where(count > 0, events, 0.0)
    return Routes(
        width=width,
        height=height,
        events=float(sent.sum()),
        packets=float(sent @ count),
        unicast=Links(unicast),
        tree=Links(tree),
        flits=Links(flits if products else tree),
        reached=count,
        entries=entries,
        products=products,
        tag=tag,
        axons=axons,
        fan_in=np.bincount(tiles, minlength=width * height),
    )


def _cover(
    start: np.ndarray, first: np.ndarray, tiles: np.ndarray, present: np.ndarray, width: int,
    height: int,
) -> Products:  # fmt: skip
    """Products of all sources, a stretch of them at a time on each processor."""

    def stretch(a: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = first[a : a + STRETCH + 1]
        free = np.full(len(own) - 1, -1, np.int32)
        mine = tiles[own[0] : own[-1]]
        return cover_all(start[a : a + STRETCH], own - own[0], mine, present, width, height, free)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(stretch, range(0, len(start), STRETCH)))
    counts, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Products(first=np.append(0, np.cumsum(counts)), rows=rows, columns=columns)
