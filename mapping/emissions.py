"""What layers send: values, values through a table, changes of values; and their scales.

Changes. A layer sends changes if `delta` asks it to and everything that it feeds can add them up:
every target sums exactly, has no current of its own (it adds up the changes there), and hears of
nothing but changes. Outputs send values.

Scales. A value counts in `payload`, the membrane's unit times a power of two, so large that the
calibrated range fits the payload. Neurons of different units differ in value_shift. A table's
index counts in the least such step at which the calibrated membrane fits table_bits; its entries
have a payload of their own, the calibrated value over the largest integer.
"""

from __future__ import annotations

import numpy as np

from hdl.params.neuron import Emit, sends_value
from mapping.activations import activate
from mapping.formats import nearest
from mapping.graph import Graph, Layer, Product, StateSpace
from mapping.ranges import LayerRange
from mapping.settings import Quantisation

__all__ = ["CHANGES", "emissions", "names_of", "own_scales", "table", "value_scale", "whole"]

#: What makes an Emit one of changes.
CHANGES = 1 << 4


def whole(layer: Layer) -> bool:
    """Whether a layer takes its inputs one to one, as they are."""
    return layer.kind == "Delay" or layer.dendrites is not None


def names_of(graph: Graph, layer: str) -> tuple[str, ...]:
    """What settings may call a layer: its name, the nodes that feed it."""
    return (layer, *(c.node for c in graph.connections if c.target == layer and c.node))


def _emit(graph: Graph, layer: Layer) -> Emit:
    feeds = any(c.source == layer.name for c in graph.connections)
    if not feeds and layer.name not in graph.outputs:
        return Emit.NONE
    if layer.spiking:
        return Emit.SPIKE
    if layer.activation:
        return Emit.RELU if layer.activation == "relu" else Emit.TABLE
    return Emit.VALUE if feeds else Emit.STATE


def emissions(graph: Graph, settings: Quantisation, notes: list[dict[str, str]]) -> dict[str, Emit]:
    """What each layer sends; who was asked to send changes and can't goes to `notes`."""
    found = {p.name: _emit(graph, p) for p in graph.layers}
    sending = {
        name
        for name, emit in found.items()
        if sends_value(emit) and settings.choice("delta", names_of(graph, name)) is not None
    }
    while True:
        stopped = {name: why for name in sorted(sending) if (why := _why(graph, name, sending,
                                                                       settings))}  # fmt: skip
        if not stopped:
            break
        sending -= set(stopped)
        notes += [
            {"node": name, "change": "sends values, not changes", "effect": why}
            for name, why in stopped.items()
        ]
    return {n: Emit(e | CHANGES) if n in sending else e for n, e in found.items()}


def _why(graph: Graph, name: str, sending: set[str], settings: Quantisation) -> str:
    """Why a layer can't send changes; "" if it can."""
    layers = {p.name: p for p in graph.layers}
    if name in graph.outputs:
        return "it is an output"
    if layers[name].winners is not None:
        return "only winners send, and others win in other steps"
    for c in graph.connections:
        if c.source != name or not c.matrix.nnz:
            continue
        target = layers[c.target]
        engine = settings.choice("engine", names_of(graph, c.target))
        if isinstance(target.dendrites, Product) and target.dendrites != Product():
            return f"{c.target} spreads its inputs, which must be values"
        if target.kind == "Delay":
            return f"a relay repeats its values for {c.target}"
        if target.dendrites is None and engine in ("stochastic", "crossbar"):
            return f"{c.target} sums on the {engine} engine, whose errors would add up"
        if target.has_current:
            return f"{c.target} has a current of its own"
        for other in graph.connections:
            if other.target == c.target and other.matrix.nnz and other.source not in sending:
                return f"{c.target} also listens to {other.source}, which does not send changes"
    return ""


def own_scales(graph: Graph) -> dict[str, int]:
    """Layers whose neurons may each have a scale: to how many neighbours one is common.

    States that leave as neurons, and linear layers that feed nothing but such states: their ranges
    may be far apart. Outputs are compared, and so have one scale.
    """
    layers = {p.name: p for p in graph.layers}

    def states(name: str) -> int:
        d = layers[name].dendrites
        return 0 if not isinstance(d, StateSpace) or d.mix is not None else 1 if d.real else 2

    found = {}
    for p in graph.layers:
        targets = {c.target for c in graph.connections if c.source == p.name}
        among = [states(t) for t in targets]
        compared = {p.name, *(t for t in targets if states(t))} & set(graph.outputs)
        if p.spiking or p.activation or compared or not targets:
            continue
        if states(p.name):
            found[p.name] = max(states(p.name), *among)
        elif not whole(p) and all(among) and not p.membrane_decay.any() and not p.has_current:
            found[p.name] = max(among)
    return found


def value_scale(
    unit: np.ndarray, reach: np.ndarray, top: int, own: int
) -> tuple[np.ndarray, np.ndarray]:
    """(payload [size], value_shift [size]) for largest membranes `reach` [size].

    own: 0 for one payload; else how many neighbours have a common one. Units differ by powers of
    two.
    """
    base = unit.reshape(-1, own).max(1) if own else unit.max(keepdims=True)
    most = (reach / base.repeat(len(unit) // len(base))).reshape(len(base), -1).max(1)
    with np.errstate(divide="ignore"):
        shift = np.ceil(np.log2(most / top) - 1e-9)
    payload = (base * 2.0 ** np.clip(shift, 0, 31)).repeat(len(unit) // len(base))
    return payload, np.clip(np.rint(np.log2(payload / unit)), 0, 31).astype(np.int64)


def table(layer: Layer, step: float, payload: float, top: int, bits: int) -> np.ndarray:
    """What a layer emits for each index; step: real membrane of one index."""
    index = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
    with np.errstate(over="ignore"):
        value = activate(layer.activation, index * step)
    return np.clip(nearest(value / payload), -top - 1, top).astype(np.int64)


def largest(r: LayerRange) -> np.ndarray:
    """Largest |emitted value| of each neuron."""
    return np.maximum(-r.value[0], r.value[1])
