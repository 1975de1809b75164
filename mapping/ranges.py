"""Ranges of every state of a float Graph over a calibration run, in constant memory.

`mapping.reference` records; this keeps only the lowest and highest value of each neuron, so that
large models calibrate on many samples. Same equations (mapping/graph.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mapping.activations import activate
from mapping.graph import Graph, Layer, StateSpace
from mapping.recurrence import Recurrence, dendrites_of
from mapping.winners import silenced

__all__ = ["LayerRange", "StateRange", "join", "measure", "stand_in"]

CHUNK = 64
#: Values of an input's product that are computed at once.
BLOCK = 1 << 22
#: Density from which a dense product is faster than a sparse one.
DENSE = 0.1


@dataclass(frozen=True, eq=False)
class StateRange:
    """Of a state-space layer. peak: largest |re| and |im| of each state, [states, 2].

    rms, input_rms: root mean square of |x|, and of the |u| that is added to it [states].
    """

    peak: np.ndarray
    rms: np.ndarray
    input_rms: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerRange:
    """Lowest and highest values, each [size].

    membrane: before and after a reset. drive: the current, or the weighted input where a layer
    has no current. value: what is emitted, after the activation (0 or 1 if spiking). `rate`: mean
    of the emissions.
    """

    membrane: tuple[np.ndarray, np.ndarray]
    drive: tuple[np.ndarray, np.ndarray]
    rate: float
    value: tuple[np.ndarray, np.ndarray]
    states: StateRange | None = None


def join(a: LayerRange, b: LayerRange) -> LayerRange:
    """What holds both; rates are those of the second run."""

    def both(x: tuple, y: tuple) -> tuple:
        return np.minimum(x[0], y[0]), np.maximum(x[1], y[1])

    states = b.states
    if a.states and b.states:
        pairs = zip(vars(a.states).values(), vars(b.states).values(), strict=True)
        states = StateRange(*(np.maximum(x, y) for x, y in pairs))
    return LayerRange(
        both(a.membrane, b.membrane), both(a.drive, b.drive), b.rate, both(a.value, b.value), states
    )


def stand_in(graph: Graph, graded: bool) -> np.ndarray:
    """Random inputs [4, 64, inputs] for a model without calibration data, always the same ones.

    Spikes with probability 1/4, or values uniform in -1..1.
    """
    rng = np.random.default_rng(0)
    shape = (4, 64, sum(i.size for i in graph.inputs))
    if graded:
        return rng.uniform(-1, 1, shape)
    return (rng.random(shape) < 0.25).astype(float)


class _Seen:
    """Statistics of a state-space layer's states."""

    def __init__(self, states: int) -> None:
        self.peak = np.zeros((states, 2))
        self.square, self.input_square = np.zeros(states), np.zeros(states)

    def add(self, states: np.ndarray, entering: np.ndarray) -> None:
        """States of some samples [samples, ...], and what was added to them."""
        flat = states.reshape(len(states), -1)
        parts = np.abs(np.stack([flat.real, flat.imag], -1))
        self.peak = np.maximum(self.peak, parts.max(0))
        self.square += (parts**2).sum((0, 2))
        square = (np.abs(entering) ** 2).sum(0)
        self.input_square += np.broadcast_to(square, states.shape[1:]).reshape(-1)

    def over(self, count: int) -> StateRange:
        """The range over `count` steps in all."""
        rms = (np.sqrt(x / count) for x in (self.square, self.input_square))
        return StateRange(self.peak, *rms)


