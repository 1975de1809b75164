"""Early termination, from the equation in hdl/params/sc/progress.py, and the stability metric."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.progress import ProgressParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import pack, unpack

__all__ = ["ProgressModel", "stability"]


class ProgressModel:
    """Golden twin of `hdl.sc.progress.Progress`."""

    def __init__(self, params: ProgressParams) -> None:
        self.params = params

    def checkpoints(self, length: int, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E(k), int64 [..., checkpoints], and stop, int64 [...], of packed streams.

        There are as many checkpoints as fall into `length` bits. stop is the number of the
        checkpoint that ends the stream, n + 1 if it is not among them.
        """
        p = self.params
        passed = min(p.bits + 1, length.bit_length())
        ones = np.cumsum(unpack(a, length), axis=-1, dtype=np.int64)
        k = np.arange(passed)
        estimates = ones[..., (1 << k) - 1] << (p.bits - k)
        ends = k == p.bits
        ends = np.broadcast_to(ends, estimates.shape).copy()
        near = abs(np.diff(estimates, axis=-1)) <= p.tolerance
        ends[..., 1:] |= near & (k[1:] > p.first)
        return estimates, np.where(ends.any(axis=-1), ends.argmax(axis=-1), p.bits + 1)

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"done": words [..., words], "estimate": int64 [..., length]} of the packed stream a."""
        estimates, stop = self.checkpoints(length, a)
        last = np.array([(t + 1).bit_length() - 1 for t in range(length)])
        done = last >= stop[..., None]
        shown = np.minimum(last, np.minimum(stop[..., None], self.params.bits))
        return {"done": pack(done), "estimate": np.take_along_axis(estimates, shown, axis=-1)}


def stability(
    a: np.ndarray,
    length: int,
    value: np.ndarray,
    *,
    threshold: float = 0.05,
    bipolar: bool = False,
) -> np.ndarray:
    """1 - t / length of packed streams that stand for `value`, float64 [...]; 0 is worst.

    t is the number of the last cycle, from 1, after which the mean of the bits so far is off by
    more than `threshold`, at least 1 (UnarySim metric/metric.py, Stability; Wu et al.,
    "Normalized Stability: A Cross-Level Design Metric for Early Termination in Stochastic
    Computing", ASP-DAC 2021).
    """
    cycle = np.arange(1, length + 1)
    mean = np.cumsum(unpack(a, length), axis=-1) / cycle
    mean = 2 * mean - 1 if bipolar else mean
    wrong = abs(mean - np.asarray(value)[..., None]) > threshold
    return 1 - np.maximum(np.where(wrong, cycle, 0).max(axis=-1), 1) / length
