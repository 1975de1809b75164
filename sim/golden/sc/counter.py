"""The counter as number generator."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.counter import CounterParams
from sim.golden.sc.checked import checked

__all__ = ["CounterModel"]


class CounterModel:
    """Golden twin of `hdl.sc.counter.Counter`."""

    def __init__(self, params: CounterParams) -> None:
        self.params = params

    @checked
    def run(self, length: int) -> dict[str, np.ndarray]:
        """The first `length` numbers: {"value": int64 [length]}."""
        p = self.params
        most = (1 << p.width) - 1
        value = (np.arange(length, dtype=np.int64) // (1 << p.divide)) % (1 << p.width)
        return {"value": most - value if p.invert else value}
