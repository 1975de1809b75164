"""Random Programs with states, gates, tables and changes of values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hdl.params.neuron import FIELDS, Emit, sends_changes
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.program import Formats, Input, Population, Program
from tests.kit import random_projection
from tests.kit_stochastic import one_to_one

__all__ = ["layer", "random_diagonal", "random_states", "ssm_program"]

FORMATS = Formats(membrane_bits=20, current_bits=20, decay_bits=8, payload_bits=8, table_bits=5)


def random_diagonal(rng: np.random.Generator, **given) -> Diagonal:
    """Any parameters but those `given`; more often of practical widths than of extreme ones."""
    mixed = bool(given.get("mixed", rng.integers(2)))
    wide = rng.integers(4) == 0
    values = {
        "order": int(rng.choice([1, 2, 3, 5, 8])) if mixed else 1,
        "mixed": mixed,
        "real": bool(rng.integers(2)),
        "state_bits": int(rng.integers(2, 19) if wide else rng.integers(10, 17)),
        "pole_bits": int(rng.integers(2, 18) if wide else rng.integers(7, 16)),
        "mix_bits": int(rng.integers(2, 19)),
        "value_bits": 8,
        "stochastic": bool(rng.integers(3) == 0),
        "seed": int(rng.integers(1 << 32)),
        **given,
    }
    d = Diagonal(**values)
    if "drive_shift" not in given:
        drive = d.state_bits + d.pole_bits - d.value_bits - 3 + int(rng.integers(-3, 3))
        d = replace(d, drive_shift=min(max(drive, 0), 31))
    if "mix_shift" not in given:
        d = replace(d, mix_shift=min(max(d.acc_bits - 16, 0), 31))
    return d


def random_states(rng: np.random.Generator, d: Diagonal, size: int) -> dict[str, np.ndarray]:
    """Arrays of `size` neurons: stable poles of any angle, a few of them 0 or as long as may be."""
    shape, one = (d.states(size), d.parts), 1 << d.pole_bits
    length = one * np.sqrt(rng.uniform(0, 1, shape[0]))
    length[rng.random(shape[0]) < 0.5] = 0.97 * one
    angle = rng.uniform(0, 2 * np.pi, shape[0])
    turn = [np.sign(np.cos(angle))] if d.real else [np.cos(angle), np.sin(angle)]
    pole = np.trunc(length * turn).T.astype(np.int64)
    pole[rng.random(shape[0]) < 0.1] = 0
    end = rng.random(shape[0]) < 0.1
    pole[end] = 0
    pole[end, rng.integers(0, d.parts, end.sum())] = rng.choice([1 - one, one - 1], end.sum())
    found = {"pole": pole, "gain": rng.integers(0, rng.choice([1, 8]), shape[0])}
    if d.mixed:
        top = 1 << (d.mix_bits - 1)
        ends = rng.choice([-top, top - 1], shape)
        found["mix"] = np.where(rng.random(shape) < 0.1, ends, rng.integers(-top, top, shape))
    return found


def layer(
    rng: np.random.Generator,
    name: str,
    size: int,
    level: int,
    emit: Emit,
    formats: Formats = FORMATS,
    *,
    adds: bool = False,
    power: float = 12.0,
    threshold: int | None = None,
    dendrites: Diagonal | Gate | None = None,
    arrays: dict[str, np.ndarray] | None = None,
) -> Population:
    """A population without dynamics of its own whose membranes are about 2**power.

    adds : its sources send changes, which its current adds up.
    """
    power = min(power, formats.membrane_bits - 2)
    bits = formats.table_bits if emit in (Emit.TABLE, Emit.TABLE_DELTA) else formats.payload_bits
    step = int(power - bits + 1)
    ends = rng.integers(-1, 3, size)
    fields = {name: np.zeros(size, np.int64) for name in FIELDS}
    fields["emit"] += int(emit)
    fields["current_decay"] += adds << formats.decay_bits
    fields["bias"] += rng.integers(-(1 << int(power)), 1 << int(power), size) // 4
    fields["threshold"] += rng.integers(0, 1 << max(formats.payload_bits - 4, 1), size)
    if threshold is not None:
        fields["threshold"][:] = threshold
    fields["value_shift"] += np.clip(step + ends, 0, 31)
    arrays = dict(arrays or {})
    if emit in (Emit.TABLE, Emit.TABLE_DELTA):
        top = 1 << (formats.payload_bits - 1 - int(sends_changes(emit)))
        arrays["table"] = np.sort(rng.integers(-top, top, 1 << formats.table_bits))
    kind = {Diagonal: "SSM", Gate: "Gate"}.get(type(dendrites), "Linear")
    return Population(
        name=name, kind=kind, size=size, level=level, fields=fields,
        membrane_scale=np.ones(size), dendrites=dendrites, arrays=arrays,
    )  # fmt: skip


def ssm_program(
    seed: int,
    sizes: tuple[int, int, int] = (3, 4, 2),
    /,
    *,
    changes: bool = False,
    emit: Emit | None = None,
    formats: Formats = FORMATS,
    threshold: int | None = None,
    **diagonal,
) -> Program:
    """Graded inputs, a Linear layer, a layer of states, a gate of both, and Linear outputs.

    sizes : inputs, neurons of a layer (even with pairs of neurons), outputs.
    changes : layers send changes, which states and gates hold, and the outputs add up.
    emit : what the states emit, without DELTA; None draws VALUE, RELU or TABLE.
    diagonal : parameters of the states that are not drawn.
    """
    rng = np.random.default_rng(seed)
    inputs, size, outputs = sizes
    delta = Emit.DELTA if changes else 0
    d = random_diagonal(rng, held=changes, value_bits=formats.payload_bits - changes, **diagonal)
    chosen = Emit(rng.choice([Emit.VALUE, Emit.RELU, Emit.TABLE])) if emit is None else emit
    whole = {"formats": formats, "threshold": threshold}
    power = d.state_bits - 2.0
    if d.mixed:
        power += d.mix_bits - 1 - d.mix_shift + np.log2(d.order * d.parts) / 2
    gate = Gate(shift=formats.payload_bits // 2, value_bits=d.value_bits, held=changes)
    fan = 2 + formats.payload_bits + np.log2(inputs) / 2
    populations = (
        layer(rng, "enc", size, 1, Emit(Emit.VALUE | delta), power=fan, **whole),
        layer(
            rng, "ssm", size, 2, Emit(chosen | delta), power=max(power, 1.0), dendrites=d,
            arrays=random_states(rng, d, size), **whole,
        ),
        layer(
            rng, "gate", size, 3, Emit(rng.choice([Emit.VALUE, Emit.RELU]) | delta), dendrites=gate,
            power=1.5 * formats.payload_bits - 3, **whole,
        ),
        layer(rng, "out", outputs, 4, Emit.STATE, adds=changes, **whole),
    )  # fmt: skip
    projections = (
        random_projection(rng, ("in", inputs), ("enc", size)),
        one_to_one("enc", "ssm", size),
        one_to_one("enc", "gate", size, "left"),
        one_to_one("ssm", "gate", size, "right"),
        random_projection(rng, ("gate", size), ("out", outputs)),
        random_projection(rng, ("enc", size), ("out", outputs), exponent=1),
    )
    return Program(
        name="ssm", formats=formats, inputs=(Input(name="in", size=inputs, graded=True),),
        populations=populations, projections=projections, outputs=("out",), readout="last",
    )  # fmt: skip
