"""What the golden network needs of populations that don't sum their input exactly.

An event that feeds a stochastic population adds table entries (sim/golden/sc/dense.py) to partial
sums, one for each length that can decide; an event that feeds an attention head sets a bit, one
that feeds a crossbar, states or a gate adds to a value that is kept. The population's update makes
its input sums of them. Where events are spikes and no sum of streams terminates early, a synapse
always adds the same: it is an ordinary one of another weight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import OPERANDS, Gate
from mapping.program import Population, Program, Projection
from sim.golden.network_states import check_states, way
from sim.golden.sc.dense import counts, kept_lengths

__all__ = [
    "CROSSBAR", "EXACT", "GATE", "HEAD", "STATES", "STREAMS", "Dendrites", "build_dendrites",
    "largest_sum",
]  # fmt: skip

EXACT, STREAMS, HEAD, CROSSBAR, STATES, GATE = range(6)
COLUMNS = 10


class Dendrites(NamedTuple):
    """Members

    kinds : int64 [populations, COLUMNS], first column EXACT (or like it), STREAMS, HEAD, CROSSBAR,
        STATES, GATE. Then of STREAMS: first partial sum, partial sums a neuron, k of the first,
        tolerance, p + q, entries of the table for one bit of a value, margin; of HEAD: first bit,
        tokens, dim, causal, score_gain, value_gain, number of the head; of CROSSBAR: first value,
        number of values, number of the crossbar; of STATES: first value, first state, order, way
        (of `sim/golden/network_states.py`), number among these, held, stochastic; of GATE: first
        value (all left, then all right), shift, held, stretch, repeats. The last two of all
        kinds: winners of a group, and its neurons (0: all send).
    table : int64, counts [generator, bit of the value, magnitude, length], one population after
        the other.
    states : uint64 [heads, 2], generators of the attention heads after a clear.
    sizes : partial sums, bits and values of all populations.
    """

    kinds: np.ndarray
    table: np.ndarray
    states: np.ndarray
    sizes: tuple[int, int, int]


def build_dendrites(
    program: Program,
) -> tuple[Dendrites, dict[int, np.ndarray], dict[int, np.ndarray]]:
    """The dendrites, and of each projection into one (by its number) two arrays: what its weights
    are stored as, and what its sources feed.

    Streams: the number of each weight's magnitude in the table, with the weight's sign; the
    table's first entry for each source's generator. Streams that work like ordinary synapses:
    other weights, and nothing to feed. Heads: 1; each source's bit. Crossbars: weights as they
    are, which only count as operations; each source's value. States and gates: 1; likewise.
    """
    kinds = np.zeros((len(program.populations), COLUMNS), np.int64)
    codes: dict[int, np.ndarray] = {}
    feeds: dict[int, np.ndarray] = {}
    tables, states = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]
    partial = bits = entries = values = crossbars = recurrences = states_before = 0
    for number, p in enumerate(program.populations):
        if p.winners is not None and not p.winners.all:
            kinds[number, 8:] = p.winners.count, p.winners.group
        into = [(i, q) for i, q in enumerate(program.projections) if q.target == p.name]
        if isinstance(p.dendrites, AttentionParams):
            head = p.dendrites
            if p.size != head.size:
                raise ValueError(f"{p.name}: must have {head.size} neurons, not {p.size}")
            _check_ports(p, PORTS, [q for _, q in into], [np.arange(p.size)] * len(PORTS))
            gains = head.score_gain, head.value_gain
            kinds[number, :8] = (
                HEAD,
                bits,
                head.tokens,
                head.dim,
                head.causal,
                *gains,
                len(states) - 1,
            )
            seeds = [[head.generator(n).seed for n in range(2)]]
            states.append(np.array(seeds, dtype=np.uint64))
            for i, q in into:
                codes[i] = np.ones(p.size, np.int64)
                feeds[i] = bits + PORTS.index(q.port) * p.size + np.arange(p.size)
            bits += 3 * p.size
            continue
        if isinstance(p.dendrites, Diagonal | Gate):
            d, before, feeding = p.dendrites, values, [np.arange(p.size)]
            ports = OPERANDS if isinstance(d, Gate) else ("",)
            if isinstance(d, Gate):
                every = np.arange(p.size)
                feeding = [every % d.stretch if d.repeats else every, every // d.stretch]
            _check_ports(p, ports, [q for _, q in into], feeding)
            if isinstance(d, Gate):
                kinds[number, :6] = GATE, before, d.shift, d.held, d.stretch, d.repeats
            else:
                check_states(p)
                own = d.order, way(d), recurrences, d.held, d.stochastic
                kinds[number, :8] = STATES, before, states_before, *own
                recurrences, states_before = recurrences + 1, states_before + d.states(p.size)
            for i, q in into:
                port = ports.index(q.port)
                codes[i] = np.ones(p.size, np.int64)
                first = before + sum(int(of[-1]) + 1 for of in feeding[:port])
                feeds[i] = first + np.arange(len(q.indptr) - 1)
            values += sum(int(of[-1]) + 1 for of in feeding)
            continue
        if any(q.port for _, q in into):
            raise ValueError(f"{p.name}: has no ports, but a projection names one")
        if p.dendrites is None:
            continue
        if isinstance(p.dendrites, Crossbar):
            before = values
            for i, q in into:
                feeds[i] = values + np.arange(len(q.indptr) - 1)
                values += len(feeds[i])
            kinds[number, :4] = CROSSBAR, before, values - before, crossbars
            crossbars += 1
            continue
        streams, lengths = p.dendrites, kept_lengths(p.dendrites)
        wide = {i: np.asarray(q.weights, np.int64) << q.exponent for i, q in into}
        known = np.unique(np.abs(np.concatenate([[0], *wide.values()])))
        if known[-1] > 1 << streams.weight_bits:
            raise ValueError(f"{p.name}: weights must be at most 2**weight_bits of its streams")
        powers = 1 << np.arange(streams.value_bits + 1)
        made = np.moveaxis(counts(streams, powers, known), 0, 3)
        dealt = _dealt([len(q.indptr) - 1 for _, q in into], streams.generators)
        if len(lengths) == len(powers) == 1:
            for (i, q), generator in zip(into, dealt, strict=True):
                row = np.repeat(generator, np.diff(q.indptr))
                worth = made[row, 0, np.searchsorted(known, np.abs(wide[i])), 0]
                codes[i] = np.sign(wide[i]) * worth << (streams.weight_bits - lengths[0])
            continue
        tables.append(np.ascontiguousarray(made).reshape(-1))
        whole, one = streams.value_bits + streams.weight_bits, len(known) * len(lengths)
        least = lengths[0], streams.tolerance
        kinds[number, :8] = STREAMS, partial, len(lengths), *least, whole, one, streams.margin
        for (i, _), generator in zip(into, dealt, strict=True):
            codes[i] = np.sign(wide[i]) * np.searchsorted(known, np.abs(wide[i]))
            feeds[i] = entries + generator * len(powers) * one
        entries += made.size
        partial += p.size * len(lengths)
    sizes = partial, bits, values
    dendrites = Dendrites(kinds, np.concatenate(tables), np.concatenate(states), sizes)
    return dendrites, codes, feeds


def _dealt(sizes: list[int], generators: int) -> list[np.ndarray]:
    """The generator of each source, of projections from populations of these sizes."""
    cuts = np.cumsum(sizes)[:-1]
    return np.split(np.arange(sum(sizes)) % generators, cuts)


def _check_ports(
    p: Population, ports: tuple[str, ...], into: list[Projection], feeding: list[np.ndarray]
) -> None:
    """`feeding`: by port, the one source of each neuron."""
    if sorted(q.port for q in into) != sorted(ports):
        wanted = f"each port, {', '.join(ports)}" if len(ports) > 1 else "no port"
        raise ValueError(f"{p.name}: needs one projection into {wanted}")
    for q in into:
        of = feeding[ports.index(q.port)]
        if (
            not np.array_equal(np.diff(q.indptr), np.bincount(of))
            or not np.array_equal(q.indices, np.argsort(of, kind="stable"))
            or q.exponent
            or (q.weights != 1).any()
        ):
            wanted = "one to one" if len(q.indptr) == p.size + 1 else "as its gate spreads it"
            raise ValueError(f"{q.source} -> {p.name}: must be {wanted}, weights of 1")


def largest_sum(dendrites: Streams | AttentionParams | Crossbar | Diagonal | Gate) -> int:
    """Most that one synapse adds to a neuron's sum (0 of a crossbar: `crossbar_bound`)."""
    if isinstance(dendrites, Streams):
        return 1 << (dendrites.weight_bits + dendrites.value_bits)
    if isinstance(dendrites, Diagonal | Gate):
        return 1 << (dendrites.acc_bits - 1)
    return int(isinstance(dendrites, AttentionParams))
