"""Random Programs with stochastic populations and attention heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hdl.params.neuron import FIELDS, Emit, Reset
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from mapping.program import Input, Population, Program, Projection
from tests.kit import random_program

__all__ = ["head_program", "least_streams", "one_to_one", "stochastic", "stochastic_program"]


def least_streams(program: Program, name: str, **settings) -> Streams:
    """Streams that hold a population's weights and values; `settings` of the others.

    `length`: of the full period 2**source_bits, at most that log2_length.
    """
    into = [q for q in program.projections if q.target == name]
    largest = max((int(np.abs(q.weights).max(initial=0)) << q.exponent for q in into), default=0)
    q = max(largest - 1, 0).bit_length()
    graded = {i.name for i in program.inputs if i.graded}
    graded |= {p.name for p in program.populations if (p.fields["emit"] == Emit.VALUE).any()}
    p = program.formats.payload_bits - 1 if graded & {q.source for q in into} else 0
    source = min(settings.pop("source_bits", 16), p + q, 16)
    length = min(settings.pop("length", source), source)
    if settings.get("generator") == "lfsr" and source < 3:
        settings.pop("generator")
    return Streams(weight_bits=q, value_bits=p, source_bits=source, log2_length=length, **settings)


def stochastic(program: Program, names: tuple[str, ...] | None = None, **settings) -> Program:
    """The Program with those populations (None: all) stochastic."""
    populations = tuple(
        replace(p, dendrites=least_streams(program, p.name, **settings))
        if names is None or p.name in names
        else p
        for p in program.populations
    )
    return replace(program, populations=populations)


def stochastic_program(seed: int, sizes=(12, 16, 10, 4), **options) -> Program:
    """`random_program`, about half of its populations stochastic with settings of their own."""
    rng, margins = np.random.default_rng(seed), np.random.default_rng([seed, 5])
    program = random_program(rng, sizes, **options)
    names = [p.name for p in program.populations if rng.integers(4)]
    for name in names or [program.populations[0].name]:
        program = stochastic(
            program,
            (name,),
            length=int(rng.integers(2, 9)),
            source_bits=int(rng.integers(4, 17)),
            generator=str(rng.choice(["sobol", "sobol", "lfsr"])),
            generators=int(rng.choice([1, 1, 2, 4])),
            tolerance=int(rng.choice([-1, -1, 0, 3, 20])),
            margin=int(margins.choice([-1, -1, 0, 1, 4])),
            first=int(rng.integers(0, 4)),
            seed=int(rng.integers(1000)),
        )
    return program


def one_to_one(source: str, target: str, size: int, port: str = "", delay: int = 0) -> Projection:
    """Neuron n of `source` feeds neuron n of `target` with weight 1."""
    return Projection(
        source=source,
        target=target,
        indptr=np.arange(size + 1),
        indices=np.arange(size),
        weights=np.ones(size, np.int64),
        weight_bits=2,
        delay=delay,
        port=port,
    )


def head_program(head: AttentionParams, seed: int = 0, own: bool = True) -> Program:
    """Three layers (or inputs, without `own`) that feed a head, and a layer behind it.

    The head's neurons spike when the answer is 1; the layer behind sums answers and queries.
    """
    rng = np.random.default_rng(seed)
    size = head.size
    if own:
        plain = random_program(rng, (6, (size, size, size), 3), recurrent=False, skip=False)
        names = dict(zip(PORTS, ("pop1_0", "pop1_1", "pop1_2"), strict=True))
        inputs, level = plain.inputs, 1
        before = tuple(p for p in plain.populations if p.level == 1)
        feed = tuple(q for q in plain.projections if q.target.startswith("pop1"))
        formats = plain.formats
    else:
        plain = random_program(rng, (size, size, 3), recurrent=False, skip=False)
        names = {port: port for port in PORTS}
        inputs, level = tuple(Input(name=port, size=size) for port in PORTS), 0
        before, feed, formats = (), (), plain.formats
    fields = {name: np.zeros(size, np.int64) for name in FIELDS}
    fields["emit"] += int(Emit.SPIKE)
    fields["reset"] += int(Reset.SET)
    attention = Population(
        name="head", kind="Attention", size=size, level=level + 1, fields=fields,
        membrane_scale=np.ones(size), dendrites=head,
    )  # fmt: skip
    last = replace(plain.populations[-1], name="last", level=level + 2)
    weights = rng.integers(-3, 8, size * last.size)
    dense = Projection(
        source="head",
        target="last",
        indptr=np.arange(size + 1) * last.size,
        indices=np.tile(np.arange(last.size), size),
        weights=weights,
        weight_bits=4,
    )
    ports = tuple(one_to_one(names[port], "head", size, port) for port in PORTS)
    return replace(
        plain,
        inputs=inputs,
        formats=formats,
        populations=(*before, attention, last),
        projections=(*feed, *ports, dense, replace(dense, source=names["query"])),
        outputs=("last",),
    )
