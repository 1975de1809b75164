"""Quantise: a float Graph and calibration data become an integer Program.

Order of work: long delays become relays; the float model runs once for its ranges; each layer, by
level, gets its weight scale, its membrane fraction bits and the scale of the values it sends; the
model with quantised weights and decays runs again, and the widths hold twice what both runs used.
The rules stand with what they rule: mapping/scales.py and mapping/weights.py (weights),
mapping/formats.py (thresholds, decays, widths), mapping/relays.py (delays).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from hdl.params.errors import UserError
from hdl.params.neuron import Emit, Reset
from mapping.checks import check, check_calibration
from mapping.formats import (
    CAP,
    MARGIN,
    bits_needed,
    choose_shift,
    decay_integers,
    nearest,
    spread,
    threshold_integers,
)
from mapping.graph import Graph, Layer
from mapping.program import Formats, Input, Population, Program, Projection
from mapping.ranges import LayerRange, measure, stand_in
from mapping.relays import unroll_delays
from mapping.report import LayerReport, WeightReport
from mapping.scales import Flat, exact_scale
from mapping.settings import Quantisation
from mapping.weights import Incoming, IntegerWeights, common_scale, quantise_connection

__all__ = ["Quantisation", "LayerReport", "WeightReport", "quantise"]

RESETS = {"set": Reset.SET, "subtract": Reset.SUBTRACT, "delayed": Reset.DELAYED}


@dataclass(eq=False)
class _Plan:
    """What was decided for one layer. scale: real value of one accumulator unit [size]."""

    layer: Layer
    emit: Emit
    scale: np.ndarray
    shift: int = 0
    capped: bool = False
    value_shift: int = 0
    payload: float = 1.0
    weights: list[IntegerWeights] = field(default_factory=list)

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


def _inputs(
    graph: Graph, data: np.ndarray, graded: bool, bits: int, assumed: bool
) -> tuple[Input, ...]:
    """Input populations; a graded scale is the data's own grid if it has one that fits."""
    top, at, found = (1 << (bits - 1)) - 1, 0, []
    for source in graph.inputs:
        values = np.unique(data[:, :, at : at + source.size])
        at += source.size
        scale = 1.0
        if graded:
            values = values[values != 0]
            n = len(values)
            flat = Flat(values, np.zeros(n, int), 1, np.full(n, -top - 1.0), np.full(n, float(top)))
            most = float(np.abs(values).max(initial=0.0)) if not assumed else 1.0
            grid = None if assumed or n < 2 else exact_scale(flat)
            scale = grid or (most or 1.0) / top
        found.append(Input(name=source.name, size=source.size, graded=graded, scale=scale))
    return tuple(found)


def _emit(graph: Graph, layer: Layer) -> Emit:
    feeds = any(c.source == layer.name for c in graph.connections)
    if not feeds and layer.name not in graph.outputs:
        return Emit.NONE
    if layer.spiking:
        return Emit.SPIKE
    return Emit.VALUE if feeds else Emit.STATE


