"""Comparison of two streams."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.compare import CompareParams
from sim.golden.sc.checked import checked
from sim.golden.sc.difference import walk
from sim.golden.sc.packed import pack, unpack

__all__ = ["CompareModel"]


class CompareModel:
    """Golden twin of `hdl.sc.compare.Compare`."""

    def __init__(self, params: CompareParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams `a`, `b`."""
        steps = unpack(a, length).astype(np.int64) - unpack(b, length)
        return {"y": pack(walk(steps, -self.params.limit, self.params.limit)[..., 1:] > 0)}
