"""Stream drivers with seeded stalls, and a clocked simulator, for Amaranth's own simulator.

Example, in a test (each driver is its own testbench, so that both ends stall independently)::

    got = []
    sim = clocked(dut)
    sim.add_testbench(putter(dut.i, [1, 2, 3], seed=1, stall=0.3))
    sim.add_testbench(getter(dut.o, got, 3, seed=2, stall=0.5))
    run(sim, cycles=1000)
"""

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from amaranth.sim import Simulator, SimulatorContext

__all__ = ["clocked", "getter", "putter", "run", "stream_get", "stream_put"]

Testbench = Callable[[SimulatorContext], Awaitable[None]]


async def stream_put(
    ctx: SimulatorContext,
    stream: Any,
    values: Iterable[Any],
    *,
    seed: int = 0,
    stall: float = 0.0,
    log: list[tuple[int, Any]] | None = None,
) -> None:
    """Send `values` in order; before each, wait a cycle with probability `stall`, again and again.

    A value is what `ctx.set` takes for the payload: an integer, or a dict for a structure. `log`
    receives (cycle counted from the start of this call, value) for each transfer.
    """
    draw = random.Random(f"put {seed}")
    cycle = 0
    for value in values:
        while stall and draw.random() < stall:
            await ctx.tick()
            cycle += 1
        ctx.set(stream.payload, value)
        ctx.set(stream.valid, 1)
        done = False
        while not done:
            _, _, ready = await ctx.tick().sample(stream.ready)
            done = bool(ready)
            if done and log is not None:
                log.append((cycle, value))
            cycle += 1
        ctx.set(stream.valid, 0)


async def stream_get(
    ctx: SimulatorContext,
    stream: Any,
    count: int | None = None,
    *,
    seed: int = 0,
    stall: float = 0.0,
    into: list[Any] | None = None,
    log: list[tuple[int, Any]] | None = None,
) -> list[Any]:
    """Receive `count` values (for ever if None: run it in the background) and return them.

    In each cycle the receiver is not ready with probability `stall`. Raises AssertionError if the
    sender takes back a valid word, or changes it, before it was taken. `into` receives the values
    as they come, `log` (cycle, value).
    """
    draw = random.Random(f"get {seed}")
    got: list[Any] = [] if into is None else into
    start, cycle, pending = len(got), 0, None
    while count is None or len(got) < start + count:
        ready = not (stall and draw.random() < stall)
        ctx.set(stream.ready, ready)
        _, _, valid, value = await ctx.tick().sample(stream.valid, stream.payload)
        word = _plain(value)
        if pending is not None and not (valid and word == pending[0]):
            raise AssertionError(
                f"{word!r} (valid {int(valid)}) replaced {pending[0]!r}, which was not yet taken"
            )
        pending = (word,) if valid and not ready else None
        if valid and ready:
            got.append(value)
            if log is not None:
                log.append((cycle, value))
        cycle += 1
    ctx.set(stream.ready, 0)
    return got


def _plain(value: Any) -> Any:
    """A sampled payload in a form that compares: structures become their bits."""
    return value.as_bits() if hasattr(value, "as_bits") else value


def putter(stream: Any, values: Iterable[Any], **options: Any) -> Testbench:
    """A testbench that runs `stream_put`."""

    async def testbench(ctx: SimulatorContext) -> None:
        await stream_put(ctx, stream, values, **options)

    return testbench


def getter(stream: Any, into: list[Any], count: int | None = None, **options: Any) -> Testbench:
    """A testbench that runs `stream_get` and appends to `into`."""

    async def testbench(ctx: SimulatorContext) -> None:
        await stream_get(ctx, stream, count, into=into, **options)

    return testbench


def clocked(dut: Any) -> Simulator:
    """A simulator of `dut` with the domain `sync`, 1 us a cycle."""
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    return sim


def run(sim: Simulator, cycles: int) -> None:
    """Run until all testbenches end; AssertionError if that takes more than `cycles` cycles."""

    async def deadline(ctx: SimulatorContext) -> None:
        for _ in range(cycles):
            await ctx.tick()
        raise AssertionError(f"the test bench did not end within {cycles} cycles")

    sim.add_testbench(deadline, background=True)
    sim.run()
