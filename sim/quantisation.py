"""How far the golden model is from the floating-point model: a loss, not a fault.

Where attention heads draw at random, the two models draw different bits: equal spikes would mean
nothing, so they are compared by accuracy, and their decisions with those of two runs of the
floating-point model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hdl.params.errors import UserError
from mapping.program import Program
from sim.stimulus import Stimulus, real_outputs

if TYPE_CHECKING:
    from mapping.graph import Graph

__all__ = ["Quantisation", "quantisation_loss"]


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """Golden model against floating point, over valid steps.

    Members
    -------
    spike_agreement : share of (step, output) with the same spike; None if no output spikes, or
        if outputs are random.
    spikes_float, spikes_golden : output spikes.
    relative_error : root mean square of the difference over that of the values; None if all spike,
        or if outputs are random.
    decision_agreement : share of samples with the same decision; None without a readout.
    float_agreement : share of samples that two runs of the floating-point model, with different
        draws, decide alike; None if outputs are not random.
    accuracy_float, accuracy_golden : share of right decisions; None without labels.
    """

    spike_agreement: float | None = None
    spikes_float: int | None = None
    spikes_golden: int | None = None
    relative_error: float | None = None
    decision_agreement: float | None = None
    float_agreement: float | None = None
    accuracy_float: float | None = None
    accuracy_golden: float | None = None

    def __str__(self) -> str:
        parts = []
        if self.spike_agreement is not None:
            parts.append(f"output spikes agree to {self.spike_agreement:.2%}")
        if self.relative_error is not None:
            parts.append(f"output values differ by {self.relative_error:.2%} (rms)")
        if self.decision_agreement is not None:
            parts.append(f"decisions agree to {self.decision_agreement:.2%}")
        if self.float_agreement is not None:
            parts.append(f"those of two float runs to {self.float_agreement:.2%} (random draws)")
        if self.accuracy_float is not None and self.accuracy_golden is not None:
            parts.append(f"accuracy {self.accuracy_float:.2%} -> {self.accuracy_golden:.2%}")
        return ", ".join(parts) or "no outputs"


def quantisation_loss(
    program: Program, graph: Graph, stimulus: Stimulus, outputs: np.ndarray
) -> Quantisation:
    """The loss of golden `outputs` [samples, steps, outputs] on a stimulus."""
    from mapping.readout import decide
    from mapping.reference import simulate

    lengths = np.asarray(stimulus.lengths)
    pairs = zip(stimulus.inputs, lengths, strict=True)
    samples = [np.asarray(x[:n], dtype=np.float64) for x, n in pairs]
    reference = simulate(graph, samples, keep=graph.outputs).outputs
    golden = outputs[:, : reference.shape[1]]
    if reference.shape != golden.shape:
        raise UserError(
            f"{graph.name}: the floating-point model has {reference.shape[2]} outputs, the "
            f"program {golden.shape[2]}; compile it again"
        )
    valid = np.arange(golden.shape[1]) < lengths[:, None]
    spiking = np.concatenate(
        [np.full(program.population(n).size, _spikes(program, n)) for n in program.outputs]
    ).astype(bool)
    figures: dict[str, float | int | None] = {}
    drawn = bool(graph.random & set(graph.outputs))
    if spiking.any() and valid.any() and not drawn:
        a, b = reference[valid][:, spiking] != 0, golden[valid][:, spiking] != 0
        figures["spike_agreement"] = float((a == b).mean())
        figures["spikes_float"], figures["spikes_golden"] = int(a.sum()), int(b.sum())
    if not spiking.all() and valid.any() and not drawn:
        right = reference[valid][:, ~spiking].astype(np.float64)
        error = real_outputs(program, golden)[valid][:, ~spiking] - right
        size = float(np.sqrt((right**2).mean()))
        figures["relative_error"] = float(np.sqrt((error**2).mean())) / max(size, 1e-30)
    if program.readout != "none" and golden.shape[2] > 0 and len(lengths) and lengths.min() > 0:
        a = decide(program.readout, reference, lengths)
        b = decide(program.readout, real_outputs(program, golden), lengths)
        figures["decision_agreement"] = float((a == b).mean())
        if drawn:
            again = simulate(graph, samples, keep=graph.outputs, seed=1).outputs
            other = decide(program.readout, again, lengths)
            figures["float_agreement"] = float((a == other).mean())
        if stimulus.labels is not None:
            figures["accuracy_float"] = float((a == stimulus.labels).mean())
            figures["accuracy_golden"] = float((b == stimulus.labels).mean())
    return Quantisation(**figures)  # type: ignore[arg-type]


def _spikes(program: Program, name: str) -> bool:
    from hdl.params.neuron import Emit

    return bool((program.population(name).fields["emit"] == Emit.SPIKE).all())
