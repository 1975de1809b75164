"""Starts of a partition: METIS on a sparse graph of the units that share most nets.

Two units are akin by the share of nets that they have in common. This is estimated from min-wise
hashes of each unit's nets, heavy nets likelier to be the least (Broder, "On the resemblance and
containment of documents", 1997; as an exponential race: Ioffe, "Improved consistent sampling,
weighted minhash and L1 sketching", 2010). Of a few random units on its nets, each unit keeps the
most akin: a graph of linear size whatever the number of synapses, which is right for layers that
are not linked among themselves too (a neuron's kin are those that hear the same inputs).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from mapping.metis import part_graph
from mapping.pins import Pins, nets_of

__all__ = ["clusters_of", "kin_graph", "metis"]

#: Hashes of each unit, units that are tried, units that are kept.
MARKS, TRIES, KEPT = 16, 32, 8

#: METIS's own limit to the imbalance, in thousandths.
IMBALANCE = 30


@njit(cache=True, nogil=True)
def _mix(x):
    """A 64-bit hash (the finaliser of MurmurHash3)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@njit(cache=True, nogil=True)
def _marks(first, net, weight, marks, seed):
    """Of each unit and hash, 16 bits that tell which of its nets is the least."""
    mark = np.zeros((len(first) - 1, marks), dtype=np.uint16)
    least = np.empty(marks, dtype=np.float32)
    for v in range(len(first) - 1):
        least[:] = np.inf
        for k in range(first[v], first[v + 1]):
            e = net[k]
            x = np.uint64(e) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
            scale = np.float32(1.0) / max(weight[e], np.float32(1e-9))
            for h in range(0, marks, 4):
                x = _mix(x + np.uint64(h))
                for j in range(4):
                    drawn = (x >> np.uint64(16 * j)) & np.uint64(0xFFFF)
                    drawn = (np.float32(drawn) + np.float32(0.5)) * scale
                    if drawn < least[h + j]:
                        least[h + j] = drawn
                        mark[v, h + j] = np.uint16((e * 40503 + (e >> 16)) & 0xFFFF)
    return mark


@njit(cache=True, nogil=True)
def _kin(first, net, home, begin, unit, mark, tries, kept, seed):
    """Of each unit the most akin of those tried, -1 where there are fewer, and how akin."""
    np.random.seed(seed)
    units = len(first) - 1
    mate = np.full((units, kept), -1, dtype=np.int32)
    like = np.zeros((units, kept), dtype=np.int32)
    for v in range(units):
        nets = first[v + 1] - first[v]
        for t in range(tries if nets else 0):
            e = net[first[v] + np.random.randint(nets)]
            u = home[e] if t & 1 else -1
            if u < 0 or u == v:
                u = unit[begin[e] + np.random.randint(begin[e + 1] - begin[e])]
            same = 0
            for h in range(mark.shape[1]):
                same += mark[v, h] == mark[u, h]
            low = 0
            for i in range(kept):
                if mate[v, i] == u or u == v:
                    low = -1
                    break
                if like[v, i] < like[v, low]:
                    low = i
            if low >= 0 and same > like[v, low]:
                mate[v, low], like[v, low] = u, same
    return mate, like


def kin_graph(pins: Pins, seed: int) -> csr_array:
    """Symmetric graph of the units: those most akin are linked, as heavily as they are akin."""
    units = len(pins.population)
    begin, unit = nets_of(pins.first, pins.net, len(pins.weight))
    mark = _marks(pins.first, pins.net, pins.weight, MARKS, seed)
    mate, like = _kin(pins.first, pins.net, pins.home, begin, unit, mark, TRIES, KEPT, seed)
    there = mate.ravel() >= 0
    row = np.repeat(np.arange(units, dtype=np.int32), KEPT)[there]
    links = csr_array((like.ravel()[there], (row, mate.ravel()[there])), shape=(units, units))
    return csr_array(links + links.T)


def metis(links: csr_array, load: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Part of each unit of a symmetric graph, int32; parts have about equal loads, some may be
    empty."""
    scale = max(float(load.max()) / 1000, float(load.sum()) / 2**30, 1e-9)
    weight = np.maximum(load / scale, 1)
    return part_graph(links, weight, parts, seed=seed, ufactor=IMBALANCE)


def clusters_of(pins: Pins, links: csr_array, count: int, seed: int) -> np.ndarray:
    """Cluster of each unit, int32: about `count` parts of METIS, cut again by population."""
    part = metis(links, pins.needs[:, 2], count, seed).astype(np.int64)
    key = part * (int(pins.population.max()) + 1) + pins.population
    return np.unique(key, return_inverse=True)[1].astype(np.int32)
