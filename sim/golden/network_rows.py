"""A Program's synapses as flat rows for the golden network, and the checks that go before.

A row holds what one event feeds: a source's synapses of one delay, in segments of one projection
each. Sources are numbered inputs first, then neurons; row r is source r with delay 0, row
sources + r with delay 1. Weights already carry their exponent. Projections into populations with
dendrites have rows of their own, 2 * sources further on (unless they work like ordinary
ones), with weights as `sim/golden/network_dendrites.py` makes them.
"""

from typing import NamedTuple

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import Emit, Reset, sends_changes, sends_value
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.program import Population, Program, Projection
from sim.golden.network_crossbar import crossbar_bound
from sim.golden.network_dendrites import build_dendrites, largest_sum

__all__ = ["KEEPS", "PLAIN", "Rows", "build_rows"]


PLAIN, KEEPS = 1, 2


class Rows(NamedTuple):
    """Members

    row_ptr : int64 [4*sources + 1], first segment of each row.
    segments : int64 [segments, 3]: first synapse, number of synapses, first target if the
        targets are consecutive, else -1.
    feeds : int64 [segments, 2]: population if it has dendrites, else -1; what the row's source
        feeds there.
    targets : uint32 [synapses], neuron.
    weights : int32 [synapses], weight << exponent.
    direct : int64 [pairs, 2], by population: that, and where the value of its first neuron is kept.
        What feeds states and gates within the step takes no rows, it is dealt in order.
    plain : int64 [populations], PLAIN or KEEPS (currents are forgotten, or stay) where there are no
        other dynamics, and no spikes; else 0.
    kinds, table, states, sizes : of all dendrites.
    """

    row_ptr: np.ndarray
    segments: np.ndarray
    feeds: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    direct: np.ndarray
    plain: np.ndarray
    kinds: np.ndarray
    table: np.ndarray
    states: np.ndarray
    sizes: tuple[int, int, int]


class _Place(NamedTuple):
    """Where a population's sources begin, the largest magnitude of its events, and of the sums of
    these if they are changes, else -1."""

    first: int
    size: int
    level: int
    largest: int
    held: int = -1


def build_rows(program: Program) -> Rows:
    """Merge all projections; ValueError if one is malformed or a sum could leave 64 bits."""
    places = _places(program)
    sources = sum(place.size for place in places.values())
    inputs = program.input_size
    reach = np.zeros(sources - inputs)  # largest magnitude of each neuron's sum
    none = np.zeros(0, np.int64)
    rows, segments = [none], [np.zeros((0, 5), np.int64)]
    targets, weights = [none.astype(np.uint32)], [none.astype(np.int32)]
    direct = []
    stored = 0
    ends = [(places[q.source], places[q.target]) for q in program.projections]
    for projection, (source, target) in zip(program.projections, ends, strict=True):
        _check_projection(projection, source, target)
    dendrites, codes, feeds = build_dendrites(program)
    numbers = {p.name: number for number, p in enumerate(program.populations)}
    for i, (projection, (source, target)) in enumerate(zip(program.projections, ends, strict=True)):
        wide = np.asarray(projection.weights, np.int64) << projection.exponent
        neuron = target.first - inputs + np.asarray(projection.indices, np.int64)
        most = np.abs(wide) * float(source.largest)
        number = numbers[projection.target]
        special = program.populations[number].dendrites
        if special is not None:
            _check_values(projection, source, special)
            most = np.full(len(neuron), float(largest_sum(special)))
        reach += np.bincount(neuron, most, len(reach))
        spread = isinstance(special, Gate) and special.spread
        dealt = isinstance(special, Diagonal | Gate) and not spread
        if dealt and source.level and not projection.delay:
            direct.append((numbers[projection.source], int(feeds[i][0])))
            continue
        count = np.diff(projection.indptr)
        used = np.flatnonzero(count)
        if isinstance(special, Crossbar):  # a row without weights is read too
            used = np.arange(source.size)
        start, end = projection.indptr[used], projection.indptr[used + 1]
        first = np.full(len(used), -1)
        if i not in feeds:
            consecutive = neuron[end - 1] - neuron[start] + 1 == count[used]
            first = np.where(consecutive, neuron[start], -1)
        kind = projection.delay + (2 if i in feeds else 0)
        rows.append(kind * sources + source.first + used)
        where = np.full(len(used), number if i in feeds else -1)
        fed = feeds[i][used] if i in feeds else where
        columns = stored + start, count[used], first, where, fed
        segments.append(np.stack(columns, 1).astype(np.int64))
        targets.append(neuron.astype(np.uint32))
        weights.append(codes.get(i, wide).astype(np.int32))
        stored += len(neuron)
    for p in program.populations:
        if isinstance(p.dendrites, Crossbar):
            begin = places[p.name].first - inputs
            reach[begin : begin + p.size] += crossbar_bound(program, p)
    shift = np.concatenate([none, *(p.fields["shift"] for p in program.populations)])
    if len(reach) and (reach * 2.0**shift).max() >= 2.0**61:
        raise ValueError("the sum of a neuron's inputs could leave 64 bits")
    row = np.concatenate(rows)
    every = np.concatenate(segments)[np.argsort(row, kind="stable")]
    count = np.bincount(row, minlength=4 * sources)
    return Rows(
        row_ptr=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        segments=np.ascontiguousarray(every[:, :3]),
        feeds=np.ascontiguousarray(every[:, 3:]),
        targets=np.concatenate(targets),
        weights=np.concatenate(weights),
        direct=np.array(sorted(direct), np.int64).reshape(-1, 2),
        plain=np.array([_plain(program, p) for p in program.populations], np.int64),
        **dendrites._asdict(),
    )


