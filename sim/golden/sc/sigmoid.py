"""The sigmoid, from hdl/params/sc/sigmoid.py."""

from __future__ import annotations

import numpy as np

from sim.golden.sc.fsm import TanhModel

__all__ = ["SigmoidModel"]


class SigmoidModel(TanhModel):
    """Golden twin of `hdl.sc.sigmoid.Sigmoid`."""

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Unipolar value of y in the long run for i.i.d. bits of bipolar value x, -1..1."""
        return (1 + super().expected(x)) / 2
