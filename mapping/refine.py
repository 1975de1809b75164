"""Better partitions: fewer cores that a spike must reach (km1).

Of two starts, layer order and recursive bisection along breadth-first orders, the more promising
one is improved by annealing. In each round every neuron's change of km1 by moving to each core is
known (two sparse products), noise of the round's temperature is added, and the best moves that
keep the limits are made. The best partition seen is kept. Deterministic for a seed.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from mapping.network import Network
from mapping.partition import Limits, loads, slots_needed, weight_bits_of

__all__ = ["km1", "reach", "refine"]

#: Largest network that is annealed, and multiply-adds that annealing may take.
MOST_NEURONS = 20_000
WORK = 500_000_000
ROUNDS = 60

#: First temperature, in mean changes of a move.
HEAT = 0.1

#: A core's load and slots may exceed those of layer order by this factor.
SLACK = 1.05


def reach(network: Network, core: np.ndarray, cores: int) -> np.ndarray:
    """[sources, cores]: whether the source has a synapse in the core."""
    reached = np.zeros((network.sources, cores), dtype=bool)
    reached[network.source, core[network.target]] = True
    return reached


def km1(reached: np.ndarray, home: np.ndarray, spikes: np.ndarray) -> float:
    """Mean number of other cores that an event must reach; `home` is -1 for inputs.

    An input, which lives in no core, counts from its second core on.
    """
    count = reached.sum(axis=1)
    own = (home >= 0) & reached[np.arange(len(home)), np.maximum(home, 0)]
    others = count - own - ((home < 0) & (count > 0))
    return float((others * spikes).sum() / max(spikes.sum(), 1e-12))


def refine(
    network: Network, core: np.ndarray, limits: Limits, spikes: np.ndarray, seed: int
) -> np.ndarray:
    """The partition `core`, or one with a lower km1 that keeps the limits."""
    cores = int(core.max()) + 1
    if cores == 1 or network.neurons > MOST_NEURONS or not len(network.source):
        return core
    search = _Search(network, core, cores, limits, spikes)
    starts = [core]
    other = _bisect(network, cores)
    if search.fits(other):
        starts.append(other)
    # A short race, then the full length for its winner.
    tried = [search.anneal(c, search.rounds // 4, np.random.default_rng(seed)) for c in starts]
    best = min(range(len(tried)), key=lambda i: search.cost(tried[i]))
    long = search.anneal(starts[best], search.rounds, np.random.default_rng(seed))
    refined = min((tried[best], long), key=search.cost)
    wider = _stored_bits(network, refined, cores) > SLACK * _stored_bits(network, core, cores)
    return core if wider or search.cost(refined) > 0.99 * search.cost(core) else refined


def _stored_bits(network: Network, core: np.ndarray, cores: int) -> int:
    """Bits of all weights: a core stores all of its weights at the width of its widest."""
    where = core[network.target]
    width = np.zeros(cores, dtype=np.int64)
    np.maximum.at(width, where, network.weight_bits[network.projection])
    return int((width * np.bincount(where, minlength=cores)).sum())


def _bisect(network: Network, cores: int) -> np.ndarray:
    """Halve the network along a breadth-first order, then each half along its own."""
    size, first = network.sources, network.inputs
    ones = np.ones(len(network.source), dtype=np.int8)
    graph = csr_array((ones, (network.source, network.target + first)), shape=(size, size))
    graph = csr_array(graph + graph.T)
    load = np.concatenate([np.zeros(first, dtype=np.int64), loads(network)])
    core = np.zeros(size, dtype=np.int64)

    def cut(nodes: np.ndarray, graph: csr_array, low: int, count: int) -> None:
        core[nodes] = low
        if count == 1 or len(nodes) < 2:
            return
        order = reverse_cuthill_mckee(graph, symmetric_mode=True)
        total = np.cumsum(load[nodes[order]])
        half = count // 2
        at = int(np.searchsorted(total, total[-1] * half // count)) + 1
        parts = np.sort(order[:at]), np.sort(order[at:])
        sizes = half, count - half
        for part, start, share in zip(parts, (low, low + half), sizes, strict=True):
            if len(part):
                cut(nodes[part], csr_array(graph[part][:, part]), start, share)

    cut(np.arange(size), graph, 0, cores)
    return core[first:]


class _Search:
    """Annealing on km1 with capacities as invariants."""

    def __init__(
        self,
        network: Network,
        start: np.ndarray,
        cores: int,
        limits: Limits,
        spikes: np.ndarray,
    ) -> None:
        self.network, self.cores, self.limits, self.spikes = network, cores, limits, spikes
        ones = np.ones(len(network.source), dtype=np.float32)
        shape = (network.sources, network.neurons)
        self.out = csr_array((ones, (network.source, network.target)), shape=shape)
        self.into = csr_array(self.out.T)
        self.load = loads(network)
        self.bits = weight_bits_of(network)
        most = np.bincount(start, weights=self.load, minlength=cores).max()
        self.most_load = int(max(most, SLACK * self.load.sum() / cores))
        slots = int(slots_needed(network, start, cores, limits.lanes).max())
        self.most_slots = max(slots, int(SLACK * slots) // limits.lanes * limits.lanes)
        if limits.neurons is not None:
            self.most_slots = min(self.most_slots, limits.neurons)
        work = len(network.source) * cores * 2
        self.rounds = int(min(ROUNDS, max(WORK // max(work, 1), 0)))

    def fits(self, core: np.ndarray) -> bool:
        """Whether the partition keeps all limits."""
        lanes = self.limits.lanes
        if int(slots_needed(self.network, core, self.cores, lanes).max()) > self.most_slots:
            return False
        if np.bincount(core, weights=self.load).max() > self.most_load:
            return False
        most = self.limits.bits
        return most is None or np.bincount(core, weights=self.bits).max() <= most

    def cost(self, core: np.ndarray) -> float:
        """Events per step times other cores."""
        home = np.concatenate([np.full(self.network.inputs, -1), core])
        return km1(reach(self.network, core, self.cores), home, self.spikes)

    def _changes(self, core: np.ndarray) -> tuple[np.ndarray, float]:
        """[neurons, cores]: change of the cost if that neuron alone moved to that core.

        Also the cost itself, in the same unit but for a constant.
        """
        inputs, n = self.network.inputs, len(core)
        own = np.arange(n), core
        hot = np.zeros((n, self.cores), dtype=np.float32)
        hot[own] = 1
        count = self.out @ hot
        there = count > 0
        single = count == 1
        neurons = there[inputs:].copy()
        there[inputs:][own] = True
        cost = float((there.sum(axis=1) * self.spikes).sum())
        single[inputs:][own] = False
        weight = self.spikes[:, None].astype(np.float32)
        both = np.concatenate([~there * weight, single * weight], axis=1, dtype=np.float32)
        sums = self.into @ both
        leave = sums[:, self.cores :][own]
        mine = self.spikes[inputs:, None] * (neurons[own][:, None].astype(float) - neurons)
        change = sums[:, : self.cores] - leave[:, None] + mine
        change[own] = 0.0
        return change, cost

    def anneal(self, core: np.ndarray, rounds: int, rng: np.random.Generator) -> np.ndarray:
        """The best partition seen while it cools."""
        best, best_cost, heat = core, np.inf, 0.0
        core = core.copy()
        n = len(core)
        for k in range(rounds + 1):
            change, cost = self._changes(core)
            if not k:
                heat = HEAT * float(np.abs(change).mean())
            if cost < best_cost:
                best, best_cost = core.copy(), cost
            left = 1 - k / max(rounds, 1)
            noisy = change + heat * left**2 * rng.gumbel(size=change.shape)
            noisy[np.arange(n), core] = np.inf
            to = np.argmin(noisy, axis=1)
            price = noisy[np.arange(n), to]
            able = np.flatnonzero((price < 0) & (rng.random(n) < 0.5))
            able = able[np.argsort(price[able], kind="stable")][: max(n // 10, 8)]
            self._move(core, able, to)
        return best

    def _move(self, core: np.ndarray, able: np.ndarray, to: np.ndarray) -> int:
        """Make the moves that keep the limits; returns how many."""
        lanes, population = self.limits.lanes, self.network.population
        kinds = int(population[-1]) + 1
        sizes = np.bincount(core * kinds + population, minlength=self.cores * kinds)
        sizes = sizes.reshape(self.cores, kinds)
        slots = (-(-sizes // lanes) * lanes).sum(axis=1).tolist()
        table = sizes.tolist()
        load = np.bincount(core, weights=self.load, minlength=self.cores).tolist()
        held = np.bincount(core, weights=self.bits, minlength=self.cores).tolist()
        most = self.limits.bits
        done = 0
        for v in able.tolist():
            a, b, kind = int(core[v]), int(to[v]), int(population[v])
            more = lanes if table[b][kind] % lanes == 0 else 0
            weight, bits = float(self.load[v]), float(self.bits[v])
            if slots[b] + more > self.most_slots or load[b] + weight > self.most_load:
                continue
            if (most is not None and held[b] + bits > most) or sum(table[a]) == 1:
                continue
            slots[b] += more
            slots[a] -= lanes if table[a][kind] % lanes == 1 % lanes else 0
            table[a][kind] -= 1
            table[b][kind] += 1
            load[a] -= weight
            load[b] += weight
            held[a] -= bits
            held[b] += bits
            core[v] = b
            done += 1
        return done
