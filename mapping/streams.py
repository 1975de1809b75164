"""Which layers of a Program become stochastic, and with which streams.

Of each population q and p are the least that hold its weights (exponents applied) and the values
that it is sent, and its numbers have S = p + q bits, 16 at most: over the full period of 2**S bits
Sobol's numbers make every product exact. Streams have min(2**S, DEFAULT_LENGTH) bits unless the
user says otherwise: that is the full period, and so exact, for spikes and weights of up to 9 bits,
while the time that an update takes grows with the length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hdl.params.errors import UserError
from hdl.params.sc.dense import Streams
from mapping.dendrites import sends_values
from mapping.graph import Graph
from mapping.network import added_up
from mapping.program import Population, Program
from mapping.settings import Quantisation

__all__ = ["DEFAULT_LENGTH", "relative_tolerance", "stochastic_program", "with_run_time"]

DEFAULT_LENGTH = 256
MOST_TOLERANCE = (1 << 32) - 1


def relative_tolerance(streams: Streams) -> float | None:
    """The tolerance of a layer in the user's unit, its largest product; None is no termination."""
    if streams.tolerance < 0:
        return None
    return streams.tolerance / 2.0 ** (streams.weight_bits + streams.value_bits)


def _steps(tolerance: float | None, whole: int) -> int:
    """A tolerance as the hardware's integer, for products of up to 2**whole."""
    return -1 if tolerance is None else min(int(tolerance * (1 << whole)), MOST_TOLERANCE)


def _streams(program: Program, p: Population, names: Iterable[str], settings: Quantisation,
             notes: list[dict[str, str]]) -> Streams:  # fmt: skip
    """The streams of one population; `names` are what settings may call it."""
    into = [q for q in program.projections if q.target == p.name]
    largest = max((int(np.abs(q.weights).max(initial=0)) << q.exponent for q in into), default=0)
    q = max(largest - 1, 0).bit_length()
    if q > 15:
        raise UserError(
            f"{p.name}: its weights need {q} bits in streams, 15 available (its connections have "
            "scales far apart); use fewer weight bits (--weight-bits) or the event engine for it"
        )
    graded = any(sends_values(program, i.source) for i in into)
    value = program.formats.payload_bits - 1 if graded else 0
    bits = min(q + value, 16)
    generator = str(settings.choice("generator", names))
    if generator == "lfsr" and bits < 3:
        raise UserError(
            f"{p.name}: an LFSR has 3 bits or more, weights and values have {bits} here; "
            "use generator 'sobol' for it"
        )
    wanted = settings.choice("stream_length", names)
    most = 1 << bits
    length = min(most, int(wanted or DEFAULT_LENGTH))
    if wanted is not None and wanted > most:
        if settings.named("stream_length", names):
            raise UserError(
                f"{p.name}: a stream length of {wanted} is longer than its source, {most} bits; "
                "its full period is enough"
            )
        notes.append(
            {
                "node": p.name,
                "change": f"streams of {most} bits, not {wanted}",
                "effect": "that is the full period of the numbers: more bits repeat them",
            }
        )
    tolerance = settings.choice("tolerance", names)
    margin = settings.choice("margin", names)
    return Streams(
        weight_bits=q,
        value_bits=value,
        source_bits=bits,
        log2_length=length.bit_length() - 1,
        tolerance=_steps(tolerance, q + value),
        margin=-1 if margin is None else int(margin),
        first=int(settings.first_length).bit_length() - 2,
        generator=generator,
        generators=int(settings.choice("generators", names)),
    )


def stochastic_program(
    program: Program, graph: Graph, settings: Quantisation, notes: list[dict[str, str]]
) -> Program:
    """The Program with the dendrites that `settings` ask for; what changed goes to `notes`."""
    kinds = {layer.name: layer.kind for layer in graph.layers}
    made = {}
    for p in program.populations:
        nodes = [c.node for c in graph.connections if c.target == p.name and c.node]
        names = (p.name, *nodes)
        if settings.choice("engine", names) != "stochastic" or kinds[p.name] == "Delay":
            continue
        if p.dendrites is not None or p.winners is not None:
            if settings.named("engine", names):
                what = "an attention head" if p.kind == "Attention" else f"a layer of kind {p.kind}"
                raise UserError(
                    f"engine: {p.name} is {what}, which has a core of its own; leave it out"
                )
            continue
        if not any(q.target == p.name for q in program.projections):
            continue
        program = added_up(program, p.name)
        made[p.name] = _streams(program, p, names, settings, notes)
    wanted = settings.stream_length
    if isinstance(wanted, int) and made:
        _check_length(wanted, made.values())
    populations = [replace(p, dendrites=made.get(p.name, p.dendrites)) for p in program.populations]
    return replace(program, populations=tuple(populations))


def _check_length(length: int, streams: Iterable[Streams]) -> None:
    most = max(1 << s.source_bits for s in streams)
    if length > most:
        raise UserError(
            f"a stream length of {length} is longer than the source of every stochastic layer; "
            f"the longest has {most} bits (--stream-length {most})"
        )


def with_run_time(
    program: Program,
    length: int | None = None,
    tolerance: float | None = None,
    margin: int | None = None,
) -> Program:
    """The Program with another stream length, tolerance and margin in stochastic populations.

    What hardware does when its control words are written. length : None leaves it; where it is
    longer than a population's source, the full period is taken. tolerance : None leaves it, below
    0 is no early termination. margin : None leaves it, below 0 is no termination by it; it holds
    for populations that have one. UserError if there is nothing to set, the length is too long, or
    no population has a margin.
    """
    if length is None and tolerance is None and margin is None:
        return program
    made = {p.name: p.dendrites for p in program.populations if isinstance(p.dendrites, Streams)}
    if not made:
        raise UserError(
            f"{program.name}: no layer is stochastic, so there is no stream length, tolerance or "
            "margin to set; compile it with --engine stochastic"
        )
    if margin is not None:
        Quantisation(margin=None if margin < 0 else margin)
        if margin >= 0 and all(s.margin < 0 for s in made.values()):
            raise UserError(
                f"{program.name}: no layer has a margin in hardware, so there is none to set; "
                "compile it with --margin"
            )
    if length is not None:
        Quantisation(stream_length=length)
        _check_length(length, made.values())
    for name, s in made.items():
        if length is not None:
            made[name] = s = replace(s, log2_length=min(length.bit_length() - 1, s.source_bits))
        if tolerance is not None:
            steps = _steps(None if tolerance < 0 else tolerance, s.weight_bits + s.value_bits)
            made[name] = s = replace(s, tolerance=steps)
        if margin is not None and s.margin >= 0:
            made[name] = replace(s, margin=max(margin, -1))
    populations = [replace(p, dendrites=made.get(p.name, p.dendrites)) for p in program.populations]
    return replace(program, populations=tuple(populations))
