"""Plans for all layers: weights, fraction bits, states, and the scales of what is sent."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hdl.params.neuron import Emit, sends_changes, sends_value
from hdl.params.ssm.gate import OPERANDS
from mapping.emissions import emissions, largest, names_of, own_scales, table, value_scale, whole
from mapping.formats import CAP, choose_shift, spread
from mapping.graph import Connection, Graph, Layer, Product, StateSpace
from mapping.plan import Plan, incoming_of
from mapping.program import Input
from mapping.ranges import LayerRange
from mapping.settings import Quantisation, Width, weight_width
from mapping.state_space import Entering, decide_gate, decide_states
from mapping.weights import Incoming, common_scale, quantise_connection

__all__ = ["plan_layers"]

#: Rows of own scales are brought together by at most 2 to this power.
MOST_ROW_GAIN = 7
SKIP_BITS = 8


def plan_layers(
    graph: Graph,
    inputs: tuple[Input, ...],
    ranges: dict[str, LayerRange],
    steps: int,
    settings: Quantisation,
    notes: list[dict[str, str]],
) -> dict[str, Plan]:
    """Weights, shifts and payload scales of all layers."""
    emits, own = emissions(graph, settings, notes), own_scales(graph)
    top = {n: (1 << (settings.payload_bits - 1 - int(sends_changes(e)))) - 1
           for n, e in emits.items()}  # fmt: skip
    payload: dict[str, Any] = {i.name: i.scale for i in inputs}
    # A value that is not planned yet (recurrent) is guessed; its weights are redone below.
    payload |= {
        p.name: 1.0 if p.spiking else (float(largest(ranges[p.name]).max()) or 1.0) / top[p.name]
        for p in graph.layers
    }
    plans: dict[str, Plan] = {}
    late_ones: list[tuple[Plan, int, Incoming]] = []
    spiking = {p.name: p.spiking for p in graph.layers}
    for layer in graph.layers:
        emit, r = emits[layer.name], ranges[layer.name]
        if isinstance(layer.dendrites, StateSpace | Product):
            plan = plans[layer.name] = _one_to_one(
                graph, layer, emits, payload, r, len(plans), settings, notes
            )
            names = names_of(graph, layer.name)
            _plan_values(plan, r, top[layer.name], own.get(layer.name, 0), names, settings)
            payload[layer.name] = plan.payload
            continue
        direct = whole(layer)
        incoming = []
        for c in incoming_of(graph, layer.name):
            width = _width(c, settings)
            late = c.source not in plans and not spiking.get(c.source, True)
            incoming.append(Incoming(c, payload[c.source], "ternary" if direct else width, late))
        width = settings.membrane_bits or CAP
        reach_of = max(np.abs(bound).max() for bound in spread(layer, *r.membrane))
        gain = _row_gains(r, own.get(layer.name, 0), layer.size)
        scale, exponents = common_scale(
            [i.times(gain) for i in incoming],
            layer.size,
            settings.scale == "neuron" and layer.winners is None,
            not layer.spiking or layer.winners is not None,
            settings.clip,
            float(reach_of) * 2.0 ** (1 - width),
        )
        if not incoming:
            scale = np.full(layer.size, _natural_unit(layer))
        plan = plans[layer.name] = Plan(layer, emit, scale / gain, incoming=incoming)
        changing = [i.connection.source for i in incoming if sends_changes(emits.get(
            i.connection.source, Emit.NONE))]  # fmt: skip
        plan.adds_changes = max((top[name] + 1 for name in changing), default=0)
        while plan.membrane_need(r, 0) > (settings.membrane_bits or 32):
            plan.scale, plan.coarser = plan.scale * 2, plan.coarser + 1
        if settings.fraction_bits is not None and not direct:
            plan.shift = settings.fraction_bits
        else:
            plan.shift, plan.capped = choose_shift(layer, plan.scale, *r.membrane, steps, width)
        for i, (source, exponent) in enumerate(zip(incoming, exponents, strict=True)):
            exponent = max(exponent - plan.coarser, 0)
            plan.weights.append(quantise_connection(source, plan.scale, exponent))
            if source.guessed:
                late_ones.append((plan, i, source))
        names = names_of(graph, layer.name)
        _plan_values(plan, r, top[layer.name], own.get(layer.name, 0), names, settings)
        payload[layer.name] = plan.payload
    # A layer that listens to its own values is planned before its payload scale is known.
    for plan, i, source in late_ones:
        known = dataclasses.replace(
            source, payload=payload[source.connection.source], guessed=False
        )
        plan.incoming[i] = known
        plan.weights[i] = quantise_connection(known, plan.scale, None)
    return plans


def _width(c: Connection, settings: Quantisation) -> Width:
    """The weight width of a connection.

    The one weight of a skip connection is a ratio of scales, so it has at least SKIP_BITS unless
    the settings name it.
    """
    width = settings.width_of(c.source, c.target, c.node)
    named = settings.weight_bits if isinstance(settings.weight_bits, dict) else ()
    if c.node in named or f"{c.source}->{c.target}" in named:
        return width
    square = c.matrix.shape[0] == c.matrix.shape[1] == c.matrix.nnz
    skip = square and bool((c.matrix.diagonal() == c.matrix.data[0]).all())
    return SKIP_BITS if skip and weight_width(width)[0] < SKIP_BITS else width


def _row_gains(r: LayerRange, own: int, size: int) -> np.ndarray:
    """Powers of two [size] that bring the ranges of neurons with own scales together."""
    if not own:
        return np.ones(size)
    reach = np.maximum(-r.membrane[0], r.membrane[1]).reshape(-1, own).max(1)
    with np.errstate(divide="ignore"):
        gain = np.floor(np.log2(reach.max(initial=0.0) / reach))
    return np.where(reach > 0, 2.0 ** np.clip(gain, 0, MOST_ROW_GAIN), 1.0).repeat(own)


def _one_to_one(
    graph: Graph, layer: Layer, emits: dict[str, Emit], payload: dict[str, Any], r: LayerRange,
    number: int, settings: Quantisation, notes: list[dict[str, str]],
) -> Plan:  # fmt: skip
    """A state-space layer or a gate."""
    into, sources = incoming_of(graph, layer.name), {}
    for c in into:
        emit = emits.get(c.source, Emit.VALUE)
        unit = c.matrix @ np.broadcast_to(payload[c.source], c.matrix.shape[1]).astype(float)
        bits = settings.payload_bits if sends_value(emit) else 2
        sources[c.port] = Entering(unit, bits, bool(sends_changes(emit)))
    if isinstance(layer.dendrites, Product):
        left, right = (sources[port] for port in OPERANDS)
        inner = decide_gate(layer, left, right, r, settings)
    else:
        c = into[0]
        inner = decide_states(
            layer, sources[""], r, layer.name in graph.outputs,
            settings.width_of(c.source, c.target, c.node), number,
            names_of(graph, layer.name), settings, notes,
        )  # fmt: skip
    plan = Plan(layer, emits[layer.name], inner.unit, inner=inner)
    for c in into:
        unit = sources[c.port].payload
        plan.incoming.append(Incoming(c, unit, "ternary"))
        plan.weights.append(quantise_connection(plan.incoming[-1], unit, 0))
    return plan


def _plan_values(
    plan: Plan, r: LayerRange, top: int, own: int, names: tuple[str, ...], settings: Quantisation
) -> None:
    """How a layer's values, changes or tables are scaled; names: what settings may call it."""
    if not sends_value(plan.emit):
        return
    layer, unit = plan.layer, np.broadcast_to(plan.unit, plan.layer.size)
    reach = largest(r)
    if layer.activation in ("", "relu"):
        payload, shift = value_scale(unit, reach, top, own)
        most = (reach / payload).max()
    else:
        half = (1 << (settings.table_bits - 1)) - 1
        inside = np.maximum(-r.membrane[0], r.membrane[1])
        step, shift = value_scale(unit, inside, half, 0)
        payload = np.full(layer.size, (float(reach.max()) or 1.0) / top)
        most = top
        plan.table = table(layer, float(step[0]), float(payload[0]), top, settings.table_bits)
    uniform = (payload == payload[0]).all() and (shift == shift[0]).all()
    plan.payload, plan.value_shift = (float(payload[0]), int(shift[0])) if uniform else (
        payload, shift)  # fmt: skip
    if sends_changes(plan.emit):
        share = settings.choice("delta", names)
        plan.threshold = int(share * min(np.floor(most + 0.5), top))


def _natural_unit(layer: Layer) -> float:
    """A unit for a layer without weights: 2**-8 of its largest parameter."""
    values = [layer.bias, layer.threshold, layer.reset_value] if layer.spiking else [layer.bias]
    finite = [np.abs(v[np.isfinite(v)]).max(initial=0.0) for v in values]
    return (float(max(finite)) or 1.0) / 256
