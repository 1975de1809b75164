"""The plan of a quantisation: per layer its weights, fraction bits and the values it sends.

`mapping.planning` makes plans.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.neuron import Emit, sends_value
from mapping.formats import MARGIN, bits_needed, decay_integers, spread
from mapping.graph import Connection, Graph, Layer
from mapping.ranges import LayerRange
from mapping.settings import Quantisation
from mapping.state_space import Decided
from mapping.weights import Incoming, IntegerWeights, lost_grids

__all__ = ["Plan", "incoming_of", "quantised_graph", "weight_notes"]


@dataclass(eq=False)
class Plan:
    """What was decided for one layer.

    scale: real value of one accumulator unit [size]. coarser: how often it was doubled so that
    the membrane fits its widest format. capped: fewer fraction bits than the rule asks.
    value_shift, payload: of each neuron [size], or one for all. table: what is emitted for each
    index. threshold: up to where changes are not sent. inner: dendrites, where they are more than
    the weighted sum. adds_changes: the magnitude of the values whose changes come in, which the
    current adds up; 0 if values come.
    """

    layer: Layer
    emit: Emit
    scale: np.ndarray
    shift: int = 0
    capped: bool = False
    coarser: int = 0
    value_shift: Any = 0
    payload: Any = 1.0
    table: np.ndarray | None = None
    threshold: int = 0
    inner: Decided | None = None
    adds_changes: int = 0
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
        if self.adds_changes:  # no sum that values of any kind can make may saturate
            rows = sum(np.abs(w.matrix).sum(1) << w.exponent for w in self.weights)
            most = int(np.max(rows, initial=0)) * self.adds_changes << shift
            return bits_needed(-most, most)
        unit = self.scale * 2.0**-shift
        low, high = (MARGIN * x / unit for x in r.drive)
        return bits_needed(low.min(initial=0), high.max(initial=0))

    def set_shift(self, shift: int) -> None:
        """Change the fraction bits; the scale of emitted values stays."""
        self.value_shift = self.value_shift + (shift - self.shift if sends_value(self.emit) else 0)
        self.shift = shift


def incoming_of(graph: Graph, layer: str) -> list[Connection]:
    """Connections into a layer that have weights, in the order of Plan.weights."""
    return [c for c in graph.connections if c.target == layer and c.matrix.nnz]


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
            dendrites=_stored(plans[layer.name]),
        )
        for layer in graph.layers
    ]
    real = {id(c): c for c in graph.connections}
    for plan in plans.values():
        for c, w in zip(incoming_of(graph, plan.layer.name), plan.weights, strict=True):
            real[id(c)] = dataclasses.replace(c, matrix=w.real)
    return dataclasses.replace(graph, layers=tuple(layers), connections=tuple(real.values()))


def _stored(plan: Plan) -> Any:
    """A layer's dendrites with the real numbers that their integers stand for."""
    return plan.inner.space if plan.inner and plan.inner.space else plan.layer.dendrites
