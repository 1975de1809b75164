"""The square root by bit insertion, from the equation in hdl/params/sc/sqrt.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.sqrt import SquareRootParams
from sim.golden.sc.batch import rows
from sim.golden.sc.checked import checked

__all__ = ["SquareRootModel"]


@njit(cache=True, nogil=True)
def _root(a, index, length, depth, y):  # type: ignore[no-untyped-def]
    past = np.empty(depth + length, np.uint8)
    for k in range(depth):
        past[depth - 1 - k] = (k + 1) % 2
    for run in range(a.shape[0]):
        owed = insert = 0
        for t in range(length):
            bit = np.int64((a[run, t >> 6] >> np.uint64(t & 63)) & np.uint64(1))
            total = owed + insert + bit
            new = 1 if total >= 1 else 0
            owed = total - new
            insert = new & (1 - past[depth + t - 1 - index[run, t % index.shape[1]]])
            past[depth + t] = new
            y[run, t >> 6] |= np.uint64(new) << np.uint64(t & 63)


class SquareRootModel:
    """Golden twin of `hdl.sc.sqrt.SquareRoot`."""

    def __init__(self, params: SquareRootParams) -> None:
        self.params = params

    @checked
    def run(
        self, length: int, a: np.ndarray, index: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream a and index, int64 [..., length].

        Without an index (depth 1) it looks at the last bit.
        """
        index = np.zeros(1, dtype=np.int64) if index is None else index
        batch, (a, index) = rows(a, index)
        y = np.zeros_like(a)
        _root(a, index, length, self.params.depth, y)
        return {"y": y.reshape(*batch, -1)}
