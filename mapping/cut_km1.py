"""Annealing of a partition on km1, with the capacities as invariants of every move.

Heat bath: units are visited in order; each moves to a core with a chance that falls with
exp(-change / temperature), by adding Gumbel noise to the changes of all cores and taking the best
that has room. Of each net only the cores that it touches are held, with the number of pins in
each: all changes of a unit cost one pass over the lists of its nets. A unit that wants into a full
core waits there for one that wants the other way; the two then change places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from mapping.pins import Pins

__all__ = ["State", "fits", "relieve", "state_of", "sweep"]

#: Columns of State.held: what a core holds and what is limited.
SLOTS, BITS, LOAD, AXONS, UNITS = range(5)

#: A core further behind the best than this many temperatures is not looked at.
FAR = 8.0

#: With more cores than this nobody waits.
MOST_WAITING = 4096


class State(NamedTuple):
    """core: int32 of each unit. entry: of each net from begin[net] on, length[net] times
    core << shift | pins there. held: int64 [cores, 5], most: its limits. sizes: neurons
    [cores, populations]. gap: how much worse the best other core of a unit was when last seen.
    waiting: int32 [cores, cores], unit of the first that wanted into the second; -1, or one
    that has left."""

    core: np.ndarray
    entry: np.ndarray
    begin: np.ndarray
    length: np.ndarray
    held: np.ndarray
    most: np.ndarray
    sizes: np.ndarray
    gap: np.ndarray
    waiting: np.ndarray
    lanes: int
    shift: int


@njit(cache=True, nogil=True)
def _put(entry, a, length, e, core, shift):
    """One more pin of net e in the core; how many there were."""
    n = length[e]
    for i in range(a, a + n):
        if entry[i] >> shift == core:
            before = entry[i] & ((1 << shift) - 1)
            entry[i] += 1
            return before
    entry[a + n] = (core << shift) | 1
    length[e] = n + 1
    return 0


@njit(cache=True, nogil=True)
def _take(entry, a, length, e, core, shift):
    """One pin less; how many are left."""
    n = length[e]
    for i in range(a, a + n):
        if entry[i] >> shift == core:
            left = (entry[i] & ((1 << shift) - 1)) - 1
            if left:
                entry[i] -= 1
            else:
                entry[i] = entry[a + n - 1]
                length[e] = n - 1
            return left
    return 0


@njit(cache=True, nogil=True)
def _tally(held, sizes, core, sign, need, population, lanes):
    """A unit goes into a core (sign 1) or out of it (-1)."""
    size = sizes[core, population]
    after = size + sign * need[0]
    held[core, SLOTS] += (-(-after // lanes) + (-size // lanes)) * lanes
    sizes[core, population] = after
    held[core, BITS] += sign * need[1]
    held[core, LOAD] += sign * need[2]
    held[core, UNITS] += sign


@njit(cache=True, nogil=True)
def _move(pins, state, v, to):
    """Move a unit, whatever the limits."""
    first, net, home = pins.first, pins.net, pins.home
    at = np.int64(state.core[v])
    count = state.most[AXONS] >= 0
    for k in range(first[v], first[v + 1]):
        e = net[k]
        a = state.begin[e]
        left = _take(state.entry, a, state.length, e, at, state.shift)
        before = _put(state.entry, a, state.length, e, to, state.shift)
        if count and home[e] != v:
            lives = state.core[home[e]] if home[e] >= 0 else -1
            if left == (lives == at):
                state.held[at, AXONS] -= 1
            if before == (lives == to):
                state.held[to, AXONS] += 1
    _tally(state.held, state.sizes, at, -1, pins.needs[v], pins.population[v], state.lanes)
    _tally(state.held, state.sizes, to, 1, pins.needs[v], pins.population[v], state.lanes)
    state.core[v] = to


@njit(cache=True, nogil=True)
def _over(state, core):
    """Whether a core holds more than it may."""
    held, most = state.held, state.most
    return (
        held[core, SLOTS] > most[SLOTS]
        or held[core, BITS] > most[BITS]
        or held[core, LOAD] > most[LOAD]
        or (most[AXONS] >= 0 and held[core, AXONS] > most[AXONS])
    )


@njit(cache=True, nogil=True)
def _room(pins, state, v, to):
    """Whether a core can take a unit within the limits."""
    held, most, lanes = state.held, state.most, state.lanes
    size = state.sizes[to, pins.population[v]]
    more = (-(-(size + pins.needs[v, 0]) // lanes) + (-size // lanes)) * lanes
    if (
        held[to, SLOTS] + more > most[SLOTS]
        or held[to, BITS] + pins.needs[v, 1] > most[BITS]
        or held[to, LOAD] + pins.needs[v, 2] > most[LOAD]
    ):
        return False
    if most[AXONS] < 0:
        return True
    axons = held[to, AXONS]
    for k in range(pins.first[v], pins.first[v + 1]):
        e = pins.net[k]
        if pins.home[e] != v:
            there = 0
            for i in range(state.begin[e], state.begin[e] + state.length[e]):
                if state.entry[i] >> state.shift == to:
                    there = state.entry[i] & ((1 << state.shift) - 1)
            axons += there == (pins.home[e] >= 0 and state.core[pins.home[e]] == to)
    return axons <= most[AXONS]


@njit(cache=True, nogil=True)
def _look(pins, state, v, present):
    """Adds up, for each core, the weight of v's nets that touch it. Returns the weight of those
    that would touch another core if v left to it, less those that would no longer touch v's."""
    present[:] = 0.0
    at, shift = np.int64(state.core[v]), state.shift
    single = (at << shift) | 1
    total = 0.0
    for k in range(pins.first[v], pins.first[v + 1]):
        e = pins.net[k]
        weight = pins.weight[e]
        total += weight
        a = state.begin[e]
        for i in range(a, a + state.length[e]):
            entry = state.entry[i]
            present[entry >> shift] += weight
            if entry == single:
                total -= weight
    return total