class _State:
    """A layer's state over a batch, [size, samples]."""

    def __init__(self, layer: Layer, samples: int):
        self.layer = layer
        self.membrane = np.zeros((layer.size, samples))
        self.current = np.zeros((layer.size, samples))
        self.dendrites = dendrites_of(layer, samples)
        self.ports = self.dendrites.ports if self.dendrites else ("",)

    def sum(self, ports: dict[str, np.ndarray], live: np.ndarray, seen: dict[str, _Seen]) -> Any:
        """What the dendrites make of their inputs [size, samples]; states of `live` ones count."""
        d = self.dendrites
        if d is None:
            return ports[""]
        x = d.step({port: values.T for port, values in ports.items()}).T
        if isinstance(d, Recurrence) and live.any():
            states = d.states[live]
            seen[self.layer.name].add(states, d.entering(ports[""].T[live]))
        return x

    def step(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One step with input x; returns emission, drive, membrane before its reset."""
        layer = self.layer
        threshold, reset = layer.threshold[:, None], layer.reset_value[:, None]

        def above(v: np.ndarray) -> np.ndarray:
            return v > threshold if layer.compare == ">" else v >= threshold

        if layer.has_current:
            self.current = layer.current_decay[:, None] * self.current + x
            x = self.current
        v = layer.membrane_decay[:, None] * self.membrane + x + layer.bias[:, None]
        if layer.spiking and layer.reset == "delayed":
            v = v - np.where(above(self.membrane), reset, 0.0)
        self.membrane = v
        if not layer.spiking:
            return silenced(layer, v.T, activate(layer.activation, v, 0).T).T, x, v
        spike = above(v)
        if layer.reset == "set":
            self.membrane = np.where(spike, reset, v)
        elif layer.reset == "subtract":
            self.membrane = np.where(spike, v - reset, v)
        return silenced(layer, self.membrane.T, spike.astype(float).T).T, x, v


def measure(
    graph: Graph, inputs: np.ndarray, lengths: np.ndarray | None = None
) -> dict[str, LayerRange]:
    """Run inputs [samples, steps, size]; steps at or past lengths [samples] do not count."""
    samples, steps, _ = inputs.shape
    low = {layer.name: np.zeros((3, layer.size)) for layer in graph.layers}
    high = {layer.name: np.zeros((3, layer.size)) for layer in graph.layers}
    total = dict.fromkeys(low, 0.0)
    inner = {
        p.name: _Seen(p.dendrites.poles.size)
        for p in graph.layers
        if isinstance(p.dendrites, StateSpace)
    }
    count = 0
    order = sorted(graph.layers, key=lambda layer: layer.level)
    incoming: dict[str, list] = {layer.name: [] for layer in order}
    for c in graph.connections:
        dense = c.matrix.nnz > DENSE * c.matrix.shape[0] * c.matrix.shape[1]
        incoming[c.target].append((c, c.matrix.toarray() if dense else c.matrix))
    offsets = np.cumsum([0, *(source.size for source in graph.inputs)])
    starts = {source.name: int(at) for source, at in zip(graph.inputs, offsets, strict=False)}
    ahead: dict[int, np.ndarray] = {}
    for first in range(0, samples, CHUNK):
        batch = np.asarray(inputs[first : first + CHUNK], float)
        n = len(batch)
        ends = np.full(n, steps) if lengths is None else np.asarray(lengths)[first : first + n]
        states = {layer.name: _State(layer, n) for layer in order}
        out = {layer.name: np.zeros((layer.size, n)) for layer in order}
        out |= {source.name: np.zeros((source.size, n)) for source in graph.inputs}
        for t in range(int(ends.max(initial=0))):
            before, out = out, {}
            for source in graph.inputs:
                at = starts[source.name]
                out[source.name] = batch[:, t, at : at + source.size].T
            live = t < ends
            count += int(live.sum())
            for layer in order:
                state = states[layer.name]
                sums = {port: np.zeros((layer.size, n)) for port in state.ports}
                for c, matrix in incoming[layer.name]:
                    if c.source in starts and not c.delay:
                        block = max(BLOCK // (layer.size * n), 1)
                        if t % block == 0:
                            at = starts[c.source]
                            given = batch[:, t : t + block, at : at + matrix.shape[1]]
                            product = matrix @ given.reshape(-1, matrix.shape[1]).T
                            ahead[id(c)] = product.reshape(layer.size, n, -1)
                        part = ahead[id(c)][:, :, t % block]
                    else:
                        part = matrix @ (before if c.delay else out)[c.source]
                    sums[c.port] = sums[c.port] + part
                emitted, drive, v = state.step(state.sum(sums, live, inner))
                out[layer.name] = emitted
                after = state.membrane
                if live.any():
                    seen = (np.minimum(v, after)[:, live], drive[:, live], emitted[:, live])
                    low[layer.name] = np.minimum(low[layer.name], [s.min(1) for s in seen])
                    seen = (np.maximum(v, after)[:, live], drive[:, live], emitted[:, live])
                    high[layer.name] = np.maximum(high[layer.name], [s.max(1) for s in seen])
                    total[layer.name] += float(emitted[:, live].sum()) / layer.size
    return {
        name: LayerRange(
            (low[name][0], high[name][0]),
            (low[name][1], high[name][1]),
            total[name] / max(count, 1),
            (low[name][2], high[name][2]),
            inner[name].over(max(count, 1)) if name in inner else None,
        )
        for name in low
    }
