"""Stochastic dense dendrites, from the equations of hdl/params/sc/dense.py.

Streams are packed 64 bits to a word; the ones that two streams have in common in their first 2**k
bits are an AND and a population count. A number u picks one bit of a magnitude (or all magnitudes
of 2**n), so the stream of a value is the disjoint union of the streams of the powers of two in it.
Hence counts are only needed for values that are powers of two, and add up over the bits of a value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hdl.params.sc.dense import Streams
from hdl.params.sc.lfsr import TAPS, seed_of
from sim.golden.sc.packed import pack

__all__ = ["chosen", "counts", "kept_lengths", "magnitude_bits", "numbers", "sums"]

#: Words of joint streams that are held at once.
BLOCK = 1 << 22


def _reversed(t: np.ndarray, bits: int) -> np.ndarray:
    """The lowest `bits` bits of t in reverse."""
    out = np.zeros_like(t)
    for k in range(bits):
        out |= ((t >> k) & 1) << (bits - 1 - k)
    return out


def _sobol2(t: np.ndarray, bits: int) -> np.ndarray:
    """Point t of the second dimension of Sobol's sequence in natural order, its lowest bits."""
    out = np.zeros_like(t)
    direction = (1 << bits) >> 1
    for k in range(bits):
        out ^= ((t >> k) & 1) * direction
        direction ^= direction >> 1
    return out


def numbers(streams: Streams) -> tuple[np.ndarray, np.ndarray]:
    """u for weights and v for values: int64 [generators, 2**log2_length]."""
    bits, length = streams.source_bits, 1 << streams.log2_length
    if streams.generator == "lfsr":
        from sim.golden.sc.lfsr import states

        seeds = [seed_of(streams.seed, n, bits) for n in range(2 * streams.generators)]
        every = [states(bits, TAPS[bits], seed, length) for seed in seeds]
        return np.stack(every[0::2]), np.stack(every[1::2])
    t, g = np.arange(length), np.arange(streams.generators)[:, None]
    ones = (1 << bits) - 1
    u = _reversed(t, bits) ^ _reversed(g, bits) ^ ones
    v = _sobol2(t, bits) ^ _sobol2(g, bits) ^ ones
    return u, v


def magnitude_bits(magnitudes: np.ndarray, width: int, u: np.ndarray, bits: int) -> np.ndarray:
    """Packed streams [magnitudes, words] of magnitudes 0..2**width from numbers u [length]."""
    zeros = bits - np.array([int(x).bit_length() for x in range(1 << bits)])[u]
    taken = np.where(zeros < width, (magnitudes[:, None] >> np.maximum(width - 1 - zeros, 0)), 0)
    return pack((magnitudes[:, None] == 1 << width) | (taken & 1 == 1))


def kept_lengths(streams: Streams) -> range:
    """The k whose sums decide: log2_length alone, or all from `first` on."""
    never = streams.tolerance < 0 and streams.margin < 0
    if never or streams.first >= streams.log2_length:
        return range(streams.log2_length, streams.log2_length + 1)
    return range(streams.first, streams.log2_length + 1)


def counts(streams: Streams, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Common ones of streams of |x| and |w| for all `kept_lengths`.

    values, weights : magnitudes. Returns int64 [lengths, generators, values, weights].
    """
    lengths = kept_lengths(streams)
    out = np.zeros((len(lengths), streams.generators, len(values), len(weights)), np.int64)
    for g, (u, v) in enumerate(zip(*numbers(streams), strict=True)):
        x = magnitude_bits(values, streams.value_bits, v, streams.source_bits)
        w = magnitude_bits(weights, streams.weight_bits, u, streams.source_bits)
        size = max(BLOCK // max(x.size, 1), 1)
        for first in range(0, len(weights), size):
            part = slice(first, first + size)
            both = x[:, None, :] & w[None, part, :]
            for i, k in enumerate(lengths):
                head = both[..., : max(1 << k >> 6, 1)] & np.uint64((1 << min(1 << k, 64)) - 1)
                out[i, g, :, part] = np.bitwise_count(head).sum(axis=-1, dtype=np.int64)
    return out


def sums(streams: Streams, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """sum(k, i) for all `kept_lengths`, of a population as one matrix.

    weights : integers [sources, neurons]. values : integers [..., sources], 0 for no event.
    Returns int64 [lengths, ..., neurons].
    """
    lengths = kept_lengths(streams)
    generator = np.arange(len(weights)) % streams.generators
    magnitudes, which = np.unique(np.abs(weights), return_inverse=True)
    powers = 1 << np.arange(streams.value_bits + 1)
    table = counts(streams, powers, magnitudes)
    out = np.zeros((len(lengths), *values.shape[:-1], weights.shape[1]))
    for b in range(len(powers)):
        plane = (np.sign(values) * (np.abs(values) >> b & 1)).astype(float)
        if plane.any():
            for i in range(len(lengths)):
                worth = table[i, generator[:, None], b, which.reshape(weights.shape)]
                out[i] += plane @ (np.sign(weights) * worth).astype(float)
    whole = streams.value_bits + streams.weight_bits
    shift = np.array([whole - k for k in lengths]).reshape(-1, *(1,) * (out.ndim - 1))
    return out.astype(np.int64) << shift


def chosen(
    streams: Streams,
    sums: np.ndarray,
    distance: ArrayLike = 0,
    shift: ArrayLike = 0,
    spikes: ArrayLike = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The neurons' inputs out of `sums` [lengths, ...], and the k of each: int64 [...].

    distance : int64, what a neuron's shifted input must exceed for a spike (a margin needs it).
    shift : the neurons' field. spikes : which neurons emit spikes, the others ignore the margin.
    All three broadcast against [...].
    """
    lengths = np.array(kept_lengths(streams))
    done = np.zeros(sums.shape, bool)
    done[1:] = np.abs(np.diff(sums, axis=0)) <= streams.tolerance
    if streams.margin >= 0:
        place = streams.value_bits + streams.weight_bits - lengths
        for at, total, places in zip(done, sums, place, strict=True):
            far = np.abs((total << shift) - distance) > np.left_shift(
                streams.margin << places, shift
            )
            at |= far & spikes
    done[-1] = True
    which = done.argmax(axis=0)
    return np.take_along_axis(sums, which[None], axis=0)[0], lengths[which]
