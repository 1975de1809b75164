"""Pruning: the smallest weights of each connection become 0 (Han et al., arXiv 1506.02626).

Of a connection with n weights the floor(share * n) smallest magnitudes are 0 afterwards; those that
are 0 already count among them. Which of equal magnitudes go first is a fixed hash of their places,
so that no neuron and no source loses more than others. No neuron is spared: one may lose all its
inputs, which the note counts.

The weights of a connection are the cells of its matrix, or of its blocks where it has several that
share no row and no column (one matrix for each token). Of a convolution only those that aren't 0
count: the rest of its matrix are no weights. One-to-one connections (skips, gains, ports) are left
alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from hdl.params.errors import UserError
from mapping.graph import Connection, Graph
from mapping.settings import Quantisation, weight_width

__all__ = ["pruned", "weights_of"]

#: Knuth's multiplicative hash: 2**32 over the golden ratio.
HASH = 2654435761


def weights_of(c: Connection, kinds: dict[str, str]) -> int:
    """Weights of a connection; kinds : of the model's nodes, by name."""
    matrix = c.matrix
    if any("Conv" in kinds.get(node, "") for node in c.node.split("+")):
        return int(matrix.nnz)
    graph = sparse.block_array([[None, matrix], [matrix.T, None]])
    count, label = connected_components(graph, directed=False)
    rows = np.bincount(label[: matrix.shape[0]], minlength=count)
    columns = np.bincount(label[matrix.shape[0] :], minlength=count)
    blocks = (rows > 0) & (columns > 0)
    if blocks.sum() == 1:
        return int(matrix.shape[0] * matrix.shape[1])
    return int((rows * columns)[blocks].sum())


def _one_to_one(matrix: sparse.csr_array) -> bool:
    entries = matrix.tocoo().coords
    return matrix.shape[0] == matrix.shape[1] and bool((entries[0] == entries[1]).all())


def _smallest(magnitude: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` smallest, ties by the hash of their places."""
    mixed = np.arange(len(magnitude), dtype=np.uint64) * np.uint64(HASH) % np.uint64(1 << 32)
    return np.lexsort((mixed, magnitude))[:count]


def pruned(graph: Graph, settings: Quantisation, notes: list[dict[str, str]]) -> Graph:
    """The Graph with fewer weights; its matrices are canonical and stay so.

    Appends a note for each connection that lost weights. UserError for one of binary weights.
    """
    kinds = {str(node["name"]): str(node["kind"]) for node in graph.nodes}
    connections = []
    for c in graph.connections:
        share = settings.choice("prune", (c.node, c.target))
        if share and not _one_to_one(c.matrix):
            name = c.node or f"{c.source}->{c.target}"
            if weight_width(settings.width_of(c.source, c.target, c.node))[0] == 1:
                raise UserError(
                    f"prune: {name} has binary weights, which are never 0; give it other "
                    "weight_bits, or prune 0"
                )
            c = _prune(c, float(share), weights_of(c, kinds), name, notes)
        connections.append(c)
    return dataclasses.replace(graph, connections=tuple(connections))


def _prune(
    c: Connection, share: float, weights: int, name: str, notes: list[dict[str, str]]
) -> Connection:
    before = c.matrix
    count = int(share * weights + 1e-9) - (weights - before.nnz)  # .3 * 10 is less than 3
    if count <= 0:
        return c
    matrix = before.copy()
    gone = _smallest(np.abs(matrix.data), count)
    energy = float((matrix.data**2).sum())
    lost = float((matrix.data[gone] ** 2).sum()) / energy
    matrix.data[gone] = 0
    matrix.eliminate_zeros()
    silent = int(((np.diff(before.indptr) > 0) & (np.diff(matrix.indptr) == 0)).sum())
    left = f"; {silent} of {matrix.shape[0]} neurons have no input left here" if silent else ""
    notes.append(
        {
            "node": name,
            "change": f"pruned to {matrix.nnz} of {weights} weights, {count} removed",
            "effect": f"{100 * lost:.3g} % of the squared weights are gone{left}",
        }
    )
    return dataclasses.replace(c, matrix=matrix)
