"""The host port against a network that rests only in part, with stalls on every stream."""

import random
from itertools import pairwise

import pytest

from hdl.host.port import HostPort
from hdl.params.host import HostOp, HostParams, ReplyOp
from hdl.params.noc import FlitParams
from tests.kit_hdl import clocked, getter, putter, run

FLIT = FlitParams(width=2, height=2, tag_bits=4, config_bits=8)
PARAMS = HostParams(flit=FLIT, levels=3)
BODY = PARAMS.body_bits


def send(flit: int) -> int:
    return flit | HostOp.SEND << BODY


def step(mask: int, clear: int = 0) -> int:
    return mask | clear << PARAMS.levels | HostOp.STEP << BODY


class Network:
    """A network and its cores: what goes in keeps it busy for a while and may come back out.

    Each flit or step that enters causes some answers, each after a random time. `all_idle` shows
    the state of `delay` cycles ago at the latest: a step or flit that enters in cycle t is shown
    from t + delay on, and rest is shown as late. Whatever is wrong is listed in `wrong`.
    """

    def __init__(self, dut: HostPort, seed: int, stall: float) -> None:
        self.dut, self.stall = dut, stall
        self.draw = random.Random(f"network {seed}")
        self.log: list[tuple] = []
        self.wrong: list[str] = []

    async def run(self, ctx) -> None:
        dut, draw = self.dut, self.draw
        waiting: list[tuple[int, int]] = []  # (cycle from which it is offered, flit)
        resting = [True] * dut.delay
        quiet, cycle, number, offered = 0, 0, 0, False
        while True:
            if not offered and waiting and waiting[0][0] <= cycle:
                ctx.set(dut.i_flit.payload.as_value(), waiting[0][1])
                ctx.set(dut.i_flit.valid, 1)
                offered = True
            ready = draw.random() >= self.stall
            ctx.set(dut.o_flit.ready, ready)
            ctx.set(dut.all_idle, resting[0])
            _, _, start, clear, mask, valid, payload, taken = await ctx.tick().sample(
                dut.step.start, dut.step.clear, dut.step.mask,
                dut.o_flit.valid, dut.o_flit.payload, dut.i_flit.ready,
            )  # fmt: skip
            if offered and taken:
                self.log.append(("answer", waiting.pop(0)[1]))
                ctx.set(dut.i_flit.valid, 0)
                offered = False
            busy = bool(waiting) or cycle < quiet
            if start:
                self.log.append(("step", int(clear), int(mask)))
                if busy or valid:
                    self.wrong.append(f"cycle {cycle}: a step starts while something goes on")
            if valid and ready:
                self.log.append(("flit", int(payload.as_bits())))
            if start or (valid and ready):
                quiet = cycle + draw.randrange(1, 30)
                for _ in range(draw.choice([0, 0, 1, 3])):
                    number += 1
                    waiting.append((draw.randrange(cycle + 1, quiet + 1), number))
                waiting.sort()
            # A network that has just been entered may look busy at once, or only `delay` later.
            resting = [*resting[1:], not (waiting or cycle < quiet)]
            cycle += 1


def words_of(draw: random.Random, count: int) -> list[int]:
    words = []
    for _ in range(count):
        if draw.random() < 0.5:
            words.append(send(draw.getrandbits(FLIT.flit_bits)))
        else:
            words.append(step(draw.randrange(8), draw.random() < 0.2))
    return words


@pytest.mark.parametrize("stalls", [(0, 0, 0), (0.5, 0.5, 0.5), (0, 0.9, 0), (0, 0, 0.9)], ids=str)
@pytest.mark.parametrize("delay", [1, 4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_the_barrier(seed, delay, stalls):
    """Steps start only at rest; words keep their order; each MARK stands behind the answers."""
    draw = random.Random(f"words {seed} {delay}")
    dut = HostPort(PARAMS, delay=delay)
    network = Network(dut, seed, stalls[1])
    words = [*words_of(draw, 40), step(1), step(2, 1), send(5), step(0), step(0)]
    steps = sum(word >> BODY for word in words)
    got: list[int] = []
    sim = clocked(dut)
    sim.add_testbench(network.run, background=True)
    sim.add_testbench(putter(dut.i, words, seed=seed, stall=stalls[0]))

    sim.add_testbench(getter(dut.o, got, seed=seed, stall=stalls[2]), background=True)

    async def main(ctx):
        while sum(word >> BODY for word in got) < steps:
            await ctx.tick()

    sim.add_testbench(main)
    run(sim, 20000)
    assert network.wrong == [], seed
    # Into the network: all flits and steps in the order of the words.
    entered = [item for item in network.log if item[0] != "answer"]
    assert entered == [
        ("step", word >> PARAMS.levels & 1, word & 7)
        if word >> BODY
        else ("flit", word & ((1 << FLIT.flit_bits) - 1))
        for word in words
    ], seed
    # Out of it: a MARK where a step starts, and the answers in their order.
    body = (1 << BODY) - 1
    out = [("step",) if w >> BODY == ReplyOp.MARK else ("answer", w & body) for w in got]
    expected = [item[:1] if item[0] == "step" else item for item in network.log]
    last = max(n for n, item in enumerate(expected) if item == ("step",))
    assert out == [item for item in expected[: last + 1] if item[0] != "flit"], seed


@pytest.mark.parametrize("wait", [0, 1, 20])
@pytest.mark.parametrize("delay", [1, 4])
def test_a_step_comes_at_the_earliest_when_all_idle_can_be_believed(delay, wait):
    """A MARK counts the cycles from its step to the next; the network rests all the time."""
    dut = HostPort(PARAMS, delay=delay)
    starts: list[int] = []
    got: list[int] = []
    sim = clocked(dut)

    async def main(ctx):
        ctx.set(dut.all_idle, 1)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload, step(7))
        wait_left, cycle = 0, 0
        while len(starts) < 4:
            ctx.set(dut.i.valid, wait_left == 0)
            _, _, start, taken, valid, word = await ctx.tick().sample(
                dut.step.start, dut.i.ready, dut.o.valid, dut.o.payload
            )
            wait_left = wait if taken and wait_left == 0 else max(wait_left - 1, 0)
            if start:
                starts.append(cycle)
            if valid:
                got.append(int(word))
            cycle += 1

    sim.add_testbench(main)
    run(sim, 1000)
    gaps = [b - a for a, b in pairwise(starts)]
    assert all(gap >= delay + 3 for gap in gaps)
    marks = [word & ((1 << BODY) - 1) for word in got]
    assert marks[1 : len(starts)] == gaps[: len(marks) - 1]


def test_the_cycle_counter_saturates():
    """It stops at its largest value instead of starting again."""
    flit = FlitParams(width=1, height=1, tag_bits=1, config_bits=8)
    params = HostParams(flit=flit, levels=1)
    dut = HostPort(params, delay=1)
    top = (1 << params.body_bits) - 1
    assert top < 65535
    marks: list[int] = []
    sim = clocked(dut)

    async def main(ctx):
        ctx.set(dut.all_idle, 1)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload, 1 | HostOp.STEP << params.body_bits)
        for late in (top + 20, top - 9):
            await ctx.tick().repeat(late)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            assert ctx.get(dut.o.valid)
            marks.append(ctx.get(dut.o.payload) & top)

    sim.add_testbench(main)
    run(sim, 4 * top)
    assert marks[0] == top
    assert top - 12 < marks[1] < top
