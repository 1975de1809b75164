"""Starts of a partition that METIS finds: on links, and on shared inputs."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from mapping.connectivity import Connectivity
from mapping.pins import Pins, nets_of

__all__ = ["link_graph", "metis", "ring_graph"]


def metis(links: csr_array, weight: np.ndarray, cores: int, seed: int) -> np.ndarray:
    """Core of each unit of a symmetric graph; int32. `weight`: load of each."""
    import pymetis

    options = pymetis.Options(seed=seed, ufactor=30)
    scale = max(float(weight.max()) / 1000, float(weight.sum()) / 2**30, 1e-9)
    graph = pymetis.CSRAdjacency(links.indptr.astype(np.int32), links.indices.astype(np.int32))
    found = pymetis.part_graph(
        cores,
        adjacency=graph,
        vweights=np.maximum(weight / scale, 1).astype(np.int32),
        eweights=links.data.astype(np.int32),
        recursive=False,
        options=options,
    )
    return np.asarray(found.vertex_part, dtype=np.int32)


def link_graph(graph: Connectivity) -> csr_array:
    """Neurons linked by synapses, of weight 1, or 2 where both ways."""
    n = graph.neurons
    ptr = graph.indptr[graph.inputs :]
    target = graph.indices[ptr[0] :]
    links = csr_array((np.ones(len(target), np.int32), target, ptr - ptr[0]), shape=(n, n))
    return _clean(links + links.T)


def _clean(links: csr_array) -> csr_array:
    links = csr_array(links)
    links.setdiag(0)
    links.eliminate_zeros()
    return links


@njit(cache=True, nogil=True)
def _rings(begin, unit, weight, seed):
    np.random.seed(seed)
    a = np.empty(len(unit), dtype=np.int32)
    b = np.empty(len(unit), dtype=np.int32)
    w = np.empty(len(unit), dtype=np.float32)
    at = 0
    for e in range(len(begin) - 1):
        ring = unit[begin[e] : begin[e + 1]].copy()
        np.random.shuffle(ring)
        for i in range(len(ring) if len(ring) > 2 else len(ring) - 1):
            a[at], b[at], w[at] = ring[i], ring[(i + 1) % len(ring)], weight[e]
            at += 1
    return a[:at], b[:at], w[:at]


def ring_graph(pins: Pins, seed: int) -> csr_array:
    """Each net as a ring of its pins in random order, as heavy as its source sends."""
    n = len(pins.population)
    begin, unit = nets_of(pins.first, pins.net, len(pins.weight))
    a, b, w = _rings(begin, unit, pins.weight, seed)
    scale = max(float(w.mean()) if len(w) else 1.0, 1e-9) / 8
    links = csr_array((np.maximum(w / scale, 1).astype(np.int32), (a, b)), shape=(n, n))
    return _clean(links + links.T)
