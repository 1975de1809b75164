# amaranth: UnusedElaboratable=no
"""A core in which only the winners of each group send, against hdl/params/winners.py in Python."""

import random
from dataclasses import dataclass, replace

import pytest
from amaranth.hdl import ResetInserter, Signal

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range, Reset
from hdl.params.noc import Memory
from hdl.params.winners import Winners
from tests.kit_core import state_of, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put


@dataclass(frozen=True)
class Case:
    """group, count, groups; what is sent; lanes; few weights make ties."""

    group: int
    count: int
    groups: int = 1
    emit: Emit = Emit.STATE
    lanes: int = 1
    top: int = 7
    decay: int = 0

    @property
    def size(self):
        return self.group * self.groups


CASES = {
    "one": Case(1, 1),
    "one of two": Case(2, 1, emit=Emit.VALUE),
    "both of two": Case(2, 2),
    "one of three, ties": Case(3, 1, top=1),
    "two of three": Case(3, 2, groups=3, lanes=2),
    "one of five": Case(5, 1, emit=Emit.SPIKE),
    "two of five, ties": Case(5, 2, groups=2, lanes=4, top=1, emit=Emit.RELU),
    "all of five": Case(5, 5, groups=2, emit=Emit.VALUE),
    "four of five": Case(5, 4, lanes=8),
    "three of eight, leaky": Case(8, 3, groups=4, decay=3000, emit=Emit.VALUE),
    "one of two, many": Case(2, 1, groups=12, top=2),
}
ACC, MEMBRANE = 14, 9
LOW, HIGH = -(1 << MEMBRANE - 1), (1 << MEMBRANE - 1) - 1


class Bench:
    """A core of random weights; and what it should send."""

    def __init__(self, name, seed):
        self.case, self.draw = CASES[name], random.Random(f"{name} {seed}")
        k, draw = self.case, self.draw
        self.axons, slots = 4, -(-k.size // k.lanes) * k.lanes
        self.weights = [
            [draw.randint(-k.top, k.top) for _ in range(k.size)] for _ in range(self.axons)
        ]
        self.bias = draw.choice([-3, 0, 5])
        self.images = {
            Memory.SYNAPSE: [w % 16 for row in self.weights for w in row + [0] * (slots - k.size)]
        }
        self.params = CoreParams(
            slots=slots, lanes=k.lanes, levels=2, ranges=(Range(level=1, first=0, end=k.size),),
            axons=self.axons, synapse_words=self.axons * slots // k.lanes, weight_bits=4,
            payload_bits=6, value_bits=MEMBRANE, emission_bits=5, membrane_bits=MEMBRANE,
            acc_bits=ACC, winners=Winners(count=k.count, group=k.group),
            shared={
                "membrane_decay": k.decay, "bias": self.bias, "threshold": -20, "reset_value": 0,
                "shift": 0, "value_shift": 2, "reset": int(Reset.SUBTRACT), "emit": int(k.emit),
            },
        )  # fmt: skip
        self.clear()

    def clear(self):
        self.acc, self.membrane = [0] * self.case.size, [0] * self.case.size

    def events(self):
        """Some events, or none; the equations know them."""
        out = []
        for axon in self.draw.sample(range(self.axons), self.draw.randint(0, self.axons)):
            value = self.draw.choice([1, -1, self.draw.randint(-32, 31)])
            out.append({"axon": axon, "value": value})
            self.acc = [a + w * value for a, w in zip(self.acc, self.weights[axon], strict=True)]
        return out

    def sent(self):
        """Events of a step."""
        k, out = self.case, []
        decayed = [(m * k.decay + 2048) // 4096 for m in self.membrane]
        sums = [m + a + self.bias for m, a in zip(decayed, self.acc, strict=True)]
        self.membrane, self.acc = [min(max(v, LOW), HIGH) for v in sums], [0] * k.size
        for first in range(0, k.size, k.group):
            members = range(first, first + k.group)
            best = sorted(members, key=lambda n: (-self.membrane[n], n))[: k.count]
            out += [(n, self.value(self.membrane[n])) for n in sorted(best)]
        return [(n, value) for n, value in out if value is not None]

    def value(self, v):
        """What a winner of that membrane sends; None: nothing."""
        if self.case.emit == Emit.STATE:
            return v
        if self.case.emit == Emit.SPIKE:
            return 1 if v > -20 else None
        q = (v + 2) // 4
        return min(max(q, 0 if self.case.emit == Emit.RELU else -16), 15) or None


@pytest.mark.parametrize("name", CASES)
def test_core_sends_what_wins(name):
    """Steps with and without events, other levels, clears; every other core has stalls."""
    seed = list(CASES).index(name)
    bench, stall = Bench(name, seed), 0.4 * (seed % 2)
    draw, dut, got = bench.draw, NeuronCore(bench.params, ConfigPort(24, 40), bench.images), []
    until_idle, step, _ = tile_side(dut)

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    async def main(ctx):
        for number in range(16):
            await stream_put(ctx, dut.i, bench.events(), seed=number, stall=stall)
            kind = draw.choice(["update"] * 7 + ["other level", "clear"])
            if kind == "other level":
                await step(ctx, 1)
            await until_idle(ctx)
            del got[:]
            await step(ctx, 0 if kind == "clear" else draw.choice([2, 3]), kind == "clear")
            if kind == "clear":
                bench.clear()
            expected = [] if kind == "clear" else bench.sent()
            if draw.random() < 0.5:  # they come while the core is busy
                await stream_put(ctx, dut.i, bench.events(), seed=number, stall=stall)
            await until_idle(ctx)
            assert [(e.slot, e.value) for e in got] == expected, (number, seed)
        n = draw.randrange(bench.case.size)
        assert (await state_of(ctx, dut, n))[0] == bench.membrane[n]

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 60000)


@pytest.mark.parametrize("name", ["two of three", "three of eight, leaky"])
def test_reset_in_mid_run(name):
    """Whatever a reset meets, a clear puts right."""
    bench, got, reset = Bench(name, "reset"), [], Signal()
    dut = ResetInserter(reset)(NeuronCore(bench.params, ConfigPort(24, 40), bench.images))
    until_idle, step, _ = tile_side(dut)

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, into=got)

    async def main(ctx):
        for wait in range(1, 40, 3):
            await stream_put(ctx, dut.i, bench.events())
            await step(ctx, 2, clear=wait % 4 == 0)
            await ctx.tick().repeat(wait)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await step(ctx, 0, 1)
            bench.clear()
            for _ in range(2):
                await stream_put(ctx, dut.i, bench.events())
                await until_idle(ctx)
                del got[:]
                await step(ctx, 2)
                await until_idle(ctx)
                assert [(e.slot, e.value) for e in got] == bench.sent(), wait

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 20000)


def test_wrong_parameters():
    params = Bench("two of three", 0).params
    with pytest.raises(ValueError, match=r"count must be in 1\.\.3, not 4"):
        Winners(count=4, group=3)
    with pytest.raises(ValueError, match=r"group must be in 1\.\.256, not 0"):
        Winners(group=0)
    with pytest.raises(ValueError, match="update_lanes must be 1 and changes not be sent"):
        replace(params, update_lanes=2, ranges=(Range(level=1, first=0, end=3),))
    cut = (Range(level=1, first=0, end=4),)
    with pytest.raises(ValueError, match=r"one range from 0 on, of whole groups of 3, not \[\(0,"):
        replace(params, ranges=cut)
