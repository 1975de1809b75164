"""Events on their way to sums, partial sums and kept values, for the golden network's loop."""

from sim.golden.network_dendrites import CROSSBAR, HEAD
from sim.golden.network_jit import inside

__all__ = ["deal", "deliver", "deliver_special"]


@inside
def deliver(row, value, row_ptr, segments, targets, weights, acc):  # type: ignore[no-untyped-def]
    """Add one event of `value` to the sums of all neurons in `row`; the number of synapses."""
    count = 0
    for k in range(row_ptr[row], row_ptr[row + 1]):
        begin, size, first = segments[k, 0], segments[k, 1], segments[k, 2]
        count += size
        if first >= 0:  # targets first, first + 1, ...: a loop that vectorises
            sums, row_weights = acc[first : first + size], weights[begin : begin + size]
            for i in range(size):
                sums[i] += row_weights[i] * value
        else:
            for i in range(begin, begin + size):
                acc[targets[i]] += weights[i] * value
    return count


@inside
def deliver_special(sources, values, first, end, offset, synapses, special):  # type: ignore[no-untyped-def]
    """Add events `first`..`end`-1 to partial sums of stochastic populations, bits of heads and
    values of crossbars, states and gates.

    `offset`: what to add to a source for its row. Returns the number of synapses.
    """
    row_ptr, segments, feeds, targets, weights = synapses
    bounds, kinds, table, partial, bits, kept = special
    count = 0
    for e in range(first, end):
        row = offset + sources[e]
        for s in range(row_ptr[row], row_ptr[row + 1]):
            begin, size, p, fed = segments[s, 0], segments[s, 1], feeds[s, 0], feeds[s, 1]
            count += size
            if kinds[p, 0] == HEAD:
                bits[fed] = 1
                continue
            if kinds[p, 0] >= CROSSBAR:
                kept[fed] += values[e]  # one event a step; 0 before it, unless it is a change
                continue
            origin, lengths, one = kinds[p, 1], kinds[p, 2], kinds[p, 6]
            magnitude = abs(values[e])
            while magnitude:
                if magnitude & 1:
                    for i in range(begin, begin + size):
                        code = weights[i]
                        entry = fed + abs(code) * lengths
                        at = origin + (targets[i] - bounds[p]) * lengths
                        sign = 1 if (code > 0) == (values[e] > 0) else -1
                        for k in range(lengths):
                            partial[at + k] += sign * table[entry + k]
                magnitude >>= 1
                fed += one
    return count


@inside
def deal(values, kept):  # type: ignore[no-untyped-def]
    """Add what neurons emitted to what is kept of them elsewhere; the number of synapses."""
    count = 0
    for n in range(len(values)):
        kept[n] += values[n]
        count += values[n] != 0
    return count
