"""The Gaussian source, any stretch of its numbers at once."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.gaussian import GaussianParams
from sim.golden.sc.checked import checked
from sim.golden.sc.draw import draws

__all__ = ["GaussianModel"]


class GaussianModel:
    """Golden twin of `hdl.sc.gaussian.Gaussian`."""

    def __init__(self, params: GaussianParams) -> None:
        self.params = params

    @checked
    def run(self, length: int) -> dict[str, np.ndarray]:
        """{"z": int64 [length]}."""
        return {"z": self.draws(length)}

    def draws(self, count: int, first: int = 0) -> np.ndarray:
        """Numbers first .. first + count - 1, int64 [count], in units of 2**-fraction."""
        p = self.params
        streams = [draws(lfsr, bits, count, first) for lfsr, bits in p.generators]
        if p.method == "table":
            law = np.array([*p.words, *(-word for word in p.words)], dtype=np.int64)
            return law[streams[0] ^ streams[1]]
        size = 1 << p.fraction
        centred = np.zeros(count, dtype=np.int64)  # twice the sum of u - (2**b - 1) / 2
        number = 0
        for stream, (_, bits) in zip(streams, p.generators, strict=True):
            for low in range(0, bits, p.fraction):
                word = 2 * ((stream >> low) & (size - 1)) - (size - 1)
                centred += -word if number % 2 else word
                number += 1
        return centred if p.terms == 3 else centred // 2
