"""The stochastic number generator."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.sng import SngParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import pack

__all__ = ["SngModel"]


class SngModel:
    """Golden twin of `hdl.sc.sng.Sng`."""

    def __init__(self, params: SngParams) -> None:
        self.params = params

    @checked
    def run(
        self, length: int, *, value: np.ndarray | int, random: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The stream `y` (and `sign`), packed.

        value [...] and random [..., length] are broadcast against each other.
        """
        p = self.params
        value = np.asarray(value, dtype=np.int64)[..., None]
        random = np.asarray(random, dtype=np.int64)[..., :length]
        bias = 1 << (p.width - 1) if p.encoding == "bipolar" else 0
        magnitude = np.abs(value + bias)
        if p.method == "comparator":
            bits: np.ndarray = random < magnitude
        else:
            # frexp: random = f * 2**place with f in [.5, 1), so `place` - 1 is its highest one.
            place = np.frexp(random.astype(np.float64))[1].astype(np.int64)
            chosen = (magnitude >> np.maximum(place - 1, 0)) & (place > 0)
            bits = (chosen & 1) | (magnitude >> p.width)
        out = {"y": pack(bits)}
        if p.encoding == "ternary":
            out["sign"] = pack(np.broadcast_to(value < 0, bits.shape))
        return out