def _plain(program: Program, p: Population) -> int:
    f, one = p.fields, 1 << program.formats.decay_bits
    emits, decays = np.unique(f["emit"]).tolist(), np.unique(f["current_decay"]).tolist()
    moves = f["membrane_decay"].any() or (f["reset"] == Reset.DELAYED).any()
    if moves or len(emits) != 1 or emits == [Emit.SPIKE]:
        return 0
    if program.formats.current_bits == 0 or decays == [0]:
        return PLAIN
    return KEEPS if decays == [one] else 0


def _places(program: Program) -> dict[str, _Place]:
    payload = 1 << max(program.formats.payload_bits - 1, 0)
    places, first = {}, 0
    for i in program.inputs:
        places[i.name] = _Place(first, i.size, 0, payload if i.graded else 1)
        first += i.size
    for p in program.populations:
        emit = p.fields["emit"]
        largest = payload if sends_value(emit).any() else 1
        if (emit == Emit.STATE).any():
            largest = max(largest, 1 << (program.formats.membrane_bits - 1))
        held = payload >> 1 if (sends_changes(emit) | (emit == Emit.NONE)).all() else -1
        places[p.name] = _Place(first, p.size, p.level, largest, held)
        first += p.size
    if len(places) != len(program.inputs) + len(program.populations):
        raise ValueError("names of inputs and populations must be distinct")
    return places


def _check_values(
    q: Projection,
    source: _Place,
    special: Streams | AttentionParams | Crossbar | Diagonal | Gate,
) -> None:
    most, largest = 1, source.largest
    if isinstance(special, Streams):
        most = 1 << special.value_bits
    elif isinstance(special, Crossbar):
        most = (1 << special.value_bits) - 1 or 1
    elif isinstance(special, Diagonal | Gate):
        most = 1 << (special.value_bits - 1)
        if special.held and source.held < 0:
            raise ValueError(f"{q.source} -> {q.target}: must send changes, which are held there")
        largest = source.held if special.held else largest
    if largest > most:
        raise ValueError(
            f"{q.source} -> {q.target}: values reach {largest}, {most} is allowed there"
        )


def _check_projection(projection: Projection, source: _Place, target: _Place) -> None:
    name = f"{projection.source} -> {projection.target}"
    ptr, index = np.asarray(projection.indptr), np.asarray(projection.indices)
    if target.level == 0:
        raise ValueError(f"{name}: an input can't be a target")
    if projection.delay not in (0, 1):
        raise ValueError(f"{name}: delay must be 0 or 1, not {projection.delay}")
    if projection.delay == 0 and source.level >= target.level:
        raise ValueError(f"{name}: a projection with delay 0 must lead to a higher level")
    if ptr.shape != (source.size + 1,) or ptr[0] != 0 or ptr[-1] != len(index):
        raise ValueError(f"{name}: indptr must have {source.size + 1} entries, 0 to {len(index)}")
    if (np.diff(ptr) < 0).any() or len(projection.weights) != len(index):
        raise ValueError(f"{name}: indptr must ascend, weights and indices must match")
    if not len(index):
        return
    if not 0 <= index.min() <= index.max() < target.size:
        raise ValueError(f"{name}: targets must be in 0..{target.size - 1}")
    row = np.repeat(np.arange(source.size), np.diff(ptr))
    if ((np.diff(index) <= 0) & (np.diff(row) == 0)).any():
        raise ValueError(f"{name}: targets of a row must ascend")
    largest = max(-int(projection.weights.min()), int(projection.weights.max()))
    if projection.exponent < 0 or largest << projection.exponent >= 1 << 31:
        raise ValueError(f"{name}: weight << exponent must fit 32 bits, exponent must be >= 0")
