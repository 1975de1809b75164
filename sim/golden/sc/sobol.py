"""Sobol's sequence, each point from its own index: a product of bits with a matrix modulo 2."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.sobol import SobolParams, directions
from sim.golden.sc.checked import checked

__all__ = ["SobolModel", "points"]


def points(width: int, dimension: int, t: np.ndarray | range, order: str = "natural") -> np.ndarray:
    """Points number t (any shape, not negative) of a dimension, int64, the same shape.

    They are in 0..2**width - 1; the sequence repeats after 2**width points.
    """
    index = np.asarray(t, dtype=np.int64) & ((1 << width) - 1)
    if order == "gray":
        index = index ^ (index >> 1)
    point = np.zeros_like(index)
    for k, direction in enumerate(directions(width, dimension)):
        point ^= -((index >> k) & 1) & direction
    return point


class SobolModel:
    """Golden twin of `hdl.sc.sobol.Sobol`."""

    def __init__(self, params: SobolParams) -> None:
        self.params = params

    @checked
    def run(self, length: int) -> dict[str, np.ndarray]:
        """The first `length` numbers: {"value": int64 [length]}."""
        p = self.params
        value = points(p.width, p.dimension, range(length), p.order) ^ p.shift
        return {"value": value ^ ((1 << p.width) - 1) if p.invert else value}
