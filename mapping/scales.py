"""Scales of integer weights: exact recovery of trained grids, least-squares search otherwise.

A weight w becomes the integer k = clip(round(w / s), low, high); `s` is found per group (a layer,
or a neuron). Three rules, in this order:

1. Exact. If s exists with every w / s within float32 rounding of an integer in range, the largest
   such s is taken and refined by least squares, s = sum(w k) / sum(k^2): a model that was trained
   with integer weights keeps exactly these integers.
2. Binary (k = -1, +1): s = mean |w|, the least-squares answer.
3. Otherwise the s with the smallest squared error over a grid of clipping ratios, refined by
   alternating rounding and least squares (Lloyd 1982; for k in -1, 0, +1 the fixed points are
   those of ternary weight networks, arXiv 1605.04711). With clip "max" nothing is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Flat", "exact_scale", "integers", "integer_range", "scales", "squared_error"]

#: A ratio of two float32 numbers that are exact multiples of one scale is off by a few 2**-24.
NOISE = 2.0**-19
#: Entries beyond this number are sampled evenly during a search (never in the final rounding).
SAMPLE = 1 << 16
ODD = tuple(range(1, 16, 2))


def integer_range(bits: int, ternary: bool = False) -> tuple[int, int]:
    """Lowest and highest integer of a weight: 1 bit is -1 and +1, ternary -1, 0 and +1."""
    if bits == 1 or ternary:
        return -1, 1
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class Flat:
    """Nonzero weights in one list. value, low, high: float [n]; group: int [n] < groups."""

    value: np.ndarray
    group: np.ndarray
    groups: int
    low: np.ndarray
    high: np.ndarray
    binary: bool = False

    def take(self, where: np.ndarray, one_group: bool = False) -> Flat:
        """The entries selected by `where` (index or mask)."""
        group = np.zeros(len(self.value[where]), int) if one_group else self.group[where]
        return Flat(
            self.value[where],
            group,
            1 if one_group else self.groups,
            self.low[where],
            self.high[where],
            self.binary,
        )


def integers(flat: Flat, scale: np.ndarray) -> np.ndarray:
    """The integers [n] of the weights for a scale per group [groups]."""
    if flat.binary:
        return np.where(flat.value < 0, -1.0, 1.0)
    return np.clip(np.rint(flat.value / scale[flat.group]), flat.low, flat.high)


def squared_error(flat: Flat, scale: np.ndarray) -> np.ndarray:
    """Squared error per group [groups]."""
    error = flat.value - integers(flat, scale) * scale[flat.group]
    return np.bincount(flat.group, error * error, flat.groups)


def _tightest(flat: Flat) -> np.ndarray:
    """The smallest scale per group that clips nothing; 1 for a group without weights."""
    need = np.where(flat.value < 0, flat.value / flat.low, flat.value / flat.high)
    top = np.zeros(flat.groups)
    np.maximum.at(top, flat.group, need)
    return np.where(top > 0, top, 1.0)


def exact_scale(flat: Flat) -> float | None:
    """The largest scale of which all weights (as one group) are integer multiples, or None."""
    value = flat.value
    if not len(value):
        return None
    top = int(np.argmax(np.abs(value)))
    most = -flat.low[top] if value[top] < 0 else flat.high[top]
    count = np.arange(1.0, most + 1)
    probe = np.linspace(0, len(value) - 1, min(len(value), 64)).astype(int)
    ratio = value / abs(value[top])

    def fits(x: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
        k = np.rint(x)
        return (
            (np.abs(x - k) <= NOISE * np.maximum(np.abs(k), 1))
            & (k != 0)
            & (k >= low)
            & (k <= high)
        )

    for i in probe:
        count = count[fits(count * ratio[i], flat.low[i], flat.high[i])]
        if not len(count):
            return None
    for c in count:
        if fits(c * ratio, flat.low, flat.high).all():
            k = np.rint(c * ratio)
            return float((value * k).sum() / (k * k).sum())
    return None


def _search(flat: Flat, clip: str) -> np.ndarray:
    """The least-squares scale per group [groups]."""
    if flat.binary:
        size = np.maximum(np.bincount(flat.group, minlength=flat.groups), 1)
        mean = np.bincount(flat.group, np.abs(flat.value), flat.groups) / size
        return np.where(mean > 0, mean, 1.0)
    top = _tightest(flat)
    if clip == "max":
        return top
    if len(flat.value) > SAMPLE and flat.groups == 1:
        flat = flat.take(np.linspace(0, len(flat.value) - 1, SAMPLE).astype(int))
    few = bool(len(flat.high)) and flat.high.max() <= 1
    best, least = top, squared_error(flat, top)
    tries = 64 if flat.groups == 1 else 24
    for ratio in np.linspace(0.05 if few else 0.25, 1.0, tries, endpoint=False):
        error = squared_error(flat, top * ratio)
        better = error < least
        best, least = np.where(better, top * ratio, best), np.where(better, error, least)
    for _ in range(8):
        k = integers(flat, best)
        size = np.bincount(flat.group, k * k, flat.groups)
        fit = np.bincount(flat.group, k * flat.value, flat.groups) / np.where(size > 0, size, 1)
        fit = np.where(fit > 0, fit, best)
        error = squared_error(flat, fit)
        better = error < least
        if not better.any():
            break
        best, least = np.where(better, fit, best), np.where(better, error, least)
    return best


def scales(flat: Flat, clip: str = "mse") -> tuple[np.ndarray, np.ndarray]:
    """Scale per group [groups] and whether it was recovered exactly [groups] (see the module)."""
    if flat.groups == 1:
        exact = exact_scale(flat)
        if exact is not None:
            return np.array([exact]), np.array([True])
        return _search(flat, clip), np.array([False])
    order = np.argsort(flat.group, kind="stable")
    starts = np.searchsorted(flat.group[order], np.arange(flat.groups + 1))
    found = np.full(flat.groups, np.nan)
    for g in range(flat.groups):
        exact = exact_scale(flat.take(order[starts[g] : starts[g + 1]], one_group=True))
        found[g] = np.nan if exact is None else exact
    is_exact = ~np.isnan(found)
    if is_exact.all():
        return found, is_exact
    return np.where(is_exact, found, _search(flat, clip)), is_exact
