"""Stochastic spiking attention, from the equations of hdl/params/sc/attention.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.attention import DRAW_BITS, AttentionParams
from hdl.params.sc.lfsr import TAPS

__all__ = ["AttentionModel", "attend", "draw", "float_attention", "initial_states"]

# A state holds the last 32 bits of b(n) = b(n-32) ^ b(n-30) ^ b(n-26) ^ b(n-25), the newest lowest:
# bit k is b(n-k). The 16 next bits depend on none of each other; new bit b(n+16-k) is the exclusive
# or of the bits k + tap - 16 of the state.
_SHIFTS = tuple(np.uint64(tap - DRAW_BITS) for tap in TAPS[32])
_SHIFT_0, _SHIFT_1, _SHIFT_2, _SHIFT_3 = _SHIFTS
_STEPS = np.uint64(DRAW_BITS)
_LOW = np.uint64((1 << DRAW_BITS) - 1)
_WORD = np.uint64((1 << 32) - 1)


@njit(cache=True, nogil=True)
def draw(states, number):  # type: ignore[no-untyped-def]
    """The next draw of generator `number`, 0..65535; its state in `states` advances."""
    s = states[number]
    new = ((s >> _SHIFT_0) ^ (s >> _SHIFT_1) ^ (s >> _SHIFT_2) ^ (s >> _SHIFT_3)) & _LOW
    states[number] = ((s << _STEPS) | new) & _WORD
    return np.int64(s & _LOW)


@njit(cache=True, nogil=True)
def attend(  # type: ignore[no-untyped-def]
    query, key, value, causal, score_gain, value_gain, states, out
):
    """One step of one head.

    query, key, value : 0 or 1, uint8 [tokens, dim].
    causal, score_gain, value_gain : as in AttentionParams.
    states : of the generators "score" and "value", uint64 [2]; advanced in place.
    out : the answer, uint8 [tokens, dim]; written.
    """
    tokens, dim = query.shape
    sums = np.empty(dim, np.int32)
    for i in range(tokens):
        visible = i + 1 if causal else tokens
        sums[:] = 0
        row = query[i]
        for j in range(visible):
            other = key[j]
            score = np.int32(0)
            for d in range(dim):
                score += row[d] & other[d]
            if draw(states, 0) * dim < np.int64(score) << (DRAW_BITS + score_gain):
                for d in range(dim):
                    sums[d] += value[j, d]
        for d in range(dim):
            limit = np.int64(sums[d]) << (DRAW_BITS + value_gain)
            out[i, d] = draw(states, 1) * visible < limit


@njit(cache=True, nogil=True)
def _run(query, key, value, causal, score_gain, value_gain, seeds, out):  # type: ignore[no-untyped-def]
    states = np.empty(2, np.uint64)
    for b in range(query.shape[0]):
        states[:] = seeds
        for t in range(query.shape[1]):
            attend(
                query[b, t], key[b, t], value[b, t],
                causal, score_gain, value_gain, states, out[b, t],
            )  # fmt: skip


def initial_states(params: AttentionParams) -> np.ndarray:
    """The states after a clear, uint64 [2]: "score", "value"."""
    return np.array([params.generator(number).seed for number in range(2)], dtype=np.uint64)


class AttentionModel:
    """Golden twin of `hdl.sc.attention`."""

    def __init__(self, params: AttentionParams) -> None:
        self.params = params

    def run(self, query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        """The answers A to spikes Q, K, V, anything that is 0 or not, [..., steps, tokens, dim].

        The inputs are broadcast against each other; each run of the batch begins with a clear.
        Returns uint8 of the same shape. Raises ValueError if the last axes are not (tokens, dim).
        """
        p = self.params
        spikes = [np.asarray(x) != 0 for x in (query, key, value)]
        for name, x in zip(("query", "key", "value"), spikes, strict=True):
            if x.ndim < 3 or x.shape[-2:] != (p.tokens, p.dim):
                raise ValueError(
                    f"{name} must be [..., steps, {p.tokens}, {p.dim}], not {list(x.shape)}"
                )
        shape = np.broadcast_shapes(*(x.shape for x in spikes))
        q, k, v = (
            np.ascontiguousarray(np.broadcast_to(x, shape), dtype=np.uint8).reshape(-1, *shape[-3:])
            for x in spikes
        )
        out = np.empty_like(q)
        _run(q, k, v, p.causal, p.score_gain, p.value_gain, initial_states(p), out)
        return out.reshape(shape)


def _sum_probabilities(p: np.ndarray) -> np.ndarray:
    """The distribution of the sum of independent bits: p [..., n] to [..., n + 1]."""
    out = np.zeros((*p.shape[:-1], p.shape[-1] + 1))
    out[..., 0] = 1
    for k in range(p.shape[-1]):
        one = p[..., k, None]
        out[..., 1:] = out[..., 1:] * (1 - one) + out[..., :-1] * one
        out[..., 0] *= 1 - one[..., 0]
    return out


def _encoded(total: int, gain: int, of: int) -> np.ndarray:
    """Probability that (draw * of) < (x << (16 + gain)) for x = 0..total, of uniform draws."""
    x = np.arange(total + 1, dtype=np.int64)
    hits = -(-(x << (DRAW_BITS + gain)) // of)  # draws 0..hits-1
    return np.minimum(hits, 1 << DRAW_BITS) / (1 << DRAW_BITS)


def float_attention(
    params: AttentionParams, query: np.ndarray, key: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of S [..., tokens, tokens] and A [..., tokens, dim] with ideal generators.

    query, key, value : the rates of independent Bernoulli spikes, floats [..., tokens, dim]; 0 and
        1 are given spikes. S[i, j] of a j that i does not see is 0.

    Exact, with one exception: of `value_gain` > 0 with a query that is random itself, where the
    S[i, j] of a row depend on each other through Q[i], and are taken as independent.
    With both gains 0 this is softmax-free attention Q K^T V / (dim * n), up to the rounding to
    2**-16; a gain clips each probability at 1.
    """
    p = params
    q, k, v = (np.asarray(x, dtype=float) for x in (query, key, value))
    visible = np.tri(p.tokens, dtype=bool) if p.causal else np.ones((p.tokens, p.tokens), bool)
    scores = _sum_probabilities(q[..., :, None, :] * k[..., None, :, :])
    s = np.where(visible, scores @ _encoded(p.dim, p.score_gain, p.dim), 0.0)
    rows = []
    for i in range(p.tokens):
        n = int(visible[i].sum())
        taken = s[..., i, :n, None] * v[..., :n, :]  # [..., n, dim]
        sums = _sum_probabilities(np.swapaxes(taken, -1, -2))
        rows.append(sums @ _encoded(n, p.value_gain, n))
    return s, np.stack(rows, axis=-2)
