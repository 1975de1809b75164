"""Random Programs with states, gates, tables and changes, as models of these layers give them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from hdl.params.neuron import FIELDS, Emit, Reset, sends_changes
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.program import Formats, Input, Population, Program, Projection
from tests.kit_stochastic import one_to_one

__all__ = ["gated_program", "random_states", "random_values", "s4d_program"]

FORMATS = Formats(membrane_bits=24, payload_bits=8, table_bits=6)


def random_states(rng: np.random.Generator, d: Diagonal, size: int) -> dict[str, np.ndarray]:
    """Arrays of a population: slow and fast poles, a few of 0 and a few as far out as can be.

    Gains bring inputs of a quarter of value_bits to a quarter of state_bits, if they can.
    """
    n, one = d.states(size), 1 << d.pole_bits
    radius = 1 - 2.0 ** -rng.uniform(0.5, min(d.pole_bits - 1, 8), n)
    angle = rng.uniform(-np.pi, np.pi, n)
    if d.real:
        angle = np.where(rng.random(n) < 0.8, 0, np.pi)
    kind = rng.integers(12, size=n)
    pole = np.trunc(radius * one * np.stack([np.cos(angle), np.sin(angle)])).astype(np.int64)
    pole[:, kind == 0] = 0
    pole[:, kind == 1] = np.array([[one - 1], [0]])
    pole[:, kind == 2] = np.array([[1 - one], [0]])
    if not d.real:
        pole[:, kind == 3] = np.array([[0], [1 - one]])
    norm = 1 / np.sqrt(1 - np.minimum((pole**2).sum(0) / one**2, 0.9999))
    room = d.pole_bits + d.state_bits - d.value_bits - np.log2(norm) - d.drive_shift
    found = {"pole": pole[: d.parts].T, "gain": np.clip(np.rint(room), 0, 7).astype(np.int64)}
    if d.mixed:
        top = 1 << (d.mix_bits - 1)
        found["mix"] = rng.integers(-top, top, (n, d.parts))
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


@dataclass
class _Layers:
    """A Program as it grows. `sigma`: about how large values are, `size`: how many, by source."""

    rng: np.random.Generator
    formats: Formats
    changes: bool
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    sigma: dict[str, float] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)

    @property
    def value_bits(self) -> int:
        return self.formats.payload_bits - self.changes

    def add(self, name: str, size: int, emit: Emit, power: float, **settings) -> None:
        """Neurons with a membrane of about `power`, a level above the last one or as said."""
        if self.changes and emit != Emit.STATE:
            emit = Emit(emit | Emit.DELTA)
        level = settings.pop("level", 1 + max((p.level for p in self.populations), default=0))
        bits = self.value_bits
        if Emit.TABLE in (emit, emit & 15):
            top, bits = 1 << (bits - 1), self.formats.table_bits
            settings["arrays"] = settings.get("arrays", {}) | {
                "table": settings.pop("table", self.rng.integers(-top, top, 1 << bits))
            }
        fields = {key: np.zeros(size, np.int64) for key in FIELDS}
        fields["emit"] += int(emit)
        fields["reset"] += int(Reset.SUBTRACT)
        spread = self.rng.integers(-1, 2, size)
        shift = math.log2(max(power, 1)) - bits + 2.5
        fields["value_shift"] = np.clip(np.rint(shift + spread), 0, 31).astype(np.int64)
        most = min(power, 2.0 ** (self.formats.membrane_bits - 3))
        fields["bias"] = np.rint(most / 4 * self.rng.normal(0, 1, size)).astype(np.int64)
        if emit == Emit.STATE:
            fields["value_shift"][:] = 0
        if sends_changes(emit):
            fields["threshold"] = self.rng.integers(0, 4, size)
        one = 1 << self.formats.decay_bits
        if self.changes and level > 1 and "dendrites" not in settings:
            fields["current_decay"] += one
        self.size[name], self.sigma[name] = size, 2.0 ** (self.value_bits - 3)
        self.populations.append(
            Population(
                name=name, kind="Linear", size=size, level=level, fields=fields,
                membrane_scale=np.full(size, 2.0**-8), payload_scale=0.25, node=name, **settings,
            )
        )  # fmt: skip

    def linear(
        self, name: str, size: int, emit: Emit, *sources: str, residual: str = "", **settings
    ) -> None:
        """A dense layer of `sources`, and of `residual` one to one."""
        power = 0.0
        for source in sources:
            width = self.size[source]
            q = replace(
                one_to_one(source, name, width),
                indptr=np.arange(width + 1) * size,
                indices=np.tile(np.arange(size), width),
                weights=self.rng.integers(-7, 8, width * size),
                weight_bits=4,
            )
            self.projections.append(q)
            power += 16 * width * self.sigma[source] ** 2
        if residual:
            self.projections.append(replace(one_to_one(residual, name, size), exponent=3))
            power += 64 * self.sigma[residual] ** 2
        self.add(name, size, emit, math.sqrt(power), **settings)

    def states(self, name: str, source: str, emit: Emit, d: Diagonal) -> None:
        """States one to one behind a source."""
        size = self.size[source]
        self.projections.append(one_to_one(source, name, size))
        power = 2.0 ** (d.state_bits - 2)
        if d.mixed:
            power *= 2.0 ** (d.mix_bits - 1 - d.mix_shift) * math.sqrt(d.order * d.parts / 3)
        arrays = random_states(self.rng, d, size)
        self.add(name, size, emit, power, dendrites=d, arrays=arrays)

    def program(self, inputs: int, outputs: tuple[str, ...]) -> Program:
        return Program(
            name="states",
            formats=self.formats,
            inputs=(Input(name="in", size=inputs, graded=True, scale=0.25),),
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            outputs=outputs,
            readout="mean",
        )


def _begin(seed: int, inputs: int, formats: Formats, changes: bool) -> _Layers:
    if changes:
        formats = replace(formats, current_bits=formats.membrane_bits)
    layers = _Layers(np.random.default_rng(seed), formats, changes)
    layers.size["in"], layers.sigma["in"] = inputs, 2.0 ** (formats.payload_bits - 3)
    return layers


def _diagonal(layers: _Layers, settings: dict) -> Diagonal:
    """Drives and sums in the middle of what they may be, unless `settings` say otherwise."""
    d = Diagonal(held=layers.changes, value_bits=layers.value_bits, **settings)
    drive = d.pole_bits + d.state_bits - d.value_bits - 4
    mix = d.state_bits + d.mix_bits - 18 if d.mixed else 0
    chosen = {"drive_shift": min(max(drive, 0), 31), "mix_shift": max(mix, 0)}
    return replace(d, **{k: v for k, v in chosen.items() if k not in settings})


def s4d_program(
    seed: int,
    *,
    inputs: int = 3,
    width: int = 4,
    layers: int = 2,
    outputs: int = 3,
    changes: bool = False,
    formats: Formats = FORMATS,
    **settings,
) -> Program:
    """An encoder, blocks of states ("mixed", behind a ReLU) and a mixing layer with a residual, a
    decoder. `settings`: of the Diagonal. `changes`: layers send changes."""
    made = _begin(seed, inputs, formats, changes)
    made.linear("enc", width, Emit.VALUE, "in")
    before = "enc"
    for k in range(layers):
        made.states(f"ssm{k}", before, Emit.RELU, _diagonal(made, settings))
        made.linear(f"mix{k}", width, Emit.VALUE, f"ssm{k}", residual=before)
        before = f"mix{k}"
    made.linear("dec", outputs, Emit.STATE, before)
    return made.program(inputs, ("dec",))


def gated_program(
    seed: int,
    *,
    inputs: int = 3,
    width: int = 5,
    states: int = 3,
    outputs: int = 3,
    changes: bool = False,
    shared: bool = False,
    formats: Formats = FORMATS,
    **settings,
) -> Program:
    """As S5: an encoder, states that leave as neurons, a layer through a table, a gate whose right
    side went through a table (the same one if `shared`), a decoder."""
    made = _begin(seed, inputs, formats, changes)
    d = _diagonal(made, {"mixed": False} | settings)
    made.linear("enc", width, Emit.VALUE, "in")
    made.linear("drive", states * d.neurons, Emit.VALUE, "enc")
    made.states("ssm", "drive", Emit.VALUE, d)
    made.linear("y", width, Emit.TABLE, "ssm", residual="enc")
    y = made.populations[-1]
    table = {"table": y.arrays["table"]} if shared else {}
    made.linear("left", width, Emit.VALUE, "y", level=y.level + 1)
    made.linear("right", width, Emit.TABLE, "y", level=y.level + 1, **table)
    gate = Gate(shift=2, value_bits=made.value_bits, held=changes)
    made.projections += [one_to_one(port, "gate", width, port) for port in ("left", "right")]
    made.add("gate", width, Emit.VALUE, 2.0 ** (2 * made.value_bits - 8), dendrites=gate)
    made.linear("dec", outputs, Emit.STATE, "gate", residual="enc" if width == outputs else "")
    return made.program(inputs, ("dec",))


def random_values(seed: int, program: Program, samples: int, steps: int) -> np.ndarray:
    """Slowly changing stimulus [samples, steps, inputs], with pauses and both ends."""
    rng = np.random.default_rng([seed, 1])
    half = 1 << (program.formats.payload_bits - 1)
    shape = samples, steps, program.input_size
    walk = rng.normal(0, half / 8, shape)
    for t in range(1, steps):
        walk[:, t] += 0.9 * walk[:, t - 1]
    walk = np.where(rng.random(shape) < 0.1, 0, walk + rng.normal(0, half / 4, shape))
    ends = np.where(rng.random(shape) < 0.5, -half, half - 1)
    walk = np.where(rng.random(shape) < 0.03, ends, walk)
    return np.clip(np.rint(walk), -half, half - 1).astype(np.int64)
