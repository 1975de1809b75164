"""The update of populations without dynamics of their own: linear layers, states, gates.

What `sim/golden/network_kernel.py` does neuron by neuron, in loops that vectorise.
"""

import numpy as np

from sim.golden.network_jit import inside

__all__ = ["emit_all", "update_all", "valued"]


@inside
def valued(v, shift, emit, payload_bits, table, table_bits):  # type: ignore[no-untyped-def]
    """The value of a neuron of membrane v that emits values."""
    one = np.int64(1)
    q = (v + ((one << shift) >> 1)) >> shift
    form = (emit >> 2) & 3  # 1: RELU, 2: TABLE
    if form == 2:
        half = one << (table_bits - 1)
        return table[min(max(q, -half), half - 1) + half]
    top = one << (payload_bits - 1 - (emit >> 4))
    low = np.int64(0) if form == 1 else -top
    return min(max(q, low), top - 1)


@inside
def update_all(  # type: ignore[no-untyped-def]
    first, size, keeps, acc, fields, membrane, current, membrane_bits, current_bits
):
    """Membranes and currents of neurons `first`..; how many of each were clipped."""
    top = (np.int64(1) << (membrane_bits - 1)) - 1
    clipped, current_clipped = 0, 0
    begin = np.uint64(first)
    if current_bits > 0:
        current_top = (np.int64(1) << (current_bits - 1)) - 1
        for i in range(size):
            n = begin + np.uint64(i)
            wide = (acc[n] << fields[5, n]) + (current[n] if keeps else 0)
            x = min(max(wide, -current_top - 1), current_top)
            current_clipped += x != wide
            current[n] = x
            wide = x + fields[2, n]
            v = min(max(wide, -top - 1), top)
            clipped += v != wide
            membrane[n] = v
            acc[n] = 0
    else:
        for i in range(size):
            n = begin + np.uint64(i)
            wide = (acc[n] << fields[5, n]) + fields[2, n]
            v = min(max(wide, -top - 1), top)
            clipped += v != wide
            membrane[n] = v
            acc[n] = 0
    return clipped, current_clipped


@inside
def emit_all(  # type: ignore[no-untyped-def]
    first, size, emit, fields, membrane, emitted, last, payload_bits, table, table_bits
):
    """What neurons `first`.. emit, all in the same way; how many of these are not 0."""
    begin, count = np.uint64(first), 0
    for i in range(size):
        n = begin + np.uint64(i)
        value = membrane[n] if emit == 3 else np.int64(0)
        if emit & 3 == 2:
            value = valued(membrane[n], fields[6, n], emit, payload_bits, table, table_bits)
        emitted[n] = value
        count += value != 0
    if emit >> 4:
        count = 0
        for i in range(size):
            n = begin + np.uint64(i)
            change = emitted[n] - last[n]
            change = change if abs(change) > fields[3, n] else 0
            last[n] += change
            emitted[n] = change
            count += change != 0
    return count
