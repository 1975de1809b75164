# amaranth: UnusedElaboratable=no
"""A core behind products, against the equations of hdl/params/ssm/gate.py in plain Python."""

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from amaranth.hdl import ResetInserter, Signal

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range
from hdl.params.noc import Memory
from hdl.params.ssm.gate import Gate, GateParams
from hdl.ssm.gate import GateDendrites
from tests.kit_core import probed, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put


@dataclass(frozen=True)
class Case:
    """A core: slots, ranges of them, axons besides one of each neuron and port."""

    slots: int
    gate: Gate
    ranges: int = 1
    spikes: bool = False


CASES = {
    "one": Case(1, Gate()),
    "one, held": Case(1, Gate(held=True, value_bits=18, shift=31)),
    "two": Case(2, Gate(shift=1, value_bits=2), ranges=2),
    "three, held": Case(3, Gate(held=True, shift=3, value_bits=4), ranges=2),
    "three, wide": Case(3, Gate(shift=17, value_bits=18), ranges=3),
    "many": Case(37, Gate(shift=6, value_bits=8), ranges=5),
    "many, held": Case(70, Gate(held=True, shift=15, value_bits=16)),
    "spikes": Case(5, Gate(value_bits=2), spikes=True),
    "one, copied": Case(1, Gate(repeats=True)),
    "one input to five": Case(5, Gate(repeats=True, shift=3, value_bits=5), ranges=2),
    "one right": Case(5, Gate(stretch=5, value_bits=3)),
    "pairs": Case(6, Gate(stretch=2, shift=4)),
    "copies of three": Case(12, Gate(stretch=3, repeats=True, value_bits=9), ranges=3),
    "many copies": Case(70, Gate(stretch=7, repeats=True, shift=6, value_bits=8)),
    "copies of spikes": Case(9, Gate(stretch=3, repeats=True, value_bits=2), spikes=True),
}


