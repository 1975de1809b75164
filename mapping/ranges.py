"""Ranges of every state of a float Graph over a calibration run, in constant memory.

`mapping.reference` records; this keeps only the lowest and highest value of each neuron, so that
large models calibrate on many samples. Same equations (mapping/graph.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.sc.attention import PORTS
from mapping.attention import Head
from mapping.graph import Graph, Layer

__all__ = ["LayerRange", "measure", "stand_in"]

CHUNK = 64
#: Values of an input's product that are computed at once.
BLOCK = 1 << 22
#: Density from which a dense product is faster than a sparse one.
DENSE = 0.1


@dataclass(frozen=True, eq=False)
class LayerRange:
    """Lowest and highest values, each [size].

    membrane: before and after a reset. drive: the current, or the weighted input where a layer
    has no current. `rate`: mean of the emissions.
    """

    membrane: tuple[np.ndarray, np.ndarray]
    drive: tuple[np.ndarray, np.ndarray]
    rate: float


def stand_in(graph: Graph, graded: bool) -> np.ndarray:
    """Random inputs [4, 64, inputs] for a model without calibration data, always the same ones.

    Spikes with probability 1/4, or values uniform in -1..1.
    """
    rng = np.random.default_rng(0)
    shape = (4, 64, sum(i.size for i in graph.inputs))
    if graded:
        return rng.uniform(-1, 1, shape)
    return (rng.random(shape) < 0.25).astype(float)


class _State:
    """A layer's state over a batch, [size, samples]."""

    def __init__(self, layer: Layer, samples: int):
        self.layer = layer
        self.membrane = np.zeros((layer.size, samples))
        self.current = np.zeros((layer.size, samples))
        self.head = None if layer.dendrites is None else Head(layer.dendrites)

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
            return v, x, v
        spike = above(v)
        if layer.reset == "set":
            self.membrane = np.where(spike, reset, v)
        elif layer.reset == "subtract":
            self.membrane = np.where(spike, v - reset, v)
        return spike.astype(float), x, v


def measure(
    graph: Graph, inputs: np.ndarray, lengths: np.ndarray | None = None
) -> dict[str, LayerRange]:
    """Run inputs [samples, steps, size]; steps at or past lengths [samples] do not count."""
    samples, steps, _ = inputs.shape
    low = {layer.name: np.zeros((2, layer.size)) for layer in graph.layers}
    high = {layer.name: np.zeros((2, layer.size)) for layer in graph.layers}
    total = dict.fromkeys(low, 0.0)
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
                head = states[layer.name].head
                sums = {port: np.zeros((layer.size, n)) for port in (PORTS if head else ("",))}
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
                x = head.step({port: x.T for port, x in sums.items()}).T if head else sums[""]
                emitted, drive, v = states[layer.name].step(x)
                out[layer.name] = emitted
                after = states[layer.name].membrane
                if live.any():
                    seen = (np.minimum(v, after)[:, live], drive[:, live])
                    low[layer.name] = np.minimum(low[layer.name], [s.min(1) for s in seen])
                    seen = (np.maximum(v, after)[:, live], drive[:, live])
                    high[layer.name] = np.maximum(high[layer.name], [s.max(1) for s in seen])
                    total[layer.name] += float(emitted[:, live].sum()) / layer.size
    return {
        name: LayerRange(
            (low[name][0], high[name][0]),
            (low[name][1], high[name][1]),
            total[name] / max(count, 1),
        )
        for name in low
    }
