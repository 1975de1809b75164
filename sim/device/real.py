"""Devices in real numbers: programming, drift and reads as their sources have them, with numpy.

Conductances in uS, times in s since the first read, which is t_0 after programming. A conductance
after a pulse is within g_min..2 g_max (aihwkit has no upper bound; no deviation of its devices
comes near this one).

Faults: an array of the conductance that a device is stuck at, 0 for a dead one, NaN where it works.
What is stuck neither changes nor drifts; its reads are noisy as another's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from sim.device.device import Device

__all__ = ["drift", "faults", "program", "read", "read_series", "reset", "set_pulse"]

Real = NDArray[np.float64]
Rng = np.random.Generator


def faults(
    shape: tuple[int, ...], rng: Rng, stuck: float = 0.0, dead: float = 0.0, level: float = 0.0
) -> Real:
    """Faults of an array: shares of devices that are stuck at `level` (uS), and dead."""
    if not (stuck >= 0 and dead >= 0 and stuck + dead <= 1):
        raise ValueError(f"stuck and dead must be shares of at most 1, not {stuck}, {dead}")
    u = rng.random(shape)
    return np.where(u < dead, 0.0, np.where(u < dead + stuck, level, np.nan))


def _settle(
    device: Device, g: Real, aim: Real, rng: Rng, fixed: ArrayLike | None
) -> tuple[Real, Real]:
    """(g_p, nu) of new conductances; nu goes by `aim`, or by g_p for kind "pulse"."""
    g_p = np.clip(g, device.g_min, 2 * device.g_max)
    at = aim if device.kind == "write" else g_p
    nu = np.abs(device.drift_mean(at) + device.drift_sigma(at) * rng.standard_normal(g_p.shape))
    if fixed is None:
        return g_p, nu
    works = np.isnan(fixed)
    return np.where(works, g_p, fixed), np.where(works, nu, 0.0)


def program(
    device: Device, targets: ArrayLike, rng: Rng, fixed: ArrayLike | None = None
) -> tuple[Real, Real]:
    """(g_p, nu) of devices of kind "write" after one pulse that aims at `targets`."""
    if device.kind != "write":
        raise ValueError(f"device must be of kind 'write', not {device.kind!r}")
    aim = np.asarray(targets, float)
    g = aim + device.write_sigma(aim) * rng.standard_normal(aim.shape)
    return _settle(device, g, aim, rng, fixed)


def set_pulse(
    device: Device, g_p: ArrayLike, rng: Rng, fixed: ArrayLike | None = None
) -> tuple[Real, Real]:
    """(g_p, nu) of devices of kind "pulse" after one SET pulse."""
    if device.kind != "pulse":
        raise ValueError(f"device must be of kind 'pulse', not {device.kind!r}")
    old = np.asarray(g_p, float)
    step = device.set_step(old) + device.set_sigma(old) * rng.standard_normal(old.shape)
    return _settle(device, old + step, old, rng, fixed)


def reset(
    device: Device, shape: tuple[int, ...], rng: Rng, fixed: ArrayLike | None = None
) -> tuple[Real, Real]:
    """(g_p, nu) of devices of kind "pulse" after one RESET pulse."""
    if device.kind != "pulse":
        raise ValueError(f"device must be of kind 'pulse', not {device.kind!r}")
    g = device.reset_level + device.reset_sigma * rng.standard_normal(shape)
    return _settle(device, g, g, rng, fixed)


def drift(device: Device, g_p: ArrayLike, nu: ArrayLike, seconds: float) -> Real:
    """What devices conduct in the mean of their reads: g_p * ((seconds + t_0) / t_0)**-nu."""
    return np.asarray(g_p, float) * ((seconds + device.t_0) / device.t_0) ** -np.asarray(nu, float)


def read(device: Device, g_p: ArrayLike, nu: ArrayLike, seconds: float, rng: Rng) -> Real:
    """One read each, its noise independent of others: aihwkit's model.

    g = max(0, g_d + g_d * read_sigma(g_p) * growth(seconds) * N).
    """
    g = drift(device, g_p, nu, seconds)
    sigma = g * device.read_sigma(g_p) * device.growth(seconds)
    return np.maximum(g + sigma * rng.standard_normal(g.shape), 0.0)


def read_series(
    device: Device,
    g: ArrayLike,
    g_p: ArrayLike,
    seconds: float,
    interval: float,
    count: int,
    rng: Rng,
) -> Real:
    """`count` reads, `interval` s apart, of devices that conduct g; [..., count].

    Their 1/f noise has the variance of `read` for each single one, (g * read_sigma(g_p))**2 * L,
    L = ln((t + t_read) / (2 t_read)), the logarithm of the band from 1 / (t + t_read) to
    1 / (2 t_read) Hz. It is a sum of Ornstein-Uhlenbeck processes, one to an octave of the band (or
    a little less, so that they fill it), each of the same variance, its corner frequency
    1 / (2 pi tau) in the middle of its octave: Lorentzian spectra of log-uniform time constants add
    up to 1/f (McWhorter; van der Ziel, 1950). Each starts at stationarity and is sampled exactly:
    n' = a n + sqrt(1 - a**2) N, a = exp(-interval / tau). t_read 0: white noise.
    """
    g, g_p = np.broadcast_arrays(np.asarray(g, float), np.asarray(g_p, float))
    sigma = (g * device.read_sigma(g_p))[..., None]
    shape = (*g.shape, count)
    if device.t_read == 0:
        return np.maximum(g[..., None] + sigma * rng.standard_normal(shape), 0.0)
    band = float(device.growth(seconds)) ** 2
    octaves = max(int(np.ceil(band / np.log(2))), 1)
    total = np.zeros(shape)
    for k in range(octaves):
        corner = np.exp(-band * (k + 0.5) / octaves) / (2 * device.t_read)
        a = np.exp(-interval * 2 * np.pi * corner)
        kick = rng.standard_normal(shape) * np.sqrt(1 - a * a)
        start = rng.standard_normal((*g.shape, 1)) * a
        total += lfilter([1.0], [1.0, -a], kick, axis=-1, zi=start)[0]
    return np.maximum(g[..., None] + sigma * np.sqrt(band / octaves) * total, 0.0)
