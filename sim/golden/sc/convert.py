"""Conversion between unipolar and bipolar streams."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.convert import ToBipolarParams, ToUnipolarParams
from sim.golden.sc.add import ScaledAddModel
from sim.golden.sc.checked import checked
from sim.golden.sc.difference import walk
from sim.golden.sc.packed import mask, pack, unpack

__all__ = ["ToBipolarModel", "ToUnipolarModel"]


class ToBipolarModel:
    """Golden twin of `hdl.sc.convert.ToBipolar`."""

    def __init__(self, params: ToBipolarParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream `a`."""
        return ScaledAddModel(self.params.adder).run(length, x0=a, x1=mask(length))


class ToUnipolarModel:
    """Golden twin of `hdl.sc.convert.ToUnipolar`."""

    def __init__(self, params: ToUnipolarParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed stream `a`."""
        bits = unpack(a, length).astype(np.int64)
        acc = walk(2 * bits - 1, -self.params.limit, 0)[..., :-1]
        return {"y": pack(bits & (acc == 0))}
