"""A graph onto a mesh without building it: partition, placement, routes, and what they come to.

The engines are those of the real mapper; what they find is measured here once more from the graph,
so a report holds for a dry run and for a mapping that was built.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from hdl.params.errors import UserError
from hdl.params.neuron import bits_for
from hdl.params.noc import FlitParams
from mapping.connectivity import Capacity, Connectivity
from mapping.cut import cut, km1
from mapping.links import Links, add_trees, no_loads
from mapping.partition import in_layer_order, slots_needed
from mapping.place import mesh_size, place
from mapping.traffic import Routes, core_traffic, destinations, route_all

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MapReport", "fewest_cores", "map_graph", "measure", "over", "peak_memory", "scored",
]  # fmt: skip

#: What the present hardware builds (hdl/params/noc.py, host.py).
MOST_SIDE, MOST_WORD, MOST_TAG = 32, 64, 24
MOST_TILES = 1 << 16

Progress = Callable[[str], None]


def peak_memory() -> int:
    """Bytes that this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Stages:
    """Seconds by stage; each is told to `progress` as it begins."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.progress(name)
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True, kw_only=True, eq=False)
class MapReport:
    """What a mapping comes to. Traffic is in events (or flits) per step.

    km1 : mean number of other cores that an event must reach, weighted by spikes; naive_km1 : the
    same of layer order, None if it does not fit. start : what the partition was refined from.
    hops : mean links of an event's multicast tree ("event"), and mean distance of the cores that
    it is for ("delivery"). traffic : links times events, of multicast trees, of one packet a core
    ("unicast"), of layer order on a raster; links times flits as the hardware sends them ("flits").
    heaviest : the busiest link and its flits: it carries 1 a cycle, so a step takes as many cycles
    at least; "core": the least cycles of the busiest core, for its synapses and slots.
    occupancy : slots, synapse_bits, fan_in and synapses of the cores: min, mean, max and capacity.
    table_entries : of routes, of all cores and of the fullest.
    by_population : name, neurons, cores, events sent per step, deliveries to other cores that they
    cause ("sent"), and events that reach its neurons' cores from elsewhere ("received").
    seconds : by stage; partition_seconds : of the partition's own. memory_bytes : most that the
    process had until then. notes : what to know, what can't be built. hardware : of a mapping that
    was built.
    core, slot, tile : of each neuron, neuron and core. routes : of a network without outputs.
    """

    neurons: int
    inputs: int
    synapses: int
    cores: int
    width: int
    height: int
    km1: float
    naive_km1: float | None
    start: str
    hops: dict[str, float]
    traffic: dict[str, float | None]
    heaviest: dict[str, Any]
    occupancy: dict[str, dict[str, float | None]]
    table_entries: dict[str, float]
    by_population: list[dict[str, Any]]
    seconds: dict[str, float]
    partition_seconds: dict[str, float]
    memory_bytes: int
    notes: tuple[str, ...] = ()
    hardware: dict[str, int] = field(default_factory=dict)
    core: np.ndarray
    tile: np.ndarray
    slot: np.ndarray
    routes: Routes

    def to_json(self) -> dict[str, Any]:
        """Plain data without the arrays; the keys stay stable."""
        kept = {k: v for k, v in vars(self).items() if not isinstance(v, np.ndarray | Routes)}
        return {**kept, "notes": list(self.notes)}

    def write(self, path: Path, graph: Connectivity) -> None:
        """core [neurons], slot [neurons], tile [cores], mesh [width, height]; as CSR of sources the
        cores that each reaches, reach_indptr and reach_cores, and (not on meshes too wide for it)
        its flits, flit_indptr, and of each flit rows, columns (masks) and tag. Uncompressed
        .npz."""
        from mapping.arrays_file import write_arrays

        indptr, cores = destinations(graph, self.core, self.cores)
        arrays = {
            "core": self.core.astype(np.int32),
            "slot": self.slot.astype(np.int32),
            "tile": self.tile.astype(np.int32),
            "mesh": np.array([self.width, self.height], np.int32),
            "reach_indptr": indptr,
            "reach_cores": cores,
        }
        products, tag = self.routes.products, self.routes.tag
        if products is not None and tag is not None:
            flits = {"flit_indptr": products.first, "rows": products.rows,
                     "columns": products.columns, "tag": tag}  # fmt: skip
            arrays |= flits
        write_arrays(path, arrays)


@njit(cache=True, nogil=True)
def _census(indptr, indices, inputs, spikes, core, cores, population, populations):
    """Per core: sources, synapses, events times synapses; per population: deliveries that its
    neurons cause (the last: inputs), and events that reach its neurons' cores from elsewhere."""
    sources, synapses = np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    work = np.zeros(cores)
    sent, received = np.zeros(populations + 1), np.zeros(populations)
    seen, known = np.full(cores, -1, np.int64), np.full(cores, -1, np.int64)
    stretch = 0
    for s in range(len(indptr) - 1):
        home, own = -1, populations
        if s >= inputs:
            home, own = core[s - inputs], population[s - inputs]
        last, away, p = -1, 0, 0
        for k in range(indptr[s], indptr[s + 1]):
            t = indices[k]
            c = core[t]
            synapses[c] += 1
            work[c] += spikes[s]
            if populations > 1:  # a look-up less where it is known
                p = population[t]
            if p != last:
                last, stretch = p, stretch + 1
            if known[c] != stretch:
                known[c] = stretch
                if c != home:
                    received[p] += spikes[s]
                if seen[c] != s:
                    seen[c] = s
                    sources[c] += 1
                    away += c != home
        sent[own] += away * spikes[s]
    return sources, synapses, work, sent, received


