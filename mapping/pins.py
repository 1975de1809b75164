"""A Connectivity as the hypergraph whose km1 is cut, at every level of coarsening.

A net is a source with its targets and, if it is a neuron, its home: the number of cores that its
pins touch, less one, is what an event of it costs. Units are neurons, or clusters of neurons of
one population.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from mapping.connectivity import Connectivity

__all__ = ["Pins", "contract", "nets_of", "pins_of"]


class Pins(NamedTuple):
    """first, net: CSR of the nets of each unit, each once. weight: float32 of each net.

    home: of each net, the unit that is a pin only because the source lives there, else -1.
    needs: int64 [units, 3]: neurons, synapse bits, load. population: int32 of each unit.
    """

    first: np.ndarray
    net: np.ndarray
    weight: np.ndarray
    home: np.ndarray
    needs: np.ndarray
    population: np.ndarray


@njit(cache=True, nogil=True)
def _gather(inputs, indptr, indices, kept, number, neurons):
    """CSR of the kept nets of each neuron; where a net's home is no target of it."""
    first = np.zeros(neurons + 1, dtype=np.int64)
    home = np.full(number[-1] + 1, -1, dtype=np.int32)
    for u in range(len(kept)):
        if kept[u]:
            own = u >= inputs
            for k in range(indptr[u], indptr[u + 1]):
                first[indices[k] + 1] += 1
                own = own and indices[k] != u - inputs
            if own:
                home[number[u]] = u - inputs
                first[u - inputs + 1] += 1
    for v in range(neurons):
        first[v + 1] += first[v]
    net = np.empty(first[-1], dtype=np.int32)
    at = first[:-1].copy()
    for u in range(len(kept)):
        if kept[u]:
            e = number[u]
            if home[e] >= 0:
                net[at[home[e]]] = e
                at[home[e]] += 1
            for k in range(indptr[u], indptr[u + 1]):
                net[at[indices[k]]] = e
                at[indices[k]] += 1
    return first, net, home


def pins_of(graph: Connectivity, axons: bool, load: np.ndarray) -> Pins:
    """Units are neurons. `axons`: silent sources and those of one target are nets too."""
    fan = np.diff(graph.indptr)
    kept = fan > 0
    if not axons:
        kept &= (graph.spikes > 0) & ((fan > 1) | (np.arange(graph.sources) >= graph.inputs))
    number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
    first, net, home = _gather(
        graph.inputs, graph.indptr, graph.indices, kept, number, graph.neurons
    )
    needs = np.stack([np.ones(graph.neurons, np.int64), graph.synapse_bits, load], axis=1)
    weight = graph.spikes[kept].astype(np.float32)
    return Pins(first, net, weight, home, needs, graph.population.astype(np.int32))


@njit(cache=True, nogil=True)
def nets_of(first, net, nets):
    """CSR of the units of each net."""
    begin = np.zeros(nets + 1, dtype=np.int64)
    for e in net:
        begin[e + 1] += 1
    for e in range(nets):
        begin[e + 1] += begin[e]
    unit = np.empty(len(net), dtype=np.int32)
    at = begin[:-1].copy()
    for v in range(len(first) - 1):
        for k in range(first[v], first[v + 1]):
            unit[at[net[k]]] = v
            at[net[k]] += 1
    return begin, unit


@njit(cache=True, nogil=True)
def _merge(first, net, home, label, order, begin, clusters):
    """CSR of the nets of each cluster; which of them are there only as homes."""
    made = np.zeros(clusters + 1, dtype=np.int64)
    seen = np.full(len(home), -1, dtype=np.int32)
    merged = net[:0]
    for fill in range(2):
        at = 0
        seen[:] = -1
        for c in range(clusters):
            for i in range(begin[c], begin[c + 1]):
                v = order[i]
                for k in range(first[v], first[v + 1]):
                    e = net[k]
                    if seen[e] != c:
                        seen[e] = c
                        if fill:
                            merged[at] = e
                        at += 1
            made[c + 1] = at
        if not fill:
            merged = np.empty(at, dtype=net.dtype)
    lives = np.full(len(home), -1, dtype=np.int32)
    for e in range(len(home)):
        if home[e] >= 0:
            lives[e] = label[home[e]]
    for v in range(len(first) - 1):
        for k in range(first[v], first[v + 1]):
            e = net[k]
            if home[e] >= 0 and home[e] != v and lives[e] == label[v]:
                lives[e] = -1
    return made, merged, lives


def contract(pins: Pins, label: np.ndarray) -> Pins:
    """The hypergraph of clusters; `label` int32: cluster of each unit, numbered from 0."""
    clusters = int(label.max()) + 1
    order = np.argsort(label, kind="stable")
    begin = np.searchsorted(label[order], np.arange(clusters + 1))
    first, net, home = _merge(pins.first, pins.net, pins.home, label, order, begin, clusters)
    needs = np.add.reduceat(pins.needs[order], begin[:-1], axis=0)
    return Pins(first, net, pins.weight, home, needs, pins.population[order[begin[:-1]]])
