"""The probabilistic bit."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.pbit import PBitParams, SigmoidTable
from sim.golden.sc.checked import checked
from sim.golden.sc.draw import draws
from sim.golden.sc.packed import pack

__all__ = ["PBitModel", "odds_against"]


def odds_against(table: SigmoidTable, current: np.ndarray) -> np.ndarray:
    """How many of 2**random_bits draws go against the sign of a current, int64 [...]."""
    step = 1 << table.step_bits
    nearest = (2 * np.abs(np.asarray(current, dtype=np.int64)) + step) // (2 * step)
    words = np.array((*table.words, 0), dtype=np.int64)
    return words[np.minimum(nearest, len(words) - 1)]


class PBitModel:
    """Golden twin of `hdl.sc.pbit.PBit`."""

    def __init__(self, params: PBitParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, current: np.ndarray) -> dict[str, np.ndarray]:
        """current: int64 [..., length]. Returns {"m": uint64 [..., words]}."""
        p = self.params
        bits = p.table.random_bits
        draw = draws(p.generator, bits, length, first=p.latency)
        up = np.asarray(current) >= 0
        against = draw >= (1 << bits) - odds_against(p.table, current)
        return {"m": pack(up != against)}
