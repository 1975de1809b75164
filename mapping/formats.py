"""Fixed-point formats: from real thresholds, decays and ranges to integers and widths.

A membrane counts in units u = s * 2**-shift, s the layer's weight scale (mapping/scales.py).

Threshold. For integer v, v*u > thr is v > floor(thr/u), and v*u >= thr is v > ceil(thr/u) - 1. A
quotient within float32 rounding of an integer is taken to be that integer.

Decay. round(f * 2**D); f < 1 never becomes 1. "shift": the nearest 1 - 2**-k.

Shift. What integers do wrong in one step is at most

    e = u/2                       if the membrane's decay rounds (it is neither 0 nor 1)
      + u/2 * gain(current_decay) if the current's decay rounds
      + what the bias and a subtracted threshold are off by when they are rounded to u

and it adds up to e * gain(membrane_decay), gain(f) = min(1/(1-f), steps). This is also the level
at which a decaying state gets stuck under rounding. `shift` is the least that keeps it beneath
2**-7 of the threshold (spiking; thresholds below 1/16 of the layer's range count as that) or
2**-10 of the layer's range (values), as long as the membrane stays within 24 bits.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np

from hdl.params.errors import UserError
from mapping.graph import Layer

__all__ = ["CAP", "MARGIN", "bits_needed", "choose_shift", "decay_integers", "nearest",
           "spread", "threshold_integer", "threshold_integers"]  # fmt: skip

#: Formats hold this many times the calibrated range.
MARGIN = 2.0
#: Automatic fraction bits stop where the membrane would get wider than this.
CAP = 24
SPIKE_TOLERANCE = 2.0**-7
VALUE_TOLERANCE = 2.0**-10
NOISE = 2.0**-22


def nearest(x: np.ndarray) -> np.ndarray:
    """Nearest integers, halves up."""
    return np.floor(np.asarray(x, float) + 0.5)


def threshold_integer(threshold: float, unit: float, compare: str = ">") -> int:
    """The t with: v > t if and only if v*unit `compare` threshold, for every integer v."""
    quotient = Fraction(threshold) / Fraction(unit)
    return floor(quotient) if compare == ">" else ceil(quotient) - 1


def threshold_integers(threshold: np.ndarray, unit: np.ndarray, compare: str) -> np.ndarray:
    """`threshold_integer` per neuron [size], quotients snapped; float64 (may be infinite)."""
    pairs, back = np.unique(np.stack([threshold, unit]), axis=1, return_inverse=True)
    result = np.empty(pairs.shape[1])
    for i, (t, u) in enumerate(pairs.T):
        if np.isinf(t):
            result[i] = t
            continue
        k = round(t / u)
        if abs(t / u - k) <= NOISE * max(abs(k), 1):
            result[i] = k if compare == ">" else k - 1
        else:
            result[i] = threshold_integer(t, u, compare)
    return result[back.reshape(-1)]


def decay_integers(decay: np.ndarray, bits: int, kind: str, node: str) -> np.ndarray:
    """Decay factors in 0..1 as integers of `bits` fraction bits [size]."""
    decay = np.asarray(decay, float)
    if not ((decay >= 0) & (decay <= 1)).all():
        bad = decay[~((decay >= 0) & (decay <= 1))][0]
        raise UserError(
            f"{node}: decay {bad:g} is outside 0..1; choose dt smaller than the time constant"
        )
    one = 1 << bits
    if kind == "shift":
        steps = np.array([one - (one >> k) for k in range(bits + 1)], float)
        whole = steps[np.abs(decay[..., None] * one - steps).argmin(-1)]
        return np.where(decay == 1, one, whole).astype(np.int64)
    whole = nearest(decay * one)
    return np.where(decay == 1, one, np.minimum(whole, one - 1)).astype(np.int64)


def bits_needed(low: float, high: float) -> int:
    """Width of a two's complement word that holds `low` and `high`, at least 2."""
    top = max(int(np.ceil(high)), -int(np.floor(low)) - 1, 1)
    return top.bit_length() + 1


def _gain(decay: np.ndarray, steps: int) -> np.ndarray:
    return np.minimum(1 / np.maximum(1 - decay, 1e-30), steps)


def spread(layer: Layer, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The real values [size] that the membrane format must hold, given the calibrated range."""
    low, high = MARGIN * np.minimum(low, 0), MARGIN * np.maximum(high, 0)
    values = [layer.bias]
    if layer.spiking:
        values += [layer.reset_value, MARGIN * layer.threshold]
    for value in values:
        value = np.where(np.isfinite(value), value, 0)
        low, high = np.minimum(low, value), np.maximum(high, value)
    return low, high


def choose_shift(
    layer: Layer, scale: np.ndarray, low: np.ndarray, high: np.ndarray, steps: int, cap: int
) -> tuple[int, bool]:
    """(`shift`, whether the width kept it below the rule's); low, high: calibrated range [size]."""

    def rounds(decay: np.ndarray) -> np.ndarray:
        return (decay > 0) & (decay < 1)

    full = float(max(np.abs(low).max(), np.abs(high).max(), 0.0))
    if layer.spiking and layer.winners is None:
        threshold = np.where(np.isfinite(layer.threshold), np.abs(layer.threshold), 0)
        allowed = SPIKE_TOLERANCE * np.maximum(threshold, full / 16)
    else:
        allowed = np.full(layer.size, VALUE_TOLERANCE * full)
    gain = _gain(layer.membrane_decay, steps)
    subtract = layer.spiking and layer.reset != "set"
    wide_low, wide_high = spread(layer, low, high)
    for shift in range(16):
        unit = scale * 2.0**-shift
        wider = scale * 2.0 ** -(shift + 1)
        error = unit / 2 * rounds(layer.membrane_decay)
        if layer.has_current:
            current = _gain(layer.current_decay, steps)
            error = error + unit / 2 * rounds(layer.current_decay) * current
        error = error + np.abs(layer.bias - unit * nearest(layer.bias / unit))
        error = error * gain
        if layer.spiking:
            lost = np.abs(layer.reset_value - unit * nearest(layer.reset_value / unit))
            error = error + lost * (gain if subtract else 1)
        noise = NOISE * (np.abs(layer.bias) * gain + full)
        if (error <= np.maximum(allowed, noise)).all() or shift == 15:
            return shift, False
        if bits_needed((wide_low / wider).min(), (wide_high / wider).max()) > cap:
            return shift, True
    raise AssertionError("unreachable")
