"""Subtraction and absolute value, from the equations in hdl/params/sc/subtract.py."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.subtract import (
    AbsoluteDifferenceParams,
    AbsoluteValueParams,
    SubtractParams,
)
from sim.golden.sc.add import ScaledAddModel
from sim.golden.sc.checked import checked
from sim.golden.sc.difference import walk
from sim.golden.sc.packed import mask, pack, unpack

__all__ = ["AbsoluteDifferenceModel", "AbsoluteValueModel", "SubtractModel"]


class SubtractModel:
    """Golden twin of `hdl.sc.subtract.Subtract`."""

    def __init__(self, params: SubtractParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams `a`, `b`."""
        return ScaledAddModel(self.params.adder).run(length, x0=a, x1=~b & mask(length))


class AbsoluteDifferenceModel:
    """Golden twin of `hdl.sc.subtract.AbsoluteDifference`."""

    def __init__(self, params: AbsoluteDifferenceParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams `a`, `b`."""
        return {"y": a ^ b}


class AbsoluteValueModel:
    """Golden twin of `hdl.sc.subtract.AbsoluteValue`."""

    def __init__(self, params: AbsoluteValueParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream `a`."""
        bits = unpack(a, length).astype(np.int64)
        sign = np.sign(walk(2 * bits - 1, -self.params.limit, self.params.limit)[..., :-1])
        return {"y": pack(np.where(sign == 0, 1, np.where(sign > 0, bits, 1 - bits)))}
