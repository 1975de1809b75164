"""Compiled updates of state-space populations and gates, for the golden network's loop.

States are whole numbers in float64, which processors multiply many at a time, and exactly: with
S <= 18, F <= 17 every sum below is less than 2**(F+S+3) <= 2**38. The input alone could be larger;
it is clipped to 2**(F+S+1) before it is added, where the state saturates whatever the rest is. Sums
of a neuron's states are below 2**46.
"""

import numpy as np

from hdl.params.sc.lfsr import TAPS
from sim.golden.network_jit import inside
from sim.golden.network_states import (
    AI,
    AR,
    CI,
    CR,
    HALF_IM,
    HALF_RE,
    IM,
    MIXED,
    PAIRS,
    RE,
    SCALE,
    P,
    Q,
)  # fmt: skip

__all__ = ["advance", "multiply"]

# A generator's state holds the last 32 bits of b(n) = b(n-32) ^ b(n-30) ^ b(n-26) ^ b(n-25), the
# newest lowest: 16 new bits depend on none of each other, so 32 steps are two of 16.
_SHIFT_0, _SHIFT_1, _SHIFT_2, _SHIFT_3 = (np.uint64(tap - 16) for tap in TAPS[32])
_STEPS, _LOW, _WORD = np.uint64(16), np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)


@inside
def draw(rows, draws, begin, count, pole_bits):  # type: ignore[no-untyped-def]
    """What rounds each state in this step, from its generator, which advances."""
    top = 2.0**pole_bits
    for i in range(count):
        k = begin + np.uint64(i)
        w = draws[k]
        rows[HALF_RE, k] = np.floor(np.float64(w & _LOW) * top * 2.0**-16)
        rows[HALF_IM, k] = np.floor(np.float64(w >> _STEPS) * top * 2.0**-16)
        for _ in range(2):
            new = (w >> _SHIFT_0) ^ (w >> _SHIFT_1) ^ (w >> _SHIFT_2) ^ (w >> _SHIFT_3)
            w = ((w << _STEPS) | (new & _LOW)) & _WORD
        draws[k] = w


@inside
def recur(rows, begin, count, limit, unit, least):  # type: ignore[no-untyped-def]
    """One step of `count` states, with their weighted real parts; how many parts were clipped."""
    most, clipped = -least - 1, 0
    for i in range(count):
        k = begin + np.uint64(i)
        a, b, ar, ai = rows[RE, k], rows[IM, k], rows[AR, k], rows[AI, k]
        drive = min(max(rows[P, k] * rows[SCALE, k], -limit), limit) + rows[HALF_RE, k]
        wide = np.floor((ar * a - ai * b + drive) * unit)
        re = min(max(wide, least), most)
        clipped += re != wide
        drive = min(max(rows[Q, k] * rows[SCALE, k], -limit), limit) + rows[HALF_IM, k]
        wide = np.floor((ar * b + ai * a + drive) * unit)
        im = min(max(wide, least), most)
        clipped += im != wide
        rows[RE, k], rows[IM, k] = re, im
        rows[P, k] = rows[CR, k] * re - rows[CI, k] * im
    return clipped


@inside
def advance(acc, first, size, kind, kept, layers, rows, draws):  # type: ignore[no-untyped-def]
    """One step of a Diagonal population; how many parts of its states were clipped.

    acc : gets the input sums of its neurons `first`..`first`+size-1.
    kind : its row of `sim/golden/network_dendrites.py`.
    layers, rows : of `Recurrences`. One array, and unsigned indices: what the loops index stays in
        order, so that they vectorise, and nothing else is passed on each call.
    draws : uint64 [states], generators.
    """
    order, way, layer = kind[3], kind[4], kind[5]
    one, begin, source = np.uint64(1), np.uint64(kind[2]), np.uint64(kind[1])
    count = size // 2 if way == PAIRS else size * order
    k, n = begin, source
    if way == PAIRS:
        for _ in range(count):
            rows[P, k], rows[Q, k] = kept[n], kept[n + one]
            k, n = k + one, n + one + one
    else:
        for _ in range(size):
            value = np.float64(kept[n])
            for _ in range(order):
                rows[P, k] = value
                k += one
            n += one
    if kind[7]:
        draw(rows, draws, begin, count, layers[layer, 3])
    clipped = recur(rows, begin, count, layers[layer, 0], layers[layer, 1], layers[layer, 2])
    k = begin
    if way == MIXED:
        shift = np.int64(layers[layer, 4])
        for n in range(first, first + size):
            total = (np.int64(1) << shift) >> 1
            for _ in range(order):
                total += np.int64(rows[P, k])
                k += one
            acc[n] = total >> shift
    elif way == PAIRS:
        for i in range(count):
            k = begin + np.uint64(i)
            acc[first + 2 * i] = np.int64(rows[RE, k])
            acc[first + 2 * i + 1] = np.int64(rows[IM, k])
    else:
        for i in range(count):
            acc[first + i] = np.int64(rows[RE, begin + np.uint64(i)])
    if not kind[6]:
        for i in range(size):
            kept[source + np.uint64(i)] = 0
    return clipped


@inside
def multiply(acc, kind, kept):  # type: ignore[no-untyped-def]
    """The products of a gate as input sums `acc`."""
    size, shift, stretch = len(acc), kind[2], kind[4]
    left = stretch if kind[5] else size
    values = kept[kind[1] : kind[1] + left + size // stretch]
    half = (np.int64(1) << shift) >> 1
    if left == size and stretch == 1:
        for n in range(size):
            acc[n] = (values[n] * values[size + n] + half) >> shift
    else:
        for n in range(size):
            factor = values[left + n // stretch]
            acc[n] = (values[n % left] * factor + half) >> shift
    if not kind[3]:
        values[:] = 0
