"""What is wrong with populations that sum their input in another way than exactly."""

from __future__ import annotations

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import Emit
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from mapping.program import Population, Program, Projection

__all__ = ["crossbar_sources", "dendrite_problems", "sends_values"]


def sends_values(program: Program, name: str) -> bool:
    """Whether an input is graded, or a population emits values."""
    for i in program.inputs:
        if i.name == name:
            return i.graded
    return bool((program.population(name).fields["emit"] == Emit.VALUE).any())


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


def _one_to_one(q: Projection, size: int) -> bool:
    """Whether neuron n of as many feeds neuron n alone, with weight 1."""
    return (
        q.exponent == 0
        and np.array_equal(q.indptr, np.arange(size + 1))
        and np.array_equal(q.indices, np.arange(size))
        and bool((q.weights == 1).all())
    )


def _attention(
    program: Program, p: Population, into: list[Projection], head: AttentionParams
) -> list[str]:
    if p.size != head.size:
        return [f"size must be tokens * dim of its attention head, {head.size}, not {p.size}"]
    found = []
    ports = sorted(q.port for q in into)
    if ports != sorted(PORTS):
        shown = ", ".join(repr(port) for port in ports) or "none"
        found.append(
            f"it needs one projection into each port, {', '.join(PORTS)}, and no other, not {shown}"
        )
    for q in into:
        if not _one_to_one(q, p.size):
            found.append(
                f"the projection from {q.source} must be one to one, {p.size} weights of 1"
            )
        if sends_values(program, q.source):
            found.append(f"{q.source} sends values; an attention head takes spikes")
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
    wanted = crossbar.data(p.size, crossbar_sources(program, p.name))
    if set(p.arrays) != set(wanted):
        return [*found, f"arrays must be {', '.join(wanted)}, not {', '.join(p.arrays) or 'none'}"]
    for name, (shape, low, high) in wanted.items():
        value = p.arrays[name]
        if value.dtype != np.int64 or value.shape != shape:
            found.append(f"{name} must be int64 {shape}, not {value.dtype} {value.shape}")
        elif value.size and not low <= value.min() <= value.max() <= high:
            found.append(f"{name} must be in {low}..{high}")
        elif name == "column" and (np.diff(np.sort(value, axis=1), axis=1) == 0).any():
            found.append("column must name each physical column of a block once")
    return found


def dendrite_problems(program: Program) -> list[str]:
    """One line for every broken rule; the Program is otherwise valid."""
    found = []
    for p in program.populations:
        into = [q for q in program.projections if q.target == p.name]
        texts = []
        if isinstance(p.dendrites, AttentionParams):
            texts = _attention(program, p, into, p.dendrites)
        else:
            if isinstance(p.dendrites, Crossbar):
                texts = _crossbar(program, p, into, p.dendrites)
            elif p.dendrites is not None:
                texts = _streams(program, into, p.dendrites)
            if p.arrays and not isinstance(p.dendrites, Crossbar):
                texts.append("has arrays, which only a crossbar has")
            texts += [
                f"the projection from {q.source} names port {q.port!r}, "
                "which only an attention head has"
                for q in into
                if q.port
            ]
        found += [f"{p.name}: {text}" for text in texts]
    return found