class Bench:
    """A core whose neurons forget everything and send their product; and what they should send."""

    def __init__(self, name, seed):
        self.case, self.draw = CASES[name], random.Random(f"{name} {seed}")
        k, g, draw = self.case, self.case.gate, self.draw
        self.top = 1 << g.value_bits - 1
        self.clear()
        # Axons: each neuron and port once, some for both ports, one that feeds nothing.
        self.axons = [(n, 1 << port) for port in range(2) for n in range(len(self.values[port]))]
        self.axons += [(draw.randrange(k.slots), 3) for _ in range(2) if not g.spread]
        self.axons += [(k.slots - 1, 0)]
        draw.shuffle(self.axons)
        bits = (k.slots - 1).bit_length()
        self.images = {Memory.POINTER: [n | ports << bits for n, ports in self.axons]}
        cuts = [n * k.slots // k.ranges for n in range(k.ranges + 1)]
        acc_bits = max(g.acc_bits, 2)
        self.params = CoreParams(
            slots=k.slots, axons=len(self.axons), levels=2,
            value_bits=0 if k.spikes else min(max(g.value_bits, acc_bits), 32),
            membrane_bits=min(acc_bits, 32), acc_bits=acc_bits,
            dendrites=GateParams(gate=g),
            ranges=tuple(Range(level=1, first=a, end=b) for a, b in pairwise(cuts)),
            shared={
                "membrane_decay": 0, "bias": 0, "threshold": 0, "reset_value": 0, "shift": 0,
                "value_shift": 0, "reset": 0,
                "emit": int(Emit.SPIKE if k.spikes else Emit.STATE),
            },
        )  # fmt: skip

    def clear(self):
        """No inputs: those at left, those at right."""
        self.values = [[0] * count for count in self.case.gate.sources(self.case.slots)]

    def step(self):
        g, (left, right) = self.case.gate, self.values
        pairs = [
            (left[n % g.stretch if g.repeats else n], right[n // g.stretch])
            for n in range(self.case.slots)
        ]
        sums = [(a * b + 2**g.shift // 2) // 2**g.shift for a, b in pairs]
        if not g.held:
            self.clear()
        return sums

    def sent(self):
        """Events of a step."""
        sums = self.step()
        if self.case.spikes:
            return [(n, 0) for n, x in enumerate(sums) if x > 0]
        low = -(1 << self.params.membrane_bits - 1)
        return [(n, min(max(x, low), -low - 1)) for n, x in enumerate(sums)]

    def events(self):
        """Events of a step, at most one for each input; the equations know them."""
        draw, g, out = self.draw, self.case.gate, []
        count = draw.choice([0, 1, len(self.axons) // 2, len(self.axons)])
        fed = set()
        for axon in draw.sample(range(len(self.axons)), count):
            slot, ports = self.axons[axon]
            mine = {(slot, k) for k in range(2) if ports >> k & 1}
            if mine & fed:
                continue
            fed |= mine
            value = draw.choice([-self.top, self.top - 1, draw.randrange(-self.top, self.top)])
            if g.held:  # a change: no sum may leave its bits
                now = [self.values[k][n] for n, k in mine]
                value = min(
                    max(value, -self.top - min(now, default=0)), self.top - 1 - max(now, default=0)
                )
            if self.case.spikes:
                value = 1
            for n, k in mine:
                self.values[k][n] = value + g.held * self.values[k][n]
            out.append({"axon": axon, "value": value % 1 if self.case.spikes else value})
        return out

    def items(self):
        """What Memory.STATE holds behind the slots."""
        bits = self.case.gate.value_bits
        mask = (1 << bits) - 1
        pairs = zip(*self.values, strict=True) if self.case.gate.held else ()
        return [(a & mask) | (b & mask) << bits for a, b in pairs]


@pytest.mark.parametrize("name", CASES)
def test_core_follows_the_equations(name):
    """Steps, clears, other levels, states written and read; every other core has stalls."""
    seed = list(CASES).index(name)
    bench, stall = Bench(name, seed), 0.4 * (seed % 2)
    draw, p = bench.draw, bench.params
    dut = NeuronCore(p, ConfigPort(24, 40), None if seed % 2 else bench.images)
    got, found = [], set()
    until_idle, step, write = tile_side(dut)

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    async def states(ctx, number):
        """Those held are read, then others written; the neurons' own stay."""
        for k, item in enumerate(bench.items()):
            assert await probed(ctx, dut, p.slots + k) == item, (number, k, seed)
        own = [await probed(ctx, dut, n) for n in range(p.slots)]
        for n in draw.sample(range(p.slots), draw.randint(0, min(p.slots, 5))):
            if bench.case.gate.held:
                for port in range(2):
                    bench.values[port][n] = draw.randrange(-bench.top, bench.top)
                await write(ctx, Memory.STATE, p.slots + n, bench.items()[n])
        await ctx.tick().repeat(4)
        assert own == [await probed(ctx, dut, n) for n in range(p.slots)], (number, seed)

    async def main(ctx):
        if seed % 2:
            for address, item in enumerate(bench.images[Memory.POINTER]):
                await write(ctx, Memory.POINTER, address, item)
        for number in range(20):
            await stream_put(ctx, dut.i, bench.events(), seed=number, stall=stall)
            kind = draw.choice(["update"] * 7 + ["other level", "clear"])
            if kind == "other level":  # the inputs stay
                await step(ctx, 1)
            await until_idle(ctx)
            del got[:]
            await step(ctx, 0 if kind == "clear" else draw.choice([2, 3]), kind == "clear")
            expected = [] if kind == "clear" else bench.sent()
            if kind == "clear":
                bench.clear()
            if draw.random() < 0.5:  # they come while the core is busy
                await stream_put(ctx, dut.i, bench.events(), seed=number, stall=stall)
                await step(ctx, 1)
            await until_idle(ctx)
            assert [(e.slot, e.value) for e in got] == expected, (number, seed)
            found.update(expected)
            if number % 3 == 2:
                await states(ctx, number)

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 60000)
    assert len(found) > 2 or bench.case.spikes, found


async def pulse(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


@pytest.mark.parametrize("slow", [0, 0.6, 0.95])
@pytest.mark.parametrize("name", ["one", "two", "three, held", "many", "copies of three"])
def test_sums_wait_until_they_are_taken(name, slow):
    """Taken at once, there is one a cycle, the first so late as is stated."""
    bench = Bench(name, slow)
    dut = GateDendrites(bench.params, ConfigPort(24, 40), bench.images)
    draw, slots = bench.draw, bench.case.slots

    async def main(ctx):
        for number in range(4):
            ctx.set(dut.run, 1)
            await stream_put(ctx, dut.i, bench.events())
            while ctx.get(dut.busy):
                await ctx.tick()
            ctx.set(dut.run, 0)
            await pulse(ctx, dut.start)
            got, ready, taken = [], [], [False, False]
            for cycle in range(1, 2000):
                if ctx.get(dut.ready):
                    ready.append(cycle)
                take = ctx.get(dut.ready) and draw.random() >= slow
                ctx.set(dut.take, take)
                if taken[0]:
                    got.append(ctx.get(dut.sums[0]))
                taken = [taken[1], take]
                if len(got) == slots:
                    break
                await ctx.tick()
            assert got == bench.step(), number
            if not slow:
                assert ready == [GateDendrites.latency + 2 + n for n in range(slots)]
                assert ready[-1] < bench.params.dendrites.update_cycles(slots)

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 10000)


@pytest.mark.parametrize("name", ["three, wide", "three, held", "copies of three", "pairs"])
def test_reset_in_mid_run(name):
    """Whatever a reset meets, a clear puts right."""
    bench, got = Bench(name, "reset"), []
    reset = Signal()
    dut = ResetInserter(reset)(NeuronCore(bench.params, ConfigPort(24, 40), bench.images))
    until_idle, step, _ = tile_side(dut)

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, into=got)

    async def main(ctx):
        for wait in range(1, 24):
            await stream_put(ctx, dut.i, bench.events())
            await step(ctx, 2, clear=wait % 4 == 0)
            await ctx.tick().repeat(wait)
            await pulse(ctx, reset)
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


def test_the_width_of_a_product_is_the_least():
    """acc_bits holds every product; with one bit less some would not fit."""
    for bits in (2, 3, 5):
        for shift in range(12):
            top = 1 << bits - 1
            every = [
                (a * b + 2**shift // 2) // 2**shift
                for a in range(-top, top)
                for b in range(-top, top)
            ]
            width = Gate(value_bits=bits, shift=shift).acc_bits
            half = 1 << width - 1
            assert -half <= min(every) <= max(every) < half, (bits, shift)
            assert width == 2 or max(every) >= half // 2, (bits, shift)


def test_wrong_parameters():
    params = Bench("two", 0).params
    with pytest.raises(TypeError, match="dendrites must be GateParams, not None"):
        GateDendrites(replace(params, dendrites=None, synapse_words=999), ConfigPort(24, 64))
    with pytest.raises(ValueError, match=r"value_bits must be in 2\.\.18, not 19"):
        Gate(value_bits=19)
    with pytest.raises(ValueError, match="held must be False where inputs are spread"):
        Gate(stretch=2, held=True)
    with pytest.raises(ValueError, match="stretch must be in 1"):
        Gate(stretch=0)
    with pytest.raises(ValueError, match="slots must be a multiple of the gate's stretch, 3, not "):
        replace(params, dendrites=GateParams(gate=Gate(value_bits=2, stretch=3)))
    with pytest.raises(ValueError, match="acc_bits must be at least 8 with these values, not 3"):
        replace(params, dendrites=GateParams(gate=Gate(value_bits=4, shift=0)), acc_bits=3)
