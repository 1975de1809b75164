"""The integer device in plain numpy: the equations of hdl/params/crossbar/device.py for statistics.

Draws have the law of the hardware's, a sum of four bytes, but come from numpy. The bit-exact twin
is in sim/golden.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdl.params.crossbar.device import FADE, NU_BITS, Age, DeviceParams

__all__ = ["conduct", "draws", "noise", "program", "read", "reset", "set_pulse"]

Integers = NDArray[np.int64]


def draws(rng: np.random.Generator, shape: tuple[int, ...]) -> Integers:
    """z: u - u + u - u of four bytes."""
    u = rng.integers(0, 256, (4, *shape), dtype=np.int64)
    return u[0] - u[1] + u[2] - u[3]


def noise(params: DeviceParams, s: ArrayLike, z: Integers) -> Integers:
    shift = params.noise_shift
    return (np.asarray(s, np.int64) * z + (1 << shift - 1)) >> shift


def _clip(params: DeviceParams, g: Integers) -> Integers:
    return np.clip(g, 0, (1 << params.cell_bits) - 1)


def _at(params: DeviceParams, table: tuple[int, ...], g: Integers) -> Integers:
    return np.asarray(table, np.int64)[g >> (params.cell_bits - 7)]


def _exponent(params: DeviceParams, g: Integers, rng: np.random.Generator) -> Integers:
    spread = (_at(params, params.drift_sigma, g) * draws(rng, g.shape) + (1 << 9)) >> 10
    return np.minimum(np.abs(_at(params, params.drift_mean, g) + spread), (1 << NU_BITS) - 1)


def program(
    params: DeviceParams, level: ArrayLike, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """(g_p, nu) after one WRITE pulse each."""
    aim = np.asarray(level, np.int64)
    sigma = _at(params, params.write_noise, aim)
    g_p = _clip(params, aim + noise(params, sigma, draws(rng, aim.shape)))
    return g_p, _exponent(params, aim, rng)


def set_pulse(
    params: DeviceParams, g_p: ArrayLike, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """(g_p, nu) after one SET pulse each."""
    old = np.asarray(g_p, np.int64)
    sigma = _at(params, params.set_noise, old)
    step = _at(params, params.set_step, old) + noise(params, sigma, draws(rng, old.shape))
    new = _clip(params, old + step)
    return new, _exponent(params, new, rng)


def reset(
    params: DeviceParams, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """(g_p, nu) after one RESET pulse each."""
    spread = noise(params, params.reset_noise, draws(rng, shape))
    new = _clip(params, params.reset_level + spread)
    return new, _exponent(params, new, rng)


def conduct(
    params: DeviceParams, g_p: ArrayLike, nu: ArrayLike, age: Age, z: ArrayLike = 0
) -> tuple[Integers, Integers]:
    """(h, s): what devices conduct at an age with slow draws z, and their read noise."""
    g_p, b = np.asarray(g_p, np.int64), params.cell_bits
    e = (np.asarray(nu, np.int64) * age.log_age) >> 10
    fade, shift = np.asarray(FADE, np.int64)[e & 255], 12 + (e >> 8)
    g = (g_p * fade + (np.int64(1) << (shift - 1))) >> shift
    relative = _at(params, params.read_noise, g_p)

    def sigma(w: int) -> Integers:
        wide = g * ((relative * w + (1 << 8)) >> 9)
        return np.minimum((wide + (1 << (b - 2))) >> (b - 1), 255)

    h = _clip(params, g + noise(params, sigma(age.slow), np.asarray(z, np.int64)))
    return h, sigma(age.fresh)


def read(params: DeviceParams, h: Integers, s: Integers, rng: np.random.Generator) -> Integers:
    """v of one read each."""
    return np.maximum(h + noise(params, s, draws(rng, np.broadcast(h, s).shape)), 0)
