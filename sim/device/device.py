"""A memristive device in real numbers: conductances in uS, times in s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.device.law import Law

__all__ = ["Device"]

Real = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device; devices.toml says what its numbers mean, sim/device/table.py checks them.

    Parameters
    ----------
    name, source : of the device, of its numbers.
    kind : "write" or "pulse".
    g_max, g_min : largest nominal conductance and least one, uS.
    t_0, t_read : s; t_read 0: the read noise does not depend on time.
    laws : by name, of x = g / g_max.
    reset_level, reset_sigma : uS; of kind "pulse".
    """

    name: str
    source: str
    kind: str
    g_max: float
    g_min: float = 0.0
    t_0: float
    t_read: float
    laws: Mapping[str, Law] = field(hash=False)
    reset_level: float = 0.0
    reset_sigma: float = 0.0

    def _law(self, name: str, g: ArrayLike) -> Real:
        return self.laws[name](np.asarray(g, float) / self.g_max)

    def write_sigma(self, g_target: ArrayLike) -> Real:
        """Standard deviation of writing a target, uS."""
        return np.maximum(self._law("write_sigma", g_target), 0)

    def set_step(self, g: ArrayLike) -> Real:
        """Mean change of a conductance by a SET pulse, uS."""
        return self._law("set_step", g)

    def set_sigma(self, g: ArrayLike) -> Real:
        """Standard deviation of that change, uS."""
        return np.maximum(self._law("set_sigma", g), 0)

    def drift_mean(self, g: ArrayLike) -> Real:
        """Mean of the drift exponent, of the target ("write") or the conductance ("pulse")."""
        return np.maximum(self._law("drift_mean", g), 0)

    def drift_sigma(self, g: ArrayLike) -> Real:
        """Standard deviation of the drift exponent."""
        return np.maximum(self._law("drift_sigma", g), 0)

    def read_sigma(self, g_p: ArrayLike) -> Real:
        """Standard deviation of a read of a device that was programmed to g_p, as a share of what
        it conducts, for `growth` 1."""
        return np.maximum(self._law("read_sigma", g_p), 0)

    def growth(self, seconds: ArrayLike) -> Real:
        """sqrt(ln((t + t_read) / (2 t_read))), t = seconds + t_0: how 1/f noise grows with time."""
        t = np.asarray(seconds, float) + self.t_0
        if self.t_read == 0:
            return np.ones_like(t)
        return np.sqrt(np.maximum(np.log((t + self.t_read) / (2 * self.t_read)), 0))
