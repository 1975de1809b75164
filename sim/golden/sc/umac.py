"""uMAC: the models of its parts, composed as the parts are."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.umac import UMacParams
from sim.golden.sc.add import ParallelCountModel, ScaledAddModel
from sim.golden.sc.checked import checked
from sim.golden.sc.umul import UMulModel

__all__ = ["UMacModel"]


class UMacModel:
    """Golden twin of `hdl.sc.umac.UMac`."""

    def __init__(self, params: UMacParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} or {"count": int64 [..., length]}.

        Inputs are the packed streams x0, x1, ... and the numbers b0, b1, ... int64 [...].
        """
        p = self.params
        multiply = UMulModel(p.product).run
        products = {
            f"x{k}": multiply(length, inputs[f"x{k}"], inputs[f"b{k}"])["y"]
            for k in range(p.inputs)
        }
        if p.output == "count":
            return ParallelCountModel(p.adder).run(length, **products)  # type: ignore[arg-type]
        return ScaledAddModel(p.adder).run(length, **products)  # type: ignore[arg-type]
