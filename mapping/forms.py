"""Hardware forms: what a Graph is changed into before it is quantised, each with a note.

Layer norms become fixed scales (mapping/norms.py). With `activation` "relu", gelu and silu become
relu. With `engine` "ssm" a leaky integrator without spikes, v = d v + x + bias, becomes a linear
layer that sends x + bias, and a state-space layer of real poles d under the old name.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hdl.params.errors import UserError
from mapping.graph import Connection, Graph, Layer, StateSpace
from mapping.norms import static_norms
from mapping.readout import READOUTS, decide
from mapping.reference import simulate
from mapping.settings import Quantisation

__all__ = ["hardware_forms", "with_states"]

RECTIFIED = ("gelu", "gelu_tanh", "silu")


def hardware_forms(
    graph: Graph, data: np.ndarray, lengths: np.ndarray | None, settings: Quantisation
) -> tuple[Graph, list[dict[str, str]]]:
    """The Graph in forms that hardware has, and what changed; parameters as `static_norms`."""
    given = graph
    notes: list[dict[str, str]] = []
    if settings.activation == "relu":
        rectified = [p.name for p in graph.layers if p.activation in RECTIFIED]
        for name in rectified:
            before = graph
            graph = _with_layers(graph, {name: {"activation": "relu"}})
            notes.append(
                {
                    "node": name,
                    "change": f"{next(p.activation for p in before.layers if p.name == name)} "
                    "replaced by relu",
                    "effect": _effect(before, graph, data, lengths),
                }
            )
    before = graph
    graph, found = static_norms(graph, data, lengths)
    notes += found
    if found:
        notes.append(
            {
                "node": graph.name,
                "change": f"all {len(found)} layer norms are fixed",
                "effect": _effect(before, graph, data, lengths),
            }
        )
    if graph is not given and len(notes) > 1:
        notes.append(
            {
                "node": graph.name,
                "change": "hardware forms in all",
                "effect": _effect(given, graph, data, lengths),
            }
        )
    return with_states(graph, settings, notes), notes


def _with_layers(graph: Graph, changes: dict[str, dict]) -> Graph:
    layers = tuple(dataclasses.replace(p, **changes.get(p.name, {})) for p in graph.layers)
    return dataclasses.replace(graph, layers=layers)


def _effect(before: Graph, after: Graph, data: np.ndarray, lengths: np.ndarray | None) -> str:
    """What a change does to outputs and decisions on the calibration data."""
    ends = np.full(len(data), data.shape[1]) if lengths is None else np.asarray(lengths)
    samples = [s[:end] for s, end in zip(data, ends, strict=True) if end]
    a, b = (simulate(g, samples, keep=[]) for g in (before, after))
    error = float(((a.outputs - b.outputs) ** 2.0).sum())
    energy = float((a.outputs**2.0).sum())
    text = f"outputs keep {10 * np.log10(energy / error):.1f} dB" if error and energy else (
        "outputs are the same")  # fmt: skip
    readout = before.readout or "last"
    if readout not in READOUTS or a.outputs.shape[2] < 2:
        return text
    same = decide(readout, a.outputs, a.lengths) == decide(readout, b.outputs, b.lengths)
    return f"{text}, {int(same.sum())} of {len(same)} calibration decisions ({readout}) the same"


def with_states(graph: Graph, settings: Quantisation, notes: list[dict[str, str]]) -> Graph:
    """The Graph with leaky integrators as state-space layers where `engine` is "ssm"."""
    for layer in graph.layers:
        nodes = [c.node for c in graph.connections if c.target == layer.name and c.node]
        names = (layer.name, *nodes)
        if settings.choice("engine", names) != "ssm" or isinstance(layer.dendrites, StateSpace):
            continue
        why = _not_a_state(graph, layer)
        if why and settings.named("engine", names):
            raise UserError(
                f"engine: {layer.name} can't be a state-space layer: {why}; leave it out"
            )
        if not why:
            graph = _integrator(graph, layer.name)
            notes.append(
                {
                    "node": layer.name,
                    "change": f"a leaky integrator became a state-space layer of {layer.size} "
                    "real poles behind a linear layer",
                    "effect": "its input is rounded to payload_bits before it is added up",
                }
            )
    return graph


def _not_a_state(graph: Graph, layer: Layer) -> str:
    if layer.spiking:
        return "its neurons spike"
    if layer.dendrites is not None or layer.kind == "Delay":
        return f"a {layer.kind} layer has dendrites of its own"
    if layer.has_current:
        return "it has a current beside its membrane"
    if not layer.membrane_decay.any():
        return "it keeps no state"
    if (layer.membrane_decay >= 1).any():
        return "its decay is 1, a pole must be below"
    return ""


def _integrator(graph: Graph, given: str) -> Graph:
    layer = next(p for p in graph.layers if p.name == given)
    taken = {i.name for i in graph.inputs} | {p.name for p in graph.layers}
    name = f"{layer.name}.drive"
    while name in taken:
        name += "_"
    zero = np.zeros(layer.size)
    drive = dataclasses.replace(layer, name=name, kind="Linear", membrane_decay=zero, activation="")
    states = dataclasses.replace(
        layer, kind="SSM", level=layer.level + 1, membrane_decay=zero, bias=zero,
        dendrites=StateSpace(poles=layer.membrane_decay.astype(complex)),
    )  # fmt: skip
    layers: list[Layer] = []
    for p in graph.layers:
        if p is layer:
            layers += [drive, states]
        else:
            level = p.level + (p.level > layer.level)
            layers.append(dataclasses.replace(p, level=level) if level != p.level else p)
    connections = [
        dataclasses.replace(c, target=name) if c.target == layer.name else c
        for c in graph.connections
    ]
    from scipy.sparse import csr_array, eye_array

    one = csr_array(eye_array(layer.size, format="csr"))
    connections.append(Connection(source=name, target=layer.name, matrix=one))
    return dataclasses.replace(
        graph,
        layers=tuple(sorted(layers, key=lambda p: p.level)),
        connections=tuple(connections),
    )
