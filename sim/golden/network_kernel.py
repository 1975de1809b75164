"""The compiled loop of the golden network: one function for all Programs.

Imported when a network first runs. The machine code is cached, so only the first run after an
installation compiles (a few seconds). `nogil` lets threads share the samples.
"""

import numpy as np
from numba import njit

from sim.golden.network_deliver import deal, deliver, deliver_special
from sim.golden.network_dendrites import CROSSBAR, GATE, HEAD, STATES, STREAMS
from sim.golden.network_jit import inside
from sim.golden.network_plain import emit_all, update_all, valued
from sim.golden.network_recur import advance, multiply
from sim.golden.network_rows import KEEPS
from sim.golden.network_sums import answer, product, settle
from sim.golden.network_winners import silence

__all__ = ["run_samples"]


@inside
def store(target, source):  # type: ignore[no-untyped-def]
    """target[:] = source, which takes seconds to compile."""
    for i in range(len(source)):
        target[i] = source[i]


@inside
def record(inner, rows, trace, s, t):  # type: ignore[no-untyped-def]
    """Write what sample s remembers after step t into its trace; its states begin `rows`."""
    store(trace.kept[s, t], inner.kept[s])
    store(trace.draws[s, t], inner.draws[s])
    store(trace.sent[s, t], inner.sent[s])
    for part in range(2):
        store(trace.x[s, t, part], rows[part])


