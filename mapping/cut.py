"""Neurons to cores: the fewest other cores that an event must reach (km1), within capacities.

Several starts (layer order, METIS on links, METIS on shared inputs) are made to keep the
capacities, raced by short annealing, and the best is annealed at length (`mapping.cut_km1`).
Deterministic for a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
from numba import njit

from hdl.params.errors import UserError
from mapping.connectivity import Capacity, Connectivity, Partition
from mapping.cut_km1 import State, fits, relieve, state_of, sweep
from mapping.cut_starts import link_graph, metis, ring_graph
from mapping.partition import UNLIMITED, fan_in_of, in_layer_order, loads, slots_needed
from mapping.pins import pins_of

__all__ = ["SLACK", "cut", "km1"]

#: How far a core may be above the mean where no capacity says how much it holds.
SLACK = 1.05

#: First temperature, in mean weights of a net.
HEAT = 0.6

#: Pins that all annealing may visit, and the most and fewest sweeps that this is spent on.
WORK = 200_000_000
SWEEPS = 300, 10


@njit(cache=True, nogil=True)
def _km1(inputs, indptr, indices, spikes, core, cores):
    seen = np.full(cores, -1, dtype=np.int64)
    total = 0.0
    for u in range(len(indptr) - 1):
        others = 0
        if u >= inputs:
            seen[core[u - inputs]] = u
        elif indptr[u] < indptr[u + 1]:
            seen[core[indices[indptr[u]]]] = u
        for k in range(indptr[u], indptr[u + 1]):
            c = core[indices[k]]
            others += seen[c] != u
            seen[c] = u
        total += others * spikes[u]
    return total


def km1(graph: Connectivity, core: np.ndarray, cores: int) -> float:
    """Mean number of other cores that an event must reach; an input counts from its second on."""
    whole = float(graph.spikes.sum(dtype=np.float64))
    core = np.ascontiguousarray(core, dtype=np.int32)
    cost = _km1(graph.inputs, graph.indptr, graph.indices, graph.spikes, core, cores)
    return cost / whole if whole > 0 else 0.0


class _Search:
    """What the starts of one cut have in common."""

    def __init__(self, graph, capacity, first, seed):
        self.graph, self.capacity, self.seed = graph, capacity, seed
        self.cores = min(capacity.cores, graph.neurons)
        self.first = first
        core = first
        if core is None:
            core = in_layer_order(graph, Capacity(cores=self.cores, lanes=capacity.lanes))
        self.order = core
        load = loads(graph) if capacity.load is None else fan_in_of(graph)
        slots = capacity.slots
        if slots is None:
            slots = int(slots_needed(graph.population, core, self.cores, capacity.lanes).max())
            slots = max(slots, int(SLACK * slots) // capacity.lanes * capacity.lanes)
        heavy = capacity.load
        if heavy is None:
            most = int(np.bincount(core, weights=load).max())
            heavy = max(most, int(SLACK * float(load.sum()) / self.cores))
            heavy = heavy if first is not None else max(heavy, int(load.max() + load.mean()))
        bits = UNLIMITED if capacity.synapse_bits is None else capacity.synapse_bits
        axons = -1 if capacity.fan_in is None else capacity.fan_in
        self.most = np.array([slots, bits, heavy, axons])
        self.pins = pins_of(graph, axons >= 0, load)
        self.unit = float(self.pins.weight.mean()) if len(self.pins.weight) else 1.0

    def state(self, core: np.ndarray) -> State:
        return state_of(self.pins, core, self.cores, self.most, self.capacity.lanes)

    def repaired(self, core: np.ndarray) -> State | None:
        """The partition without empty cores and within the capacities, or None."""
        units = np.bincount(core, minlength=self.cores)
        for empty in np.flatnonzero(units == 0):
            donor = int(units.argmax())
            core[np.flatnonzero(core == donor)[-1]] = empty
            units[donor] -= 1
            units[empty] = 1
        state = self.state(core)
        order = np.arange(len(core))
        price = 0.1 * self.unit
        while not fits(state):
            if not relieve(self.pins, state, order, price) and price == np.inf:
                return None
            price = price * 3 if price < 1e6 * self.unit else np.inf
        return state

    def anneal(self, state: State, sweeps: int) -> None:
        """In place, from HEAT to nothing."""
        order = np.arange(len(state.core))
        for k in range(sweeps):
            heat = HEAT * self.unit * (1 - (k + 1) / sweeps) ** 2
            skip = 8 * heat if heat > 0 else np.inf
            sweep(self.pins, state, order, heat, skip, self.seed + k)


def cut(
    graph: Connectivity,
    capacity: Capacity,
    *,
    seed: int = 0,
    first: np.ndarray | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Partition:
    """The best partition found that keeps the capacities.

    A core that has neurons in layer order never loses its last one. `first`: layer order, where
    the caller cuts it by a rule of its own. UserError, naming the capacity that is short and what
    would help, if no partition is found.
    """
    began = perf_counter()
    seconds: dict[str, float] = {}

    def stage(name: str) -> None:
        nonlocal began
        seconds[name] = seconds.get(name, 0.0) + perf_counter() - began
        began = perf_counter()

    if first is None:
        try:
            first = in_layer_order(graph, capacity)
        except UserError as error:
            problem: UserError | None = error
        else:
            problem = None
    search = _Search(graph, capacity, first, seed)
    cores = search.cores if first is None else int(first.max()) + 1
    search.cores = cores
    naive = None if first is None else km1(graph, first, cores)
    stage("layer order")
    found: list[tuple[float, str, np.ndarray]] = []
    if first is not None and naive is not None:
        found.append((naive, "layer order", first))
    if cores > 1 and len(search.pins.weight):
        weight = search.pins.needs[:, 2]
        starts: dict[str, Callable[[], np.ndarray]] = {
            "layer order": lambda: search.order,
            "METIS": lambda: metis(link_graph(graph), weight, cores, seed),
            "METIS on shared inputs": lambda: metis(
                ring_graph(search.pins, seed), weight, cores, seed
            ),
        }
        sweeps = int(np.clip(WORK / len(search.pins.net), SWEEPS[1], SWEEPS[0]))
        for name, start in starts.items():
            progress(f"partition: {name}")
            core = start()
            stage(name)
            state = search.repaired(core.copy())
            if state is None:
                continue
            search.anneal(state, max(sweeps // 8, 1))
            found.append((km1(graph, state.core, cores), name, state.core))
            stage("annealing")
        if found:
            progress("partition: annealing")
            _, name, core = min(found, key=lambda each: each[0])
            state = search.state(core)
            search.anneal(state, sweeps)
            found.append((km1(graph, state.core, cores), name, state.core))
            stage("annealing")
    if not found:
        raise problem or UserError("no partition")
    best, name, core = min(found, key=lambda each: each[0])
    return Partition(
        core=core.astype(np.int32), cores=capacity.cores, km1=best, start=name, naive=naive,
        seconds=seconds,
    )  # fmt: skip
