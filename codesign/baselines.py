"""Other ways to cut a graph, to compare ours with: networkx, METIS and mt-KaHyPar as they come.

None of them knows capacities other than balance; what they break is counted by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mapping.connectivity import Connectivity
from mapping.metis import part_graph
from mapping.partition import loads

__all__ = ["BASELINES", "MOST_NETWORKX", "TITLES", "missing"]

#: Most neurons, and synapses, that networkx gets: it is written in Python.
MOST_NETWORKX, MOST_NETWORKX_SYNAPSES = 12_000, 1_500_000
#: Weights of spikes as integers.
SCALE = 64
IMBALANCE = 0.05


def missing(name: str, graph: Connectivity) -> str:
    """Why a baseline isn't run on a graph; empty if it is."""
    if find_spec(name) is None:
        return f"{name} is not installed (pip install {name})"
    if name == "networkx" and (
        graph.neurons > MOST_NETWORKX or graph.synapses > MOST_NETWORKX_SYNAPSES
    ):
        return (
            f"networkx is given up to {MOST_NETWORKX:,} neurons and "
            f"{MOST_NETWORKX_SYNAPSES:,} synapses"
        )
    return ""


def _loads(graph: Connectivity) -> np.ndarray:
    """int64 [sources]: loads as layer order balances them, small; 0 of inputs."""
    load = loads(graph)
    load = load // max(int(load.sum()) >> 30, 1) + 1
    return np.concatenate([np.zeros(graph.inputs, np.int64), load])


def _undirected(graph: Connectivity) -> csr_array:
    """int32 [sources, sources]: events between two, both ways, no diagonal, none below 1."""
    size = graph.sources
    spikes = np.maximum(np.rint(graph.spikes * SCALE), 1).astype(np.int32)
    weight = np.repeat(spikes, np.diff(graph.indptr))
    graph_ = csr_array((weight, graph.indices + graph.inputs, graph.indptr), shape=(size, size))
    both = csr_array(graph_ + graph_.T)
    both.setdiag(0)
    both.eliminate_zeros()
    return both


def _metis(graph: Connectivity, cores: int, seed: int) -> np.ndarray:
    both = _undirected(graph)
    return part_graph(both, _loads(graph), cores, seed=seed, ufactor=30)[graph.inputs :]


def _networkx(graph: Connectivity, cores: int, seed: int) -> np.ndarray:
    """Recursive Kernighan-Lin bisection (Bell Syst. Tech. J. 49, 1970), of equal numbers of
    neurons; inputs are left out."""
    import networkx as nx

    inside = _undirected(graph)[graph.inputs :, graph.inputs :]
    whole = nx.from_scipy_sparse_array(csr_array(inside))
    core = np.zeros(graph.neurons, np.int64)

    def cut(nodes: np.ndarray, first: int, count: int) -> None:
        core[nodes] = first
        if count == 1 or len(nodes) < 2:
            return
        half = count // 2
        at = len(nodes) * half // count
        start = set(nodes[:at].tolist()), set(nodes[at:].tolist())
        parts = nx.community.kernighan_lin_bisection(
            whole.subgraph(nodes.tolist()).copy(), start, weight="weight", seed=seed
        )
        low, high = (np.array(sorted(part), dtype=np.int64) for part in parts)
        cut(low, first, half)
        cut(high, first + half, count - half)

    cut(np.arange(graph.neurons), 0, cores)
    return core


def _mtkahypar(graph: Connectivity, cores: int, seed: int) -> np.ndarray:
    """Its default preset on km1; with several threads it isn't the same from run to run."""
    import mtkahypar

    nets, weights = [], []
    for s in np.flatnonzero(np.diff(graph.indptr)):
        pins = graph.indices[graph.indptr[s] : graph.indptr[s + 1]].tolist()
        if s >= graph.inputs and (home := int(s) - graph.inputs) not in pins:
            pins.append(home)
        if len(pins) > 1:
            nets.append(pins)
            weights.append(max(round(float(graph.spikes[s]) * SCALE), 1))
    made: Any = _KAHYPAR.get("it") or _KAHYPAR.setdefault("it", mtkahypar.initialize(2))
    context = made.context_from_preset(mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(cores, IMBALANCE, mtkahypar.Objective.KM1)
    context.logging = False
    mtkahypar.set_seed(seed)
    load = _loads(graph)[graph.inputs :].tolist()
    hypergraph = made.create_hypergraph(context, graph.neurons, len(nets), nets, load, weights)
    return np.array(hypergraph.partition(context).get_partition(), np.int64)


_KAHYPAR: dict[str, Any] = {}

#: By the name of the package: (graph, cores, seed) -> core of each neuron.
BASELINES: dict[str, Callable[[Connectivity, int, int], np.ndarray]] = {
    "networkx": _networkx,
    "pymetis": _metis,
    "mtkahypar": _mtkahypar,
}

TITLES = {
    "networkx": "networkx (Kernighan-Lin)",
    "pymetis": "METIS as it is",
    "mtkahypar": "mt-KaHyPar",
}
