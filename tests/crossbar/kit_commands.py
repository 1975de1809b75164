"""Controllers beside their twin: parameters, random scripts of configuration and commands, and a
rack of controlled arrays in Verilator."""

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.command import ANSWER, COMMAND
from hdl.crossbar.controlled import ControlledArray
from hdl.emit import emit_verilog
from hdl.params.crossbar.array import ArrayMemory, ArrayParams
from hdl.params.crossbar.controller import (
    VALUE_BITS,
    Command,
    ControllerMemory,
    ControllerParams,
)
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import ENTRIES, DeviceParams
from sim.golden.crossbar.controller import ControllerModel
from sim.verilated import Verilated

__all__ = ["Config", "Order", "Rack", "Step", "answers_in", "answers_of", "build", "device", "make",
           "script", "words"]  # fmt: skip


@dataclass(frozen=True)
class Config:
    """A write to a memory, taken between commands."""

    memory: int
    address: int
    data: int


@dataclass(frozen=True)
class Order:
    """A command."""

    op: int
    block: int = 0
    tile: int = 0
    row: int = 0
    column: int = 0
    value: int = 0

    @property
    def operands(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("block", "tile", "row", "column", "value")}

    @property
    def word(self) -> int:
        return COMMAND.const({"op": self.op} | self.operands).as_bits()


Step = Config | Order


def device(kind: str, bits: int, noise: int, seed: int) -> DeviceParams:
    """A device with random tables; `noise` 0..4 says how strong they are."""
    draw, unit = random.Random(f"device {seed}"), 1 << (bits - 8)

    def table(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randint(low, high) for _ in range(ENTRIES))

    return DeviceParams(
        cell_bits=bits,
        kind=kind,
        write_noise=table(0, 60 * noise),
        set_step=table(2 * unit, 24 * unit),
        set_noise=table(0, 60 * noise),
        reset_level=3 * unit,
        reset_noise=10 * noise,
        drift_mean=table(20, 100),
        drift_sigma=table(0, 40 * noise),
        read_noise=table(0, 100 * noise),
    )


def make(
    *,
    rows: int,
    columns: int,
    kind: str = "write",
    noise: int = 1,
    seed: int = 1,
    cell_bits: int = 9,
    adc_bits: int = 9,
    converters: int = 1,
    tiles: int = 1,
    blocks: int = 1,
    epochs: int = 1,
    control: dict | None = None,
    **crossbar: object,
) -> ControllerParams:
    """A controller (`control`: what is not like tests want it) and its array."""
    shape = {"rows": rows, "columns": columns, "adc_bits": adc_bits, "converters": converters}
    c = Crossbar(cell_bits=cell_bits, **shape, **crossbar)  # type: ignore[arg-type]
    a = ArrayParams(
        device=device(kind, cell_bits, noise, seed), tiles=tiles, blocks=blocks, epochs=epochs,
        seed=seed, senses=c.sampling != "none", train=c.train, **shape,
    )  # fmt: skip
    given = {"tolerance": 6, "averages": 1, "max_pulses": 8} | (control or {})
    return ControllerParams(array=a, crossbar=c, **given)


def _random_order(p: ControllerParams, draw: random.Random) -> Order:
    """Any command, nearly always of things that are there."""
    a, neurons = p.array, p.crossbar.neurons
    op = draw.choice([*Command, Command.VERIFY, Command.UPDATE, Command.PRODUCT, Command.WEAR])
    logical = {Command.UPDATE: neurons, Command.FACTOR: neurons, Command.MAP: p.places}
    counts = {
        "block": a.blocks,
        "tile": a.tiles,
        "row": a.rows,
        "column": logical.get(op, a.columns),
        "value": 2 * a.epochs if op == Command.UPDATE else a.epochs,
    }
    named = {name: draw.randrange(count) for name, count in counts.items()}
    if draw.random() < 0.2:  # one too far, or anything, of an operand that it may not even have
        name = draw.choice(list(named))
        most = 1 << COMMAND[name].width
        named[name] = draw.choice([min(counts[name], most - 1), draw.randrange(most)])
    if draw.random() < 0.03:
        return Order(draw.randrange(len(Command), 256), **named)
    return Order(op, **named)


def _cells(p: ControllerParams, draw: random.Random, stuck: float) -> list[Config]:
    """Devices of any state, a share of them stuck, some of these dead."""
    a, out = p.array, []
    for address in range(a.cells):
        item = draw.choice([0, draw.randrange(1 << a.cell_bits)])
        item |= draw.randrange(60) << a.cell_bits
        item |= draw.randrange(a.epochs) << (a.cell_bits + 9)
        item |= (draw.random() < stuck) << (a.item_bits - 1)
        out.append(Config(ArrayMemory.CELL, address, item))
    return out


def _ages(p: ControllerParams, draw: random.Random) -> list[Config]:
    return [
        Config(ArrayMemory.AGE, 4 * epoch + k, draw.randrange(most))
        for epoch in range(p.array.epochs)
        for k, most in enumerate((draw.choice([1, 2000, 8192]), 1500, draw.choice([1, 900])))
    ]


def _inputs(p: ControllerParams, draw: random.Random) -> list[Config]:
    top, share = (1 << p.crossbar.value_bits) - 1, draw.choice([0, 0.3, 1])
    values = [
        (draw.randint(-top, top) if top else 1) if draw.random() < share else 0
        for _ in range(p.array.rows)
    ]
    return [Config(ControllerMemory.INPUT, r, v % (1 << 64)) for r, v in enumerate(values)]


