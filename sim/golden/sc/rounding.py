"""Stochastic rounding, from its counting definition."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.rounding import StochasticRoundParams
from sim.golden.sc.checked import checked

__all__ = ["StochasticRoundModel"]


class StochasticRoundModel:
    """Golden twin of `hdl.sc.rounding.StochasticRound`."""

    def __init__(self, params: StochasticRoundParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, x: np.ndarray, random: np.ndarray) -> dict[str, np.ndarray]:
        """x, random: int64 [..., length]. Returns {"y": int64 [..., length]}.

        The result is the floor, or one more if the fraction wins: for as many of the 2**drop
        random numbers as the fraction counts, namely the largest ones.
        """
        unit = 1 << self.params.drop
        floor, fraction = np.divmod(np.asarray(x, dtype=np.int64), unit)
        up = np.asarray(random, dtype=np.int64) >= unit - fraction
        limit = 1 << (self.params.result_bits - 1)
        return {"y": np.clip(floor + up, -limit, limit - 1)}