def _plan_layers(
    graph: Graph,
    inputs: tuple[Input, ...],
    ranges: dict[str, LayerRange],
    steps: int,
    settings: Quantisation,
) -> dict[str, _Plan]:
    """Weights, shifts and payload scales of all layers."""
    top = (1 << (settings.payload_bits - 1)) - 1
    reach = {
        p.name: float(max(np.abs(bound).max() for bound in ranges[p.name].membrane))
        for p in graph.layers
    }
    payload = {i.name: i.scale for i in inputs}
    # A value that is not planned yet (recurrent) is guessed; its weights are redone below.
    payload |= {p.name: 1.0 if p.spiking else (reach[p.name] or 1.0) / top for p in graph.layers}
    plans: dict[str, _Plan] = {}
    late: list[tuple[_Plan, int, Incoming]] = []
    for layer in graph.layers:
        emit = _emit(graph, layer)
        incoming = [
            Incoming(
                c,
                payload[c.source],
                "ternary"
                if layer.kind == "Delay"
                else settings.width_of(c.source, c.target, c.node),
            )
            for c in graph.connections
            if c.target == layer.name and c.matrix.nnz
        ]
        scale, exponents = common_scale(
            incoming, layer.size, settings.scale == "neuron", not layer.spiking, settings.clip
        )
        if not incoming:
            scale = np.full(layer.size, _natural_unit(layer))
        plan = plans[layer.name] = _Plan(layer, emit, scale)
        if settings.fraction_bits is not None and layer.kind != "Delay":
            plan.shift = settings.fraction_bits
        else:
            cap = settings.membrane_bits or CAP
            plan.shift, plan.capped = choose_shift(
                layer, scale, *ranges[layer.name].membrane, steps, cap
            )
        for i, (source, exponent) in enumerate(zip(incoming, exponents, strict=True)):
            plan.weights.append(quantise_connection(source, scale, exponent))
            name = source.connection.source
            if name not in plans and any(p.name == name and not p.spiking for p in graph.layers):
                late.append((plan, i, source))
        if emit == Emit.VALUE:
            unit = float(plan.unit.max())
            ratio = reach[layer.name] / (unit * top)
            plan.value_shift = int(np.clip(np.ceil(np.log2(ratio) - 1e-9), 0, 31)) if ratio else 0
            plan.payload = payload[layer.name] = unit * 2.0**plan.value_shift
    # A layer that listens to its own values is planned before its payload scale is known.
    for plan, i, source in late:
        known = dataclasses.replace(source, payload=payload[source.connection.source])
        plan.weights[i] = quantise_connection(known, plan.scale, None)
    return plans


def _natural_unit(layer: Layer) -> float:
    """A unit for a layer without weights: 2**-8 of its largest parameter."""
    values = [layer.bias, layer.threshold, layer.reset_value] if layer.spiking else [layer.bias]
    finite = [np.abs(v[np.isfinite(v)]).max(initial=0.0) for v in values]
    return (float(max(finite)) or 1.0) / 256


def _quantised_graph(graph: Graph, plans: dict[str, _Plan], settings: Quantisation) -> Graph:
    """The Graph with the real values that the quantised weights and decays stand for."""
    one = 1 << settings.decay_bits
    layers = []
    for layer in graph.layers:
        decays = {
            name: decay_integers(
                getattr(layer, name), settings.decay_bits, settings.decay, layer.name
            )
            / one
            for name in ("membrane_decay", "current_decay")
        }
        layers.append(dataclasses.replace(layer, **decays))
    real = {id(c): c for c in graph.connections}
    for plan in plans.values():
        own = [c for c in graph.connections if c.target == plan.layer.name and c.matrix.nnz]
        for c, w in zip(own, plan.weights, strict=True):
            real[id(c)] = dataclasses.replace(c, matrix=w.real)
    return dataclasses.replace(graph, layers=tuple(layers), connections=tuple(real.values()))


def _join(a: LayerRange, b: LayerRange) -> LayerRange:
    def both(x: tuple, y: tuple) -> tuple:
        return np.minimum(x[0], y[0]), np.maximum(x[1], y[1])

    return LayerRange(both(a.membrane, b.membrane), both(a.drive, b.drive), b.rate)


def _formats(
    plans: dict[str, _Plan],
    ranges: dict[str, LayerRange],
    graded: bool,
    settings: Quantisation,
    notes: list[dict[str, str]],
) -> Formats:
    """Widths of the Program; fits the shifts to them."""
    fixed, has_current = settings.membrane_bits, any(p.layer.has_current for p in plans.values())
    pairs = [(plan, ranges[name]) for name, plan in plans.items()]

    def fits(plan: _Plan, r: LayerRange, shift: int, membrane: int, current: int) -> bool:
        return plan.membrane_need(r, shift) <= membrane and (
            not has_current or plan.current_need(r, shift) <= current
        )

    for plan, r in pairs:
        while plan.shift > 0 and not fits(
            plan, r, plan.shift, fixed or 32, settings.current_bits or 32
        ):
            if plan.emit == Emit.VALUE and plan.value_shift == 0:
                break
            plan.set_shift(plan.shift - 1)
            plan.capped = True
    least = settings.payload_bits if graded else 2
    need = max([least, *(plan.membrane_need(r, plan.shift) for plan, r in pairs)])
    membrane = fixed or min(need, 32)
    need = max([least, *(plan.current_need(r, plan.shift) for plan, r in pairs)])
    current = (settings.current_bits or min(need, 32)) if has_current else 0
    for plan, r in pairs:
        name = plan.layer.name
        if plan.capped:
            notes.append(
                {
                    "node": name,
                    "change": f"membrane has {plan.shift} fraction bits, fewer than the rule asks",
                    "effect": "rounding of the decay may move spikes; allow more membrane_bits",
                }
            )
        for what, width, wanted in (
            ("membrane", membrane, plan.membrane_need(r, plan.shift)),
            ("current", current or 32, plan.current_need(r, plan.shift) if has_current else 0),
        ):
            if wanted > width:
                notes.append(
                    {
                        "node": name,
                        "change": f"{what} has {width} bits where twice the calibrated range "
                        f"takes {wanted}",
                        "effect": "it saturates beyond its range",
                    }
                )
        if settings.fraction_bits is None and plan.rounds:
            # Width that other layers need anyway is spent on fraction bits.
            while (
                plan.shift < 15
                and plan.value_shift < 31
                and fits(plan, r, plan.shift + 1, membrane, current)
            ):
                plan.set_shift(plan.shift + 1)
    return Formats(
        membrane_bits=membrane,
        current_bits=current,
        decay_bits=settings.decay_bits,
        payload_bits=settings.payload_bits if graded else 0,
    )


