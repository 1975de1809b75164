"""A Program as flat arrays: all sources, all neurons, all synapses numbered through.

Sources are the inputs in order, then the neurons: neuron n is source ``inputs + n``. Where an
input has projections of delay 1, all inputs stand a second time, delayed: the host sends an
event of a delayed input one step after the event itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.neuron import Emit, sends_value
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.gate import OPERANDS, Gate
from mapping.changes import change_problems
from mapping.dendrites import dendrite_problems
from mapping.program import Program, Projection
from mapping.schedule import Edge

__all__ = ["Network", "add_up", "added_up", "flatten"]

MAX_EXPONENT = 15


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Synapses are sorted by source; a (source, target) pair occurs at most once.

    Into a stochastic population a weight is shifted by its exponent already, into an attention head
    or a gate it says which ports the source feeds: bit n is PORTS[n] or OPERANDS[n]. Into a
    crossbar every source has a synapse to every neuron, weights of 0 too.
    """

    inputs: int  #: sources at the host, delayed ones counted
    neurons: int
    first: dict[str, int]  #: first source number of an input or population
    size: dict[str, int]
    population: np.ndarray  #: population number of each neuron
    level: np.ndarray  #: level of each neuron, from 1
    graded: np.ndarray  #: of each source: its events carry values
    output: np.ndarray  #: of each neuron: its output number, -1 for none
    source: np.ndarray  #: of each synapse: source number
    target: np.ndarray  #: of each synapse: neuron number
    weight: np.ndarray
    exponent: np.ndarray
    number: np.ndarray  #: of each synapse: its source's number j among all inputs of a stochastic
    #: population or a crossbar, else 0
    projection: np.ndarray  #: of each synapse: number into `weight_bits`
    weight_bits: np.ndarray  #: of each (merged) projection
    edges: tuple[Edge, ...]

    @property
    def sources(self) -> int:
        return self.inputs + self.neurons

    @property
    def depth(self) -> int:
        return int(self.level.max())


def _joined(group: list[Projection], names: tuple[str, ...]) -> Projection:
    """Projections from one source into several ports of an attention head or a gate as one."""
    ports = sum(1 << names.index(q.port) for q in group)
    return replace(group[0], weights=group[0].weights * ports)


def _inputs(program: Program) -> dict[tuple[str, str, int], int]:
    """By source, target and delay of a projection: how many inputs its target has before it."""
    found: dict[tuple[str, str, int], int] = {}
    counted = dict.fromkeys((p.name for p in program.populations), 0)
    for q in program.projections:
        found[q.source, q.target, q.delay] = counted[q.target]
        counted[q.target] += len(q.indptr) - 1
    return found


def add_up(group: list[Projection], rows: int, columns: int) -> Projection:
    """Parallel projections as one: the sum of their weights with the least exponent."""
    least = min(p.exponent for p in group)
    total = csr_array((rows, columns), dtype=np.int64)
    for p in group:
        data = np.asarray(p.weights, dtype=np.int64) << (p.exponent - least)
        total = total + csr_array((data, p.indices, p.indptr), shape=(rows, columns))
    total.sort_indices()
    low, high = int(total.data.min(initial=0)), int(total.data.max(initial=0))
    bits = max(max(-low - 1, high).bit_length() + 1, 2, *(p.weight_bits for p in group))
    if bits > 16:
        raise UserError(
            f"projections {group[0].source} -> {group[0].target}: the sum of the "
            f"{len(group)} parallel ones needs {bits} weight bits, 16 available; "
            "give them one scale or fewer weight bits (--weight-bits)"
        )
    return Projection(
        source=group[0].source,
        target=group[0].target,
        indptr=total.indptr.astype(np.int64),
        indices=total.indices.astype(np.int64),
        weights=total.data,
        weight_bits=bits,
        exponent=least,
        delay=group[0].delay,
    )


def added_up(program: Program, name: str) -> Program:
    """The Program with parallel projections into a population as one each."""
    size = {i.name: i.size for i in program.inputs} | {p.name: p.size for p in program.populations}
    groups: dict[tuple[str, int], list[Projection]] = {}
    for q in program.projections:
        if q.target == name:
            groups.setdefault((q.source, q.delay), []).append(q)
    first = {id(group[0]): group for group in groups.values()}
    kept = []
    for q in program.projections:
        if q.target != name:
            kept.append(q)
        elif id(q) in first:
            group = first[id(q)]
            kept.append(q if len(group) == 1 else add_up(group, size[q.source], size[name]))
    return replace(program, projections=tuple(kept))


