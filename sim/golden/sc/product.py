"""A binary multiplier: the models of its parts, composed as the parts are."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.product import ProductParams
from sim.golden.sc.checked import checked
from sim.golden.sc.estimate import EstimateModel
from sim.golden.sc.multiply import MultiplyModel
from sim.golden.sc.sng import SngModel
from sim.golden.sc.source import sequence

__all__ = ["ProductModel"]


class ProductModel:
    """Golden twin of `hdl.sc.product.Product`."""

    def __init__(self, params: ProductParams) -> None:
        self.params = params

    @checked
    def run(
        self, length: int, a: np.ndarray, b: np.ndarray, cycles: np.ndarray
    ) -> dict[str, np.ndarray]:
        """{"value": int64 [..., length], "done": words [..., words]} of numbers int64 [...]."""
        p = self.params
        streams = (
            SngModel(p.sng).run(length, value=number, random=sequence(source, length))["y"]
            for number, source in zip((a, b), p.sources, strict=True)
        )
        y = MultiplyModel(p.gate).run(length, *streams)["y"]
        return EstimateModel(p.estimate).run(length, y, cycles)
