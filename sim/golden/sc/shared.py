"""One LFSR that feeds several lanes."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.shared import SharedLfsrParams
from sim.golden.sc.checked import checked
from sim.golden.sc.lfsr import LfsrModel

__all__ = ["SharedLfsrModel"]


class SharedLfsrModel:
    """Golden twin of `hdl.sc.shared.SharedLfsr`."""

    def __init__(self, params: SharedLfsrParams) -> None:
        self.params = params

    @checked
    def run(self, length: int) -> dict[str, np.ndarray]:
        """The first `length` numbers of each lane: {"value_<k>": int64 [length]}."""
        p = self.params
        state = LfsrModel(p.lfsr).run(length)["value"]
        lanes = {}
        for k, order in enumerate(p.orders):
            value = np.zeros(length, dtype=np.int64)
            for place in order:  # Horner: the top bit first
                value = value * 2 + (state >> (p.width - 1 - place)) % 2
            odd = p.invert and k % 2
            lanes[f"value_{k}"] = (1 << p.width) - 1 - value if odd else value
        return lanes
