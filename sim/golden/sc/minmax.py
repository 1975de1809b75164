"""Minimum and maximum of two streams, from the table in hdl/params/sc/minmax.py."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.minmax import MaximumParams, MinimumParams
from sim.golden.sc.checked import checked
from sim.golden.sc.difference import walk
from sim.golden.sc.packed import pack, unpack

__all__ = ["MaximumModel", "MinimumModel"]


def _table(
    length: int, a: np.ndarray, b: np.ndarray, limit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bits of a, bits of b, D, each int64 [..., length]."""
    bits_a, bits_b = np.broadcast_arrays(unpack(a, length), unpack(b, length))
    bits_a, bits_b = bits_a.astype(np.int64), bits_b.astype(np.int64)
    return bits_a, bits_b, walk(bits_a - bits_b, -limit, limit)[..., :-1]


class MaximumModel:
    """Golden twin of `hdl.sc.minmax.Maximum`."""

    def __init__(self, params: MaximumParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams `a`, `b`."""
        if not self.params.limit:
            return {"y": a | b}
        x, y, count = _table(length, a, b, self.params.limit)
        return {"y": pack(np.where(x == y, x, np.where(x > y, count >= 0, count <= 0)))}


class MinimumModel:
    """Golden twin of `hdl.sc.minmax.Minimum`."""

    def __init__(self, params: MinimumParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams `a`, `b`."""
        if not self.params.limit:
            return {"y": a & b}
        x, y, count = _table(length, a, b, self.params.limit)
        return {"y": pack(np.where(x == y, x, np.where(x > y, count < 0, count > 0)))}
