"""What is wrong with populations that sum their input in another way than exactly."""

from __future__ import annotations

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import Emit, Reset, sends_changes
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import OPERANDS, Gate
from mapping.changes import sends_values
from mapping.program import Population, Program, Projection

__all__ = ["crossbar_sources", "dendrite_problems", "sends_values"]

Data = dict[str, tuple[tuple[int, ...], int, int]]


def _streams(program: Program, into: list[Projection], streams: Streams) -> list[str]:
    found = []
    most = 1 << streams.weight_bits
    for q in into:
        largest = int(np.abs(q.weights).max(initial=0)) << q.exponent
        if largest > most:
            found.append(
                f"weights from {q.source} reach {largest}, more than 2**weight_bits of its "
                f"streams, {most}"
            )
        payload = program.formats.payload_bits - 1
        if streams.value_bits < payload and sends_values(program, q.source):
            found.append(
                f"{q.source} sends values of magnitudes up to {1 << payload}, more than "
                f"2**value_bits of its streams, {1 << streams.value_bits}"
            )
    return found + _parallel(into)


def _parallel(into: list[Projection]) -> list[str]:
    pairs = [(q.source, q.delay) for q in into]
    return [
        f"{source} has several projections of delay {delay} to it; add them up"
        for source, delay in sorted({pair for pair in pairs if pairs.count(pair) > 1})
    ]


def _feeds(q: Projection, source: np.ndarray) -> bool:
    """Whether each neuron n has one synapse, of weight 1 and from neuron source[n]."""
    return (
        q.exponent == 0
        and np.array_equal(q.indptr, np.cumsum([0, *np.bincount(source)]))
        and np.array_equal(q.indices, np.argsort(source, kind="stable"))
        and bool((q.weights == 1).all())
    )


def _attention(
    program: Program, p: Population, into: list[Projection], head: AttentionParams
) -> list[str]:
    if p.size != head.size:
        return [f"size must be tokens * dim of its attention head, {head.size}, not {p.size}"]
    return _ports(p, into, PORTS) + [
        f"{q.source} sends values; an attention head takes spikes"
        for q in into
        if sends_values(program, q.source)
    ]


def _ports(p: Population, into: list[Projection], ports: tuple[str, ...]) -> list[str]:
    """Problems of dendrites that take one source a neuron at each of these ports."""
    found = []
    given = sorted(q.port for q in into)
    if given != sorted(ports):
        shown = ", ".join(repr(port) for port in given) or "none"
        found.append(
            f"it needs one projection into each port, {', '.join(ports)}, and no other, not {shown}"
            if ports != ("",)
            else f"it needs one projection, without a port, not {shown}"
        )
    wanted = {q.port: np.arange(p.size) for q in into}
    how = "one to one"
    if isinstance(p.dendrites, Gate) and p.dendrites.spread:
        wanted = dict(zip(OPERANDS, map(np.array, p.dendrites.places(p.size)), strict=True))
        how = "as its gate spreads it"
    return found + [
        f"the projection from {q.source} must be {how}, {p.size} weights of 1"
        for q in into
        if q.port in wanted and not _feeds(q, wanted[q.port])
    ]


def _values(program: Program, into: list[Projection], d: Diagonal | Gate) -> list[str]:
    """Problems of sources that send more than value_bits hold. Changes add up to one bit less."""
    bits = program.formats.payload_bits - d.held
    return [
        f"{q.source} sends values of {bits} bits, more than value_bits, {d.value_bits}"
        for q in into
        if d.value_bits < bits and sends_values(program, q.source)
    ]


def _gate(program: Program, p: Population, into: list[Projection], gate: Gate) -> list[str]:
    if p.size % gate.stretch:
        return [f"size must be a multiple of its gate's stretch, {gate.stretch}, not {p.size}"]
    found = _ports(p, into, OPERANDS) + _values(program, into, gate)
    if gate.spread and len({q.source for q in into}) == 1:
        found.append(f"both its inputs are {into[0].source}; a gate that spreads them takes two")
    return found


