"""The divider of correlated streams, from the equation in hdl/params/sc/divide.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.divide import DivideParams
from sim.golden.sc.batch import rows
from sim.golden.sc.checked import checked
from sim.golden.sc.synchronise import SkewSynchroniseModel

__all__ = ["DivideModel"]


@njit(cache=True, nogil=True)
def _divide(dividend, divisor, index, length, depth, y):  # type: ignore[no-untyped-def]
    history = np.empty(depth + length, np.uint64)
    for run in range(dividend.shape[0]):
        for k in range(depth):
            history[depth - 1 - k] = k % 2
        newest = depth - 1
        for t in range(length):
            word, place = t >> 6, np.uint64(t & 63)
            if (divisor[run, word] >> place) & np.uint64(1):
                newest += 1
                history[newest] = (dividend[run, word] >> place) & np.uint64(1)
                bit = history[newest]
            else:
                bit = history[newest - index[run, t % index.shape[1]]]
            y[run, word] |= bit << place


class DivideModel:
    """Golden twin of `hdl.sc.divide.Divide`."""

    def __init__(self, params: DivideParams) -> None:
        self.params = params

    @checked
    def run(
        self,
        length: int,
        dividend: np.ndarray,
        divisor: np.ndarray,
        index: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of packed streams and index, int64 [..., length].

        Without an index (depth 1) the last bit is repeated.
        """
        p = self.params
        if p.synchronise:
            unit = SkewSynchroniseModel(p.synchroniser)
            dividend = unit.run(length, dividend, divisor)["y"]
        index = np.zeros(1, dtype=np.int64) if index is None else index
        batch, (x, d, k) = rows(dividend, divisor, index)
        y = np.zeros_like(x)
        _divide(x, d, k, length, p.depth, y)
        return {"y": y.reshape(*batch, -1)}
