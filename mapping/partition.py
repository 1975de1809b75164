"""Neurons in order of their populations, cut into contiguous pieces of equal load.

A neuron's load is its share of all neurons plus its share of all synapses. This is what every
other partition is measured against, and where `mapping.cut` starts; it is exact: if contiguous
pieces can keep the capacities, it finds them.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numba import njit

from hdl.params.errors import UserError
from mapping.connectivity import Capacity, Connectivity
from mapping.network import Network

__all__ = [
    "UNLIMITED", "fan_in_of", "in_layer_order", "incoming", "loads", "refuse", "slots_needed",
    "weight_bits_of", "widths_of",
]  # fmt: skip

UNLIMITED = 1 << 62


def weight_bits_of(network: Network) -> np.ndarray:
    """Bits of each neuron's weights, without any index or padding."""
    if not len(network.weight_bits):
        return np.zeros(network.neurons, dtype=np.int64)
    weight = network.weight_bits[network.projection]
    return np.bincount(network.target, weights=weight, minlength=network.neurons).astype(np.int64)


def widths_of(network: Network) -> np.ndarray:
    """Bits of each neuron's widest weight: in a core all are as wide as the widest."""
    width = np.zeros(network.neurons, dtype=np.int64)
    np.maximum.at(width, network.target, network.weight_bits[network.projection])
    return width