def _targets(p: ControllerParams, draw: random.Random) -> list[Config]:
    a, most = p.array, 1 << (p.array.cell_bits - 1)
    return [
        Config(ControllerMemory.TARGET, k, draw.choice([0, most, draw.randrange(2 * most)]))
        for k in range(a.blocks * p.places * a.tiles * a.rows)
    ]


def _factors(block: int, tile: int, p: ControllerParams) -> list[Order]:
    return [Order(Command.FACTOR, block, tile, column=n) for n in range(p.crossbar.neurons)]


def script(p: ControllerParams, seed: int, *, commands: int = 30, stuck: float = 0.1) -> list[Step]:
    """All memories; every block programmed and looked at; then random commands with more
    configuration between them; at last calibrations and wear."""
    draw = random.Random(f"script {seed}")
    a = p.array
    out: list[Step] = [
        *_cells(p, draw, stuck),
        *_ages(p, draw),
        *_targets(p, draw),
        *_inputs(p, draw),
        Order(Command.AGE),
    ]
    if p.crossbar.sampling != "none":
        most = 1 << (a.cell_bits + 1)
        out += [
            Config(ArrayMemory.REFERENCE, k, draw.randrange(most))
            for k in range(a.banks * a.columns)
        ]
    banks = [divmod(bank, a.tiles) for bank in range(a.banks)]
    for block in range(a.blocks):
        out.append(Order(Command.PROGRAM, block, value=draw.randrange(a.epochs)))
        out += [Order(Command.FAILED, block), Order(Command.MOVED, block)]
        out += [Order(Command.MAP, block, column=q) for q in range(p.places)]
    out += [Order(Command.REFERENCE, *bank) for bank in banks]
    for _ in range(commands):
        some = draw.random()
        if some < 0.15:
            out += [*_ages(p, draw), Order(Command.AGE)]
        elif some < 0.35:
            out += _inputs(p, draw)
        elif some < 0.45:
            out.append(draw.choice(_targets(p, draw)))
        elif some < 0.55:
            at = draw.randrange(a.banks * p.crossbar.neurons)
            out.append(Config(ControllerMemory.FACTOR, at, draw.choice([0, 65535, p.unit])))
        out.append(_random_order(p, draw))
    for bank in banks:
        out += [Order(Command.WEAR, *bank, column=c) for c in range(a.columns)]
        for op in (Command.COLUMN, Command.GLOBAL):
            out += [*_factors(*bank, p), Order(op, *bank)]
        out += _factors(*bank, p)
    return out


def answers_of(model: ControllerModel, steps: Iterable[Step]) -> list[list[tuple[int, int]]]:
    """What the twin answers to each command: (status, value)."""
    out = []
    for step in steps:
        if isinstance(step, Config):
            model.configure(step.memory, step.address, step.data)
        else:
            out.append([(int(s), v) for s, v in model.run(step.op, **step.operands)])
    return out


class Rack(wiring.Component):
    """Controlled arrays on one stream, a step a word: see `words`; answers as they come."""

    def __init__(self, params: Sequence[ControllerParams], images: Sequence[dict] | None = None):
        self.params, self.images = params, images or [{}] * len(params)
        super().__init__({"i": In(stream.Signature(104)), "o": Out(stream.Signature(ANSWER))})

    def elaborate(self, platform):
        m = Module()
        word, ready = self.i.payload, Signal(len(self.params))
        m.d.comb += self.i.ready.eq(ready.all())
        for k, (params, images) in enumerate(zip(self.params, self.images, strict=True)):
            m.submodules[f"unit_{k}"] = unit = ControlledArray(params, images)
            mine = self.i.valid & self.i.ready & (word[100:] == k)
            m.d.comb += [
                ready[k].eq(unit.i.ready),
                unit.config.en.eq(mine & word[0]),
                unit.config.memory.eq(word[1:4]),
                unit.config.address.eq(word[4:36]),
                unit.config.data.eq(word[36:100]),
                unit.i.valid.eq(mine & ~word[0]),
                unit.i.payload.eq(word[1:65]),
                unit.o.ready.eq(self.o.ready),
            ]
            with m.If(unit.o.valid):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(unit.o.payload)]
        return m


def words(steps: Iterable[Step], unit: int = 0) -> list[int]:
    """Steps of a unit as words of a `Rack`."""
    return [
        (step.data << 36 | step.address << 4 | step.memory << 1 | 1) | unit << 100
        if isinstance(step, Config)
        else step.word << 1 | unit << 100
        for step in steps
    ]


def answers_in(got: np.ndarray) -> list[tuple[int, int]]:
    """(status, value) of words of a `Rack`."""
    out = []
    for word in got[:, 0].tolist():
        value = word & ((1 << VALUE_BITS) - 1)
        out.append((word >> VALUE_BITS, value - (value >> (VALUE_BITS - 1) << VALUE_BITS)))
    return out


def build(top: wiring.Component) -> Verilated:
    """A component, compiled (cached by content)."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in emit_verilog(top, "bench").items():
            paths.append(Path(folder) / name)
            paths[-1].write_text(text)
        verilog = [path for path in paths if path.suffix == ".v"]
        data = [path for path in paths if path.suffix != ".v"]
        return Verilated.build(verilog, "bench", optimise=False, data_files=data)
