"""Route tables: from who reaches which core to the words of every tile's table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.errors import UserError
from hdl.params.neuron import CoreParams
from hdl.params.noc import FlitParams
from mapping.mapped import Route
from mapping.network import Network
from mapping.route import HOST_ROUTE, Product, Router, allocate_tags, links, pack_route

__all__ = ["Routing", "route_sources", "route_tables", "traffic_stats"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Routing:
    """Sources fall into classes of equal start and destinations."""

    products: list[tuple[Product, ...]]  #: of each class
    class_of: np.ndarray  #: of each source
    tag: np.ndarray  #: of each source: its axon number at all its destinations
    axons: list[int]  #: of each tile
    most_entries: int  #: most route entries of a neuron, the host's counted
    width: int


def route_sources(
    network: Network,
    reached: np.ndarray,
    tile: np.ndarray,
    tile_of: np.ndarray,
    width: int,
    height: int,
    limit: int | None,
) -> Routing:
    """Products and tags of all sources. `tile`: of each core; `tile_of`: of each neuron."""
    cores = sum(1 << int(t) for t in tile)
    start = np.concatenate([np.zeros(network.inputs, dtype=np.int64), tile_of])
    to_host = np.concatenate([np.zeros(network.inputs, dtype=bool), network.output >= 0])
    packed = np.packbits(reached, axis=1)
    hosted = np.arange(network.sources) < network.inputs
    key = np.column_stack([hosted, start // 256, start % 256, to_host, packed]).astype(np.uint8)
    _, first, class_of = np.unique(key, axis=0, return_index=True, return_inverse=True)
    class_of = class_of.reshape(-1)
    free, tight = Router(width, height, cores, limit), Router(width, height, cores, limit)
    if limit is not None:
        tight = Router(width, height, cores, limit - 1)
    products: list[tuple[Product, ...]] = []
    sets: list[int] = []
    for source in first:
        wanted = sum(1 << int(t) for t in tile[reached[source]])
        y, x = divmod(int(start[source]), width)
        router = tight if to_host[source] else free
        try:
            cover = router.cover(wanted, x, y)
        except ValueError:
            raise UserError(
                f"routes: {wanted.bit_count()} destinations from tile ({x}, {y}) take more than "
                f"{limit} route entries; use a full mesh (--cores = width x height) "
                "or more routes (--routes)"
            ) from None
        products.append(cover)
        sets.append(sum(router.tiles(p) for p in cover))
    # Tags: all sources with the same set of tiles draw from one pool, in their order.
    kinds = sorted(set(sets) - {0})
    number = {mask: i for i, mask in enumerate(kinds)}
    kind_of = np.array([number.get(mask, -1) for mask in sets])[class_of]
    order = np.argsort(kind_of, kind="stable")
    ends = np.searchsorted(kind_of[order], np.arange(len(kinds) + 1))
    members = [order[ends[i] : ends[i + 1]] for i in range(len(kinds))]
    groups = [(mask, len(m)) for mask, m in zip(kinds, members, strict=True)]
    tags, axons = allocate_tags(groups, width * height)
    tag = np.zeros(network.sources, dtype=np.int64)
    for m, t in zip(members, tags, strict=True):
        tag[m] = t
    most = max((len(p) + int(to_host[s]) for p, s in zip(products, first, strict=True)), default=1)
    return Routing(
        products=products,
        class_of=class_of,
        tag=tag,
        axons=axons,
        most_entries=max(most, 1),
        width=width,
    )


def route_tables(
    network: Network,
    routing: Routing,
    tile_of: np.ndarray,
    slot_of: np.ndarray,
    params: list[CoreParams | None],
    flit: FlitParams,
) -> tuple[tuple[int, ...], list[list[int] | None], tuple[tuple[Route, ...], ...]]:
    """Entries per slot and route table of each tile, and the flits of each input."""
    class_of = routing.class_of[network.inputs :]
    tag = routing.tag[network.inputs :]
    cast = np.array([len(p) for p in routing.products])[class_of]
    needed = cast + (network.output >= 0)
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
            sources = mine[here]
            pairs = [routing.products[c][k] for c in class_of[sources]]
            if pairs:
                rows, columns = (np.array(part, dtype=object) for part in zip(*pairs, strict=True))
                last = needed[sources] == k + 1
                table[base[here] + k] = pack_route(flit, tag[sources], rows, columns, last)
        out = mine[network.output[mine] >= 0]
        if len(out):
            where = slot_of[out] * most + cast[out]
            rows, columns = (np.full(len(out), v, dtype=object) for v in HOST_ROUTE)
            done = np.ones(len(out), dtype=bool)
            table[where] = pack_route(flit, network.output[out], rows, columns, done)
        tables.append(table.tolist())
    inputs = tuple(
        tuple((int(routing.tag[s]), *p) for p in routing.products[routing.class_of[s]])
        for s in range(network.inputs)
    )
    return tuple(entries), tables, inputs


def traffic_stats(
    network: Network, routing: Routing, tile_of: np.ndarray, spikes: np.ndarray
) -> tuple[dict[str, float], float, float]:
    """Expected flits per step of each link, mean links per flit, flits per step."""
    width = routing.width
    start = np.concatenate([np.zeros(network.inputs, dtype=np.int64), tile_of])
    weight = np.bincount(routing.class_of, weights=spikes, minlength=len(routing.products))
    _, first = np.unique(routing.class_of, return_index=True)
    loads: dict[str, float] = {}
    hops = flits = 0.0

    def add(product: Product, x: int, y: int, events: float, hosted: bool) -> None:
        nonlocal hops, flits
        path = links(product, x, y)
        if hosted:
            path = [(0, -1, 0, 0), *path]
        for a, b, c, d in path:
            name = ">".join("host" if q < 0 else f"{p},{q}" for p, q in ((a, b), (c, d)))
            loads[name] = loads.get(name, 0.0) + events
        hops += events * len(path)
        flits += events

    for source in first:
        number = int(routing.class_of[source])
        y, x = divmod(int(start[source]), width)
        hosted = source < network.inputs
        for product in routing.products[number]:
            add(product, x, y, float(weight[number]), hosted)
        if not hosted and network.output[source - network.inputs] >= 0:
            add(HOST_ROUTE, x, y, float(weight[number]), False)
    return dict(sorted(loads.items())), hops / flits if flits else 0.0, flits
