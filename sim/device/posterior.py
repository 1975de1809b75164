"""Bernoulli posteriors from thresholded reads: P(weight is +1) = P(g + read noise > threshold).

Bayes2IMC (arXiv 2411.07902) draws binary weights from the noise of PCM; here a weight is one device
and a comparison. In real numbers the target of p is g = threshold + s(g) * PhiInv(p), s(g) being
the standard deviation of a read, found by bisection as s depends on g. In integers the probability
is exact: the law of a draw is that of a sum of four bytes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from hdl.params.crossbar.device import Age, DeviceParams
from hdl.params.errors import UserError
from sim.device.device import Device
from sim.device.emulate import conduct
from sim.device.integer import age, tables

__all__ = [
    "LEAST_CHANCE",
    "chance",
    "chance_of",
    "level_of",
    "probability_of",
    "target_of",
    "threshold_at",
]

Real = NDArray[np.float64]

#: Probabilities are clipped to LEAST_CHANCE..1 - LEAST_CHANCE: 3.1 standard deviations.
LEAST_CHANCE = 2.0**-10
#: Largest draw.
MOST = 510


def threshold_at(device: Device, threshold: ArrayLike, seconds: float) -> Real:
    """A threshold scaled as a device programmed to it drifts in the mean; uS."""
    g = np.asarray(threshold, float)
    return g * ((seconds + device.t_0) / device.t_0) ** -device.drift_mean(g)


def probability_of(
    device: Device, g_p: ArrayLike, nu: ArrayLike, threshold: ArrayLike, seconds: float
) -> Real:
    """Probability that an i.i.d. read at `seconds` is above the threshold (uS)."""
    g_p = np.asarray(g_p, float)
    g = g_p * ((seconds + device.t_0) / device.t_0) ** -np.asarray(nu, float)
    over = g - np.asarray(threshold, float)
    sigma = g * device.read_sigma(g_p) * device.growth(seconds)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sigma > 0, ndtr(over / sigma), (over > 0).astype(float))


def _clipped(p: ArrayLike) -> Real:
    p = np.asarray(p, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise UserError("probabilities must be in 0..1; mend the posterior")
    return np.clip(p, LEAST_CHANCE, 1 - LEAST_CHANCE)


def target_of(device: Device, p: ArrayLike, threshold: ArrayLike, seconds: float = 0.0) -> Real:
    """The conductance (uS) whose reads at `seconds`, drifted with the mean exponent, are above the
    threshold with probability p, clipped to LEAST_CHANCE..1 - LEAST_CHANCE.

    UserError if p is no probability, or no target in 0..g_max has it.
    """
    aim, line = np.broadcast_arrays(_clipped(p), np.asarray(threshold, float))
    low, high = np.zeros(aim.shape), np.full(aim.shape, device.g_max)

    def chance_at(g: Real) -> Real:
        return probability_of(device, g, device.drift_mean(g), line, seconds)

    short = (chance_at(low) > aim) | (chance_at(high) < aim)
    if short.any():
        raise UserError(
            f"device '{device.name}': no target up to {device.g_max:g} uS is above a "
            f"threshold of {line[short].flat[0]:g} uS with probability "
            f"{aim[short].flat[0]:g}; change the threshold"
        )
    for _ in range(60):
        middle = (low + high) / 2
        above = chance_at(middle) > aim
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


@cache
def _tail() -> Real:
    """P(z >= k - MOST), k = 0..2 MOST + 1: exact, a count over 256**4."""
    one = np.ones(256, dtype=np.int64)
    four = np.convolve(np.convolve(one, one), np.convolve(one, one))
    return np.append(np.cumsum(four[::-1])[::-1], 0) / 256.0**4


def chance(params: DeviceParams, h: ArrayLike, s: ArrayLike, reference: ArrayLike) -> Real:
    """Exact probability that max(0, h + noise(s, z)) is above the reference (integers, >= 0)."""
    h, s = np.asarray(h, np.int64), np.asarray(s, np.int64)
    shift = params.noise_shift
    # (s z + half) >> shift >= d holds from z = ceil(((d << shift) - half) / s) on.
    need = ((np.asarray(reference, np.int64) + 1 - h) << shift) - (1 << shift - 1)
    least = np.clip(-(-need // np.maximum(s, 1)), -MOST, MOST + 1)
    return np.where(s > 0, _tail()[least + MOST], (need <= 0).astype(float))


def chance_of(
    params: DeviceParams, g_p: ArrayLike, nu: ArrayLike, age: Age, reference: ArrayLike
) -> Real:
    """Exact probability of devices (g_p, nu) at an age, over fresh draws and slow ones."""
    if age.slow == 0:
        return chance(params, *conduct(params, g_p, nu, age), reference)
    law = -np.diff(_tail())
    total = np.zeros(np.broadcast(g_p, nu, reference).shape)
    for z, share in zip(range(-MOST, MOST + 1), law, strict=True):
        total += share * chance(params, *conduct(params, g_p, nu, age, z), reference)
    return total


def level_of(
    device: Device,
    p: ArrayLike,
    reference: int,
    seconds: float = 0.0,
    *,
    cell_bits: int,
    correlated: bool = False,
    interval: float = 1e-6,
) -> NDArray[np.int64]:
    """The level up to g_max whose exact probability with the mean exponent is nearest to p (units).

    p is clipped as in `target_of`. Where several levels are as near, the lowest.
    """
    params = tables(device, cell_bits)
    levels = np.arange(params.full_scale + 1)
    nu = np.asarray(params.drift_mean, np.int64)[levels >> (cell_bits - 7)]
    clock = age(device, seconds, correlated, interval)
    known = chance_of(params, levels, nu, clock, reference)
    aim = _clipped(p)
    order = np.argsort(known, kind="stable")
    ranked = known[order]
    right = np.clip(np.searchsorted(ranked, aim), 0, len(ranked) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(np.abs(ranked[left] - aim) <= np.abs(ranked[right] - aim), left, right)
    first = np.searchsorted(ranked, ranked[nearer])
    return order[first]