@njit(cache=True, nogil=True)
def run_samples(  # type: ignore[no-untyped-def]
    first, end, lengths, inputs,
    event_ptr, event_source, event_value,
    row_ptr, segments, feeds, targets, weights, direct, plain, kinds, table, states, sizes, plan,
    recurrences, fields, bounds, membrane_bits, current_bits, decay_bits, payload_bits, values,
    output_neurons, outputs, membranes, currents, inner, membrane_trace, current_trace, trace,
    counts, operations, taken,
):  # fmt: skip
    """Run samples `first`..`end`-1, writing into the arrays from `outputs` on. They start from what
    stands in `membranes`, `currents` and `inner`.

    Rows are those of `sim/golden/network_rows.py`. `fields` is [9, neurons] in the order of
    FIELDS, `plan` that of crossbars, `bounds` the first neuron of each population, `values` what
    neurons emit by a table [tables, 2**table_bits], which of these each population has, table_bits;
    `counts` [samples, populations, 6]: events, clamped membranes, clamped currents, rows of banks
    that were read, codes converted, clamped parts of states; `taken` [samples, populations]: bits
    of streams.
    """
    steps, neurons = outputs.shape[1], fields.shape[1]
    sources = inputs + neurons
    one = np.int64(1)
    half = one << (decay_bits - 1)
    top = (one << (membrane_bits - 1)) - 1
    current_top = (one << max(current_bits - 1, 0)) - 1
    values_of, table_of, table_bits = values
    acc = np.zeros(neurons, np.int64)  # each update leaves 0, here and in the next two
    partial = np.zeros(sizes[0], np.int64)
    bits = np.zeros(sizes[1], np.uint8)
    layers, rows = recurrences.layers, recurrences.rows.copy()
    generators, noises = np.empty_like(states), np.empty_like(plan.states)
    synapses = (row_ptr, segments, feeds, targets, weights)
    any_late = row_ptr[2 * sources] > row_ptr[sources]
    any_special = row_ptr[4 * sources] > row_ptr[2 * sources]
    heard = np.zeros(len(bounds) - 1, np.bool_)  # has rows
    for p in range(len(heard)):
        for kind in range(4):
            begin = kind * sources + inputs
            heard[p] |= row_ptr[begin + bounds[p + 1]] > row_ptr[begin + bounds[p]]
    emitted = np.zeros(neurons, np.int64)
    sent_source = np.zeros((2, neurons), np.int64)  # events of this step and of the one before
    sent_value = np.zeros((2, neurons), np.int64)
    for s in range(first, end):
        membrane, current, last = membranes[s], currents[s], inner.sent[s]
        kept, draws = inner.kept[s], inner.draws[s]
        for part in range(2):
            store(rows[part], inner.x[s, part])
        special = (bounds, kinds, table, partial, bits, kept)
        for k in range(len(states)):
            store(generators[k], states[k])
        for k in range(len(noises)):
            store(noises[k], plan.states[k])
        sent = 0
        done = 0
        for t in range(lengths[s]):
            step = s * steps + t
            now, before = t & 1, 1 - (t & 1)
            if t:
                a, b = event_ptr[step - 1], event_ptr[step]
                for e in range(a, b if any_late else a):
                    row = sources + event_source[e]
                    done += deliver(row, event_value[e], row_ptr, segments, targets, weights, acc)
                if any_special:
                    offset = 3 * sources
                    done += deliver_special(
                        event_source, event_value, a, b, offset, synapses, special
                    )
                    done += deliver_special(
                        sent_source[before], sent_value[before], 0, sent, offset, synapses, special
                    )
            for e in range(sent if any_late else 0):
                row, value = sources + sent_source[before, e], sent_value[before, e]
                done += deliver(row, value, row_ptr, segments, targets, weights, acc)
            a, b = event_ptr[step], event_ptr[step + 1]
            for e in range(a, b):
                row = event_source[e]
                done += deliver(row, event_value[e], row_ptr, segments, targets, weights, acc)
            if any_special:
                offset = 2 * sources
                done += deliver_special(event_source, event_value, a, b, offset, synapses, special)
            sent, fed = 0, 0
            for p in range(len(bounds) - 1):
                fresh = sent
                if kinds[p, 0] == STREAMS:
                    taken[s, p] += settle(
                        acc, bounds[p], bounds[p + 1], kinds[p], partial,
                        fields, membrane, current, current_bits, decay_bits,
                    )  # fmt: skip
                elif kinds[p, 0] == HEAD:
                    answer(acc, bounds[p], bounds[p + 1], kinds[p], bits, generators)
                elif kinds[p, 0] == CROSSBAR:
                    read = product(acc, bounds[p], bounds[p + 1], kinds[p], kept, plan, noises)
                    counts[s, p, 3] += read[0]
                    counts[s, p, 4] += read[1]
                elif kinds[p, 0] == STATES:
                    size = bounds[p + 1] - bounds[p]
                    counts[s, p, 5] += advance(
                        acc, bounds[p], size, kinds[p], kept, layers, rows, draws
                    )
                elif kinds[p, 0] == GATE:
                    multiply(acc[bounds[p] : bounds[p + 1]], kinds[p], kept)
                spiked, clamped, current_clamped = 0, 0, 0
                entries, size = values_of[table_of[p]], bounds[p + 1] - bounds[p]
                if plain[p]:
                    clamped, current_clamped = update_all(
                        bounds[p], size, plain[p] == KEEPS, acc, fields, membrane, current,
                        membrane_bits, current_bits,
                    )  # fmt: skip
                    emit = fields[8, bounds[p]]
                    spiked = emit_all(
                        bounds[p], size, emit, fields, membrane, emitted, last, payload_bits,
                        entries, table_bits,
                    )  # fmt: skip
                    spiked = 0 if emit == 3 else spiked
                for n in range(bounds[p], bounds[p] if plain[p] else bounds[p + 1]):
                    threshold, reset_value, reset = fields[3, n], fields[4, n], fields[7, n]
                    emit = fields[8, n]
                    x = acc[n] << fields[5, n]
                    acc[n] = 0
                    if current_bits > 0:
                        wide = ((current[n] * fields[1, n] + half) >> decay_bits) + x
                        x = min(max(wide, -current_top - 1), current_top)
                        current_clamped += x != wide
                        current[n] = x
                    late = reset_value if reset == 2 and membrane[n] > threshold else 0
                    wide = ((membrane[n] * fields[0, n] + half) >> decay_bits) + x
                    wide += fields[2, n] - late
                    v = min(max(wide, -top - 1), top)
                    clamped += v != wide
                    value = np.int64(0)
                    if emit == 1 and v > threshold:
                        value = one
                        if reset == 0:
                            v = reset_value
                        elif reset == 1:
                            wide = v - reset_value
                            v = min(max(wide, -top - 1), top)
                            clamped += v != wide
                    elif emit & 3 == 2:
                        value = valued(v, fields[6, n], emit, payload_bits, entries, table_bits)
                        if emit >> 4:
                            change = value - last[n]
                            if abs(change) > threshold:
                                last[n], value = value, change
                            else:
                                value = np.int64(0)
                    elif emit == 3:
                        value = v
                    membrane[n] = v
                    emitted[n] = value
                    if value != 0:
                        spiked += emit != 3
                if kinds[p, 8]:
                    lost = silence(bounds[p], bounds[p + 1], kinds[p], membrane, emitted)
                    spiked -= 0 if fields[8, bounds[p]] == 3 else lost
                if heard[p]:
                    for n in range(bounds[p], bounds[p + 1]):
                        if emitted[n] != 0:
                            sent_source[now, sent] = inputs + n
                            sent_value[now, sent] = emitted[n]
                            sent += 1
                counts[s, p, 0] += spiked
                counts[s, p, 1] += clamped
                counts[s, p, 2] += current_clamped
                while fed < len(direct) and direct[fed, 0] == p:
                    begin, size = direct[fed, 1], bounds[p + 1] - bounds[p]
                    values_sent = emitted[bounds[p] : bounds[p + 1]]
                    done += deal(values_sent, kept[begin : begin + size])
                    fed += 1
                for e in range(fresh, sent):
                    row, value = sent_source[now, e], sent_value[now, e]
                    done += deliver(row, value, row_ptr, segments, targets, weights, acc)
                if any_special:
                    done += deliver_special(
                        sent_source[now], sent_value[now], fresh, sent, offset, synapses, special
                    )
            for i in range(len(output_neurons)):
                outputs[s, t, i] = emitted[output_neurons[i]]
            if membrane_trace.shape[0]:
                store(membrane_trace[s, t], membrane)
                store(current_trace[s, t], current)
                record(inner, rows, trace, s, t)
        for part in range(2):
            store(inner.x[s, part], rows[part])
        operations[s] = done
