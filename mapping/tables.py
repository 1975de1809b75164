"""Route tables: from who reaches which core to the words of every tile's table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from hdl.params.errors import UserError
from hdl.params.neuron import CoreParams
from hdl.params.noc import FlitParams
from mapping.cover import columns_of, cover_all
from mapping.deadlock import check, dependences
from mapping.links import Links, add_flits, extents, no_loads
from mapping.mapped import Route
from mapping.network import Network
from mapping.route import HOST_ROUTE, pack_route
from mapping.tags import first_fit
from mapping.traffic import deliveries

__all__ = ["Routing", "route_sources", "route_tables", "traffic_stats"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Routing:
    """Flits first[s] .. first[s + 1] of an event of source s; one more, to the host, if its neuron
    is an output.

    start : tile of each source, -1 for inputs. rows, columns : masks of tiles of each flit.
    tag : of each flit, its axon number at all tiles that it reaches. axons : of each tile.
    to_host : of each source.
    """

    width: int
    height: int
    start: np.ndarray
    first: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    tag: np.ndarray
    axons: list[int]
    to_host: np.ndarray

    @property
    def entries(self) -> np.ndarray:
        """Route entries of each source, the host's counted."""
        return np.diff(self.first) + self.to_host

    @property
    def most_entries(self) -> int:
        """Most route entries of a source."""
        return max(int(self.entries.max(initial=1)), 1)

    @cached_property
    def _heard(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys (tile, source) of all deliveries, ascending, and their tags."""
        each = np.arange(len(self.tag) + 1)
        indptr, tiles = deliveries(each, self.rows, self.columns, self.width)
        flit = np.repeat(each[:-1], np.diff(indptr))
        source = np.repeat(np.arange(len(self.start)), np.diff(self.first))[flit]
        key = tiles.astype(np.int64) * len(self.start) + source
        order = np.argsort(key)
        return key[order], self.tag[flit[order]]

    def axon(self, source: np.ndarray, tile: int) -> np.ndarray:
        """The tags with which sources are heard at a tile; each of them reaches it."""
        keys, tags = self._heard
        return tags[np.searchsorted(keys, tile * len(self.start) + source)].astype(np.int64)

    def ways(self) -> list[tuple[np.ndarray, ...]]:
        """Flits to tiles, flits to the host: start, first, bottom, top, columns (links.add_flits),
        and the sources that send them."""
        sources = np.arange(len(self.start))
        out = np.flatnonzero(self.to_host)
        below, left = np.full(len(out), -1, np.int16), np.ones(len(out), np.uint64)
        return [
            (self.start, self.first, *extents(self.rows), self.columns, sources),
            (self.start[out], np.arange(len(out) + 1), below, below, left, out),
        ]


def route_sources(
    network: Network,
    reached: np.ndarray,
    tile: np.ndarray,
    tile_of: np.ndarray,
    width: int,
    height: int,
    limit: int | None,
    quiet: np.ndarray,
) -> Routing:
    """Products and tags of all sources. `reached`: [sources, cores]; `tile`: of each core;
    `tile_of`: of each neuron; `limit`: most route entries; `quiet`: cores that take no event that
    is not for them. UserError if a source needs more."""
    start = np.concatenate([np.full(network.inputs, -1), tile_of]).astype(np.int32)
    to_host = np.concatenate([np.zeros(network.inputs, dtype=bool), network.output >= 0])
    source, core = np.nonzero(reached)
    first = np.searchsorted(source, np.arange(network.sources + 1))
    most = np.full(network.sources, -1) if limit is None else limit - to_host
    present = columns_of(np.delete(tile, quiet), width, height)
    counts, rows, columns = cover_all(start, first, tile[core], present, width, height, most)
    if (counts < 0).any():
        short = int(np.argmax(counts < 0))
        y, x = divmod(max(int(start[short]), 0), width)
        raise UserError(
            f"routes: {first[short + 1] - first[short]} destinations from tile ({x}, {y}) take "
            f"more than {limit} route entries; use a full mesh (--cores = width x height) "
            "or more routes (--routes)"
        )
    indptr, tiles = deliveries(np.arange(len(rows) + 1), rows, columns, width)
    tag, axons = first_fit(indptr, tiles, width * height)
    routing = Routing(
        width=width,
        height=height,
        start=start,
        first=np.append(0, np.cumsum(counts)),
        rows=rows,
        columns=columns,
        tag=tag,
        axons=axons.tolist(),
        to_host=to_host,
    )
    inner, outer = (dependences(width, height, *way[:-1]) for way in routing.ways())
    check(inner | outer)
    return routing


def route_tables(
    network: Network,
    routing: Routing,
    tile_of: np.ndarray,
    slot_of: np.ndarray,
    params: list[CoreParams | None],
    flit: FlitParams,
) -> tuple[tuple[int, ...], list[list[int] | None], tuple[tuple[Route, ...], ...]]:
    """Entries per slot and route table of each tile, and the flits of each input."""
    first = routing.first[network.inputs :]
    cast, needed = np.diff(first), routing.entries[network.inputs :]
    rows, columns = routing.rows << np.uint64(1), routing.columns
    entries: list[int] = []
    tables: list[list[int] | None] = []
    for tile, core in enumerate(params):
        mine = np.flatnonzero(tile_of == tile) if core is not None else np.zeros(0, np.int64)
        most = max(int(needed[mine].max(initial=0)), 1)
        entries.append(most)
        if core is None:
            tables.append(None)
            continue
        table = np.zeros(core.slots * most, dtype=object)
        base = slot_of[mine] * most
        for k in range(most):
            here = cast[mine] > k
            at = first[mine[here]] + k
            last = needed[mine[here]] == k + 1
            table[base[here] + k] = pack_route(flit, routing.tag[at], rows[at], columns[at], last)
        out = mine[network.output[mine] >= 0]
        below, left = (np.full(len(out), mask) for mask in HOST_ROUTE)
        where = slot_of[out] * most + cast[out]
        table[where] = pack_route(flit, network.output[out], below, left, np.ones(len(out)))
        tables.append(table.tolist())
    words = list(zip(routing.tag.tolist(), rows.tolist(), columns.tolist(), strict=True))
    ends = routing.first[: network.inputs + 1].tolist()
    inputs = tuple(tuple(words[a:b]) for a, b in pairwise(ends))
    return tuple(entries), tables, inputs


def traffic_stats(routing: Routing, spikes: np.ndarray) -> tuple[dict[str, float], float, float]:
    """Expected flits per step of each link, mean links per flit, flits per step."""
    loads = no_loads(routing.width, routing.height)
    for *way, sources in routing.ways():
        add_flits(loads, *way, spikes[sources])  # type: ignore[call-arg]
    links, flits = Links(loads), float(spikes @ routing.entries)
    return links.named(), links.total / flits if flits else 0.0, flits
