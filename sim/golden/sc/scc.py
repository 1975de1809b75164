"""The correlation meter and SCC, from the equations in hdl/params/sc/scc.py."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.scc import SccMeterParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import count, mask, unpack

__all__ = ["SccMeterModel", "scc", "scc_of"]


def scc(n11: np.ndarray, n10: np.ndarray, n01: np.ndarray, n00: np.ndarray) -> np.ndarray:
    """SCC from the counts of pairs of bits, float64, -1..1; any shapes that broadcast."""
    n11, n10, n01, n00 = (np.asarray(n, dtype=np.float64) for n in (n11, n10, n01, n00))
    total, a, b = n11 + n10 + n01 + n00, n11 + n10, n11 + n01
    difference = n11 * n00 - n10 * n01
    above = total * np.minimum(a, b) - a * b
    below = a * b - total * np.maximum(n11 - n00, 0)
    return difference / np.maximum(1, np.where(difference > 0, above, below))


def scc_of(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    """SCC of packed streams of `length` bits, float64 [...]."""
    n11, n10, n01 = count(a & b), count(a & ~b), count(~a & b & mask(length))
    return scc(n11, n10, n01, length - n11 - n10 - n01)


class SccMeterModel:
    """Golden twin of `hdl.sc.scc.SccMeter`."""

    def __init__(self, params: SccMeterParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"n11", "n10", "n01", "n00": int64 [..., length]} of the packed streams a and b."""
        pair = 2 * unpack(a, length) + unpack(b, length)
        return {
            f"n{code:02b}": np.cumsum(pair == code, axis=-1) & ((1 << self.params.bits) - 1)
            for code in range(4)
        }
