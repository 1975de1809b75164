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
from mapping.partition import fan_in_of, in_layer_order, slots_needed
from mapping.place import mean_hops, mesh_size, place
from mapping.traffic import core_traffic, route_all

if TYPE_CHECKING:
    from pathlib import Path

    from scipy.sparse import csr_array

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

    km1 : mean number of other cores that an event must reach, weighted by spikes; `naive`: the same
    of layer order, None if it does not fit. start : what the partition was refined from.
    hops : mean links of a multicast tree ("event") and mean distance of the cores that an event is
    for ("delivery"). traffic : links times events, of multicast and of unicast, and of layer order
    on a raster. heaviest : the busiest link and its load: a link carries 1 flit a cycle, so a step
    takes that many cycles at least; "core": the same for the busiest core's synapses and slots.
    occupancy : slots, synapse_bits, fan_in and load of the cores: min, mean, max and capacity.
    by_population : name, neurons, cores, events sent per step, deliveries to other cores caused by
    them ("sent") and events that reach its neurons' cores from elsewhere ("received").
    seconds : by stage; partition_seconds : of the partition's own. memory_bytes : most that the process had, until then.
    core, tile : the core of each neuron, the tile of each core.
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

    def to_json(self) -> dict[str, Any]:
        """Plain data without the arrays; the keys stay stable."""
        kept = {k: v for k, v in vars(self).items() if k not in ("core", "tile", "slot")}
        return {**kept, "notes": list(self.notes)}

    def write(self, path: Path, graph: Connectivity) -> None:
        """core [neurons], slot [neurons], tile [cores], mesh [width, height], and as CSR of sources
        the cores that each reaches: reach_indptr, reach_cores. Uncompressed .npz."""
        from mapping.arrays_file import write_arrays

        indptr, cores = _destinations(
            graph.indptr, graph.indices, self.core.astype(np.int32), self.cores
        )
        arrays = {
            "core": self.core.astype(np.int32),
            "slot": self.slot.astype(np.int32),
            "tile": self.tile.astype(np.int32),
            "mesh": np.array([self.width, self.height], np.int32),
            "reach_indptr": indptr,
            "reach_cores": cores,
        }
        write_arrays(path, arrays)


@njit(cache=True, nogil=True)
def _census(indptr, indices, inputs, spikes, core, cores, population, populations):
    """Per core: sources, events times synapses; per population: deliveries that its neurons cause
    (the last: inputs), and events that reach its neurons' cores from elsewhere."""
    sources = np.zeros(cores, np.int64)
    work = np.zeros(cores)
    sent, received = np.zeros(populations + 1), np.zeros(populations)
    seen, known = np.full(cores, -1, np.int64), np.full(cores, -1, np.int64)
    stretch = 0
    for s in range(len(indptr) - 1):
        home, own = -1, populations
        if s >= inputs:
            home, own = core[s - inputs], population[s - inputs]
        last, away = -1, 0
        for k in range(indptr[s], indptr[s + 1]):
            t = indices[k]
            c, p = core[t], population[t]
            work[c] += spikes[s]
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
    return sources, work, sent, received