def _slots(population: np.ndarray, core: np.ndarray, lanes: int) -> np.ndarray:
    """Slot of each neuron: by population in its core, each from a multiple of `lanes`."""
    order = np.argsort(core, kind="stable")
    key = core[order].astype(np.int64) * (int(population[-1]) + 1) + population[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    padded = -(-sizes // lanes) * lanes
    begin = np.cumsum(padded) - padded
    opens = np.r_[True, np.diff(core[order[starts]]) != 0]
    begin -= np.repeat(begin[opens], np.diff(np.r_[np.flatnonzero(opens), len(starts)]))
    slot = np.empty(len(order), np.int64)
    slot[order] = np.repeat(begin - starts, sizes) + np.arange(len(order))
    return slot


def fewest_cores(graph: Connectivity, capacity: Capacity, progress: Progress) -> int:
    """Cores with which layer order keeps the capacities; at most 3 % more than the fewest."""
    least = 1
    for need, limit in (
        (int((-(-np.bincount(graph.population) // capacity.lanes) * capacity.lanes).sum()),
         capacity.slots),
        (int(graph.synapse_bits.sum()), capacity.synapse_bits),
        (int(np.count_nonzero(np.diff(graph.indptr))), capacity.fan_in),
        (graph.synapses, capacity.load),
    ):  # fmt: skip
        if limit is not None:
            least = max(least, -(-need // limit))
    checked = False
    while True:
        progress(f"trying {least:,} cores")
        try:
            in_layer_order(graph, replace(capacity, cores=least))
            return least
        except UserError:
            if not checked:  # raises if a single neuron is too much
                in_layer_order(graph, replace(capacity, cores=graph.neurons))
                checked = True
        least = min(max(least + 1, int(least * 1.03)), graph.neurons)


def map_graph(
    graph: Connectivity,
    capacity: Capacity,
    mesh: tuple[int | None, int | None] = (None, None),
    seed: int = 0,
    progress: Progress = lambda text: None,
) -> MapReport:
    """Partition, placement and routes of a graph, and the report.

    mesh : width and height; nearly square where None. UserError if the capacities or the mesh are
    too small.
    """
    width, height = mesh_size(capacity.cores, *mesh)
    if width * height < capacity.cores:
        raise UserError(
            f"mesh: {capacity.cores} cores need as many tiles, {width} x {height} available; "
            "use a larger mesh (--width, --height) or fewer cores (--cores)"
        )
    if width * height > MOST_TILES:
        raise UserError(f"mesh: {width} x {height} tiles, at most {MOST_TILES} are mapped onto; "
                        "use fewer cores (--cores)")  # fmt: skip
    stages = _Stages(progress)
    with stages("partition"):
        found = cut(graph, capacity, seed=seed, progress=progress)
    with stages("traffic"):
        flow = core_traffic(graph, found.core, capacity.cores)
    with stages("placement"):
        tile = place(flow, width, height, seed)
    return measure(
        graph, capacity, found.core, tile, width, height,
        start=found.start, known=(found.km1, found.naive), seconds=stages.seconds,
        partition_seconds=found.seconds, progress=progress,
    )  # fmt: skip


def measure(
    graph: Connectivity,
    capacity: Capacity,
    core: np.ndarray,
    tile: np.ndarray,
    width: int,
    height: int,
    *,
    start: str,
    known: tuple[float, float | None] | None = None,
    slot: np.ndarray | None = None,
    seconds: dict[str, float] | None = None,
    partition_seconds: dict[str, float] | None = None,
    progress: Progress = lambda text: None,
) -> MapReport:
    """The report of a partition on tiles; routes are XY trees. known : km1 of it and of layer
    order; that and slot if they are there already."""
    stages, cores = _Stages(progress), len(tile)
    with stages("routes"):
        routes = route_all(graph, core, tile, width, height)
    with stages("report"):
        if slot is None:
            slot = _slots(graph.population, core, capacity.lanes)
        populations = int(graph.population[-1]) + 1
        sources, load, work, sent, received = _census(
            graph.indptr, graph.indices, graph.inputs, graph.spikes, core, cores,
            graph.population, populations,
        )  # fmt: skip
        slots = np.zeros(cores, np.int64)
        np.maximum.at(slots, core, slot + 1)
        slots = -(-slots // capacity.lanes) * capacity.lanes
        sizes = np.bincount(graph.population, minlength=populations)
        where = np.unique(graph.population.astype(np.int64) * cores + core) // cores
        spread = np.bincount(where, minlength=populations)
        events = np.bincount(
            graph.population, weights=graph.spikes[graph.inputs :], minlength=populations
        )
        bits = np.bincount(core, weights=graph.synapse_bits, minlength=cores)
    with stages("layer order"):
        raster = _layer_order(graph, capacity, cores)
        naive = None
        if raster is not None:
            naive, _ = _trees(graph, raster, np.arange(cores), width, height)
        if known is None:
            naive_km1 = None if raster is None else km1(graph, raster, cores)
            known = km1(graph, core, cores), naive_km1
    link, flits = routes.flits.heaviest
    home = np.bincount(core, weights=routes.entries[graph.inputs :], minlength=cores)
    least = slots / capacity.lanes + work / capacity.lanes
    occupancy = {
        "slots": _range(slots, capacity.slots),
        "synapse_bits": _range(bits, capacity.synapse_bits),
        "fan_in": _range(sources, capacity.fan_in),
        "synapses": _range(load, capacity.load),
    }
    names = graph.names or tuple(str(i) for i in range(populations))
    return MapReport(
        neurons=graph.neurons,
        inputs=graph.inputs,
        synapses=graph.synapses,
        cores=cores,
        width=width,
        height=height,
        km1=known[0],
        naive_km1=known[1],
        start=start,
        hops={
            "event": _ratio(routes.traffic, routes.events),
            "delivery": _ratio(routes.unicast.total, float(sent.sum())),
        },
        traffic={
            "multicast": routes.traffic,
            "unicast": routes.unicast.total,
            "flits": routes.flits.total,
            "layer order": naive,
        },
        heaviest={"link": link, "flits": flits, "core": float(least.max())},
        occupancy=occupancy,
        table_entries={"total": int(home.sum()), "most": int(home.max())},
        by_population=[
            {
                "name": names[i],
                "neurons": int(sizes[i]),
                "cores": int(spread[i]),
                "events": float(events[i]),
                "sent": float(sent[i]),
                "received": float(received[i]),
            }
            for i in range(populations)
        ],
        seconds={**(seconds or {}), **stages.seconds},
        partition_seconds=partition_seconds or {},
        memory_bytes=peak_memory(),
        notes=_limits(width, height, routes.axons),
        core=core,
        tile=tile,
        slot=slot,
        routes=routes,
    )


def _ratio(a: float, b: float) -> float:
    return a / b if b else 0.0


def _range(values: np.ndarray, capacity: int | None) -> dict[str, float | None]:
    return {
        "min": float(values.min()),
        "mean": float(values.mean()),
        "max": float(values.max()),
        "capacity": capacity,
    }


def _layer_order(graph: Connectivity, capacity: Capacity, cores: int) -> np.ndarray | None:
    """The core of each neuron; None if it does not fit."""
    try:
        return in_layer_order(graph, replace(capacity, cores=cores))
    except UserError:
        return None


def _trees(
    graph: Connectivity, core: np.ndarray, tile: np.ndarray, width: int, height: int
) -> tuple[float, float]:
    """(events times links of all trees, events), per step."""
    first, reached = destinations(graph, core, len(tile))
    start = np.concatenate([np.full(graph.inputs, -1), tile[core]]).astype(np.int32)
    loads, spikes = no_loads(width, height), graph.spikes.astype(np.float64)
    add_trees(loads, start, first, tile.astype(np.int32)[reached], spikes)
    return Links(loads).total, float(spikes[np.diff(first) > 0].sum())


def _limits(width: int, height: int, axons: np.ndarray | None) -> tuple[str, ...]:
    """What the present hardware can't build."""
    if max(width, height) > MOST_SIDE or axons is None:
        return (f"a mesh of {width} x {height} can't be built yet: at most {MOST_SIDE} a side",)
    tag = bits_for(max(int(axons.max()), 2))
    if tag > MOST_TAG:
        return (f"{tag} bits of tags can't be built yet: at most {MOST_TAG}",)
    word = FlitParams(width=width, height=height, tag_bits=tag).flit_bits + 1
    if word > MOST_WORD:
        return (
            f"{width} x {height} tiles can't be built yet: words of the host need {word} bits, "
            f"{MOST_WORD} available",
        )
    return ()


def over(graph: Connectivity, core: np.ndarray, capacity: Capacity) -> list[str]:
    """The capacities that a partition does not keep; without a limit on the load 1.05 times its
    mean is one."""
    cores, populations = capacity.cores, int(graph.population[-1]) + 1
    core = core.astype(np.int32, copy=False)
    sources, load, *_ = _census(
        graph.indptr, graph.indices, graph.inputs, graph.spikes, core, cores,
        graph.population, populations,
    )  # fmt: skip
    most = {
        "slots": slots_needed(graph.population, core.astype(np.int64), cores, capacity.lanes),
        "synapse_bits": np.bincount(core, weights=graph.synapse_bits, minlength=cores),
        "fan_in": sources,
        "load": load,
    }
    limits = vars(capacity)
    return [n for n, v in most.items() if limits[n] is not None and v.max() > limits[n]]


def scored(
    graph: Connectivity,
    core: np.ndarray,
    cores: int,
    width: int,
    height: int,
    seed: int,
    tile: np.ndarray | None = None,
) -> dict[str, float]:
    """km1, links of an event's tree, and events times links, of a partition; placed if no `tile` is
    given."""
    core = core.astype(np.int32, copy=False)
    if tile is None:
        tile = place(core_traffic(graph, core, cores), width, height, seed)
    links, events = _trees(graph, core, tile, width, height)
    return {"km1": km1(graph, core, cores), "links": _ratio(links, events), "traffic": links}
