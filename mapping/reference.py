"""Simulate a Graph in float64: what the model computes before anything is quantised.

Layers outside cycles get their input for all steps as one matrix product; layers of a cycle are
stepped together. The equations are those of `mapping.graph.Layer`; attention heads draw by
`mapping.attention`, states and products are those of `mapping.recurrence`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from mapping.activations import activate
from mapping.batch import as_batch, split
from mapping.graph import Connection, Graph, Layer
from mapping.recurrence import dendrites_of
from mapping.winners import silenced

__all__ = ["Reference", "simulate"]

CHUNK_VALUES = 1 << 23
"""Values of input current that are held at once, the bound on samples per chunk."""

DENSE_ABOVE = 0.1
"""Density from which a dense product is faster than a sparse one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """What a simulation gave.

    outputs: [samples, steps, outputs], the layers of `graph.outputs` side by side.
    layers: by layer name [samples, steps, size]: bool spikes, or float values after the update and
        the activation.
    membranes: for the layers named in `record`, the membrane after reset, before the activation.
    lengths: int [samples], valid steps; what lies behind them is 0.
    peak: by layer, largest |membrane| before reset. margin: by spiking layer, smallest
        |membrane - threshold| at which it was decided whether to spike.
    """

    outputs: np.ndarray
    layers: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray]
    lengths: np.ndarray
    peak: dict[str, float] = field(default_factory=dict)
    margin: dict[str, float] = field(default_factory=dict)

    def spikes_per_sample(self) -> dict[str, float]:
        """Mean number of spikes in a sample, by spiking layer."""
        samples = max(len(self.lengths), 1)
        return {
            name: float(np.count_nonzero(values)) / samples
            for name, values in self.layers.items()
            if values.dtype == np.bool_
        }


class _State:
    """A layer while it runs: state, statistics, and where its values go."""

    def __init__(
        self, layer: Layer, values: np.ndarray, membranes: np.ndarray | None, seed: int
    ) -> None:
        self.layer, self.values, self.membranes = layer, values, membranes
        samples = len(values)
        self.dendrites = dendrites_of(layer, samples, seed)
        self.membrane = np.zeros((samples, layer.size))
        self.current = np.zeros((samples, layer.size))
        self.peak, self.margin = 0.0, np.inf

    def above(self) -> np.ndarray:
        if self.layer.compare == ">=":
            return self.membrane >= self.layer.threshold
        return self.membrane > self.layer.threshold

    def step(self, t: int, x: np.ndarray, valid: np.ndarray) -> None:
        """One update; samples that are over (not `valid`) leave zeros."""
        layer = self.layer
        if layer.has_current:
            self.current = layer.current_decay * self.current + x
            x = self.current
        late = self.above() * layer.reset_value if layer.reset == "delayed" else 0.0
        self.membrane = layer.membrane_decay * self.membrane + x + layer.bias - late
        seen = self.membrane if valid.all() else self.membrane[valid]
        self.peak = max(self.peak, float(np.abs(seen).max(initial=0.0)))
        if layer.spiking:
            near = float(np.abs(seen - layer.threshold).min(initial=np.inf))
            self.margin = min(self.margin, near)
            spike = self.above()
            if layer.reset == "set":
                self.membrane = np.where(spike, layer.reset_value, self.membrane)
            elif layer.reset == "subtract":
                self.membrane = self.membrane - spike * layer.reset_value
            spike = silenced(layer, self.membrane, spike)
            self.values[:, t] = spike & valid[:, None]
        else:
            value = silenced(layer, self.membrane, activate(layer.activation, self.membrane))
            self.values[:, t] = np.where(valid[:, None], value, 0.0)
        if self.membranes is not None:
            self.membranes[:, t] = np.where(valid[:, None], self.membrane, 0.0)


class _Product:
    """values @ matrix.T for values [..., source size]."""

    def __init__(self, connection: Connection) -> None:
        matrix = connection.matrix
        self.source, self.delay, self.port = connection.source, connection.delay, connection.port
        self.size = matrix.shape[0]
        dense = matrix.nnz > DENSE_ABOVE * matrix.shape[0] * matrix.shape[1]
        self.right: Any = np.ascontiguousarray(matrix.toarray().T) if dense else None
        self.left: Any = None if dense else matrix

    def __call__(self, values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64, copy=False)
        out = flat @ self.right if self.left is None else (self.left @ flat.T).T
        return out.reshape(*values.shape[:-1], self.size)