def _population(plan: _Plan, formats: Formats, settings: Quantisation) -> Population:
    """A layer's integers; a UserError if a parameter does not fit the membrane."""
    layer, unit = plan.layer, np.broadcast_to(plan.unit, plan.layer.size)
    top = (1 << (formats.membrane_bits - 1)) - 1
    zero = np.zeros(layer.size, np.int64)
    real = {"bias": nearest(layer.bias / unit), "threshold": zero, "reset_value": zero}
    if layer.spiking:
        real["threshold"] = threshold_integers(layer.threshold, unit, layer.compare)
        real["reset_value"] = nearest(layer.reset_value / unit)
    fields = {}
    for name, value in real.items():
        finite = value[np.isfinite(value)]
        if len(finite) and (finite.max() > top or finite.min() < -top - 1):
            bits = bits_needed(finite.min(), finite.max())
            raise UserError(
                f"{layer.name}: its {name} needs {bits} membrane bits, there are "
                f"{formats.membrane_bits}; raise membrane_bits (at most 32) or lower "
                "fraction_bits or weight_bits"
            )
        fields[name] = np.clip(value, -top - 1, top).astype(np.int64)
    bits, kind = settings.decay_bits, settings.decay
    fields["membrane_decay"] = decay_integers(layer.membrane_decay, bits, kind, layer.name)
    fields["current_decay"] = zero
    if layer.has_current:
        fields["current_decay"] = decay_integers(layer.current_decay, bits, kind, layer.name)
    fields["shift"] = zero + plan.shift
    fields["value_shift"] = zero + plan.value_shift
    fields["reset"] = zero + (int(RESETS[layer.reset]) if layer.spiking else 0)
    fields["emit"] = zero + int(plan.emit)
    return Population(
        name=layer.name,
        kind=layer.kind,
        size=layer.size,
        level=layer.level,
        fields=fields,
        membrane_scale=np.array(unit, float),
        payload_scale=plan.payload,
        node=layer.name,
    )


def _report(
    plan: _Plan, population: Population, formats: Formats, r: LayerRange, decay_bits: int
) -> LayerReport:
    layer, one = plan.layer, 1 << decay_bits
    error = np.abs(population.fields["membrane_decay"] / one - layer.membrane_decay).max(initial=0)
    if layer.has_current:
        off = np.abs(population.fields["current_decay"] / one - layer.current_decay)
        error = max(error, off.max(initial=0))
    return LayerReport(
        node=layer.name,
        kind=layer.kind,
        size=layer.size,
        unit=float(plan.unit.min()),
        membrane_bits=formats.membrane_bits,
        used_bits=plan.membrane_need(r, plan.shift),
        fraction_bits=plan.shift,
        current_bits=formats.current_bits,
        decay_error=float(error),
        rate=r.rate,
        weights=tuple(w.report for w in plan.weights),
    )


