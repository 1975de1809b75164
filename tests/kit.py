"""What many tests need: random Programs that fire healthily, and random stimulus for them."""

import math
import os
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hdl.params.neuron import FIELDS, Emit, Reset
from mapping.program import Formats, Input, Population, Program, Projection

__all__ = ["FULL", "random_events", "random_fields", "random_program", "random_projection"]

#: Whether tests take all their cases, and not the few that tell most.
FULL = os.environ.get("NERVURE_FULL") == "1"

#: Firing rate that the thresholds aim at, and that inputs are assumed to have.
RATE = 0.2


def random_program(
    rng: np.random.Generator | int,
    sizes: Sequence[int | tuple[int, ...]] = (12, 16, 10, 4),
    *,
    graded: bool = False,
    cuba: bool = False,
    recurrent: bool = True,
    skip: bool = True,
    density: float = 0.5,
    reset: Reset | None = None,
    emit: Emit | None = None,
    weight_bits: int = 4,
    exponents: int = 3,
    formats: Formats | None = None,
    uniform: bool | None = None,
) -> Program:
    """A Program whose neurons fire at times: thresholds follow the input each one expects.

    Parameters
    ----------
    rng : generator or seed; the same seed gives the same Program.
    sizes : neurons of each level, inputs first, outputs last. A tuple is several populations
        (or inputs) of one level: ``(12, (5, 7), 4)``.
    graded : inputs are signed payloads, and about half of the hidden populations emit VALUE.
    cuba : neurons have a synaptic current.
    recurrent : populations feed themselves with delay 1, and the last level feeds the first.
    skip : inputs also feed the third level, with delay 0, and the first with delay 1.
    density : share of synapses that exist; binary weights have them all.
    reset : that reset everywhere; None draws one per population.
    emit : what the outputs emit; None draws SPIKE or STATE (or VALUE if graded).
    exponents : largest exponent of a projection.
    formats : widths; None is 16-bit membranes (and currents), 12-bit decays, 8-bit payloads.
    uniform : all neurons of a population share their fields, or none need to; None draws.
    """
    rng = np.random.default_rng(rng)
    if formats is None:
        formats = Formats(current_bits=16 if cuba else 0, payload_bits=8 if graded else 0)
    groups = [(size,) if isinstance(size, int) else tuple(size) for size in sizes]
    names = [
        [f"{'in' if level == 0 else 'pop'}{level}_{k}" for k in range(len(group))]
        for level, group in enumerate(groups)
    ]
    size_of = {
        name: size
        for group, row in zip(groups, names, strict=True)
        for name, size in zip(row, group, strict=True)
    }
    emits = {name: Emit.VALUE if graded else Emit.SPIKE for name in names[0]}
    for level, row in enumerate(names[1:], 1):
        for name in row:
            choices = [Emit.SPIKE] + ([Emit.VALUE] if graded else [])
            if level == len(names) - 1:
                choices = [emit] if emit is not None else [*choices, Emit.STATE]
            emits[name] = Emit(choices[rng.integers(len(choices))])

    pairs = [
        (source, target, 0)
        for before, after in pairwise(names)
        for source in before
        for target in after
    ]
    if skip:
        pairs += [(names[0][0], names[1][0], 1)]
        pairs += [(names[0][0], names[3][-1], 0)] if len(names) > 3 else []
    if recurrent:
        pairs += [(name, name, 1) for row in names[1:] for name in row]
        pairs += [(names[-1][0], names[1][0], 1)] if len(names) > 2 else []
    # The membrane leaves the chip; it is no payload that a core could multiply.
    pairs = [p for p in pairs if emits[p[0]] in (Emit.SPIKE, Emit.VALUE)]
    projections = tuple(
        random_projection(
            rng,
            (source, size_of[source]),
            (target, size_of[target]),
            density=density,
            weight_bits=weight_bits,
            exponent=int(rng.integers(exponents + 1)),
            delay=delay,
        )
        for source, target, delay in pairs
    )
    populations = []
    for level, row in enumerate(names[1:], 1):
        for name in row:
            # What one event's value is worth: its mean and mean square, times the rate.
            mean, power = np.zeros(size_of[name]), np.zeros(size_of[name])
            for p in projections:
                if p.target == name:
                    wide = 1 << max(formats.payload_bits - 2, 0)
                    size = wide / 2 if emits[p.source] == Emit.VALUE else 1.0
                    weight = p.weights.astype(float) * 2**p.exponent
                    power += RATE * np.bincount(p.indices, (weight * size) ** 2, size_of[name])
                    if size == 1.0:
                        mean += RATE * np.bincount(p.indices, weight, size_of[name])
            chosen = reset if reset is not None else Reset(int(rng.integers(3)))
            fields = random_fields(
                rng, formats, mean, np.sqrt(power), chosen, emits[name], uniform=uniform
            )
            lif = {Emit.SPIKE: "LIF", Emit.NONE: "LIF"}.get(emits[name], "LI")
            populations.append(
                Population(
                    name=name,
                    kind=f"Cuba{lif}" if formats.current_bits else lif,
                    size=size_of[name],
                    level=level,
                    fields=fields,
                    membrane_scale=2.0 ** rng.integers(-12, -4, size_of[name]),
                    payload_scale=0.125 if emits[name] == Emit.VALUE else 1.0,
                    node=name,
                )
            )
    return Program(
        name="random",
        formats=formats,
        inputs=tuple(
            Input(name=n, size=size_of[n], graded=graded, scale=0.25 if graded else 1.0)
            for n in names[0]
        ),
        populations=tuple(populations),
        projections=projections,
        outputs=tuple(names[-1]),
        readout="count" if all(emits[n] == Emit.SPIKE for n in names[-1]) else "max",
    )


