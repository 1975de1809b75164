"""Fold linear nodes into matrices between layers, and put the layers into an order of update."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.errors import UserError

__all__ = ["Arrival", "Inflow", "LinearNode", "Order", "arrange", "fold", "linear_cycles"]

MAX_WEIGHTS = 1 << 27
"""Most entries of a folded matrix."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearNode:
    """y = matrix @ x + bias; a matrix of None is the identity."""

    matrix: Any = None
    bias: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrival:
    """What one source sends to a node: matrix (None: identity) and the linear nodes passed."""

    matrix: Any = None
    via: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Inflow:
    """The input of a node: the sum over `parts` (by source) plus `bias`."""

    parts: dict[str, Arrival] = field(default_factory=dict)
    bias: np.ndarray


def _product(left: Any, right: Any, via: tuple[str, ...]) -> Any:
    """left @ right of two csr matrices, in dense arithmetic where that is faster."""
    from scipy.sparse import csr_array

    columns = np.bincount(left.indices, minlength=left.shape[1])
    work = int(columns @ np.diff(right.indptr))
    entries = left.shape[0] * right.shape[1]
    if min(work, entries) > MAX_WEIGHTS:
        raise UserError(
            f"nodes {' + '.join(repr(n) for n in via)}: fold into one matrix of up to "
            f"{min(work, entries)} weights; put a neuron layer between them"
        )
    if work > entries // 4 and entries * 8 <= 1 << 28:
        return csr_array(left.toarray() @ right.toarray())
    return (left @ right).tocsr()


def _apply(name: str, node: LinearNode, inflow: Inflow) -> Inflow:
    """The output of a linear node, by source."""
    parts = {}
    for source, part in inflow.parts.items():
        via = (*part.via, name)
        matrix = node.matrix
        if matrix is None:
            matrix = part.matrix
        elif part.matrix is not None:
            matrix = _product(matrix, part.matrix, via)
        parts[source] = Arrival(matrix=matrix, via=via)
    bias = inflow.bias if node.matrix is None else node.matrix @ inflow.bias
    return Inflow(parts=parts, bias=bias if node.bias is None else bias + node.bias)


def _sum(flows: Sequence[Inflow], size: int) -> Inflow:
    """Several edges into one node add up."""
    from scipy.sparse import eye_array

    parts: dict[str, Arrival] = {}
    bias = np.zeros(size)
    for flow in flows:
        bias = bias + flow.bias
        for source, part in flow.parts.items():
            if source in parts:
                eye = eye_array(size, format="csr")
                first, second = parts[source], part
                total = sum(eye if m is None else m for m in (first.matrix, second.matrix))
                via = tuple(dict.fromkeys(first.via + second.via))
                parts[source] = Arrival(matrix=total, via=via)
            else:
                parts[source] = part
    return Inflow(parts=parts, bias=bias)


def linear_cycles(linear: Collection[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Loops that pass no neuron, each as the names on it."""
    import networkx as nx

    graph = nx.DiGraph([(a, b) for a, b in edges if a in linear and b in linear])
    loops = [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    return sorted(loops + [[n] for n in nx.nodes_with_selfloops(graph)])


def fold(
    linear: Mapping[str, LinearNode],
    sizes: Mapping[str, int],
    edges: Sequence[tuple[str, str]],
    targets: Sequence[str],
) -> dict[str, Inflow]:
    """What arrives at each target from the nodes that are not linear.

    linear: the nodes to fold away; they must not form a cycle among themselves.
    sizes: number of values that enter each linear node and target, by name; for sources (nodes
        that are neither) the number that leaves them.
    """
    import networkx as nx

    before: dict[str, list[str]] = {}
    for a, b in edges:
        before.setdefault(b, []).append(a)
    flows: dict[str, Inflow] = {}

    def inflow(name: str) -> Inflow:
        given = [
            flows[a] if a in linear else Inflow(parts={a: Arrival()}, bias=np.zeros(sizes[a]))
            for a in before.get(name, [])
        ]
        return _sum(given, sizes[name])

    graph = nx.DiGraph()
    graph.add_nodes_from(linear)
    graph.add_edges_from((a, b) for a, b in edges if a in linear and b in linear)
    for name in nx.topological_sort(graph):
        flows[name] = _apply(name, linear[name], inflow(name))
    return {name: inflow(name) for name in targets}


@dataclass(frozen=True)
class Order:
    """levels: by layer, inputs 0. recurrent: the connections that go back in time."""

    levels: dict[str, int]
    recurrent: frozenset[tuple[str, str]]


def arrange(
    inputs: Sequence[str], layers: Sequence[str], links: Collection[tuple[str, str]]
) -> Order:
    """Decide which connections are feedback, and the level of each layer.

    A connection is recurrent if source and target lie in one strongly connected component and
    the target does not come after the source in the component's order: by breadth-first
    distance from the inputs, then by the order of `layers`. A level is the longest path over the
    other connections.
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from([*inputs, *layers])
    graph.add_edges_from(links)
    distance: dict[str, int] = {}
    for hop, names in enumerate(nx.bfs_layers(graph, list(inputs)) if inputs else []):
        distance |= dict.fromkeys(names, hop)
    rank = {n: (distance.get(n, len(layers) + 1), i) for i, n in enumerate(layers)}
    component = {n: i for i, c in enumerate(nx.strongly_connected_components(graph)) for n in c}
    recurrent = frozenset(
        (a, b)
        for a, b in links
        if component[a] == component[b] and a in rank and rank[b] <= rank[a]
    )
    graph.remove_edges_from(recurrent)
    levels = dict.fromkeys(inputs, 0)
    for name in nx.topological_sort(graph):
        if name not in levels:
            levels[name] = 1 + max((levels[a] for a in graph.predecessors(name)), default=0)
    return Order(levels, recurrent)
