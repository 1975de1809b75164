"""Build the Graph from a NIR model that passed all checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mapping.fold import Inflow, LinearNode, arrange, fold
from mapping.graph import Connection, Graph, InputLayer, Layer, Options
from mapping.importers.nir_file import RawModel
from mapping.importers.nir_nodes import KINDS, coefficients, linear_node
from mapping.importers.nir_shapes import Extent

__all__ = ["build"]


def _free(name: str, taken: Any) -> str:
    """`name`, or with a number if a node has it."""
    count = 1
    while name in taken:
        count += 1
        name = f"{name.rstrip('0123456789')}{count}"
    return name


class _Builder:
    """Collects layers and connections; levels and delays follow when all are known."""

    def __init__(
        self, model: RawModel, extents: dict[str, Extent], options: Options, dt: float
    ) -> None:
        self.model, self.extents, self.options, self.dt = model, extents, options, dt
        self.layers: dict[str, dict[str, Any]] = {}
        self.matrices: dict[tuple[str, str], tuple[Any, str]] = {}
        self.outputs: list[str] = []
        self.notes: list[dict[str, str]] = list(model.notes)
        roles = {n: KINDS[node.kind].role for n, node in model.nodes.items() if n in extents}
        for name, node in model.nodes.items():
            if node.nested:
                roles[name] = "linear"
        self.roles = roles
        self.inputs = [n for n, role in roles.items() if role == "input"]
        self.neurons = [n for n, role in roles.items() if role == "neuron"]
        self.ends = [n for n, role in roles.items() if role == "output"]

    def note(self, node: str, change: str, effect: str) -> None:
        self.notes.append({"node": node, "change": change, "effect": effect})

    def linear(self, name: str) -> LinearNode:
        node, extent = self.model.nodes[name], self.extents[name]
        return linear_node(node.kind, node.values, extent.size_in or 0, extent.size_out or 0)

    def flows(self) -> dict[str, Inflow]:
        linear = {n: self.linear(n) for n, r in self.roles.items() if r == "linear"}
        sizes = {}
        for name, extent in self.extents.items():
            source = self.roles[name] in ("input", "neuron")
            sizes[name] = (extent.size_out if source else extent.size_in) or 0
        return fold(linear, sizes, self.model.edges, [*self.neurons, *self.ends])

    def add(self, name: str, kind: str, gain: np.ndarray, flow: Inflow, **fields: Any) -> None:
        """A layer with its incoming connections; the gain goes into their matrices."""
        from scipy.sparse import csr_array, diags_array

        size = len(gain)
        zero = np.zeros(size)
        same: dict[str, Any] = {
            "shape": (size,),
            "spiking": False,
            "has_current": False,
            "reset": "set",
            "compare": self.options.compare,
        }
        same |= dict.fromkeys(
            ("membrane_decay", "current_decay", "bias", "threshold", "reset_value"), zero
        )
        self.layers[name] = {**same, "name": name, "kind": kind, "size": size, **fields}
        for source, part in flow.parts.items():
            matrix = csr_array(diags_array(gain, format="csr"))
            if part.matrix is not None:
                matrix = csr_array(matrix @ part.matrix)
            self.connect(source, name, matrix, "+".join(part.via))

    def connect(self, source: str, target: str, matrix: Any, node: str) -> None:
        matrix.eliminate_zeros()
        matrix.sum_duplicates()
        self.matrices[source, target] = (matrix, node)

    def neuron(self, name: str, flow: Inflow) -> None:
        node, extent = self.model.nodes[name], self.extents[name]
        size = extent.size_in or 0
        c = coefficients(node.kind, node.values, size, self.options, self.dt)
        current = "tau_syn" in KINDS[node.kind].names
        self.add(
            name,
            node.kind,
            c.gain,
            flow,
            shape=extent.shape_out,
            spiking=KINDS[node.kind].spiking,
            has_current=current,
            membrane_decay=c.membrane_decay,
            current_decay=c.current_decay,
            bias=c.bias if current else c.bias + c.gain * flow.bias,
            threshold=c.threshold,
            reset=c.reset,
            reset_value=c.reset_value,
        )
        constant = c.gain * flow.bias
        if current and constant.any():
            self.constant(name, constant)

    def constant(self, target: str, values: np.ndarray) -> None:
        """A bias that feeds a synaptic current: a neuron that spikes every step carries it."""
        from scipy.sparse import csr_array

        name = _free(f"{target}.bias", {*self.model.nodes, *self.layers})
        one = np.ones(1)
        empty = Inflow(bias=np.zeros(1))
        self.add(name, "IF", one, empty, spiking=True, bias=one, threshold=one / 2)
        self.connect(name, target, csr_array(values[:, None]), "bias")
        self.note(
            target,
            f"its bias feeds a synaptic current: added neuron '{name}', which spikes every step",
            "exact; one neuron and one level more",
        )

    def output(self, name: str, flow: Inflow) -> None:
        """Name the layer whose values leave; add a Linear layer where no layer has them."""
        plain = [s for s, part in flow.parts.items() if part.matrix is None]
        if len(flow.parts) == 1 and plain and plain[0] in self.roles and not flow.bias.any():
            source = plain[0]
            if self.roles[source] == "neuron":
                if source in self.outputs:
                    self.note(name, f"repeats the values of layer '{source}'", "given once")
                else:
                    self.outputs.append(source)
                return
        last = {part.via[-1] for part in flow.parts.values() if part.via}
        only = len(last) == 1 and all(part.via for part in flow.parts.values())
        label = next(iter(last)) if only and not last & set(self.layers) else name
        size = self.extents[name].size_in or 0
        self.add(
            label, "Linear", np.ones(size), flow, shape=self.extents[name].shape_in, bias=flow.bias
        )
        self.outputs.append(label)

    def drop_dead(self) -> set[str]:
        """Remove layers that no output depends on; their names."""
        alive, front = set(self.outputs), list(self.outputs)
        before: dict[str, list[str]] = {}
        for a, b in self.matrices:
            before.setdefault(b, []).append(a)
        while front:
            new = [a for a in before.get(front.pop(), []) if a not in alive]
            alive |= set(new)
            front += new
        dead = set(self.layers) - alive
        self.layers = {n: f for n, f in self.layers.items() if n in alive}
        self.matrices = {k: m for k, m in self.matrices.items() if not dead & set(k)}
        for name in sorted(dead & set(self.neurons)):
            self.note(name, "removed: no Output depends on it", "no output changes")
        for name in self.inputs:
            if name not in alive:
                self.note(name, "no Output depends on this Input", "its values are ignored")
        return dead


def _records(builder: _Builder, dead: set[str]) -> tuple[dict[str, Any], ...]:
    records = []
    for name, node in builder.model.nodes.items():
        extent = builder.extents.get(name)
        role = builder.roles.get(name, "linear")
        status, reason = "mapped", ""
        if role == "linear":
            status = "folded"
            reason = {"NIRGraph": "flattened", "Flatten": "changes no value"}.get(
                node.kind, "into the connections"
            )
            reason = "end of a nested graph" if node.nested else reason
            if name in builder.layers:
                status, reason = "mapped", "output values"
        elif name in dead:
            status, reason = "folded", "removed: no Output depends on it"
        shape = list((extent.shape_out if extent else None) or ())
        records.append(
            {"name": name, "kind": node.kind, "shape": shape, "status": status, "reason": reason}
        )
    return tuple(records)


def build(
    name: str, model: RawModel, extents: dict[str, Extent], options: Options, dt: float
) -> Graph:
    """The Graph; `options.dt` in it is the step that was used."""
    builder = _Builder(model, extents, options, dt)
    flows = builder.flows()
    for neuron in builder.neurons:
        builder.neuron(neuron, flows[neuron])
    for end in builder.ends:
        builder.output(end, flows[end])
    dead = builder.drop_dead()
    order = arrange(builder.inputs, list(builder.layers), list(builder.matrices))
    _note_wiring(builder, order.recurrent)
    layers = [Layer(level=order.levels[n], **f) for n, f in builder.layers.items()]
    connections = [
        Connection(
            source=a,
            target=b,
            matrix=matrix,
            delay=options.recurrent_delay if (a, b) in order.recurrent else 0,
            node=node,
        )
        for (a, b), (matrix, node) in builder.matrices.items()
    ]
    inputs = []
    for n in builder.inputs:
        shape = extents[n].shape_out or ()
        inputs.append(InputLayer(name=n, size=extents[n].size_out or 0, shape=shape))
    return Graph(
        name=name,
        inputs=tuple(inputs),
        layers=tuple(sorted(layers, key=lambda layer: layer.level)),
        connections=tuple(connections),
        outputs=tuple(builder.outputs),
        options=Options(**{**vars(options), "dt": dt}),
        nodes=_records(builder, dead),
        edges=tuple(model.edges),
        notes=tuple(builder.notes),
    )


def _note_wiring(builder: _Builder, recurrent: frozenset[tuple[str, str]]) -> None:
    delay = builder.options.recurrent_delay
    for a, b in builder.matrices:
        if (a, b) in recurrent:
            builder.note(
                b,
                f"edge from '{a}' closes a cycle: it takes {delay} step{'s' * (delay > 1)}",
                "--recurrent-delay sets another",
            )
    reached, front = set(builder.inputs), list(builder.inputs)
    while front:
        here = front.pop()
        new = [b for a, b in builder.matrices if a == here and b not in reached]
        reached |= set(new)
        front += new
    for name in builder.neurons:
        if name in builder.layers and name not in reached:
            builder.note(name, "no Input leads to it", "it runs on leak and bias alone")
