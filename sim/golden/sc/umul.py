"""uMUL: the k-th one of a meets the k-th number of the sequence."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.umul import UMulParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import pack, unpack
from sim.golden.sc.sobol import points

__all__ = ["UMulModel"]


@njit(cache=True, nogil=True)
def _multiply(a, threshold, numbers, bipolar):  # type: ignore[no-untyped-def]
    y = np.zeros(a.shape, dtype=np.uint8)
    for run in range(a.shape[0]):
        ones = 0
        for t in range(a.shape[1]):
            if a[run, t]:
                y[run, t] = numbers[ones % len(numbers)] < threshold[run]
                ones += 1
            elif bipolar:
                y[run, t] = numbers[(t - ones) % len(numbers)] >= threshold[run]
    return y


class UMulModel:
    """Golden twin of `hdl.sc.umul.UMul`."""

    def __init__(self, params: UMulParams) -> None:
        self.params = params
        period = range(1 << params.width)
        self.numbers = points(params.width, params.dimension, period) ^ params.source.shift

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of a packed stream `a` and numbers `b` int64 [...]."""
        p = self.params
        bits = unpack(a, length)
        bipolar = p.encoding == "bipolar"
        threshold = np.asarray(b, dtype=np.int64) + (1 << (p.width - 1) if bipolar else 0)
        shape = np.broadcast_shapes(bits.shape[:-1], threshold.shape)
        y = _multiply(
            np.broadcast_to(bits, (*shape, length)).reshape(-1, length),
            np.broadcast_to(threshold, shape).reshape(-1),
            self.numbers,
            bipolar,
        )
        return {"y": pack(y.reshape(*shape, length))}