def simulate(
    graph: Graph,
    inputs: np.ndarray | Sequence[np.ndarray],
    *,
    record: Collection[str] = (),
    keep: Collection[str] | None = None,
    seed: int = 0,
) -> Reference:
    """Run every sample from zero state.

    inputs: [samples, steps, size], or a list of [steps, size] of different lengths; columns are
        the model's inputs side by side in the order of `graph.inputs`.
    record: names of layers whose membranes are kept.
    keep: names of layers whose values are kept in `layers`; None: all.
    seed: of the draws of attention heads; without heads it changes nothing.
    """
    batch, lengths = as_batch(graph, inputs)
    samples, steps, _ = batch.shape
    names = [layer.name for layer in graph.layers]
    for name in [*record, *(keep or ())]:
        if name not in names:
            raise UserError(f"record: there is no layer '{name}'; the layers are {names}")
    layers = {layer.name: layer for layer in graph.layers}
    kept = names if keep is None else [n for n in names if n in keep or n in graph.outputs]
    values = {n: _room(layers[n], samples, steps) for n in kept}
    membranes = {n: np.zeros((samples, steps, layers[n].size)) for n in record}
    groups = _groups(graph)
    products: dict[str, list[_Product]] = {name: [] for name in names}
    for connection in graph.connections:
        products[connection.target].append(_Product(connection))
    peak, margin = dict.fromkeys(names, 0.0), dict.fromkeys(names, np.inf)
    widest = max((sum(layers[n].size for n in group) for group in groups), default=1)
    size = max(1, CHUNK_VALUES // max(1, steps * widest))
    for first in range(0, samples, size):
        part = slice(first, min(first + size, samples))
        known = split(graph, batch[part])
        for group in groups:
            states = []
            for name in group:
                room = values[name][part] if name in values else None
                if room is None:
                    room = _room(layers[name], len(batch[part]), steps)
                kept_membrane = membranes[name][part] if name in membranes else None
                states.append(_State(layers[name], room, kept_membrane, seed))
            known |= {state.layer.name: state.values for state in states}
            _run(states, products, known, lengths[part])
            for state in states:
                name = state.layer.name
                peak[name] = max(peak[name], state.peak)
                margin[name] = min(margin[name], state.margin)
    for name, value in peak.items():
        if not np.isfinite(value):
            raise UserError(
                f"layer '{name}': its membrane grows beyond floating point; "
                "check its weights and time constants"
            )
    outputs = [values[n] for n in graph.outputs]
    kinds = {o.dtype for o in outputs}
    return Reference(
        outputs=np.concatenate(outputs, axis=2, dtype=bool if kinds == {np.dtype(bool)} else float),
        layers={n: values[n] for n in kept if keep is None or n in keep},
        membranes=membranes,
        lengths=lengths,
        peak=peak,
        margin={n: float(m) for n, m in margin.items() if layers[n].spiking},
    )


def _run(
    states: list[_State],
    products: dict[str, list[_Product]],
    known: dict[str, np.ndarray],
    lengths: np.ndarray,
) -> None:
    """Run layers that depend on each other through all steps."""
    samples, steps, _ = states[0].values.shape
    group = {state.layer.name for state in states}
    drives: list[dict[str, np.ndarray]] = []
    live: list[list[_Product]] = []
    for state in states:
        shape = (samples, steps, state.layer.size)
        ports = state.dendrites.ports if state.dendrites else ("",)
        drive = {port: np.zeros(shape) for port in ports}
        for product in products[state.layer.name]:
            if product.source not in group and product.delay < steps:
                source = known[product.source][:, : steps - product.delay]
                drive[product.port][:, product.delay :] += product(source)
        drives.append(drive)
        live.append([p for p in products[state.layer.name] if p.source in group])
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            valid = t < lengths
            for state, drive, back in zip(states, drives, live, strict=True):
                x = {port: values[:, t] for port, values in drive.items()}
                for product in back:
                    if t >= product.delay:
                        late = product(known[product.source][:, t - product.delay])
                        x[product.port] = x[product.port] + late
                state.step(t, state.dendrites.step(x) if state.dendrites else x[""], valid)


def _groups(graph: Graph) -> list[list[str]]:
    """Layers in order of evaluation; those of one cycle together, ascending level."""
    import networkx as nx

    wiring = nx.DiGraph()
    wiring.add_nodes_from([*(i.name for i in graph.inputs), *(n.name for n in graph.layers)])
    wiring.add_edges_from((c.source, c.target) for c in graph.connections)
    level = {layer.name: (layer.level, i) for i, layer in enumerate(graph.layers)}
    condensed = nx.condensation(wiring)
    groups = []
    for number in nx.topological_sort(condensed):
        members = [n for n in condensed.nodes[number]["members"] if n in level]
        if members:
            groups.append(sorted(members, key=lambda n: level[n]))
    return groups


def _room(layer: Layer, samples: int, steps: int) -> np.ndarray:
    return np.zeros((samples, steps, layer.size), dtype=bool if layer.spiking else np.float64)
