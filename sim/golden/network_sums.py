"""Updates of populations that don't sum their input exactly, for the golden network's loop.

Each makes input sums of what events left behind (sim/golden/network_dendrites.py), and clears it.
"""

import numpy as np

from sim.golden.crossbar.product import input_sums
from sim.golden.network_jit import inside
from sim.golden.sc.attention import attend

__all__ = ["answer", "product", "settle"]


@inside
def missing(n, fields, membrane, current, current_bits, decay_bits):  # type: ignore[no-untyped-def]
    """What a neuron's shifted input must exceed for a spike, as nothing saturates: `distance`."""
    half = np.int64(1) << (decay_bits - 1)
    rest = ((membrane[n] * fields[0, n] + half) >> decay_bits) + fields[2, n]
    if current_bits > 0:
        rest += (current[n] * fields[1, n] + half) >> decay_bits
    if fields[7, n] == 2 and membrane[n] > fields[3, n]:
        rest -= fields[4, n]
    return fields[3, n] - rest


@inside
def settle(  # type: ignore[no-untyped-def]
    acc, first, end, kind, partial, fields, membrane, current, current_bits, decay_bits
):
    """Input sums of a stochastic population, neurons `first`..`end`-1; the bits that they took."""
    origin, lengths, least, tolerance, whole = kind[1], kind[2], kind[3], kind[4], kind[5]
    margin = kind[7]
    taken = 0
    for n in range(first, end):
        at = origin + (n - first) * lengths
        place = whole - least
        total = partial[at] << place
        k = 1
        spikes = margin >= 0 and k < lengths and fields[8, n] == 1
        shift, distance = fields[5, n], np.int64(0)
        if spikes:
            distance = missing(n, fields, membrane, current, current_bits, decay_bits)
        while k < lengths:
            if spikes and abs((total << shift) - distance) > margin << (place + shift):
                break
            before = total
            place -= 1
            total = partial[at + k] << place
            k += 1
            if abs(total - before) <= tolerance:
                break
        acc[n] = total
        taken += 1 << (least + k - 1)
        partial[at : at + lengths] = 0
    return taken


@inside
def answer(acc, first, end, kind, bits, states):  # type: ignore[no-untyped-def]
    """The answer of an attention head as input sums of neurons `first`..`end`-1."""
    size, shape = end - first, (kind[2], kind[3])
    out = np.empty(shape, np.uint8)
    ports = bits[kind[1] : kind[1] + 3 * size]
    query = ports[:size].reshape(shape)
    key = ports[size : 2 * size].reshape(shape)
    value = ports[2 * size :].reshape(shape)
    attend(query, key, value, kind[4] != 0, kind[5], kind[6], states[kind[7]], out)
    acc[first:end] = out.reshape(size)
    ports[:] = 0


@inside
def product(acc, first, end, kind, kept, plan, noises):  # type: ignore[no-untyped-def]
    """Input sums of a crossbar population, neurons `first`..`end`-1; what `input_sums` returns."""
    values = kept[kind[1] : kind[1] + kind[2]]
    read = input_sums(plan, kind[3], values, noises, acc[first:end])
    values[:] = 0
    return read
