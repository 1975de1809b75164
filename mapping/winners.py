"""Winners of a layer in floating point: who sends (hdl/params/winners.py), and what is wrong."""

from __future__ import annotations

import numpy as np

from hdl.params.winners import Winners
from mapping.graph import Graph, Layer

__all__ = ["silenced", "winner_problems", "winning"]


def winning(winners: Winners, membranes: np.ndarray) -> np.ndarray:
    """Whether each neuron wins, bool [..., size], for membranes [..., size]."""
    grouped = membranes.reshape(*membranes.shape[:-1], -1, winners.group)
    order = np.argsort(-grouped, axis=-1, kind="stable")
    found = np.zeros(grouped.shape, dtype=bool)
    np.put_along_axis(found, order[..., : winners.count], True, axis=-1)
    return found.reshape(membranes.shape)


def silenced(layer: Layer, membranes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [..., size] of those who win, 0 of the others."""
    if layer.winners is None or layer.winners.all:
        return values
    return np.where(winning(layer.winners, membranes), values, values.dtype.type(0))


def winner_problems(graph: Graph) -> list[str]:
    """One line for every broken rule of layers with winners."""
    found = []
    for p in graph.layers:
        if p.winners is None:
            continue
        if p.size % p.winners.group:
            found.append(
                f"{p.name}: {p.size} neurons are no whole groups of {p.winners.group}; "
                "make the group a divisor"
            )
        if p.dendrites is not None:
            found.append(f"{p.name}: winners are of weighted sums; put a linear layer behind it")
        if p.spiking and (p.reset == "set" or np.any(p.reset_value)):
            found.append(
                f"{p.name}: a winner's spike must leave its membrane; use reset 'subtract' of 0"
            )
    return found
