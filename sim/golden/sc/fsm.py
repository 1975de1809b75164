"""Functions by saturating counters and their exact laws, from hdl/params/sc/fsm.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.fsm import ExponentialParams, ReluParams, TanhParams
from sim.golden.sc.batch import rows
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import mask

__all__ = ["ExponentialModel", "ReluModel", "TanhModel"]


@njit(cache=True, nogil=True)
def _walk(a, length, states, threshold, y):  # type: ignore[no-untyped-def]
    for run in range(a.shape[0]):
        s = states // 2
        for t in range(length):
            word, place = t >> 6, np.uint64(t & 63)
            y[run, word] |= np.uint64(s >= threshold) << place
            if (a[run, word] >> place) & np.uint64(1):
                s = min(states - 1, s + 1)
            else:
                s = max(0, s - 1)


def walk(a: np.ndarray, length: int, states: int, threshold: int) -> np.ndarray:
    """The packed stream s(t) >= threshold, for s that counts up and down with a."""
    batch, (a,) = rows(a)
    y = np.zeros_like(a)
    _walk(a, length, states, threshold, y)
    return y.reshape(*batch, -1)


def _ratio(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and the odds of its rarer bit to the other, both float64."""
    x = np.asarray(x, dtype=np.float64)
    return x, (1 - abs(x)) / (1 + abs(x))


class TanhModel:
    """Golden twin of `hdl.sc.fsm.Tanh`."""

    def __init__(self, params: TanhParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream a."""
        return {"y": walk(a, length, self.params.states, self.params.states // 2)}

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Bipolar value of y in the long run for i.i.d. bits of bipolar value x, -1..1."""
        x, m = _ratio(x)
        power = m ** (self.params.states // 2)
        return np.sign(x) * (1 - power) / (1 + power)


class ExponentialModel:
    """Golden twin of `hdl.sc.fsm.Exponential`."""

    def __init__(self, params: ExponentialParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream a."""
        p = self.params
        return {"y": ~walk(a, length, p.states, p.states - p.gain) & mask(length)}

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Unipolar value of y in the long run for i.i.d. bits of bipolar value x, -1..1."""
        p = self.params
        x, m = _ratio(x)
        whole = np.where(m < 1, 1 - m**p.states, 1)
        share = np.where(m < 1, 1 - m ** (p.states - p.gain), 1 - p.gain / p.states) / whole
        return np.where(x > 0, m**p.gain * share, share)


@njit(cache=True, nogil=True)
def _rectify(a, length, states, y):  # type: ignore[no-untyped-def]
    for run in range(a.shape[0]):
        s = 1
        for t in range(length):
            word, place = t >> 6, np.uint64(t & 63)
            bit = (a[run, word] >> place) & np.uint64(1)
            if s == 0:
                bit = np.uint64(1)
            s = min(states - 1, s + 1) if bit else s - 1
            y[run, word] |= bit << place


class ReluModel:
    """Golden twin of `hdl.sc.fsm.Relu`."""

    def __init__(self, params: ReluParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream a."""
        batch, (a,) = rows(a)
        y = np.zeros_like(a)
        _rectify(a, length, self.params.states, y)
        return {"y": y.reshape(*batch, -1)}

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Bipolar value of y in the long run for i.i.d. bits of bipolar value x, -1..1."""
        top = self.params.states - 1
        x, m = _ratio(x)
        power = m**top
        # Probability of state 0, for x > 0 and x < 0; r**top is 1 / power and power.
        above = x * power / np.where(x > 0, x * power + 1 - power, 1)
        below = x / np.where(x < 0, x + power - 1, 1)
        zero = np.where(x > 0, above, np.where(x < 0, below, 1 / (1 + 2 * top)))
        return x + (1 - x) * zero
