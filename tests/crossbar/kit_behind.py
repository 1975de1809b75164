"""An array of Python behind a controller, which checks the port's rules and takes its time, or
never answers; and controllers run with it, in Amaranth's simulator."""

import random
from collections import deque
from collections.abc import Sequence

from hdl.crossbar.command import COMMAND
from hdl.crossbar.controller import Controller
from hdl.crossbar.ports import CONVERT_LATENCY
from hdl.params.crossbar.array import ArrayMemory, Pulse
from hdl.params.crossbar.controller import ControllerParams
from sim.golden.crossbar.array import ArrayModel
from tests.crossbar.kit_commands import Config, Step
from tests.kit_hdl import clocked, run

__all__ = ["Behind", "run_rtl"]


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
