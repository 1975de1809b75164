"""Halton's sequence, each number from its own index."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.halton import HaltonParams
from sim.golden.sc.checked import checked

__all__ = ["HaltonModel"]


class HaltonModel:
    """Golden twin of `hdl.sc.halton.Halton`."""

    def __init__(self, params: HaltonParams) -> None:
        self.params = params

    @checked
    def run(self, length: int) -> dict[str, np.ndarray]:
        """The first `length` numbers: {"value": int64 [length]}."""
        p = self.params
        rest = np.arange(length, dtype=np.int64)
        reverse = np.zeros_like(rest)
        for _ in range(p.places):
            rest, digit = np.divmod(rest, p.base)
            reverse = reverse * p.base + digit
        value = (reverse << p.width) // p.base**p.places
        return {"value": (1 << p.width) - 1 - value if p.invert else value}