@njit(cache=True, nogil=True)
def _destinations(indptr, indices, core, cores):
    """CSR of sources: the cores that each reaches, ascending."""
    seen = np.full(cores, -1, np.int64)
    first = np.zeros(len(indptr), np.int64)
    for s in range(len(indptr) - 1):
        count = 0
        for k in range(indptr[s], indptr[s + 1]):
            c = core[indices[k]]
            if seen[c] != s:
                seen[c] = s
                count += 1
        first[s + 1] = first[s] + count
    reached = np.empty(first[-1], np.int32)
    seen[:] = -1
    for s in range(len(indptr) - 1):
        at = first[s]
        for k in range(indptr[s], indptr[s + 1]):
            c = core[indices[k]]
            if seen[c] != s:
                seen[c] = s
                reached[at] = c
                at += 1
        reached[first[s] : at].sort()
    return first, reached


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
        start=found.start, flow=flow, seconds=stages.seconds,
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
    slot: np.ndarray | None = None,
    flow: csr_array | None = None,
    seconds: dict[str, float] | None = None,
    partition_seconds: dict[str, float] | None = None,
    progress: Progress = lambda text: None,
) -> MapReport:
    """The report of a partition on tiles; routes are XY trees. slot, flow : if known already."""
    stages, cores = _Stages(progress), len(tile)
    with stages("routes"):
        routes = route_all(graph, core, tile, width, height)
    with stages("report"):
        if flow is None:
            flow = core_traffic(graph, core, cores)
        if slot is None:
            slot = _slots(graph.population, core, capacity.lanes)
        populations = int(graph.population[-1]) + 1
        sources, work, sent, received = _census(
            graph.indptr, graph.indices, graph.inputs, graph.spikes, core, cores,
            graph.population, populations,
        )  # fmt: skip
        slots = np.zeros(cores, np.int64)
        np.maximum.at(slots, core, slot + 1)
        slots = -(-slots // capacity.lanes) * capacity.lanes
        hops, deliveries = mean_hops(flow, tile, width), float(flow.sum() - flow.diagonal().sum())
        sizes = np.bincount(graph.population, minlength=populations)
        where = np.unique(graph.population.astype(np.int64) * cores + core) // cores
        spread = np.bincount(where, minlength=populations)
        events = np.bincount(
            graph.population, weights=graph.spikes[graph.inputs :], minlength=populations
        )
        bits = np.bincount(core, weights=graph.synapse_bits, minlength=cores)
        load = _load(graph, core, cores)
    with stages("layer order"):
        naive_km1, naive = _layer_order(graph, capacity, cores, width, height)
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
        km1=km1(graph, core, cores),
        naive_km1=naive_km1,
        start=start,
        hops={
            "event": _ratio(routes.traffic, routes.events),
            "delivery": hops,
        },
        traffic={"multicast": routes.traffic, "unicast": hops * deliveries, "layer order": naive},
        heaviest={**routes.heaviest, "core": float(least.max())},
        occupancy=occupancy,
        table_entries={"total": int(routes.entries.sum()), "most": int(routes.entries.max())},
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
        notes=_limits(width, height, int(sources.max(initial=1))),
        core=core,
        tile=tile,
        slot=slot,
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


def _layer_order(
    graph: Connectivity, capacity: Capacity, cores: int, width: int, height: int
) -> tuple[float | None, float | None]:
    """km1 and traffic of layer order on a raster; None if it does not fit."""
    try:
        core = in_layer_order(graph, replace(capacity, cores=cores))
    except UserError:
        return None, None
    raster = np.arange(cores)
    return km1(graph, core, cores), route_all(graph, core, raster, width, height).traffic


def _limits(width: int, height: int, sources: int) -> tuple[str, ...]:
    """What the present hardware can't build."""
    found = []
    if max(width, height) > MOST_SIDE:
        found.append(f"a mesh of {width} x {height} can't be built yet: at most {MOST_SIDE} a side")
        return tuple(found)
    tag = bits_for(max(sources, 2))
    if tag > MOST_TAG:
        found.append(f"{sources} sources of a core can't be built yet: tags have {MOST_TAG} bits")
        return tuple(found)
    word = FlitParams(width=width, height=height, tag_bits=tag).flit_bits + 1
    if word > MOST_WORD:
        found.append(
            f"{width} x {height} tiles can't be built yet: words of the host need {word} bits, "
            f"{MOST_WORD} available"
        )
    return tuple(found)


def over(graph: Connectivity, core: np.ndarray, capacity: Capacity) -> list[str]:
    """The capacities that a partition does not keep; without a limit on the load 1.05 times its
    mean is one."""
    cores, populations = capacity.cores, int(graph.population[-1]) + 1
    core = core.astype(np.int32, copy=False)
    most = {
        "slots": slots_needed(graph.population, core.astype(np.int64), cores, capacity.lanes),
        "synapse_bits": np.bincount(core, weights=graph.synapse_bits, minlength=cores),
        "fan_in": _census(
            graph.indptr, graph.indices, graph.inputs, graph.spikes, core, cores,
            graph.population, populations,
        )[0],
        "load": _load(graph, core, cores),
    }  # fmt: skip
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
    routes = route_all(graph, core, tile, width, height)
    return {
        "km1": km1(graph, core, cores),
        "links": _ratio(routes.traffic, routes.events),
        "traffic": routes.traffic,
    }


def _load(graph: Connectivity, core: np.ndarray, cores: int) -> np.ndarray:
    """Synapses of each core."""
    return np.bincount(core, weights=fan_in_of(graph), minlength=cores).astype(np.int64)
