"""Quantise: a float Graph and calibration data become an integer Program.

Order of work: what hardware has no form of is replaced; the smallest weights are pruned; long
delays become relays; the float model runs once for its ranges; each layer, by level, gets its
weight scale or the formats of its states, its membrane fraction bits and the scale of the values it
sends; the model with quantised weights, poles and decays runs again, and the widths hold twice what
both runs used. Then layers become stochastic that are asked to. The rules stand with what they
rule: mapping/forms.py (norms, activations), mapping/prune.py, mapping/streams.py (streams),
mapping/scales.py and mapping/weights.py (weights), mapping/formats.py (thresholds, decays, widths),
mapping/relays.py (delays), mapping/state_space.py (states, gates), mapping/emissions.py (values,
changes).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from hdl.params.errors import UserError
from hdl.params.neuron import sends_changes, sends_value
from hdl.params.sc.attention import AttentionParams
from mapping.checks import check, check_calibration
from mapping.forms import hardware_forms
from mapping.graph import Graph
from mapping.integers import input_populations, population_of, projections_of
from mapping.plan import Plan, quantised_graph, weight_notes
from mapping.planning import plan_layers
from mapping.program import Formats, Population, Program
from mapping.prune import pruned
from mapping.ranges import LayerRange, join, measure, stand_in
from mapping.relays import unroll_delays
from mapping.report import LayerReport, WeightReport
from mapping.settings import Quantisation
from mapping.streams import stochastic_program
from mapping.widths import fit_formats

__all__ = ["LayerReport", "Quantisation", "WeightReport", "quantise"]

#: A membrane beyond this has no format.
LARGEST = 1e18


def _report(
    plan: Plan, population: Population, formats: Formats, r: LayerRange, decay_bits: int
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
        rate=r.rate if layer.spiking else None,
        weights=tuple(w.report for w in plan.weights),
        changes=bool(sends_changes(plan.emit)),
        table_bits=formats.table_bits if plan.table is not None else 0,
        states=plan.inner.report if plan.inner else None,
    )


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


def _measured(graph: Graph, data: np.ndarray, lengths: np.ndarray | None) -> dict[str, LayerRange]:
    """Ranges; a UserError for a model whose state explodes."""
    with np.errstate(over="ignore", invalid="ignore"):
        ranges = measure(graph, data, lengths)
    for name, r in ranges.items():
        if not all(np.abs(bound).max() < LARGEST for bound in (*r.membrane, *r.drive)):
            raise UserError(
                f"{name}: its membrane grows beyond {LARGEST:g} in the calibration run; "
                "check weights and time constants"
            )
    return ranges


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
    heads = {p.name for p in graph.layers if isinstance(p.dendrites, AttentionParams)}
    for c in graph.connections:
        if graded and c.target in heads and c.source in {i.name for i in graph.inputs}:
            raise UserError(
                f"{c.target}: its {c.port} is input {c.source}, which carries real values; an "
                "attention head takes spikes: put a spiking layer between them"
            )
    inputs = input_populations(graph, data, graded, settings.payload_bits, calibration is None)
    graph, changed = hardware_forms(graph, data, lengths, settings)
    notes += changed
    graph = unroll_delays(pruned(_clean(graph), settings, notes), graded)
    steps = data.shape[1]
    ranges = _measured(graph, data, lengths)
    plans = plan_layers(graph, inputs, ranges, steps, settings, notes)
    for name, r in _measured(quantised_graph(graph, plans, settings), data, lengths).items():
        ranges[name] = join(ranges[name], r)
    notes += weight_notes(plans)
    any_graded = graded or any(sends_value(p.emit) for p in plans.values())
    formats = fit_formats(plans, ranges, any_graded, settings, notes)
    populations = [population_of(p, formats, settings) for p in plans.values()]
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
        projections=tuple(projections_of(plans, graph)),
        outputs=graph.outputs,
        readout=settings.readout or graph.readout or _readout(graph, plans, notes),
        options={
            **dataclasses.asdict(graph.options),
            "quantisation": dataclasses.asdict(settings),
        },
    )
    program = stochastic_program(program, graph, settings, notes)
    program = dataclasses.replace(program, notes=(*graph.notes, *notes))
    reports = [
        _report(plan, population, formats, ranges[plan.layer.name], settings.decay_bits)
        for plan, population in zip(plans.values(), populations, strict=True)
    ]
    return program, reports


def _readout(graph: Graph, plans: dict[str, Plan], notes: list[dict[str, str]]) -> str:
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
