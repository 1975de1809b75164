"""Controllers beside their twin: parameters, random scripts of configuration and commands, a rack
of controlled arrays in Verilator, and an array of Python behind a controller, which checks the
port's rules, takes its time, or never answers."""

import random
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.controlled import ControlledArray
from hdl.crossbar.controller import ANSWER, COMMAND, Controller
from hdl.crossbar.ports import CONVERT_LATENCY
from hdl.emit import emit_verilog
from hdl.params.crossbar.array import ArrayMemory, ArrayParams, Pulse
from hdl.params.crossbar.controller import (
    VALUE_BITS,
    Command,
    ControllerMemory,
    ControllerParams,
)
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import ENTRIES, DeviceParams
from sim.golden.crossbar.array import ArrayModel
from sim.golden.crossbar.controller import ControllerModel
from sim.verilated import Verilated
from tests.kit_hdl import clocked, run

__all__ = ["Behind", "Config", "Order", "Rack", "answers_in", "answers_of", "build", "device",
           "make", "run_rtl", "script", "words"]  # fmt: skip


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


class Behind:
    """An array of Python at the array port of a controller. It is busy for 1..`slow` cycles, in its
    k-th operation for `sleeps[k]` if that is given."""

    LINES = (
        "strobe", "drive", "hold", "sense", "sample", "convert", "column", "range", "pulse",
        "kind", "row", "level", "epoch", "age", "restart", "bank",
    )  # fmt: skip

    def __init__(
        self, p: ControllerParams, seed: int, *, slow: int = 5, sleeps: dict | None = None
    ):
        self.p, self.model = p.array, ArrayModel(p.array)
        self.draw, self.slow, self.sleeps = random.Random(f"array {seed}"), slow, sleeps or {}
        self.operations = 0

    async def __call__(self, ctx, port):
        a, model, draw = self.p, self.model, self.draw
        codes = deque([0] * (CONVERT_LATENCY - 1))
        wait, bank = 0, 0
        lines = [name for name in self.LINES if len(getattr(port, name))]
        config = (port.config.en, port.config.memory, port.config.address, port.config.data)
        ctx.set(port.ready, 1)
        while True:
            _, _, ready, en, memory, address, data, *values = await ctx.tick().sample(
                port.ready, *config, *(getattr(port, name) for name in lines)
            )
            now = dict.fromkeys(self.LINES, 0) | dict(zip(lines, values, strict=True))
            begins = sum(now[name] for name in ("strobe", "pulse", "age", "restart"))
            assert begins + now["sample"] + en <= 1, now
            assert ready or not (begins or now["sample"] or en), now
            assert ready or now["bank"] == bank, "the bank changed while the array was busy"
            bank = now["bank"]
            if en:
                model.configure(ArrayMemory(memory), address, data)
            if now["convert"]:
                assert now["column"] < a.columns
                codes.append(model.convert(now["column"], now["range"]))
            else:
                codes.append(draw.randrange(1 << a.code_bits))
            ctx.set(port.code, codes.popleft())
            if now["sample"]:
                model.sample()
            if now["strobe"]:
                drive = [now["drive"] >> r & 1 for r in range(a.rows)]
                model.read(bank, drive, hold=now["hold"], sense=now["sense"])
            elif now["pulse"]:
                kind = Pulse(now["kind"])
                model.pulse(bank, now["row"], now["column"], kind, now["level"], now["epoch"])
            elif now["age"]:
                model.age()
            elif now["restart"]:
                model.restart()
            if begins:
                self.operations += 1
                wait = self.sleeps.get(self.operations) or draw.randint(1, self.slow)
                ctx.set(port.ready, 0)
            elif wait:
                wait -= 1
                ctx.set(port.ready, wait == 0)


def run_rtl(
    p: ControllerParams,
    steps: Sequence[Step],
    counts: Sequence[int],
    behind: Behind,
    *,
    stall: float = 0.0,
    seed: int = 1,
    hurried: Sequence[Config] = (),
    cycles: int = 200_000,
) -> tuple[list[list[tuple[int, int]]], list[int]]:
    """Answers of a controller to each command, of which it gives `counts`, and the cycles from the
    command to its last answer. `hurried` is written behind each command, while it runs.
    AssertionError if there is one answer too many."""
    dut = Controller(p)
    got: list[list[tuple[int, int]]] = []
    took: list[int] = []

    async def write(ctx, item):
        ctx.set(dut.config.memory, item.memory)
        ctx.set(dut.config.address, item.address)
        ctx.set(dut.config.data, item.data)
        ctx.set(dut.config.en, 1)
        await ctx.tick()
        ctx.set(dut.config.en, 0)

    async def send(ctx):
        draw = random.Random(f"send {seed}")
        for step in steps:
            while draw.random() < stall:
                await ctx.tick()
            if isinstance(step, Config):
                while not ctx.get(dut.i.ready):
                    await ctx.tick()
                await write(ctx, step)
                continue
            ctx.set(dut.i.payload, COMMAND.const({"op": step.op} | step.operands))
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.i.payload, COMMAND.const({"op": draw.randrange(256)}))
            for item in hurried:
                await write(ctx, item)

    async def receive(ctx):
        draw = random.Random(f"receive {seed}")
        clock = began = 0
        for count in counts:
            answers: list[tuple[int, int]] = []
            while len(answers) < count:
                ready = draw.random() >= stall
                ctx.set(dut.o.ready, ready)
                _, _, taken, valid, word = await ctx.tick().sample(
                    dut.i.valid & dut.i.ready, dut.o.valid, dut.o.payload
                )
                clock += 1
                if taken:
                    began = clock
                if valid and ready:
                    answers.append((int(word.status), int(word.value)))
            got.append(answers)
            took.append(clock - began)
        ctx.set(dut.o.ready, 1)
        for _ in range(20):
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            assert not valid, "an answer too many"

    async def array(ctx):
        await behind(ctx, dut.array)

    sim = clocked(dut)
    sim.add_testbench(send)
    sim.add_testbench(receive)
    sim.add_testbench(array, background=True)
    run(sim, cycles)
    return got, took