def _check(program: Program) -> None:
    """Everything that can't be mapped, at once."""
    wrong = []
    levels = {i.name: 0 for i in program.inputs} | {p.name: p.level for p in program.populations}
    if not program.populations:
        wrong.append(f"program {program.name}: there is no population to map")
    if len(levels) != len(program.inputs) + len(program.populations):
        wrong.append("names of inputs and populations must be distinct")
    graded = [i.name for i in program.inputs if i.graded]
    for p in program.populations:
        if p.level < 1 or p.size < 1:
            wrong.append(f"population {p.name}: level and size must be at least 1")
        if sends_value(p.fields["emit"]).any():
            graded.append(p.name)
    if graded and program.formats.payload_bits < 2:
        wrong.append(f"{graded[0]} sends values: payload_bits must be at least 2")
    for q in program.projections:
        name = f"projection {q.source} -> {q.target}"
        if q.source not in levels or levels.get(q.target, 0) == 0:
            wrong.append(f"{name}: there is no such pair of populations")
            continue
        if not 0 <= q.exponent <= MAX_EXPONENT:
            wrong.append(f"{name}: exponent must be in 0..{MAX_EXPONENT}, not {q.exponent}")
        if q.weight_bits == 1:
            fits = not len(q.weights) or bool((np.abs(q.weights) == 1).all())
        else:
            half = 1 << (q.weight_bits - 1)
            fits = -half <= np.min(q.weights, initial=0) <= np.max(q.weights, initial=0) < half
        if not fits:
            wrong.append(f"{name}: weights do not fit weight_bits ({q.weight_bits})")
        if levels[q.source] and (program.population(q.source).fields["emit"] == Emit.STATE).any():
            wrong.append(f"{name}: {q.source} sends its state, which only the host can take")
    if len(set(program.outputs)) != len(program.outputs):
        wrong.append(f"outputs must be distinct, not {', '.join(program.outputs)}")
    for name in program.outputs:
        if name not in levels or levels[name] == 0:
            wrong.append(f"output {name}: there is no such population")
    if wrong := wrong or dendrite_problems(program) + change_problems(program):
        raise UserError("; ".join(wrong))


def flatten(program: Program) -> Network:
    """Check the Program and number it through."""
    _check(program)
    size = {i.name: i.size for i in program.inputs} | {p.name: p.size for p in program.populations}
    level = {i.name: 0 for i in program.inputs} | {p.name: p.level for p in program.populations}
    late = any(q.delay == 1 and not level[q.source] for q in program.projections)
    first: dict[str, int] = {}
    total = 0
    for i in program.inputs:
        first[i.name] = total
        total += i.size
    delayed = total
    inputs = total = total * 2 if late else total
    for p in program.populations:
        first[p.name] = total
        total += p.size
    pairs: dict[tuple[str, str, int], list[Projection]] = {}
    edges: list[Edge] = []
    for q in program.projections:
        pairs.setdefault((q.source, q.target, q.delay), []).append(q)
        delay = q.delay if level[q.source] or q.delay != 1 else 0
        name = f"projection {q.source} -> {q.target}"
        edges.append((level[q.source], level[q.target], delay, name))
    dendrites = {p.name: p.dendrites for p in program.populations}
    numbers = _inputs(program)
    parts: list[tuple[np.ndarray, ...]] = []
    bits: list[int] = []
    for (a, b, delay), group in pairs.items():
        kind = dendrites[b]
        if isinstance(kind, AttentionParams | Gate):
            q = _joined(group, PORTS if isinstance(kind, AttentionParams) else OPERANDS)
        else:
            q = group[0] if len(group) == 1 else add_up(group, size[a], size[b])
        rows = np.repeat(np.arange(size[a]), np.diff(q.indptr)) + first[a]
        if delay and not level[a]:
            rows += delayed
        columns = np.asarray(q.indices, dtype=np.int64) + (first[b] - inputs)
        weights = np.asarray(q.weights, dtype=np.int64)
        number = np.zeros(len(rows), dtype=np.int64)
        if isinstance(kind, Streams | Crossbar):
            number = np.repeat(np.arange(size[a]) + numbers[a, b, delay], np.diff(q.indptr))
        shift = q.exponent
        if isinstance(kind, Streams):
            weights, shift = weights << shift, 0
        keep = (weights != 0) | isinstance(kind, Crossbar)
        if not keep.all():
            rows, columns, weights, number = (x[keep] for x in (rows, columns, weights, number))
        count = len(rows)
        parts.append(
            (rows, columns, weights, np.full(count, shift), number, np.full(count, len(bits)))
        )
        bits.append(kind.weight_bits + 2 if isinstance(kind, Streams) else q.weight_bits)
    columns_of = [
        np.concatenate([p[k] for p in parts]) if parts else np.zeros(0, np.int64) for k in range(6)
    ]
    order = np.argsort(columns_of[0], kind="stable")
    source, target, weight, exponent, number, projection = (c[order] for c in columns_of)
    graded = np.concatenate(
        [np.full(i.size, i.graded) for i in program.inputs] * (2 if late else 1)
        + [sends_value(p.fields["emit"]) for p in program.populations]
    )
    output = np.full(total - inputs, -1)
    count = 0
    for name in program.outputs:
        begin = first[name] - inputs
        output[begin : begin + size[name]] = count + np.arange(size[name])
        count += size[name]
    sizes = [p.size for p in program.populations]
    return Network(
        inputs=inputs,
        neurons=total - inputs,
        first=first,
        size=size,
        population=np.repeat(np.arange(len(sizes)), sizes),
        level=np.repeat([p.level for p in program.populations], sizes),
        graded=graded.astype(bool),
        output=output,
        source=source,
        target=target,
        weight=weight,
        exponent=exponent,
        number=number,
        projection=projection,
        weight_bits=np.asarray(bits, dtype=np.int64),
        edges=tuple(edges),
    )
