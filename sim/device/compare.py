"""A device in integers against the same device in real numbers: means, deviations, KS distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.device import emulate, real
from sim.device.device import Device
from sim.device.integer import age, tables, to_microsiemens, to_units

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One read of many devices, uS.

    Parameters
    ----------
    mean, sigma : in real numbers.
    integer_mean, integer_sigma : in integers.
    distance : Kolmogorov-Smirnov, of the integers and the real numbers rounded to units.
    """

    mean: float
    sigma: float
    integer_mean: float
    integer_sigma: float
    distance: float


def compare(
    device: Device, x: float, seconds: float, *, cell_bits: int = 10, samples: int, seed: int
) -> Comparison:
    """Both after one pulse, read once at `seconds` with independent noise.

    The pulse is a WRITE that aims at x * g_max (rounded to units, for both), or a SET pulse of
    devices that stand there.
    """
    rng = np.random.default_rng(seed)
    params = tables(device, cell_bits)
    level = np.full(samples, to_units(device, x * device.g_max, cell_bits))
    start = to_microsiemens(device, level, cell_bits)
    if device.kind == "write":
        g_p, nu = real.program(device, start, rng)
        g_units, nu_units = emulate.program(params, level, rng)
    else:
        g_p, nu = real.set_pulse(device, start, rng)
        g_units, nu_units = emulate.set_pulse(params, level, rng)
    g = real.read(device, g_p, nu, seconds, rng)
    h, s = emulate.conduct(params, g_units, nu_units, age(device, seconds))
    v = emulate.read(params, h, s, rng)
    counts = [
        np.bincount(k, minlength=1 << cell_bits + 2)
        for k in (np.rint(g / to_microsiemens(device, 1, cell_bits)).astype(np.int64), v)
    ]
    ours = to_microsiemens(device, v, cell_bits)
    return Comparison(
        mean=float(g.mean()),
        sigma=float(g.std()),
        integer_mean=float(ours.mean()),
        integer_sigma=float(ours.std()),
        distance=float(np.abs(np.cumsum(counts[0] - counts[1])).max() / samples),
    )
