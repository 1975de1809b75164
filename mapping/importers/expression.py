"""Affine expressions over layers, and the Graph that grows from them.

A value of a model is an `Affine`: a bias and, for each layer that it depends on, a matrix. Linear
modules, residual sums, gains of norms and batch norms are algebra on these; a layer of its own is
made only where values must stand one by one (the input of a state-space layer or gate, of a
function) or where two dense matrices would be multiplied: trained weights stay as trained, so a
model trained for few bits keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hdl.params.winners import Winners
from mapping.graph import Connection, Graph, InputLayer, Layer, Options, Product, StateSpace

__all__ = ["Affine", "Builder"]


@dataclass(frozen=True, eq=False)
class Affine:
    """bias + the sum of matrix @ layer; `terms` by (layer, delay), csr [size, layer size].

    name: of the layer that it becomes if it has to. nodes: the modules folded in.
    """

    name: str
    bias: np.ndarray
    terms: Mapping[tuple[str, int], Any]
    nodes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.bias)

    @property
    def dense(self) -> bool:
        """Whether some matrix is more than a gain for each value."""
        return not all(_is_diagonal(m) for m in self.terms.values())

    @property
    def source(self) -> str:
        """The layer that it is, bit by bit; "" if it is no layer's mere values."""
        if len(self.terms) != 1 or self.bias.any():
            return ""
        (((source, delay), matrix),) = self.terms.items()
        same = not delay and _is_diagonal(matrix) and (matrix.diagonal() == 1).all()
        return source if same else ""

    def times(self, name: str, matrix: Any, bias: np.ndarray | None = None) -> Affine:
        """matrix @ this + bias; a vector as matrix is a gain."""
        from scipy.sparse import csr_array, diags_array

        matrix = np.asarray(matrix, np.float64)
        left = csr_array(diags_array(matrix) if matrix.ndim == 1 else matrix)
        own = np.zeros(left.shape[0]) if bias is None else np.asarray(bias, np.float64)
        terms = {key: csr_array(left @ m) for key, m in self.terms.items()}
        for product in terms.values():
            product.eliminate_zeros()
        terms = {key: product for key, product in terms.items() if product.nnz}
        return Affine(name, left @ self.bias + own, terms, (*self.nodes, name))

    def plus(self, name: str, *others: Affine) -> Affine:
        terms, bias, nodes = dict(self.terms), self.bias, self.nodes
        for other in others:
            for key, matrix in other.terms.items():
                terms[key] = terms[key] + matrix if key in terms else matrix
            bias, nodes = bias + other.bias, nodes + other.nodes
        return Affine(name, bias, terms, tuple(dict.fromkeys(nodes)))


def _is_diagonal(matrix: Any) -> bool:
    matrix = matrix.tocoo()
    return matrix.shape[0] == matrix.shape[1] and bool((matrix.row == matrix.col).all())


