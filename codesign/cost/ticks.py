"""Ticks of the fabric, flit by flit: when each core has updated, sent, heard and come to rest.

A tick is followed as a max-plus system, not cycle by cycle: a flit enters when its source has it,
moves from buffer to buffer in the first cycle in which the next one has a place, waits where copies
of it do, and is taken by its core in the first cycle that the core is free. Flits are followed one
by one, in the order in which they enter, so those of several sources may swap where they meet; sums
don't mind, nor do times much. Cycle 0 of a tick is that of its MARK (hdl/host/port.py).
"""

import numpy as np
from numba import njit

from codesign.cost.sums import ARRAY, EVENTS, STREAMS

__all__ = ["CAUSES", "COUNTS", "run_ticks"]

#: What the last core to rest did in a tick, cycle by cycle; or the host; and the barrier.
CAUSES = ("update", "events", "sending", "input", "output", "barrier")
#: What is counted of a sample, and of each core.
COUNTS = ("flits", "hops", "host_flits")
OF_CORE = ("events", "words", "updates", "scans", "tiles", "rows", "codes")

UPDATE, DELIVER, SEND, INPUT, OUTPUT, BARRIER = range(6)
#: Cycles from a MARK to a core's start; from all at rest to the next MARK; from the last flit that
#: the host sent to it (hdl/noc/mesh.py, hdl/host/port.py).
START, REST, SETTLE = 2, 2, 6


@njit(cache=True, nogil=True, error_model="numpy")
def array_update(w, c, t, touched, counts):  # type: ignore[no-untyped-def]
    """The cycle of the last sum that an array core takes, whose events began `touched` [tiles,
    signs * levels] rows; its start is in cycle t - 1."""
    blocks, tiles, neurons, columns, bits, levels, trains, prepare, check, read, write, slots = (
        w.numbers[c]
    )
    signs = 2 if bits > 0 else 1
    left = slots
    for _ in range(blocks):
        ready, sampled, converted = t, t, t
        for tile in range(tiles):
            some = touched[tile].any()
            t += 1
            if not some:
                continue
            for sign in range(signs):
                held = False
                for level in range(levels):
                    rows = touched[tile, sign * levels + level]
                    t += prepare + check
                    if rows == 0:
                        if trains:
                            break
                        continue
                    counts[5] += rows
                    strobe = max(t, ready) if held else max(t, ready, sampled + 1)
                    ready = strobe + read + rows
                    t = strobe + 1
                    held = trains == 1
                    last = (
                        not trains
                        or level == levels - 1
                        or (touched[tile, sign * levels + level + 1] == 0)
                    )
                    if last:
                        sampled = max(ready, converted)
                        converted = sampled + columns
                        counts[6] += columns
            t += 1
        t = max(t, converted + write) + 1
        took = min(neurons, left)
        left -= took
        t += took
    return t - 1


@njit(cache=True, nogil=True, error_model="numpy")
def update(w, c, mask, bits, active, touched, clear, counts):  # type: ignore[no-untyped-def]
    """The first cycle in which core c takes events again."""
    kind, t, last = w.cores[0, c], START + 1, -100
    first_sum = w.first[2, c]
    for r in range(w.first[0, c], w.first[0, c + 1]):
        t += 1
        if not (mask >> np.uint64(w.ranges[0, r])) & np.uint64(1):
            continue
        words = w.ranges[1, r]
        counts[2] += words
        if kind == EVENTS:
            t += words
        elif kind == STREAMS:
            latency, length, first, stop = w.numbers[c, 0], w.numbers[c, 1], w.numbers[c, 2], 0
            share = active * (length + 1.0)
            lead = START + latency + share
            if first >= 0 and active:
                stop = w.numbers[c, 3]
                share = active * (bits + np.log2(bits) - first + 1) + stop
                lead = START + share
            if active and not clear:
                done = w.ranges[2, r] - w.ranges[2, w.first[0, c]]
                whole = np.int64(np.ceil(lead + share * (done + words - 1)))
                t = max(t + words, whole + 1)
            else:
                t += words
        elif kind == ARRAY:
            if clear:
                t = max(t, START + 13 + 8 * w.numbers[c, 0]) + words
            else:
                taken = array_update(w, c, START + 1, touched, counts)
                t = max(t + words, taken + 1)
        else:
            for k in range(words):
                t = max(t, START + w.sums[first_sum + k]) + 1
            first_sum += words
        last = t - 1
    # The search that finds no more, then the pipeline runs empty.
    return max(t + 1, last + w.cores[1, c] + 1) + 1


