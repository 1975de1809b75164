"""Coarser and coarser hypergraphs of clusters, as multilevel partitioners make them.

At each level every unit joins the unit or cluster of its population that shares most with it: the
sum of weight / pins over their nets, divided by the cluster's size (heavy-edge rating; Karypis,
Aggarwal, Kumar and Shekhar, IEEE Trans. VLSI 7, 1999; mt-KaHyPar, Gottesbueren et al., ALENEX
2021). Of a unit only some nets are looked at. One that found none joins another whose nets lead to
the same cluster: neurons that hear nothing, but reach the same targets. Then nets of one pin are
dropped and those with the same pins are merged, which is what makes the coarse levels cheap.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mapping.pins import Pins, contract, nets_of

__all__ = ["coarsen"]

#: Nets of a unit that are looked at.
NETS = 16

#: A cluster may be so many times as large as the mean unit of its level; those of the last level
#: so many times as large as their mean would be.
GROWTH, UNEVEN = 6.0, 2.5

#: A level that has more than this share of the units below it is the last.
STALLED = 0.9


@njit(cache=True, nogil=True)
def _rate(v, first, net, weight, begin, unit, label, core, population, score, touched):
    """Adds up the ratings of the clusters and single units in v's core that v shares nets with.

    population: of the units that count, -1 for all. Returns how many were touched."""
    n, found = first[v + 1] - first[v], 0
    for j in range(min(n, NETS)):
        e = net[first[v] + (j if n <= NETS else np.random.randint(n))]
        share = weight[e] / (begin[e + 1] - begin[e])
        for i in range(begin[e], begin[e + 1]):
            u = unit[i]
            if core[u] != core[v] or (population[0] >= 0 and population[u] != population[v]):
                continue
            u = label[u] if label[u] >= 0 else u
            if u != v:
                if score[u] == 0:
                    touched[found] = u
                    found += 1
                score[u] += share
    return found


@njit(cache=True, nogil=True)
def _join(first, net, weight, begin, unit, core, population, size, most, seed):
    """Cluster of each unit, numbered from 0, none larger than `most`."""
    np.random.seed(seed)
    units = len(first) - 1
    label = np.full(units, -1, dtype=np.int32)
    whole = size.copy()
    score = np.zeros(units, dtype=np.float32)
    touched = np.empty(units, dtype=np.int32)
    lonely = np.full(units, -1, dtype=np.int32)
    every = np.full(1, -1, dtype=np.int32)
    look = first, net, weight, begin, unit, label, core
    for v in np.random.permutation(units):
        if label[v] >= 0:
            continue
        best, bar = v, 0.0
        for i in range(_rate(v, *look, population, score, touched)):
            u = touched[i]
            rating = score[u] / whole[u]
            score[u] = 0
            if rating > bar and whole[u] + size[v] <= most:
                best, bar = u, rating
        label[best] = best
        label[v] = best
        if best != v:
            whole[best] += size[v]
    for v in range(units):
        if label[v] != v or whole[v] > size[v]:
            continue
        best, bar = -1, 0.0
        for i in range(_rate(v, *look, every, score, touched)):
            u = touched[i]
            if score[u] > bar:
                best, bar = u, score[u]
            score[u] = 0
        other = lonely[best] if best >= 0 else -1
        if other >= 0 and population[other] == population[v] and whole[other] + size[v] <= most:
            label[v] = other
            whole[other] += size[v]
        elif best >= 0:
            lonely[best] = v
    number, count = lonely, 0
    for v in range(units):
        if label[v] == v:
            number[v] = count
            count += 1
    for v in range(units):
        label[v] = number[label[v]]
    return label


@njit(cache=True, nogil=True)
def _keys(begin, unit):
    """64 bits for each net that tell its pins, in any order; 0 for those of one pin."""
    key = np.zeros(len(begin) - 1, dtype=np.uint64)
    for e in range(len(key)):
        for i in range(begin[e], begin[e + 1] if begin[e + 1] - begin[e] > 1 else begin[e]):
            x = np.uint64(unit[i] + 1) * np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            key[e] += x ^ (x >> np.uint64(31))
    return key


@njit(cache=True, nogil=True)
def _renumber(first, net, number):
    """CSR of the nets that have a number, under it."""
    made, kept, at = np.zeros_like(first), np.empty_like(net), 0
    for v in range(len(first) - 1):
        for k in range(first[v], first[v + 1]):
            if number[net[k]] >= 0:
                kept[at] = number[net[k]]
                at += 1
        made[v + 1] = at
    return made, kept[:at].copy()


def _merged(pins: Pins) -> Pins:
    """Without nets of one pin, and with one net for all that have the same pins."""
    begin, unit = nets_of(pins.first, pins.net, len(pins.weight))
    key = _keys(begin, unit)
    keys, chosen, which = np.unique(key, return_index=True, return_inverse=True)
    kept = keys != 0
    number = np.full(len(key), -1, dtype=np.int32)
    number[chosen[kept]] = np.arange(int(kept.sum()))
    first, net = _renumber(pins.first, pins.net, number)
    weight = np.bincount(which, weights=pins.weight, minlength=len(keys))[kept].astype(np.float32)
    return Pins(first, net, weight, np.full(len(weight), -1, np.int32), pins.needs, pins.population)


def coarsen(
    pins: Pins, count: int, merge: bool, seed: int, core: np.ndarray | None = None
) -> tuple[list[Pins], list[np.ndarray]]:
    """Levels from `pins` on to about `count` units, or where nothing more joins; and of each but
    the last the label of its units in the next.

    merge: nets may be merged; homes are then forgotten. core: only units of one core are joined.
    """
    levels, labels = [pins], list[np.ndarray]()
    core = np.zeros(len(pins.population), np.int32) if core is None else core
    while (units := len(pins.population)) > count:
        whole = np.maximum(pins.needs[:, [0, 2]].sum(axis=0), 1)
        size = (pins.needs[:, [0, 2]] / whole).sum(axis=1) / 2
        most = min(GROWTH / units, UNEVEN / count)
        begin, unit = nets_of(pins.first, pins.net, len(pins.weight))
        label = _join(
            pins.first, pins.net, pins.weight, begin, unit, core, pins.population, size, most,
            seed + len(labels),
        )  # fmt: skip
        pins = contract(pins, label)
        pins = _merged(pins) if merge else pins
        if len(pins.population) > STALLED * units:
            break
        above = np.empty(len(pins.population), np.int32)
        above[label] = core
        core = above
        levels.append(pins)
        labels.append(label)
    return levels, labels
