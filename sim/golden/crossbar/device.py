"""The integer device, one at a time, by the equations of hdl/params/crossbar/device.py."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hdl.params.crossbar.array import Pulse
from hdl.params.crossbar.device import FADE, DeviceParams

__all__ = ["Tables", "conduct", "noise", "programmed", "read", "tables_of"]

_FADE = np.array(FADE, dtype=np.int64)
_SET, _WRITE = int(Pulse.SET), int(Pulse.WRITE)


class Tables(NamedTuple):
    """A DeviceParams for compiled code; arrays int64 [128]."""

    cell_bits: int
    write_noise: np.ndarray
    set_step: np.ndarray
    set_noise: np.ndarray
    reset_level: int
    reset_noise: int
    drift_mean: np.ndarray
    drift_sigma: np.ndarray
    read_noise: np.ndarray


def tables_of(p: DeviceParams) -> Tables:
    """The tables of a device."""
    values = (getattr(p, name) for name in Tables._fields)
    return Tables._make(np.array(v, np.int64) if isinstance(v, tuple) else v for v in values)


@njit(cache=True, nogil=True)
def noise(s, z, bits):
    """noise(s, z) of a device of so many `cell_bits`."""
    shift = 20 - bits
    return (s * z + (1 << (shift - 1))) >> shift


@njit(cache=True, nogil=True)
def clip(g, bits):
    return min(max(g, 0), (1 << bits) - 1)


@njit(cache=True, nogil=True)
def conduct(d, g_p, nu, age, z):
    """(h, s) of a device at an age, int64 (log_age, fresh, slow)."""
    g_p, nu = np.int64(g_p), np.int64(nu)
    bits = d.cell_bits
    e = (nu * age[0]) >> 10
    places = 12 + (e >> 8)
    g = (g_p * _FADE[e & 255] + (1 << (places - 1))) >> places
    table = d.read_noise[g_p >> (bits - 7)]
    half = 1 << (bits - 2)
    fresh = min((g * ((table * age[1] + 256) >> 9) + half) >> (bits - 1), 255)
    slow = min((g * ((table * age[2] + 256) >> 9) + half) >> (bits - 1), 255)
    return clip(g + noise(slow, z, bits), bits), fresh


@njit(cache=True, nogil=True)
def programmed(d, kind, level, g_p, z1, z2):
    """(g_p, nu) of a device after a pulse (`kind` of Pulse; `level` of a WRITE)."""
    bits, g_p = d.cell_bits, np.int64(g_p)
    entry = bits - 7
    if kind == _WRITE:
        x = level >> entry
        g_p = clip(level + noise(d.write_noise[x], z1, bits), bits)
    else:
        if kind == _SET:
            x = g_p >> entry
            g_p = clip(g_p + d.set_step[x] + noise(d.set_noise[x], z1, bits), bits)
        else:
            g_p = clip(d.reset_level + noise(d.reset_noise, z1, bits), bits)
        x = g_p >> entry
    return g_p, min(abs(d.drift_mean[x] + ((d.drift_sigma[x] * z2 + 512) >> 10)), 511)


@njit(cache=True, nogil=True)
def read(h, s, z, bits):
    """v of one read."""
    return max(np.int64(h) + noise(np.int64(s), z, bits), 0)
