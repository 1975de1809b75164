"""The Bernoulli sampler, from its counting definition."""

from __future__ import annotations

import numpy as np

from hdl.params.sc.bernoulli import BernoulliParams
from sim.golden.sc.checked import checked
from sim.golden.sc.draw import states
from sim.golden.sc.packed import pack

__all__ = ["BernoulliModel"]


class BernoulliModel:
    """Golden twin of `hdl.sc.bernoulli.Bernoulli`."""

    def __init__(self, params: BernoulliParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, p: np.ndarray) -> dict[str, np.ndarray]:
        """p: int64 [...]. Returns a packed stream uint64 [..., words] for each lane."""
        size = 1 << self.params.bits
        rest = states(self.params.generator, length)
        bits = {}
        for name in self.params.samples:
            rest, word = np.divmod(rest, size)
            bits[name] = pack(word >= size - np.asarray(p, dtype=np.int64)[..., None])
        return bits