@dataclass(eq=False)
class Builder:
    """Collects layers in the order of evaluation; names are the model's own."""

    inputs: list[InputLayer] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)

    def note(self, node: str, change: str, effect: str) -> None:
        self.notes.append({"node": node, "change": change, "effect": effect})

    def record(self, name: str, kind: str, size: int, reason: str = "") -> None:
        status = "folded" if reason else "mapped"
        self.nodes.append(
            {"name": name, "kind": kind, "shape": [size], "status": status, "reason": reason}
        )

    def input(self, size: int, name: str = "input") -> Affine:
        self.inputs.append(InputLayer(name=name, size=size, shape=(size,)))
        self.levels[name] = 0
        self.record(name, "Input", size)
        return self.values(name, size)

    def values(self, name: str, size: int, delay: int = 0) -> Affine:
        """What a layer gave, `delay` steps ago; the layer may follow later."""
        from scipy.sparse import csr_array, eye_array

        return Affine(name, np.zeros(size), {(name, delay): csr_array(eye_array(size))})

    def layer(
        self, name: str, kind: str, x: Affine | Mapping[str, Affine], **fields: Any
    ) -> Affine:
        """A layer whose input is x (of a gate: for each port) and its values; bias goes to it."""
        ports = x if isinstance(x, Mapping) else {"": x}
        bias = np.sum([value.bias for value in ports.values()], axis=0)
        size, zero = len(bias), np.zeros(len(bias))
        while name in self.levels:
            name += "'"
        near = [s for v in ports.values() for s, delay in v.terms if not delay]
        self.levels[name] = 1 + max((self.levels[s] for s in near), default=0)
        self.layers.append(
            Layer(
                name=name,
                kind=kind,
                size=size,
                shape=(size,),
                level=self.levels[name],
                spiking=False,
                has_current=False,
                membrane_decay=zero,
                current_decay=zero,
                bias=bias,
                threshold=zero,
                reset="set",
                reset_value=zero,
                **fields,
            )
        )
        self.record(name, kind, size)
        for port, value in ports.items():
            for (source, delay), matrix in value.terms.items():
                node = "+".join(value.nodes)
                self.connections.append(
                    Connection(
                        source=source, target=name, matrix=matrix, delay=delay, node=node, port=port
                    )
                )
                self.edges.append((source, name))
        return self.values(name, size)

    def plain(self, x: Affine) -> Affine:
        """x, as a layer if a dense matrix can't be put on top of it."""
        return self.layer(x.name, "Linear", x) if x.dense else x

    def single(self, x: Affine) -> Affine:
        """x as the mere values of a layer."""
        own = x.source and x.source not in {i.name for i in self.inputs}
        return x if own else self.layer(x.name, "Linear", x)

    def linear(
        self, name: str, x: Affine, weight: np.ndarray, bias: np.ndarray | None = None
    ) -> Affine:
        return self.plain(x).times(name, weight, bias)

    def function(self, name: str, x: Affine, activation: str) -> Affine:
        """A function of each value, on the layer that x is if it is new; "none": x itself."""
        if activation == "none":
            return x
        last = self.layers[-1] if self.layers else None
        if last and x.source == last.name and not last.activation:
            self.layers[-1] = replace(last, activation=activation)
            return x
        return self.layer(name, "Linear", x, activation=activation)

    def norm(self, name: str, x: Affine, gain: Any = None, bias: Any = None) -> Affine:
        """Layer norm; gain and bias go into what listens to it."""
        values = self.layer(name, "LayerNorm", x, activation="layernorm")
        if gain is None and bias is None:
            return values
        self.record(f"{name}.affine", "Affine", x.size, "gain and bias into the connections")
        return values.times(f"{name}.affine", np.ones(x.size) if gain is None else gain, bias)

    def mixed(self, name: str, x: Affine, poles: np.ndarray, mix: np.ndarray) -> Affine:
        """States of each channel, summed: arrays [size, order]; states with mix 0 all over go."""
        used = np.asarray(mix.any(axis=0))
        used[0] |= not used.any()
        space = StateSpace(
            poles=np.ascontiguousarray(poles[:, used], np.complex128),
            mix=np.ascontiguousarray(mix[:, used], np.complex128),
        )
        return self.layer(name, "SSM", self.single(x), dendrites=space)

    def states(self, name: str, x: Affine, poles: np.ndarray, gain: np.ndarray) -> Affine:
        """States driven by gain [states, size] @ x; read them by `read`."""
        drive = gain.real
        if gain.imag.any() or np.imag(poles).any():
            drive = _interleave(gain.real, gain.imag, axis=0)
            if not np.imag(poles).any():  # real states: two where a complex one would be
                poles = np.repeat(poles, 2)
        space = StateSpace(poles=np.asarray(poles, np.complex128))
        source = self.layer(f"{name}.drive", "Linear", self.linear(f"{name}.B", x, drive))
        return self.layer(name, "SSM", source, dendrites=space)

    def read(self, name: str, states: Affine, weight: np.ndarray) -> Affine:
        """Re(weight [size, states] @ states)."""
        if states.size == weight.shape[1]:
            return states.times(name, weight.real)
        return states.times(name, _interleave(weight.real, -weight.imag, axis=1))

    def gate(self, name: str, left: Affine, right: Affine) -> Affine:
        ports = {"left": self.single(left), "right": self.single(right)}
        return self.layer(name, "Gate", ports, dendrites=Product())

    def winners(self, name: str, scores: Affine, count: int, function: str = "") -> Affine:
        """Gates: 1, or that function of the score, of the `count` largest; 0 of the others."""
        chosen = Winners(count=count, group=scores.size)
        gates = self.layer(name, "Router", scores, winners=chosen, activation=function)
        if not function:
            always = np.full(scores.size, -np.inf)
            self.layers[-1] = replace(
                self.layers[-1], spiking=True, reset="subtract", threshold=always
            )
        return gates

    def copies(self, name: str, x: Affine, gates: Affine) -> Affine:
        """x times the first gate, x times the second, ... [gates * size of x]."""
        from scipy.sparse import csr_array

        x = x if x.source else self.layer(x.name, "Linear", x)
        product, size = Product(stretch=x.size, repeats=True), x.size * gates.size
        ports = {}
        for value, (port, place) in zip((x, gates), product.places(size).items(), strict=True):
            shape = size, value.size
            spread = csr_array((np.ones(size), (np.arange(size), place)), shape=shape)
            ports[port] = Affine(value.name, np.zeros(size), {(value.source, 0): spread})
        return self.layer(name, "Gate", ports, dendrites=product)

    def graph(self, name: str, outputs: list[str], options: Options, readout: str) -> Graph:
        return Graph(
            name=name,
            inputs=tuple(self.inputs),
            layers=tuple(self.layers),
            connections=tuple(self.connections),
            outputs=tuple(outputs),
            options=options,
            nodes=tuple(self.nodes),
            edges=tuple(dict.fromkeys(self.edges)),
            notes=tuple(self.notes),
            readout=readout,
        )


def _interleave(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    shape = list(first.shape)
    shape[axis] *= 2
    return np.stack([first, second], axis=axis + 1).reshape(shape)