@njit(cache=True, nogil=True, error_model="numpy")
def run_ticks(  # type: ignore[no-untyped-def]
    first, end, w, lengths, interval, depth, delayed, events, sent, bits, banks, levels, cycles,
    causes, slowest, counts, of_core,
):  # fmt: skip
    """Follow samples `first`..`end`-1, writing into the arrays from `cycles` on.

    w : Wiring. events [samples, steps, inputs] and sent [samples, steps, neurons] : values.
    delayed : whether inputs have delayed routes. bits [samples, cores] : mean bits of a stream.
    banks, levels : most tiles of a core, rows of `touched` in each. cycles [samples, 1 + ticks];
    causes [samples, 6], cycles by CAUSES; slowest [samples, cores + 1], ticks that each decided,
    the host last; counts [samples, 3] and of_core [samples, cores, 7] by COUNTS and OF_CORE.
    """
    cores, inputs, resources = len(w.tile), events.shape[2], len(w.places)
    size = w.neurons.shape[1]
    sources = inputs * (2 if delayed else 1)
    host = cores
    longest = 1
    for p in range(w.paths.shape[1] - 1):
        longest = max(longest, w.paths[0, p + 1] - w.paths[0, p])
    ring_ptr = np.zeros(resources + 1, np.int64)
    ring_ptr[1:] = np.cumsum(w.places)
    left = np.zeros(ring_ptr[resources], np.int64)  # when the last flits of a resource left it
    passed, entered = np.zeros((2, resources), np.int64)  # flits, and the last one's entry
    reach, leave = np.zeros((2, longest), np.int64)
    mine = np.zeros(cores + 2, np.int64)  # where a source's events stand
    for c in range(cores):
        mine[c + 1] = w.ranges[2, w.first[0, c + 1]]
    mine[host + 1] = mine[host] + sources
    source = np.zeros(size + sources, np.int64)
    value = np.zeros(size + sources, np.int64)
    time = np.zeros(size + sources, np.int64)
    ends, at, flit, wait, last = np.zeros((5, cores + 1), np.int64)
    begun, taking, heard, rest, active = np.zeros((5, cores), np.int64)
    touched = np.zeros((cores, banks, levels), np.int64)
    for s in range(first, end):
        touched[:] = 0
        active[:] = 0
        ticks = (lengths[s] - 1) * interval + depth if lengths[s] > 0 else 0
        for tick in range(-1, ticks):
            mask = np.uint64(0)
            for level in range(depth):
                since = tick - level
                clear = tick < 0
                if clear or (
                    since >= 0 and since % interval == 0 and since // interval < lengths[s]
                ):
                    mask |= np.uint64(1) << np.uint64(level)
            left[:], passed[:], entered[:] = 0, 0, 0
            # Updates, and what each core has to send.
            for c in range(cores):
                t = update(w, c, mask, bits[s, c], active[c], touched[c], tick < 0, of_core[s, c])
                begun[c], taking[c], heard[c], rest[c] = t, t, 0, t
                n = mine[c]
                if tick < 0:
                    ends[c] = n
                    continue
                of_core[s, c, 4] += active[c] if w.cores[0, c] == STREAMS else 0
                position, late = t, 0
                for r in range(w.first[0, c], w.first[0, c + 1]):
                    position += 1
                    level = w.ranges[0, r]
                    if not (mask >> np.uint64(level)) & np.uint64(1):
                        continue
                    active[c] = 0
                    touched[c] = 0
                    step = (tick - level) // interval
                    word, before = -1, 0
                    base = w.neurons[1, w.ranges[2, r]] if w.ranges[2, r] < size else 0
                    for k in range(w.ranges[2, r], w.ranges[2, r + 1]):
                        neuron = w.neurons[0, k]
                        emission = sent[s, step, neuron]
                        if emission == 0 and not w.sends[0, neuron]:
                            continue
                        if w.neurons[1, k] != word:
                            word, before = w.neurons[1, k], 0
                        late += 1 if before else 0
                        before += 1
                        of_core[s, c, 3] += 1
                        if emission == 0 and not w.sends[1, neuron]:
                            continue
                        source[n] = sources + neuron
                        value[n] = emission
                        time[n] = position + (word - base) + late + w.cores[2, c]
                        n += 1
                    position += w.ranges[1, r]
                ends[c] = n
                rest[c] = position + late + 2
            n = mine[host]
            step = (tick + 1) // interval
            if (tick + 1) % interval == 0 and step < lengths[s]:
                for i in range(inputs):
                    if events[s, step, i]:
                        source[n], value[n] = i, events[s, step, i]
                        n += 1
                if delayed and step > 0:
                    for i in range(inputs):
                        if events[s, step - 1, i]:
                            source[n], value[n] = inputs + i, events[s, step - 1, i]
                            n += 1
            ends[host] = n
            for k in range(cores + 1):
                at[k], last[k] = mine[k], 0
                flit[k] = w.flit_ptr[source[at[k]]] if at[k] < ends[k] else 0
                wait[k] = time[at[k]] if k < host else 2
            answered = np.int64(0)
            # Flits, the one that enters first first.
            while True:
                k, best = -1, np.int64(1) << 62
                for j in range(cores + 1):
                    if at[j] < ends[j] and wait[j] < best:
                        k, best = j, wait[j]
                if k < 0:
                    break
                event = at[k]
                if flit[k] >= w.flit_ptr[source[event] + 1]:  # to the next event
                    at[k] += 1
                    if at[k] < ends[k]:
                        flit[k] = w.flit_ptr[source[at[k]]]
                        if k < host:
                            wait[k] = max(wait[k], time[at[k]])
                    continue
                path = w.flits[1, flit[k]]
                begin, end_hop = w.paths[0, path], w.paths[0, path + 1]
                for h in range(begin, end_hop):
                    parent, r = w.hops[1, h] - begin, w.hops[0, h]
                    there = max((best if parent < 0 else reach[parent]) + 1, entered[r] + 1)
                    room = w.places[r]
                    if passed[r] >= room:
                        there = max(there, left[ring_ptr[r] + passed[r] % room] + (room > 1))
                    if parent < 0 and there > best + 1:
                        wait[k] = there - 1
                        break
                    reach[h - begin], leave[h - begin] = there, there + 1
                    if parent >= 0:
                        leave[parent] = max(leave[parent], there)
                    counts[s, 1] += w.hops[2, h]
                if wait[k] > best:
                    continue
                if w.paths[2, path] >= 0:
                    answered = max(answered, reach[w.paths[2, path] - begin])
                    counts[s, 2] += 1
                for e in range(w.paths[1, path], w.paths[1, path + 1]):
                    c, h = w.ends[0, e], w.ends[1, e] - begin
                    axon = w.first[1, c] + w.flits[0, flit[k]]
                    taken = max(reach[h], taking[c])
                    taking[c] = taken + w.axons[0, axon]
                    heard[c] = max(heard[c], taken + w.axons[1, axon])
                    leave[h] = taken + 1
                    of_core[s, c, 0] += 1
                    of_core[s, c, 1] += w.axons[0, axon]
                    bank = w.axons[2, axon]
                    if bank < 0:
                        continue
                    if w.cores[0, c] == STREAMS:
                        active[c] += 1 if touched[c, bank, 0] == 0 else 0
                        touched[c, bank, 0] = 1
                    else:
                        drive(w.numbers[c], touched[c, bank], value[event])
                for h in range(begin, end_hop):
                    r = w.hops[0, h]
                    left[ring_ptr[r] + passed[r] % w.places[r]] = leave[h - begin]
                    passed[r] += 1
                    entered[r] = reach[h - begin]
                counts[s, 0] += 1
                last[k], wait[k] = best, best + 1
                flit[k] += 1
            # Who came to rest last.
            t, cause, who = np.int64(SETTLE + 1), INPUT, host
            if last[host] + SETTLE > t:
                t = last[host] + SETTLE
            if answered + REST > t:
                t, cause, who = answered + REST, OUTPUT, host
            for c in range(cores):
                own = max(rest[c], last[c] + 1)
                if own + REST > t:
                    t, cause, who = own + REST, SEND, c
                if heard[c] + REST > t:
                    t, cause, who = heard[c] + REST, DELIVER, c
            cycles[s, tick + 1] = t
            slowest[s, who] += t
            if cause in (SEND, DELIVER):
                causes[s, UPDATE] += begun[who] - START
                causes[s, cause] += t - REST - begun[who]
                causes[s, BARRIER] += REST + START
            else:
                pause = SETTLE + 1 if cause == INPUT else REST + START
                causes[s, BARRIER] += pause
                causes[s, cause] += t - pause


@njit(cache=True, nogil=True, error_model="numpy")
def drive(numbers, rows, value):  # type: ignore[no-untyped-def]
    """An event of that value drives a row in some reads of its tile (hdl/params/crossbar)."""
    bits, levels, trains = numbers[4], numbers[5], numbers[6]
    if bits == 0:
        rows[0] += 1
        return
    at = levels if value < 0 else 0
    size = abs(value)
    for level in range(levels):
        if trains:
            rows[at + level] += size > level
        else:
            rows[at + level] += (size >> level) & 1
