"""The plan of a quantisation: per layer its weights, fraction bits and the values it sends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from hdl.params.neuron import Emit
from mapping.formats import CAP, MARGIN, bits_needed, choose_shift, decay_integers, spread
from mapping.graph import Connection, Graph, Layer
from mapping.program import Input
from mapping.ranges import LayerRange
from mapping.settings import Quantisation
from mapping.weights import Incoming, IntegerWeights, common_scale, lost_grids, quantise_connection

__all__ = ["Plan", "incoming_of", "plan_layers", "quantised_graph", "weight_notes"]


@dataclass(eq=False)
class Plan:
    """What was decided for one layer.

    scale: real value of one accumulator unit [size]. coarser: how often it was doubled so that
    the membrane fits its widest format. capped: fewer fraction bits than the rule asks.
    """

    layer: Layer
    emit: Emit
    scale: np.ndarray
    shift: int = 0
    capped: bool = False
    coarser: int = 0
    value_shift: int = 0
    payload: float = 1.0
    weights: list[IntegerWeights] = field(default_factory=list)
    incoming: list[Incoming] = field(default_factory=list)

    @property
    def unit(self) -> np.ndarray:
        return self.scale * 2.0**-self.shift

    @property
    def rounds(self) -> bool:
        """Whether a finer membrane makes the layer more accurate."""
        decays = [self.layer.membrane_decay]
        if self.layer.has_current:
            decays.append(self.layer.current_decay)
        return any(bool(((d > 0) & (d < 1)).any()) for d in decays)

    def membrane_need(self, r: LayerRange, shift: int) -> int:
        low, high = spread(self.layer, *r.membrane)
        unit = self.scale * 2.0**-shift
        return bits_needed((low / unit).min(), (high / unit).max())

    def current_need(self, r: LayerRange, shift: int) -> int:
        unit = self.scale * 2.0**-shift
        low, high = (MARGIN * x / unit for x in r.drive)
        return bits_needed(low.min(initial=0), high.max(initial=0))

    def set_shift(self, shift: int) -> None:
        """Change the fraction bits; the scale of emitted values stays."""
        self.value_shift += (shift - self.shift) if self.emit == Emit.VALUE else 0
        self.shift = shift


def incoming_of(graph: Graph, layer: str) -> list[Connection]:
    """Connections into a layer that have weights, in the order of Plan.weights."""
    return [c for c in graph.connections if c.target == layer and c.matrix.nnz]


def _emit(graph: Graph, layer: Layer) -> Emit:
    feeds = any(c.source == layer.name for c in graph.connections)
    if not feeds and layer.name not in graph.outputs:
        return Emit.NONE
    if layer.spiking:
        return Emit.SPIKE
    return Emit.VALUE if feeds else Emit.STATE


def plan_layers(
    graph: Graph,
    inputs: tuple[Input, ...],
    ranges: dict[str, LayerRange],
    steps: int,
    settings: Quantisation,
) -> dict[str, Plan]:
    """Weights, shifts and payload scales of all layers."""
    top = (1 << (settings.payload_bits - 1)) - 1
    reach = {
        p.name: float(max(np.abs(bound).max() for bound in ranges[p.name].membrane))
        for p in graph.layers
    }
    payload = {i.name: i.scale for i in inputs}
    # A value that is not planned yet (recurrent) is guessed; its weights are redone below.
    payload |= {p.name: 1.0 if p.spiking else (reach[p.name] or 1.0) / top for p in graph.layers}
    plans: dict[str, Plan] = {}
    late_ones: list[tuple[Plan, int, Incoming]] = []
    spiking = {p.name: p.spiking for p in graph.layers}
    for layer in graph.layers:
        emit = _emit(graph, layer)
        whole = layer.kind == "Delay" or layer.dendrites is not None
        incoming = []
        for c in incoming_of(graph, layer.name):
            width = settings.width_of(c.source, c.target, c.node)
            late = c.source not in plans and not spiking.get(c.source, True)
            incoming.append(Incoming(c, payload[c.source], "ternary" if whole else width, late))
        r = ranges[layer.name]
        width = settings.membrane_bits or CAP
        reach_of = max(np.abs(bound).max() for bound in spread(layer, *r.membrane))
        scale, exponents = common_scale(
            incoming,
            layer.size,
            settings.scale == "neuron",
            not layer.spiking,
            settings.clip,
            float(reach_of) * 2.0 ** (1 - width),
        )
        if not incoming:
            scale = np.full(layer.size, _natural_unit(layer))
        plan = plans[layer.name] = Plan(layer, emit, scale, incoming=incoming)
        while plan.membrane_need(r, 0) > (settings.membrane_bits or 32):
            plan.scale, plan.coarser = plan.scale * 2, plan.coarser + 1
        if settings.fraction_bits is not None and not whole:
            plan.shift = settings.fraction_bits
        else:
            plan.shift, plan.capped = choose_shift(layer, plan.scale, *r.membrane, steps, width)
        for i, (source, exponent) in enumerate(zip(incoming, exponents, strict=True)):
            exponent = max(exponent - plan.coarser, 0)
            plan.weights.append(quantise_connection(source, plan.scale, exponent))
            if source.guessed:
                late_ones.append((plan, i, source))
        if emit == Emit.VALUE:
            unit = float(plan.unit.max())
            ratio = reach[layer.name] / (unit * top)
            plan.value_shift = int(np.clip(np.ceil(np.log2(ratio) - 1e-9), 0, 31)) if ratio else 0
            plan.payload = payload[layer.name] = unit * 2.0**plan.value_shift
    # A layer that listens to its own values is planned before its payload scale is known.
    for plan, i, source in late_ones:
        known = dataclasses.replace(
            source, payload=payload[source.connection.source], guessed=False
        )
        plan.incoming[i] = known
        plan.weights[i] = quantise_connection(known, plan.scale, None)
    return plans


def _natural_unit(layer: Layer) -> float:
    """A unit for a layer without weights: 2**-8 of its largest parameter."""
    values = [layer.bias, layer.threshold, layer.reset_value] if layer.spiking else [layer.bias]
    finite = [np.abs(v[np.isfinite(v)]).max(initial=0.0) for v in values]
    return (float(max(finite)) or 1.0) / 256


def weight_notes(plans: dict[str, Plan]) -> list[dict[str, str]]:
    """Notes on weights that vanished and on trained grids that could not be kept."""
    notes = []
    for plan in plans.values():
        if plan.coarser:
            change = f"weight scale made 2**{plan.coarser} coarser, for the membrane to fit"
            effect = "weights lose precision; allow more membrane_bits or fewer weight_bits"
            notes.append({"node": plan.layer.name, "change": change, "effect": effect})
        for name in lost_grids(plan.incoming, plan.weights):
            change = f"its integer grid is rounded to the common scale of {plan.layer.name}"
            effect = (
                "weights are no longer exact; train the layer's connections with scales in a "
                "ratio of 2**k, or raise weight_bits"
            )
            notes.append({"node": name, "change": change, "effect": effect})
        for w in plan.weights:
            if not w.report.synapses:
                change = f"all weights round to 0 at {w.report.bits} bits"
                effect = "the connection is gone; raise weight_bits"
                notes.append({"node": w.report.node, "change": change, "effect": effect})
    return notes


def quantised_graph(graph: Graph, plans: dict[str, Plan], settings: Quantisation) -> Graph:
    """The Graph with the real values that the quantised weights and decays stand for."""
    one = 1 << settings.decay_bits

    def stored(decay: np.ndarray, layer: Layer) -> np.ndarray:
        return decay_integers(decay, settings.decay_bits, settings.decay, layer.name) / one

    layers = [
        dataclasses.replace(
            layer,
            membrane_decay=stored(layer.membrane_decay, layer),
            current_decay=stored(layer.current_decay, layer),
        )
        for layer in graph.layers
    ]
    real = {id(c): c for c in graph.connections}
    for plan in plans.values():
        for c, w in zip(incoming_of(graph, plan.layer.name), plan.weights, strict=True):
            real[id(c)] = dataclasses.replace(c, matrix=w.real)
    return dataclasses.replace(graph, layers=tuple(layers), connections=tuple(real.values()))
