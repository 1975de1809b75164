"""Long delays become chains of relay layers, since a Program's projections delay by 0 or 1.

A relay is a layer of kind "Delay" that repeats its source's emissions: decay 0, weight 1 and, for
spikes, threshold 1/2. A chain starts at the source's level (level 1 behind an input) and each hop
takes one step, except that the last one into a later level takes none. Inputs may be delayed by
one step without a relay: the host sends their events a step later.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from mapping.graph import Connection, Graph, Layer

__all__ = ["unroll_delays"]


def _relay(name: str, size: int, level: int, spiking: bool) -> Layer:
    zero = np.zeros(size)
    return Layer(
        name=name,
        kind="Delay",
        size=size,
        shape=(size,),
        level=level,
        spiking=spiking,
        has_current=False,
        membrane_decay=zero,
        current_decay=zero,
        bias=zero,
        threshold=zero + 0.5 if spiking else zero,
        reset="set",
        reset_value=zero,
    )


def unroll_delays(graph: Graph, graded_inputs: bool) -> Graph:
    """An equal Graph whose connections have delay 0 (up in level) or 1 (not up, or from inputs)."""
    levels = {i.name: 0 for i in graph.inputs} | {p.name: p.level for p in graph.layers}
    sizes = {i.name: i.size for i in graph.inputs} | {p.name: p.size for p in graph.layers}
    spiking = {i.name: not graded_inputs for i in graph.inputs}
    spiking |= {p.name: p.spiking for p in graph.layers}
    layers = list(graph.layers)
    connections: list[Connection] = []
    notes = list(graph.notes)
    chain: dict[str, str] = {}
    origin: dict[str, tuple[str, int]] = {}

    def repeat(source: str) -> str:
        """The layer that repeats `source` a step later."""
        if source not in chain:
            root, depth = origin.get(source, (source, 0))
            name = f"{root}.delay{depth + 1}"
            while name in levels:
                name += "_"
            level = max(levels[source], 1)
            layers.append(_relay(name, sizes[source], level, spiking[source]))
            levels[name], sizes[name], spiking[name] = level, sizes[source], spiking[source]
            one = sparse.csr_array(sparse.eye_array(sizes[source], format="csr"))
            connections.append(Connection(source=source, target=name, matrix=one, delay=1))
            origin[name] = (root, depth + 1)
            chain[source] = name
        return chain[source]

    for c in graph.connections:
        forward = 0 < levels[c.source] < levels[c.target]
        if not c.delay or (c.delay == 1 and not forward):
            connections.append(c)
            continue
        at, left = c.source, c.delay
        while left > (0 if 0 < levels[at] < levels[c.target] else 1):
            at, left = repeat(at), left - 1
        connections.append(dataclasses.replace(c, source=at, delay=left))
        relays = c.delay - left
        notes.append(
            {
                "node": c.node or f"{c.source}->{c.target}",
                "change": f"delay of {c.delay} steps made of {relays} relay layers",
                "effect": f"{relays * sizes[c.source]} more neurons; spikes are the same",
            }
        )
    return dataclasses.replace(
        graph,
        layers=tuple(sorted(layers, key=lambda layer: layer.level)),
        connections=tuple(connections),
        notes=tuple(notes),
    )
