"""What quantisation did to a model, by layer and by connection."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LayerReport", "StateReport", "WeightReport"]


@dataclass(frozen=True, kw_only=True)
class WeightReport:
    """One connection.

    node: the linear node(s) it came from. bits: stored width. scale: real value of weight 1
    before the exponent (smallest and largest over neurons are equal unless scales are per neuron).
    exact: the integers reproduce the weights. sqnr_db: signal to quantisation noise of the
    weights, 10 log10(sum w^2 / sum error^2); None if exact or without weights. synapses: nonzero
    integers. density: their share of the full matrix. clipped: weights cut to the largest integer.
    """

    node: str
    source: str
    target: str
    bits: int
    scale: float
    largest_scale: float
    exponent: int
    synapses: int
    density: float
    clipped: int
    exact: bool
    sqnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class StateReport:
    """The states of a layer.

    state_bits, pole_bits, mix_bits: widths of a part of a state, of a pole behind the point, of a
    coefficient (0 without). slowest: largest |a|. pole_error: largest |stored - real| pole.
    least_unit, largest_unit: real value of one unit of a state. fullest: largest state of the
    calibration as a share of its format. mix_sqnr_db: of the coefficients; None if exact.
    """

    states: int
    real: bool
    state_bits: int
    pole_bits: int
    mix_bits: int
    slowest: float
    pole_error: float
    least_unit: float
    largest_unit: float
    fullest: float
    mix_sqnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One population.

    unit: real value of one membrane unit (the smallest over neurons). fraction_bits: membrane bits
    below the weight scale (`shift`). used_bits: width that the calibrated range took with its
    margin. decay_error: largest |stored - real| decay factor of membrane or current.
    rate: spikes per neuron and step in the calibration run of the quantised weights; None of
    layers that send values.
    changes: whether changes of values are sent. table_bits: 0 without a table. states: of a
    state-space layer.
    spike_agreement, accuracy: filled in by who compares with the float model.
    """

    node: str
    kind: str
    size: int
    unit: float
    membrane_bits: int
    used_bits: int
    fraction_bits: int
    current_bits: int
    decay_error: float
    rate: float | None
    weights: tuple[WeightReport, ...] = ()
    changes: bool = False
    table_bits: int = 0
    states: StateReport | None = None
    spike_agreement: float | None = None
    accuracy: float | None = None