def random_projection(
    rng: np.random.Generator,
    source: tuple[str, int],
    target: tuple[str, int],
    *,
    density: float = 0.5,
    weight_bits: int = 4,
    exponent: int = 0,
    delay: int = 0,
) -> Projection:
    """Random synapses from `source` to `target`, both (name, size), rather positive than negative.

    Rows may be empty, but each target has a positive synapse; some weights may be 0.
    """
    shape = (source[1], target[1])
    if weight_bits == 1:
        weights = rng.choice([-1, 1, 1], shape)
        mask = np.ones(shape, bool)
    else:
        half = 1 << (weight_bits - 1)
        weights = rng.integers(-half, half, shape)
        flip = (weights < 0) & (weights > -half) & (rng.random(shape) < 0.4)
        weights = np.where(flip, -weights, weights)
        mask = rng.random(shape) < density
        mask[rng.integers(shape[0], size=shape[1]), np.arange(shape[1])] |= ~mask.any(0)
    barren = ~((weights > 0) & mask).any(0)  # nothing could make these targets fire
    weights[:, barren] = np.clip(-weights[:, barren], 1, max((1 << (weight_bits - 1)) - 1, 1))
    rows, columns = np.nonzero(mask)
    return Projection(
        source=source[0],
        target=target[0],
        indptr=np.concatenate([[0], np.cumsum(mask.sum(1))]).astype(np.int64),
        indices=columns.astype(np.int64),
        weights=weights[rows, columns].astype(np.int64),
        weight_bits=weight_bits,
        exponent=exponent,
        delay=delay,
        node=f"{source[0]}-{target[0]}",
    )


