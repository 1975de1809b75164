"""Layer norms as fixed linear layers.

A layer norm divides by a deviation that it computes from its own values, which needs a square root
and a division in every step. Its hardware form takes the deviation of the calibration for all
steps: with P = I - 11'/H, the weights W and bias b become P W c and P b c, and

    c = sum over steps of <norm(v), P v> / sum of <P v, P v>

which makes the squared difference to the norm itself least. Norms are replaced from the input on,
each calibrated behind those before it. (Static scales in place of norms: Q-S5, arXiv 2406.09477.)
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from hdl.params.errors import UserError
from mapping.activations import LAYERNORM, activate
from mapping.graph import Graph, Layer
from mapping.reference import simulate

__all__ = ["static_norms"]


def static_norms(
    graph: Graph, data: np.ndarray, lengths: np.ndarray | None = None
) -> tuple[Graph, list[dict[str, str]]]:
    """The Graph without layer norms, and a note on each with its measured effect.

    data : [samples, steps, inputs]; lengths : valid steps of each sample; None: all. UserError for
    a norm of a layer that is more than weighted input.
    """
    notes: list[dict[str, str]] = []
    for layer in sorted(graph.layers, key=lambda p: p.level):
        if layer.activation == LAYERNORM:
            graph, note = _replaced(graph, layer, data, lengths)
            notes.append(note)
    return graph, notes


def _replaced(
    graph: Graph, layer: Layer, data: np.ndarray, lengths: np.ndarray | None
) -> tuple[Graph, dict[str, str]]:
    if layer.dendrites is not None or layer.has_current or layer.membrane_decay.any():
        raise UserError(
            f"{layer.name}: a layer norm of neurons with states of their own has no fixed form; "
            "put it into a linear layer behind them"
        )
    steps = data.shape[1]
    ends = np.full(len(data), steps) if lengths is None else np.asarray(lengths)
    samples = [sample[:end] for sample, end in zip(data, ends, strict=True)]
    seen = simulate(graph, samples, record=[layer.name], keep=[]).membranes[layer.name]
    v = seen[np.arange(seen.shape[1]) < ends[:, None]]
    centred = v - v.mean(-1, keepdims=True)
    norm = activate(LAYERNORM, v)
    energy = float((centred**2).sum())
    c = float((norm * centred).sum()) / energy if energy else 1.0
    error = float(((norm - c * centred) ** 2).sum())
    kept = f"{10 * np.log10((norm**2).sum() / error):.1f} dB" if error else "exactly"
    project = np.eye(layer.size) - 1 / layer.size
    connections = tuple(
        dataclasses.replace(k, matrix=sparse.csr_array(c * (project @ k.matrix.toarray())))
        if k.target == layer.name
        else k
        for k in graph.connections
    )
    fixed = dataclasses.replace(
        layer, kind="Linear", activation="", bias=c * (project @ layer.bias)
    )
    layers = tuple(fixed if p is layer else p for p in graph.layers)
    note = {
        "node": layer.name,
        "change": f"layer norm became a fixed scale, 1 / {1 / c:.4g}, of centred weights",
        "effect": f"its values are kept to {kept} on the calibration data",
    }
    return dataclasses.replace(graph, layers=layers, connections=connections), note
