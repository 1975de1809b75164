"""Compiled updates of state-space populations and gates, for the golden network's loop.

States are whole numbers in float64, which processors multiply many at a time, and exactly: with
S <= 18, F <= 17 every sum below is less than 2**(F+S+3) <= 2**38. The input alone could be larger;
it is clipped to 2**(F+S+1) before it is added, where the state saturates whatever the rest is. Sums
of a neuron's states are below 2**46.
"""

import numpy as np
from numba import njit

from hdl.params.sc.lfsr import TAPS
from sim.golden.network_states import MIXED, PAIRS

__all__ = ["advance", "multiply"]

# A generator's state holds the last 32 bits of b(n) = b(n-32) ^ b(n-30) ^ b(n-26) ^ b(n-25), the
# newest lowest: 16 new bits depend on none of each other, so 32 steps are two of 16.
_SHIFT_0, _SHIFT_1, _SHIFT_2, _SHIFT_3 = (np.uint64(tap - 16) for tap in TAPS[32])
_STEPS, _LOW, _WORD = np.uint64(16), np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True, error_model="numpy")
def draw(draws, half_re, half_im, pole_bits):  # type: ignore[no-untyped-def]
    """What rounds each state in this step, from its generator, which advances."""
    top = 2.0**pole_bits
    for k in range(len(draws)):
        w = draws[k]
        half_re[k] = np.floor(np.float64(w & _LOW) * top * 2.0**-16)
        half_im[k] = np.floor(np.float64(w >> _STEPS) * top * 2.0**-16)
        for _ in range(2):
            new = (w >> _SHIFT_0) ^ (w >> _SHIFT_1) ^ (w >> _SHIFT_2) ^ (w >> _SHIFT_3)
            w = ((w << _STEPS) | (new & _LOW)) & _WORD
        draws[k] = w


@njit(cache=True, nogil=True, error_model="numpy")
def recur(re, im, ar, ai, scale, half_re, half_im, p, q, limit, unit, least):  # type: ignore[no-untyped-def]
    """One step of all states of a population, in place; how many of their parts were clipped."""
    most, clipped = -least - 1, 0
    for k in range(len(re)):
        a, b = re[k], im[k]
        drive = min(max(p[k] * scale[k], -limit), limit) + half_re[k]
        wide = np.floor((ar[k] * a - ai[k] * b + drive) * unit)
        new = min(max(wide, least), most)
        clipped += new != wide
        re[k] = new
        drive = min(max(q[k] * scale[k], -limit), limit) + half_im[k]
        wide = np.floor((ar[k] * b + ai[k] * a + drive) * unit)
        new = min(max(wide, least), most)
        clipped += new != wide
        im[k] = new
    return clipped


@njit(cache=True, nogil=True, error_model="numpy")
def mix(acc, order, re, im, cr, ci, y, shift):  # type: ignore[no-untyped-def]
    """Weighted sums of each neuron's states."""
    half = (np.int64(1) << shift) >> 1
    for k in range(len(re)):
        y[k] = cr[k] * re[k] - ci[k] * im[k]
    for n in range(len(acc)):
        total = half
        for k in range(n * order, (n + 1) * order):
            total += np.int64(y[k])
        acc[n] = total >> shift


@njit(cache=True, nogil=True, error_model="numpy")
def advance(acc, kind, kept, recurrences, half, x, draws, work):  # type: ignore[no-untyped-def]
    """One step of a Diagonal population: its input sums `acc`; how many parts were clipped.

    kind : its row of `sim/golden/network_dendrites.py`.
    half, x, work : float64 [2, states] of all populations: what rounds, the states, room to work.
    draws : uint64 [states], generators.
    """
    size, begin, order, mode = len(acc), kind[2], kind[3], kind[4]
    layer = recurrences.layers[kind[5]]
    end = begin + (size // 2 if mode == PAIRS else size * order)
    u = kept[kind[1] : kind[1] + size]
    re, im = x[0, begin:end], x[1, begin:end]
    p, q = work[0, begin:end], work[1, begin:end]
    half_re, half_im = half[0, begin:end], half[1, begin:end]
    if mode == PAIRS:
        for k in range(len(p)):
            p[k], q[k] = u[2 * k], u[2 * k + 1]
    elif order == 1:
        for k in range(len(p)):
            p[k] = u[k]
    else:
        for n in range(size):
            p[n * order : (n + 1) * order] = u[n]
    if kind[7]:
        draw(draws[begin:end], half_re, half_im, layer[3])
    clipped = recur(
        re, im, recurrences.ar[begin:end], recurrences.ai[begin:end], recurrences.scale[begin:end],
        half_re, half_im, p, q, layer[0], layer[1], layer[2],
    )  # fmt: skip
    if mode == MIXED:
        cr, ci = recurrences.cr[begin:end], recurrences.ci[begin:end]
        mix(acc, order, re, im, cr, ci, p, np.int64(layer[4]))
    elif mode == PAIRS:
        for k in range(len(re)):
            acc[2 * k], acc[2 * k + 1] = np.int64(re[k]), np.int64(im[k])
    else:
        for k in range(len(re)):
            acc[k] = np.int64(re[k])
    if not kind[6]:
        u[:] = 0
    return clipped


@njit(cache=True, nogil=True)
def multiply(acc, kind, kept):  # type: ignore[no-untyped-def]
    """The products of a gate as input sums `acc`."""
    size, shift = len(acc), kind[2]
    values = kept[kind[1] : kind[1] + 2 * size]
    half = (np.int64(1) << shift) >> 1
    for n in range(size):
        acc[n] = (values[n] * values[size + n] + half) >> shift
    if not kind[3]:
        values[:] = 0