def _projections(plans: dict[str, _Plan], graph: Graph) -> list[Projection]:
    result = []
    for plan in plans.values():
        own = [c for c in graph.connections if c.target == plan.layer.name and c.matrix.nnz]
        for c, w in zip(own, plan.weights, strict=True):
            rows = sparse.csr_array(w.matrix.T)
            rows.sort_indices()
            if rows.nnz:
                result.append(
                    Projection(
                        source=c.source,
                        target=c.target,
                        indptr=rows.indptr.astype(np.int64),
                        indices=rows.indices.astype(np.int64),
                        weights=rows.data.astype(np.int64),
                        weight_bits=w.bits,
                        exponent=w.exponent,
                        delay=c.delay,
                        node=c.node,
                    )
                )
    return result


def _clean(graph: Graph) -> Graph:
    """Canonical sparse matrices without stored zeros; layers by level."""
    connections = []
    for c in graph.connections:
        matrix = sparse.csr_array(c.matrix, dtype=float, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        connections.append(dataclasses.replace(c, matrix=matrix))
    layers = tuple(sorted(graph.layers, key=lambda layer: layer.level))
    return dataclasses.replace(graph, layers=layers, connections=tuple(connections))


def quantise(
    graph: Graph,
    calibration: np.ndarray | None = None,
    settings: Quantisation | None = None,
    *,
    lengths: np.ndarray | None = None,
) -> tuple[Program, list[LayerReport]]:
    """The integer Program of a Graph, and what it cost, layer by layer.

    Parameters
    ----------
    calibration : [samples, steps, inputs], inputs in the order of graph.inputs; it sets ranges
        and the scale of graded inputs. None: random input, with a note.
    lengths : valid steps of each sample [samples]; None: all.
    """
    settings = settings or Quantisation()
    check(graph, settings)
    notes: list[dict[str, str]] = []
    if calibration is None:
        data = stand_in(graph, bool(settings.graded))
        effect = "ranges are a guess; pass samples of the real input"
        change = f"no calibration data: random input, {data.shape[0]} x {data.shape[1]} steps"
        notes.append({"node": graph.name, "change": change, "effect": effect})
    else:
        data = np.asarray(calibration)
        check_calibration(graph, data, lengths, settings.graded)
    graded = settings.graded
    if graded is None:
        graded = not np.isin(data, (0, 1)).all()
    inputs = _inputs(graph, data, graded, settings.payload_bits, calibration is None)
    graph = unroll_delays(_clean(graph), graded)
    steps = data.shape[1]
    ranges = measure(graph, data, lengths)
    plans = _plan_layers(graph, inputs, ranges, steps, settings)
    for name, r in measure(_quantised_graph(graph, plans, settings), data, lengths).items():
        ranges[name] = _join(ranges[name], r)
    any_graded = graded or any(p.emit == Emit.VALUE for p in plans.values())
    formats = _formats(plans, ranges, any_graded, settings, notes)
    populations = [_population(p, formats, settings) for p in plans.values()]
    for c in graph.connections:
        if not c.matrix.nnz:
            node = c.node or f"{c.source}->{c.target}"
            change = "dropped: all its weights are 0"
            notes.append({"node": node, "change": change, "effect": "none"})
    program = Program(
        name=graph.name,
        formats=formats,
        inputs=inputs,
        populations=tuple(populations),
        projections=tuple(_projections(plans, graph)),
        outputs=graph.outputs,
        readout=settings.readout or _readout(graph, plans, notes),
        options={
            **dataclasses.asdict(graph.options),
            "quantisation": dataclasses.asdict(settings),
        },
        notes=(*graph.notes, *notes),
    )
    reports = [
        _report(plan, population, formats, ranges[plan.layer.name], settings.decay_bits)
        for plan, population in zip(plans.values(), populations, strict=True)
    ]
    return program, reports


def _readout(graph: Graph, plans: dict[str, _Plan], notes: list[dict[str, str]]) -> str:
    """Spikes are counted, values read at the last step; neither where outputs don't compare."""
    outputs = [plans[name] for name in graph.outputs]
    if all(p.layer.spiking for p in outputs):
        return "count"
    units = {float(p.unit.max()) for p in outputs}
    if len(units) > 1 or any(p.layer.spiking for p in outputs):
        change = "no decision: the outputs have different units"
        effect = "read each output with its own scale, or name a readout"
        notes.append({"node": ", ".join(graph.outputs), "change": change, "effect": effect})
        return "none"
    return "last"
