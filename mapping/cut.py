"""Neurons to cores: the fewest other cores that an event must reach (km1), within capacities.

Several starts are made to keep the capacities and raced by short annealing; the best is annealed
at length (`mapping.cut_km1`). The starts: layer order; METIS on the graph of kin
(`mapping.cut_starts`); and, while that is cheap, clusters annealed as wholes from a higher
temperature, which finds the shapes that single neurons can't reach. Where neurons share their
sources, as a convolution's do, clusters of clusters make the graph much smaller: it is then cut
from level to level (`mapping.levels`), and again with clusters that are parts of cores (V-cycles).
Deterministic for a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
from numba import njit

from hdl.params.errors import UserError
from mapping.connectivity import Capacity, Connectivity, Partition
from mapping.cut_km1 import FAR, State, fits, relieve, state_of, sweep
from mapping.cut_starts import clusters_of, kin_graph, metis
from mapping.levels import coarsen
from mapping.partition import UNLIMITED, fan_in_of, in_layer_order, loads, refuse, slots_needed
from mapping.pins import Pins, contract, pins_of

__all__ = ["SLACK", "cut", "km1"]

#: How far a core may be above the mean where no capacity says how much it holds.
SLACK = 1.05

#: First temperature of neurons, and those of clusters, in mean weights of a net.
HEAT, HEATS = 0.6, (10.0, 30.0)

#: Entries of nets' lists that one annealing may read, and the fewest and most sweeps of that.
WORK = 400_000_000
SWEEPS = 8, 120

#: Levels are used if the coarsest, of so many clusters a core, has at most this share of the pins.
COARSE, SHRUNK = 24, 0.1

#: First temperatures of the coarsest level, first and in each V-cycle, and their most sweeps.
HOT, CYCLES, MOST = 30.0, (10.0, 10.0, 5.0, 3.0), (3000, 200)

#: First temperatures of levels between and of neurons; their share of WORK and of so many sweeps.
WARM, COOL, SHARE, FEW = 1.0, 0.2, 0.05, 800

#: Clusters a core, and most synapses of a graph whose clusters are annealed.
CLUSTERS, MOST_PINS = 32, 2_000_000

#: Graphs of at most so many pins are annealed so many times, each time from hotter.
FEW_PINS, AGAIN = 2000, 8

#: A start that is so much worse than the best is not annealed.
HOPELESS = 1.5


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
    """The limits of one cut, and what is done within them at every level."""

    def __init__(
        self, graph: Connectivity, capacity: Capacity, order: np.ndarray, exact: bool, seed: int
    ) -> None:
        """`order`: layer order; `exact`: it keeps the capacities."""
        self.seed, self.lanes = seed, capacity.lanes
        self.cores = int(order.max()) + 1
        load = loads(graph) if capacity.load is None else fan_in_of(graph)
        slots, heavy = capacity.slots, capacity.load
        if slots is None:
            slots = int(slots_needed(graph.population, order, self.cores, self.lanes).max())
            slots = max(slots, int(SLACK * slots) // self.lanes * self.lanes)
        if heavy is None:
            heavy = int(np.bincount(order, weights=load).max())
            heavy = max(heavy, int(SLACK * float(load.sum()) / self.cores))
            heavy += 0 if exact else int(load.max())
        bits = UNLIMITED if capacity.synapse_bits is None else capacity.synapse_bits
        axons = -1 if capacity.fan_in is None else capacity.fan_in
        self.most = np.array([slots, bits, heavy, axons])
        self.pins = pins_of(graph, axons >= 0, load)
        self.unit = float(self.pins.weight.mean()) if len(self.pins.weight) else 1.0

    def state(self, pins: Pins, core: np.ndarray) -> State:
        return state_of(pins, core, self.cores, self.most, self.lanes)

    def repaired(self, pins: Pins, core: np.ndarray) -> State | None:
        """The partition without empty cores and within the capacities, or None."""
        core = core.copy()
        units = np.bincount(core, minlength=self.cores)
        for empty in np.flatnonzero(units == 0):
            donor = int(units.argmax())
            core[np.flatnonzero(core == donor)[-1]] = empty
            units[donor] -= 1
            units[empty] = 1
        state = self.state(pins, core)
        order = np.arange(len(core))
        price = 0.3 * self.unit
        while not fits(state):
            if not relieve(pins, state, order, price) and price == np.inf:
                return None
            price = price * 4 if price < 1e4 * self.unit else np.inf
        return state

    def anneal(
        self, pins: Pins, state: State, share: float, hottest: float, most: int = SWEEPS[1]
    ) -> None:
        """In place, from that temperature to nothing, for a share of WORK or of `most` sweeps."""
        order = np.arange(len(state.core))
        reads = len(pins.net) * max(float(state.length.mean()), 1.0)
        sweeps = max(int(np.clip(WORK / reads, SWEEPS[0], most) * share), 1)
        for k in range(sweeps):
            heat = hottest * self.unit * (1 - (k + 1) / sweeps) ** 2
            skip = FAR * heat if heat > 0 or sweeps < 20 else np.inf
            sweep(pins, state, order, heat, skip, self.seed + k)

    def clusters(self, links, cost: Callable[[np.ndarray], float]) -> np.ndarray | None:
        """The best of clusters annealed from several temperatures."""
        label = clusters_of(self.pins, links, CLUSTERS * self.cores, self.seed)
        pins = contract(self.pins, label)
        start = metis(kin_graph(pins, self.seed), pins.needs[:, 2], self.cores, self.seed)
        found = []
        for heat in HEATS:
            state = self.repaired(pins, start)
            if state is not None:
                self.anneal(pins, state, 1.0, heat)
                found.append(state.core[label])
        return min(found, key=cost) if found else None

    def multilevel(self, cost: Callable[[np.ndarray], float]) -> np.ndarray | None:
        """Annealed from level to level, then in V-cycles; None if the levels hardly shrink or
        nothing found keeps the capacities."""
        merge, found = bool(self.most[3] < 0), None
        for cycle, heat in enumerate((HOT, *CYCLES)):
            seed = self.seed + 1000 * cycle
            levels, labels = coarsen(self.pins, COARSE * self.cores, merge, seed, found)
            top = levels[-1]
            if found is None:
                if len(top.net) > SHRUNK * len(self.pins.net):
                    return None
                core = metis(kin_graph(top, seed), top.needs[:, 2], self.cores, seed)
            else:
                core = found
                for label in labels:
                    core = core[np.unique(label, return_index=True)[1]]
            share, most, first = 1.0, MOST[cycle > 0], heat
            for k in range(len(levels) - 1, -1, -1):
                state = self.repaired(levels[k], core)
                if state is not None:
                    self.anneal(levels[k], state, share, first, most)
                    core = state.core
                core = core[labels[k - 1]] if k else core
                share, most, first = SHARE, FEW, WARM if k > 1 else COOL
            if state is None:
                return None
            found = core if found is None else min((found, core), key=cost)
        return found


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
    the caller cuts it by a rule of its own; it may exceed the fan-in. UserError, naming the
    capacity that is short and what would help, if no partition is found.
    """
    began, seconds = perf_counter(), dict[str, float]()

    def stage(name: str) -> None:
        nonlocal began
        seconds[name] = seconds.get(name, 0.0) + perf_counter() - began
        began = perf_counter()

    exact, order = True, first
    if order is None:
        try:
            order = in_layer_order(graph, capacity)
        except UserError:
            exact = False
            order = in_layer_order(graph, Capacity(cores=capacity.cores, lanes=capacity.lanes))
    search = _Search(graph, capacity, order, exact, seed)
    pins, cores = search.pins, search.cores

    def cost(core: np.ndarray) -> float:
        return km1(graph, core, cores)

    if first is not None:
        exact = fits(search.state(pins, order))
    naive = cost(order) if exact else None
    stage("layer order")
    starts = [("layer order", order)]
    if cores > 1 and len(pins.weight):
        progress("partition: METIS on kin")
        links = kin_graph(pins, seed)
        stage("kin")
        starts.append(("METIS", metis(links, pins.needs[:, 2], cores, seed)))
        stage("METIS")
        if len(pins.net) <= MOST_PINS and graph.neurons >= 4 * CLUSTERS * cores:
            name, clustered = "levels", search.multilevel(cost)
            if clustered is None:
                name, clustered = "clusters", search.clusters(links, cost)
            starts += [] if clustered is None else [(name, clustered)]
            stage("clusters")
    progress("partition: annealing")
    costs = [cost(core) for _, core in starts]
    best, states = int(np.argmin(costs)), []
    for (name, core), each in zip(starts, costs, strict=True):
        alone = starts[best][0] == "levels" != name
        if not alone and (each <= HOPELESS * costs[best] + 1e-9 or not exact):
            state = search.repaired(pins, core)
            states += [] if state is None else [(name, state)]
    if not states and exact:
        states = [("layer order", search.state(pins, order))]
    if not states:
        refuse(graph, capacity)
    if cores > 1 and len(pins.weight):
        for _, state in states if len(states) > 1 else []:
            search.anneal(pins, state, 0.125, HEAT)
        name, state = min(states, key=lambda each: cost(each[1].core))
        core = state.core.copy()
        for again in range(1 if len(pins.net) > FEW_PINS else AGAIN):
            search.seed = seed + again * SWEEPS[1]
            heat = COOL if name == "levels" else HEAT
            search.anneal(pins, state, 1.0, heat * (1 + again))
            core = min((core, state.core.copy()), key=cost)
    else:
        name, core = states[0][0], states[0][1].core
    if naive is not None and naive <= cost(core) and fits(search.state(pins, order)):
        name, core = "layer order", order
    stage("annealing")
    return Partition(
        core=core.astype(np.int32),
        cores=capacity.cores,
        km1=cost(core),
        start=name,
        naive=naive,
        seconds=seconds,
    )