def random_fields(
    rng: np.random.Generator,
    formats: Formats,
    mean: np.ndarray,
    sigma: np.ndarray,
    reset: Reset,
    emit: Emit,
    *,
    uniform: bool | None = None,
) -> dict[str, np.ndarray]:
    """Fields of a population whose neurons expect inputs of that mean and deviation a step.

    Each of decay, shift, bias, threshold and reset value is one number for all neurons or one
    per neuron. Shifts put most membranes inside their range, a few into saturation.
    """
    n = len(mean)
    one, top = 1 << formats.decay_bits, (1 << (formats.membrane_bits - 1)) - 1

    def spread(values: np.ndarray) -> np.ndarray:
        """One number per neuron, or the middle one for all of them."""
        same = uniform if uniform is not None else rng.random() < 0.5
        whole = np.rint(values).astype(np.int64)
        return np.full(n, np.sort(whole)[n // 2]) if same else whole

    def decay() -> np.ndarray:
        kind = rng.integers(8)
        if kind < 2:  # a perfect integrator, or no memory at all
            return np.full(n, one * kind)
        return spread(one * rng.uniform(0.3, 0.99, n))

    membrane_decay = decay()
    current_decay = decay() if formats.current_bits else np.zeros(n, np.int64)
    # The response to one input over 20 steps: its sum scales the mean, its norm the deviation.
    response, current, membrane = [], np.ones(n), np.zeros(n)
    for _ in range(20):
        membrane = membrane * membrane_decay / one + current
        current = current * current_decay / one
        response.append(membrane)
    gain, noise = np.sum(response, 0), np.linalg.norm(response, axis=0)
    sigma = np.maximum(sigma, 0.5)
    # A quarter of the range down to a 64th; one population in eight overshoots its range.
    room = 2.0 ** rng.uniform(-6, -2) if rng.integers(8) else 2.0 ** rng.uniform(0, 1)
    shift = spread(np.clip(np.floor(np.log2(top * room / (sigma * noise))), 0, 15))
    unit = 2.0**shift
    limit = float(top)
    if formats.current_bits:
        limit = min(limit, float((1 << (formats.current_bits - 1)) - 1) * 8)
    bias = spread(np.clip(-mean * unit * rng.uniform(0.5, 1.2, n), -limit / 4, limit / 4))
    if formats.current_bits or rng.integers(2):
        bias[:] = 0 if rng.integers(2) else spread(rng.uniform(-0.1, 0.1, n) * sigma * unit)
    expect = np.clip((mean * unit + bias) * gain, 0, limit / 4)
    high = np.minimum(expect + sigma * unit * noise * rng.uniform(0.1, 0.8, n), limit * 0.6)
    threshold = np.maximum(spread(high), 1)
    if reset == Reset.SET:
        reset_value = spread(rng.uniform(-0.3, 0.3, n) * threshold)
    elif rng.integers(2):
        reset_value = threshold.copy()
    else:
        reset_value = np.maximum(spread(threshold * rng.uniform(0.5, 1.5, n)), 1)
    value_shift = np.zeros(n, np.int64)
    if formats.payload_bits:
        size = np.minimum(sigma * unit * noise, top)
        fit = np.log2(size) - formats.payload_bits + 2.5 + rng.integers(4)
        value_shift = spread(np.clip(np.ceil(fit), 0, 31))
    if emit != Emit.SPIKE:  # leaky integrators have no threshold to cross
        threshold[:], reset_value[:] = top, 0
        reset = Reset.SUBTRACT
    fields = {
        "membrane_decay": membrane_decay,
        "current_decay": current_decay,
        "bias": np.clip(bias, -top - 1, top),
        "threshold": np.clip(threshold, -top - 1, top),
        "reset_value": np.clip(reset_value, -top - 1, top),
        "shift": shift,
        "value_shift": value_shift,
        "reset": np.full(n, int(reset)),
        "emit": np.full(n, int(emit)),
    }
    return {name: np.asarray(fields[name], dtype=np.int64) for name in FIELDS}


def random_events(
    rng: np.random.Generator | int,
    program: Program,
    samples: int = 2,
    steps: int = 20,
    rate: float = RATE,
) -> np.ndarray:
    """Stimulus [samples, steps, inputs]: uint8 spikes, or int64 values if an input is graded.

    Each step draws its own rate: one in eight is silent, one in sixteen has every input active.
    Graded inputs reach both ends of the payload's range now and then.
    """
    rng = np.random.default_rng(rng)
    shape = (samples, steps, program.input_size)
    step_rate = rate * rng.uniform(0.6, 1.4, (samples, steps, 1))
    kind = rng.integers(16, size=(samples, steps, 1))
    step_rate = np.where(kind < 2, 0.0, np.where(kind == 2, 1.0, step_rate))
    active = rng.random(shape) < step_rate
    if not any(i.graded for i in program.inputs):
        return active.astype(np.uint8)
    half = 1 << max(program.formats.payload_bits - 1, 0)
    values = np.clip(np.rint(rng.normal(0, math.sqrt(half) * 2, shape)), -half, half - 1)
    ends = np.where(rng.random(shape) < 0.5, -half, half - 1)
    values = np.where(rng.random(shape) < 0.03, ends, values).astype(np.int64)
    spikes = np.concatenate([np.full(i.size, not i.graded) for i in program.inputs])
    return np.where(active, np.where(spikes, 1, values), 0)
