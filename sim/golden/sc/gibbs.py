"""The Gibbs sampler, spin by spin."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.gibbs import GibbsSamplerParams
from sim.golden.sc.checked import checked
from sim.golden.sc.draw import draws
from sim.golden.sc.pbit import odds_against

__all__ = ["GibbsSamplerModel"]


@njit(cache=True, nogil=True)
def _sample(states, couplings, fields, beta, odds, draw, top):  # type: ignore[no-untyped-def]
    """Fills states [length]; `odds` is indexed by |current|, its last item stands for all above."""
    n = len(fields)
    m = np.empty(n, dtype=np.int64)
    state = states[0]
    for i in range(n):
        m[i] = 2 * (state >> i & 1) - 1
    for t in range(len(states)):
        states[t] = state
        i = t % n
        current = fields[i]
        for j in range(n):
            current += couplings[i, j] * m[j]
        current *= beta[t]
        against = draw[t] >= top - odds[min(abs(current), len(odds) - 1)]
        up = (current >= 0) != against
        m[i] = 2 * up - 1
        state = state & ~(np.int64(1) << i) | np.int64(up) << i


class GibbsSamplerModel:
    """Golden twin of `hdl.sc.gibbs.GibbsSampler`."""

    def __init__(self, params: GibbsSamplerParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, beta: np.ndarray) -> dict[str, np.ndarray]:
        """beta: int64 [..., length], or [..., 1] if it stays.

        Returns {"spin": int64 [length], "state": int64 [..., length]}.
        """
        p = self.params
        beta = np.asarray(beta, dtype=np.int64)
        beta = np.broadcast_to(beta, (*beta.shape[:-1], length))
        couplings, fields = np.array(p.couplings), np.array(p.biases)
        odds = odds_against(p.table, np.arange(p.table.end + 1))
        bits = p.table.random_bits
        draw = draws(p.generator, bits, length, first=p.latency)
        state = np.full(beta.shape, p.initial, dtype=np.int64)
        for run in np.ndindex(beta.shape[:-1]):
            _sample(state[run], couplings, fields, beta[run], odds, draw, 1 << bits)
        return {"spin": np.arange(length) % p.spins, "state": state}