def slots_needed(population: np.ndarray, core: np.ndarray, cores: int, lanes: int) -> np.ndarray:
    """Slots that each core needs: every population starts at a multiple of `lanes`."""
    populations = int(population[-1]) + 1
    sizes = np.bincount(core * populations + population, minlength=cores * populations)
    return (-(-sizes // lanes) * lanes).reshape(cores, populations).sum(axis=1)


@njit(cache=True, nogil=True)
def _count(indices, neurons):
    count = np.zeros(neurons, dtype=np.int64)
    for target in indices:
        count[target] += 1
    return count


@njit(cache=True, nogil=True)
def _transpose(indptr, indices, first):
    sources = np.empty(len(indices), dtype=np.int32)
    at = first[:-1].copy()
    for u in range(len(indptr) - 1):
        for k in range(indptr[u], indptr[u + 1]):
            v = indices[k]
            sources[at[v]] = u
            at[v] += 1
    return sources


def fan_in_of(graph: Connectivity) -> np.ndarray:
    """Synapses of each neuron."""
    return _count(graph.indices, graph.neurons)


def incoming(graph: Connectivity) -> tuple[np.ndarray, np.ndarray]:
    """The sources of each neuron as CSR: int64 [neurons + 1], int32 [synapses]."""
    first = np.concatenate([[0], np.cumsum(fan_in_of(graph))])
    return first, _transpose(graph.indptr, graph.indices, first)


def loads(graph: Connectivity) -> np.ndarray:
    """Load of each neuron, integers."""
    return max(graph.synapses, 1) + graph.neurons * fan_in_of(graph)


@njit(cache=True, nogil=True)
def _turn(held, inside, wide, seen, neurons, sign, population, lanes, fan_in, bits, width, of):
    """Take neurons into a core (sign 1) or out of it (-1). held: slots, bits, sources, synapses."""
    first, source = of
    for v in range(neurons[0], neurons[1]):
        p = population[v]
        if (inside[p] - (sign < 0)) % lanes == 0:
            held[0] += sign * lanes
        inside[p] += sign
        held[3] += sign * fan_in[v]
        if len(width):
            wide[width[v]] += sign
        else:
            held[1] += sign * bits[v]
        if len(source):
            for k in range(first[v], first[v + 1]):
                u = source[k]
                seen[u] += sign
                if seen[u] == (sign > 0):
                    held[2] += sign
    if len(width):
        widest = len(wide) - 1
        while widest > 0 and wide[widest] == 0:
            widest -= 1
        held[1] = held[3] * widest


@njit(cache=True, nogil=True)
def _windows(cuts, most, sources, population, lanes, fan_in, bits, width, of):
    """For each cut the last one at which a core that starts there may end."""
    last = np.empty(len(cuts), dtype=np.int64)
    held = np.zeros(4, dtype=np.int64)
    inside = np.zeros(population[-1] + 1, dtype=np.int64)
    wide = np.zeros(1 + (width.max() if len(width) else 0), dtype=np.int64)
    seen = np.zeros(sources, dtype=np.int32)
    what = population, lanes, fan_in, bits, width, of
    end = 0
    for begin in range(len(cuts) - 1):
        end = max(end, begin)
        while end + 1 < len(cuts):
            _turn(held, inside, wide, seen, cuts[end : end + 2], 1, *what)
            if (held > most).any():
                _turn(held, inside, wide, seen, cuts[end : end + 2], -1, *what)
                break
            end += 1
        last[begin] = end
        if end > begin:
            _turn(held, inside, wide, seen, cuts[begin : begin + 2], -1, *what)
    last[-1] = len(cuts) - 1
    return last


@njit(cache=True, nogil=True)
def _fill(total, last, cores, load, even):
    """Cuts that use at most `cores` cores of that load, empty if there are none.

    total: load up to each cut. even: no core takes more than what is left for it if all took the
    same.
    """
    path = np.zeros(cores + 1, dtype=np.int64)
    at = 0
    for k in range(cores):
        end = min(np.searchsorted(total, total[at] + load, side="right") - 1, last[at])
        if even:
            left = -(-(total[-1] - total[at]) // (cores - k))
            fair = np.searchsorted(total, total[at] + left)
            end = min(end, max(fair, at + 1), len(total) - cores + k)
        if end <= at:
            break
        path[k + 1] = at = end
        if end == len(total) - 1:
            return path[: k + 2]
    return path[:0]


def in_layer_order(
    graph: Connectivity, capacity: Capacity, width: np.ndarray | None = None
) -> np.ndarray:
    """Core of each neuron, int32: contiguous pieces of equal load within the capacities.

    `width`: bits of each neuron's widest weight; given, all of a core's weights count as wide as
    its widest, else as `graph.synapse_bits` says. UserError if no contiguous pieces fit.
    """
    n, lanes = graph.neurons, capacity.lanes
    cores = min(capacity.cores, n)
    sizes = np.bincount(graph.population)
    begin = np.cumsum(sizes) - sizes
    if int((-(-sizes // lanes)).sum()) >= 4 * cores:
        pieces = [b + np.arange(0, s, lanes) for b, s in zip(begin, sizes, strict=True)]
        cuts = np.concatenate([*pieces, [n]]).astype(np.int64)
    else:
        cuts = np.arange(n + 1)
    load = loads(graph)
    total = np.concatenate([[0], np.cumsum(load)])[cuts]
    of = np.zeros(0, np.int64), np.zeros(0, np.int32)
    if capacity.fan_in is not None:
        of = incoming(graph)
    limits = capacity.slots, capacity.synapse_bits, capacity.fan_in, capacity.load
    last = _windows(
        cuts,
        np.array([UNLIMITED if limit is None else limit for limit in limits]),
        graph.sources,
        graph.population,
        lanes,
        fan_in_of(graph),
        graph.synapse_bits,
        np.zeros(0, np.int64) if width is None else width,
        of,
    )
    low, high = 0, int(total[-1])
    if not len(_fill(total, last, cores, high, False)):
        refuse(graph, capacity)
    while high - low > 1:
        middle = (low + high) // 2
        if len(_fill(total, last, cores, middle, False)):
            high = middle
        else:
            low = middle
    path = _fill(total, last, cores, high, True)
    path = path if len(path) else _fill(total, last, cores, high, False)
    core = np.zeros(n, dtype=np.int32)
    core[cuts[path[1:-1]]] = 1
    return np.cumsum(core, dtype=np.int32)


def refuse(graph: Connectivity, capacity: Capacity) -> NoReturn:
    """Say which capacity is short, with the least that it takes where that is known: UserError."""
    cores, lanes = capacity.cores, capacity.lanes
    sizes = np.bincount(graph.population)
    slots = int((-(-sizes // lanes) * lanes).sum())
    bits, fan_in = graph.synapse_bits, fan_in_of(graph)
    if capacity.slots is not None and slots > cores * capacity.slots:
        whole = capacity.slots // lanes * lanes or capacity.slots
        least = -(-slots // max(whole, 1))
        raise UserError(
            f"neurons: {slots} slots needed (populations padded to {lanes} lanes), "
            f"{cores} x {capacity.slots} available; "
            f"use more cores (--cores {least}) or fewer lanes (--lanes)"
        )
    most = int(bits.max())
    if capacity.synapse_bits is not None and most > capacity.synapse_bits:
        raise UserError(
            f"synapse memory: one neuron's weights need {most} bits, "
            f"{capacity.synapse_bits} available; allow more in a core (--synapse-bits {most}) "
            "or use fewer weight bits (--weight-bits)"
        )
    total = int(bits.sum())
    if capacity.synapse_bits is not None and total > cores * capacity.synapse_bits:
        raise UserError(
            f"synapse memory: the weights alone need {total} bits, "
            f"{cores} x {capacity.synapse_bits} available; "
            f"use more cores (--cores {-(-total // capacity.synapse_bits)}) "
            "or fewer weight bits (--weight-bits)"
        )
    most = int(fan_in.max())
    if capacity.fan_in is not None and most > capacity.fan_in:
        raise UserError(
            f"axons: one neuron has {most} sources, {capacity.fan_in} available in a core; "
            f"allow more in a core (--axons {most}) or prune inputs"
        )
    if capacity.load is not None and most > capacity.load:
        raise UserError(
            f"load: one neuron has {most} synapses, {capacity.load} allowed in a core; "
            f"allow more in a core (--load {most}) or prune inputs"
        )
    if capacity.load is not None and graph.synapses > cores * capacity.load:
        raise UserError(
            f"load: {graph.synapses} synapses, {cores} x {capacity.load} allowed; "
            f"use more cores (--cores {-(-graph.synapses // capacity.load)})"
        )
    each = [
        f"{limit} {what}"
        for limit, what in (
            (capacity.slots, "neuron slots"),
            (capacity.synapse_bits, "weight bits"),
            (capacity.fan_in, "axons"),
            (capacity.load, "synapses"),
        )
        if limit is not None
    ]
    raise UserError(
        f"{graph.neurons} neurons do not fit {cores} cores with {', '.join(each)} each; "
        "use more cores (--cores) or fewer lanes (--lanes)"
    )
