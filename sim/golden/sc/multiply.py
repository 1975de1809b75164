"""Multiplication by one gate, 64 cycles in one operation."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.multiply import MultiplyParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import mask

__all__ = ["MultiplyModel"]


class MultiplyModel:
    """Golden twin of `hdl.sc.multiply.Multiply`."""

    def __init__(self, params: MultiplyParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams `a`, `b`."""
        if self.params.encoding == "unipolar":
            return {"y": a & b}
        return {"y": ~(a ^ b) & mask(length)}