def _winners(p: Population) -> list[str]:
    """Problems of a population in which only winners send."""
    w, f, found = p.winners, p.fields, []
    assert w is not None
    if p.size % w.group:
        found.append(f"size must be a multiple of the winners' group, {w.group}, not {p.size}")
    if p.dendrites is not None:
        found.append("winners are of exact sums; it must have no other dendrites")
    emits = np.unique(f["emit"])
    if len(emits) > 1 or sends_changes(emits).any():
        found.append(f"winners must all emit in one way, and no changes, not {emits.tolist()}")
    spikes = f["emit"] == Emit.SPIKE
    if ((f["reset"] == Reset.SET) | (f["reset_value"] != 0))[spikes].any():
        found.append("a spike of a winner must leave its membrane: subtract a reset_value of 0")
    return found


def _diagonal(program: Program, p: Population, into: list[Projection], d: Diagonal) -> list[str]:
    found = _ports(p, into, ("",)) + _values(program, into, d)
    if p.size % d.neurons:
        return [*found, f"size must be even where neurons are parts of a state, not {p.size}"]
    found += (wrong := _data(p, d.data(p.size)))
    if not wrong:
        square, one = (p.arrays["pole"] ** 2).sum(axis=1), 4**d.pole_bits
        if (bad := np.flatnonzero(square >= one)).size:
            pole = ", ".join(str(part) for part in p.arrays["pole"][bad[0]])
            found.append(
                f"the pole of state {bad[0]}, {pole}, must be of magnitude below "
                f"{1 << d.pole_bits}, that is 1"
            )
    return found


def _data(p: Population, wanted: Data) -> list[str]:
    """Problems of names, types, shapes and ranges of a population's arrays."""
    given = [name for name in p.arrays if name != "table"]
    if set(given) != set(wanted):
        return [f"arrays must be {', '.join(wanted)}, not {', '.join(given) or 'none'}"]
    found = []
    for name, (shape, low, high) in wanted.items():
        value = p.arrays[name]
        if value.dtype != np.int64 or value.shape != shape:
            found.append(f"{name} must be int64 {shape}, not {value.dtype} {value.shape}")
        elif value.size and not low <= value.min() <= value.max() <= high:
            found.append(f"{name} must be in {low}..{high}")
    return found


def crossbar_sources(program: Program, name: str) -> int:
    """Sources j of a crossbar population, or how many it would have: all neurons that feed it."""
    return sum(len(q.indptr) - 1 for q in program.projections if q.target == name)


def _crossbar(
    program: Program, p: Population, into: list[Projection], crossbar: Crossbar
) -> list[str]:
    found = _parallel(into)
    for q in into:
        full = np.diff(q.indptr) == p.size
        if not full.all():
            found.append(
                f"row {int(np.argmin(full))} of the projection from {q.source} must be full, "
                f"{p.size} weights, on a crossbar"
            )
        payload = program.formats.payload_bits
        if crossbar.value_bits < payload and sends_values(program, q.source):
            found.append(
                f"{q.source} sends values of {payload} bits, its crossbar takes magnitudes of "
                f"{crossbar.value_bits}"
            )
    wrong = _data(p, crossbar.data(p.size, crossbar_sources(program, p.name)))
    if not wrong and (np.diff(np.sort(p.arrays["column"], axis=1), axis=1) == 0).any():
        wrong.append("column must name each physical column of a block once")
    return found + wrong


def dendrite_problems(program: Program) -> list[str]:
    """One line for every broken rule; the Program is otherwise valid."""
    found = []
    for p in program.populations:
        into = [q for q in program.projections if q.target == p.name]
        texts: list[str] = []
        if isinstance(p.dendrites, AttentionParams):
            texts = _attention(program, p, into, p.dendrites)
        elif isinstance(p.dendrites, Diagonal):
            texts = _diagonal(program, p, into, p.dendrites)
        elif isinstance(p.dendrites, Gate):
            texts = _gate(program, p, into, p.dendrites)
        else:
            if isinstance(p.dendrites, Crossbar):
                texts = _crossbar(program, p, into, p.dendrites)
            elif p.dendrites is not None:
                texts = _streams(program, into, p.dendrites)
            texts += [
                f"the projection from {q.source} names port {q.port!r}, "
                "which only an attention head or a gate has"
                for q in into
                if q.port
            ]
        if not isinstance(p.dendrites, Crossbar | Diagonal) and set(p.arrays) - {"table"}:
            texts.append("has arrays, which only crossbars and states have")
        texts += _winners(p) if p.winners is not None else []
        found += [f"{p.name}: {text}" for text in texts]
    return found
