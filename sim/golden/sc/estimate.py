"""From a stream back to a binary number, from the equations in hdl/params/sc/estimate.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.estimate import EstimateParams, MovingAverageParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import pack, unpack

__all__ = ["EstimateModel", "MovingAverageModel"]


def _steps(a: np.ndarray, length: int, encoding: str) -> np.ndarray:
    """What each bit adds: int64 [..., length]."""
    bits = unpack(a, length).astype(np.int64)
    return 2 * bits - 1 if encoding == "bipolar" else bits


class EstimateModel:
    """Golden twin of `hdl.sc.estimate.Estimate`."""

    def __init__(self, params: EstimateParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, cycles: np.ndarray) -> dict[str, np.ndarray]:
        """{"value": int64 [..., length], "done": words [..., words]}.

        Of a packed stream `a` and the numbers of cycles that count, int64 [...].
        """
        limit = np.asarray(cycles, dtype=np.int64)[..., None]
        t = np.arange(length)
        counts = t < limit
        value = np.cumsum(np.where(counts, _steps(a, length, self.params.encoding), 0), axis=-1)
        return {"value": value, "done": pack(t >= limit - 1)}


@njit(cache=True, nogil=True)
def _average(steps, shift, width):  # type: ignore[no-untyped-def]
    value = np.zeros(steps.shape, dtype=np.int64)
    for run in range(steps.shape[0]):
        acc = 0
        for t in range(steps.shape[1]):
            acc = acc - acc // 2**shift + steps[run, t] * 2**width
            value[run, t] = acc // 2**shift
    return value


class MovingAverageModel:
    """Golden twin of `hdl.sc.estimate.MovingAverage`."""

    def __init__(self, params: MovingAverageParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"value": int64 [..., length]} of the packed stream `a`."""
        p = self.params
        steps = _steps(a, length, p.encoding)
        value = _average(steps.reshape(-1, length), p.shift, p.width)
        return {"value": value.reshape(steps.shape)}