@njit(cache=True, nogil=True)
def _trade(pins, state, v, to, change, heat, present):
    """Change places with the unit that waits in `to` for v's core, if there is one and it pays.

    change: of moving v alone. Returns whether they did, and the change of both.
    """
    at = np.int64(state.core[v])
    state.waiting[at, to] = v
    u = np.int64(state.waiting[to, at])
    if u < 0 or state.core[u] != to:
        return False, 0.0
    _move(pins, state, v, to)
    change += _look(pins, state, u, present) - present[at]
    if change < -heat * np.log(np.random.random()):
        _move(pins, state, u, at)
        if not _over(state, at) and not _over(state, to):
            return True, change
        _move(pins, state, u, to)
    _move(pins, state, v, at)
    return False, 0.0


@njit(cache=True, nogil=True)
def sweep(pins, state, order, heat, skip, seed):
    """Visit units once, in an order, at a temperature (in weight). Returns the change of km1's sum.

    skip: units that were last seen to lose more by any move wait their turn; their loss counts as
    a fourth less each time.
    """
    np.random.seed(seed)
    cores = len(state.held)
    present = np.zeros(cores, dtype=np.float32)
    whole = 0.0
    trades = len(state.waiting) == cores
    for v in order:
        at = np.int64(state.core[v])
        if state.held[at, UNITS] <= 1:
            continue
        if state.gap[v] > skip:
            state.gap[v] *= 0.75
            continue
        stay = _look(pins, state, v, present)
        present[at] = -np.inf
        highest = present.max()
        state.gap[v] = stay - highest
        bar = stay - heat * np.log(-np.log(np.random.random()))
        least = highest - FAR * heat if heat > 0 else stay
        best, full, longed = -1, -1, -np.inf
        for c in range(cores):
            if present[c] < least:
                continue
            score = present[c] - heat * np.log(-np.log(np.random.random()))
            if score > bar:
                if _room(pins, state, v, c):
                    best, bar = c, score
                elif score > longed:
                    full, longed = c, score
        change = stay - present[best]
        if full >= 0 and longed > bar and trades:
            alone = stay - present[full]
            traded, both = _trade(pins, state, v, full, alone, heat, present)
            if traded:
                whole += both
                continue
        if best >= 0:
            _move(pins, state, v, best)
            whole += change
    return whole


@njit(cache=True, nogil=True)
def relieve(pins, state, order, price):
    """Move units out of cores that hold too much, each to the best core with room, if that costs
    at most `price`. Returns how many moved."""
    present = np.zeros(len(state.held), dtype=np.float32)
    moved = 0
    for v in order:
        at = np.int64(state.core[v])
        if not _over(state, at) or state.held[at, UNITS] <= 1:
            continue
        bar = _look(pins, state, v, present) - price
        best = -1
        for c in range(len(state.held)):
            if c != at and present[c] >= bar and _room(pins, state, v, c):
                best, bar = c, present[c]
        if best >= 0:
            _move(pins, state, v, best)
            moved += 1
    return moved


@njit(cache=True, nogil=True)
def _enter(pins, state):
    core, held = state.core, state.held
    for v in range(len(core)):
        for k in range(pins.first[v], pins.first[v + 1]):
            e = pins.net[k]
            _put(state.entry, state.begin[e], state.length, e, core[v], state.shift)
        _tally(held, state.sizes, core[v], 1, pins.needs[v], pins.population[v], state.lanes)
    if state.most[AXONS] >= 0:
        for e in range(len(state.length)):
            lives = core[pins.home[e]] if pins.home[e] >= 0 else -1
            for i in range(state.begin[e], state.begin[e] + state.length[e]):
                c = state.entry[i] >> state.shift
                count = state.entry[i] & ((1 << state.shift) - 1)
                held[c, AXONS] += count > (lives == c)


@njit(cache=True, nogil=True)
def _sizes(net, nets):
    size = np.zeros(nets, dtype=np.int64)
    for e in net:
        size[e] += 1
    return size


def state_of(pins: Pins, core: np.ndarray, cores: int, most: np.ndarray, lanes: int) -> State:
    """The state of a partition. `most`: slots, bits, load, axons (-1: not limited)."""
    units, nets = len(core), len(pins.weight)
    size = _sizes(pins.net, nets)
    small = cores <= 1 << 15 and int(size.max(initial=0)) < 1 << 16
    room = np.minimum(size, cores)
    begin = np.cumsum(room) - room
    state = State(
        core=core.astype(np.int32),
        entry=np.empty(int(room.sum()), dtype=np.uint32 if small else np.int64),
        begin=begin,
        length=np.zeros(nets, dtype=np.int32),
        held=np.zeros((cores, 5), dtype=np.int64),
        most=np.asarray(most, dtype=np.int64),
        sizes=np.zeros((cores, int(pins.population.max()) + 1), dtype=np.int64),
        gap=np.full(units, -np.inf, dtype=np.float32),
        waiting=np.full((cores if cores <= MOST_WAITING else 1,) * 2, -1, dtype=np.int32),
        lanes=lanes,
        shift=16 if small else 32,
    )
    _enter(pins, state)
    return state


def fits(state: State) -> bool:
    """Whether no core holds more than it may."""
    limited = np.where(state.most < 0, 1 << 62, state.most)
    return bool((state.held[:, :4] <= limited).all())
