# amaranth: UnusedElaboratable=no
"""The neuron core with diagonal dendrites against the equations of hdl/params/ssm/diagonal.py.

The equations are evaluated here with Python's integers.
"""

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from amaranth.hdl import ResetInserter, Signal

from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range
from hdl.params.noc import Memory
from hdl.params.sc.lfsr import LfsrParams, seed_of, successor
from hdl.params.ssm.diagonal import Diagonal, DiagonalParams
from hdl.ssm.diagonal import DiagonalDendrites
from sim.verilated import Verilated
from tests.kit_core import tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put

LFSR = LfsrParams(width=32, steps=32)


@dataclass
class Case:
    diagonal: Diagonal
    slots: int
    lanes: int = 1
    ranges: int = 1


def case(slots, lanes=1, ranges=1, **options):
    return Case(Diagonal(**options), slots, lanes, ranges)


CASES = {
    "one of everything": case(1, real=True, state_bits=5, pole_bits=4, mix_bits=3, drive_shift=1),
    "one neuron, one state": case(1, drive_shift=17, mix_shift=16, value_bits=18),
    "S4D": case(6, order=8, drive_shift=12, mix_shift=17, ranges=3),
    "two lanes": case(
        3, 2, order=5, held=True, state_bits=9, pole_bits=8, mix_bits=7, drive_shift=3
    ),
    "four lanes": case(2, 4, order=9, mix_shift=8, drive_shift=20, state_bits=18, value_bits=5),
    "one word": case(
        11, 4, 5, order=3, stochastic=True, state_bits=12, drive_shift=9, mix_shift=10
    ),
    "real": case(3, 2, order=3, real=True, stochastic=True, drive_shift=16, mix_bits=4),
    "real, held": case(
        17, 1, 17, real=True, held=True, pole_bits=12, state_bits=18, drive_shift=31, mix_shift=5
    ),
    "states": case(10, 1, 2, mixed=False, drive_shift=13, pole_bits=15),
    "states, held": case(2, mixed=False, held=True, stochastic=True, value_bits=12, drive_shift=11),
    "many states": case(
        34, 1, 9, mixed=False, stochastic=True, pole_bits=2, state_bits=2, value_bits=2
    ),
    "real states": case(3, mixed=False, real=True, pole_bits=9, drive_shift=5, state_bits=12),
    "real states, held": case(
        19, 1, 19, mixed=False, real=True, stochastic=True, held=True, drive_shift=15, pole_bits=11
    ),
}


class Equations:
    """The population's states and inputs; `step` returns acc."""

    def __init__(self, d: Diagonal, size: int, poles, gains, mixes):
        self.d, self.size = d, size
        self.poles, self.gains, self.mixes = poles, gains, mixes
        self.clipped = 0  # times that a part was
        self.clear()

    def clear(self):
        count = self.d.states(self.size)
        self.u = [0] * self.size
        self.x = [(0, 0)] * count
        self.draws = [seed_of(self.d.seed, k, 32) for k in range(count)]

    def event(self, n, value):
        self.u[n] = value + (self.u[n] if self.d.held else 0)

    def step(self):
        d, one = self.d, 1 << self.d.pole_bits
        low, high = -(1 << d.state_bits - 1), (1 << d.state_bits - 1) - 1
        for k, (re, im) in enumerate(self.x):
            if d.mixed or d.real:
                p, q = self.u[k // d.order], 0
            else:
                p, q = self.u[2 * k], self.u[2 * k + 1]
            ar, ai = self.poles[k]
            e = d.drive_shift + self.gains[k]
            half = half_im = one // 2
            if d.stochastic:
                w = self.draws[k]
                half, half_im = (w % 65536) * one // 65536, (w // 65536) * one // 65536
                self.draws[k] = successor(LFSR, w)
            exact = (
                (ar * re - ai * im + p * 2**e + half) // one,
                (ar * im + ai * re + q * 2**e + half_im) // one,
            )
            self.x[k] = tuple(min(max(v, low), high) for v in exact)
            self.clipped += self.x[k][0] != exact[0]
            if d.real:
                self.x[k] = self.x[k][0], 0
        if not d.held:
            self.u = [0] * self.size
        if not d.mixed:
            return [part for x in self.x for part in x[: d.parts]]
        return [
            (
                sum(
                    c[0] * x[0] - c[1] * x[1]
                    for c, x in zip(
                        self.mixes[n * d.order :][: d.order],
                        self.x[n * d.order :][: d.order],
                        strict=True,
                    )
                )
                + 2**d.mix_shift // 2
            )
            // 2**d.mix_shift
            for n in range(self.size)
        ]


class Bench:
    """A core whose neurons forget everything and send their sum; and what they should send."""

    def __init__(self, name, seed):
        self.case, self.draw = CASES[name], random.Random(f"{name} {seed}")
        k, d, draw = self.case, self.case.diagonal, self.draw
        count, one, top = d.states(k.slots), 1 << d.pole_bits, 1 << d.mix_bits - 1
        poles, gains, mixes = [], [], []
        axes = [(-one, 0), (one - 1, 0), (0, 0)] + [(0, -one), (0, one - 1)] * (not d.real)
        for _ in range(count):
            ar, ai = draw.choice(axes) if draw.random() < 0.5 else (one, one)
            while ar == one or ar * ar + ai * ai > one * one:
                ar, ai = draw.randrange(-one, one), draw.randrange(-one, one) * (not d.real)
            poles.append((ar, ai))
            gains.append(draw.choice([0, 0, 7, draw.randrange(8)]))
            mix = [draw.choice([-top, top - 1, draw.randrange(-top, top)]) for _ in range(2)]
            mixes.append((mix[0], 0) if d.real else tuple(mix))
        self.equations = Equations(d, k.slots, poles, gains, mixes)
        self.hardware = h = DiagonalParams(diagonal=d, lanes=k.lanes)
        self.padded = h.words * h.lanes  # of a neuron, or of a state
        units = k.slots // d.neurons
        places = [n * self.padded + i for n in range(units) for i in range(d.order)]
        synapses, draws = [0] * (units * self.padded), [5] * (units * self.padded)
        for state, at in enumerate(places):
            synapses[at] = self.coefficients(poles[state], gains[state], mixes[state])
            draws[at] = self.equations.draws[state]
        self.places = places
        if d.stochastic:
            self.hardware = h = replace(h, draws=tuple(draws))
        extra = [draw.randrange(k.slots) for _ in range(2)]
        self.axons = [*range(k.slots), *extra, None]
        draw.shuffle(self.axons)
        bits = (k.slots - 1).bit_length()
        pointers = [draw.randrange(k.slots) if s is None else s | 1 << bits for s in self.axons]
        self.images = {Memory.SYNAPSE: synapses, Memory.POINTER: pointers}
        cuts = [n * k.slots // k.ranges for n in range(k.ranges + 1)]
        self.value_bits = max(d.value_bits, d.acc_bits)
        self.params = CoreParams(
            slots=k.slots, axons=len(self.axons), value_bits=min(self.value_bits, 32), levels=2,
            membrane_bits=min(max(d.acc_bits, 2), 32), acc_bits=max(d.acc_bits, 2), dendrites=h,
            ranges=tuple(
                Range(level=1, first=first, end=end)
                for first, end in pairwise(cuts)
            ),
            shared={
                "membrane_decay": 0, "bias": 0, "threshold": 0, "reset_value": 0, "shift": 0,
                "value_shift": 0, "reset": 0, "emit": int(Emit.STATE),
            },
        )  # fmt: skip

    def coefficients(self, pole, gain, mix):
        """An item of Memory.SYNAPSE."""
        d, item, at = self.case.diagonal, 0, 0
        fields = [(a, d.pole_bits + 1) for a in pole[: d.parts]] + [(gain, 3)]
        if d.mixed:
            fields += [(c, d.mix_bits) for c in mix[: d.parts]]
        for value, bits in fields:
            item |= value % (1 << bits) << at
            at += bits
        assert at == self.hardware.coefficient_bits
        return item

    def events(self):
        """Events of a step; the equations know them."""
        draw, d, model = self.draw, self.case.diagonal, self.equations
        top, out = 1 << d.value_bits - 1, []
        for axon in draw.sample(
            range(len(self.axons)), draw.choice([0, 1, len(self.axons) // 2, len(self.axons)])
        ):
            slot = self.axons[axon]
            value = draw.choice([-top, top - 1, draw.randrange(-top, top)])
            if slot is not None:
                if d.held:
                    value -= model.u[slot]
                    value = min(max(value, -top), top - 1)
                model.event(slot, value)
            out.append({"axon": axon, "value": value})
        return out

    def items(self):
        """(index, bits) of the dendrites' states, as Memory.STATE has them behind the slots."""
        d, model = self.case.diagonal, self.equations
        mask = (1 << d.state_bits) - 1
        for state, at in enumerate(self.places):
            item = sum(
                (v & mask) << k * d.state_bits for k, v in enumerate(model.x[state][: d.parts])
            )
            if d.stochastic:
                item |= model.draws[state] << d.parts * d.state_bits
            yield at, item
        if d.held:
            first = self.case.slots // d.neurons * self.padded
            for slot, value in enumerate(model.u):
                yield first + slot, value & ((1 << d.value_bits) - 1)


def drive(bench, *, seed, stall, loaded, steps):
    """Random steps on a core; every sum and state is checked. Returns all sums."""
    draw, p, model = bench.draw, bench.params, bench.equations
    dut = NeuronCore(p, ConfigPort(24, 128), None if loaded else bench.images)
    got, found = [], []

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    until_idle, step, write = tile_side(dut)

    async def check_states(ctx, number):
        for index, item in bench.items():
            ctx.set(dut.probe_slot, p.slots + index)
            await ctx.tick().repeat(3)
            assert ctx.get(dut.probe) == item, (number, index, seed)

    async def rewrite(ctx):
        """Other states."""
        d = bench.case.diagonal
        low, high = -(1 << d.state_bits - 1), (1 << d.state_bits - 1) - 1
        for k in draw.sample(range(len(model.x)), min(len(model.x), 5)):
            parts = [draw.choice([low, high, draw.randint(low, high)]) for _ in range(d.parts)]
            model.x[k] = (parts[0], 0) if d.real else tuple(parts)
            model.draws[k] = draw.getrandbits(32)
        if d.held:
            model.u[-1] = draw.randrange(-(1 << d.value_bits - 1), 1 << d.value_bits - 1)
        for index, item in bench.items():
            await write(ctx, Memory.STATE, p.slots + index, item)

    async def main(ctx):
        if loaded:
            for memory, items in bench.images.items():
                for address, item in enumerate(items):
                    await write(ctx, memory, address, item)
            await step(ctx, 0, 1)
        events = bench.events()
        for number in range(steps):
            await stream_put(ctx, dut.i, events, seed=number, stall=stall)
            del got[:]
            events = []
            kind = draw.choice(["update"] * 7 + ["other level", "clear"])
            if kind == "other level":  # the inputs stay
                await step(ctx, 1)
            await step(ctx, 0 if kind == "clear" else draw.choice([2, 3]), kind == "clear")
            sums = None if kind == "clear" else model.step()
            if kind == "clear":
                model.clear()
            if draw.random() < 0.5:  # they come while the core is busy
                await stream_put(ctx, dut.i, bench.events(), seed=number, stall=stall)
            await until_idle(ctx)
            assert [(e.slot, e.value) for e in got] == list(enumerate(sums or [])), (number, seed)
            found.extend(sums or [])
            if number % 4 == 3:
                await check_states(ctx, number)
            if number % 4 == 1:
                await rewrite(ctx)
            events = bench.events()

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 200000)
    return found


@pytest.mark.parametrize("name", CASES)
def test_core_follows_the_equations(name):
    """Steps, clears, other levels, states written and read; every other core has stalls."""
    seed = list(CASES).index(name)
    loaded = seed % 2 == 1
    bench = Bench(name, seed)
    found = drive(bench, seed=seed, stall=0.4 * loaded, loaded=loaded, steps=12)
    assert len(set(found)) > 2, found
    assert bench.equations.clipped, name


async def pulse(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def send(ctx, dut, events):
    """Events to dendrites alone."""
    ctx.set(dut.run, 1)
    await stream_put(ctx, dut.i, events)
    while ctx.get(dut.busy):
        await ctx.tick()
    ctx.set(dut.run, 0)


@pytest.mark.parametrize("name", ["S4D", "four lanes", "real, held", "many states", "real"])
def test_a_word_a_cycle(name):
    """Taken at once, sums come as fast as a word of states a cycle allows."""
    bench = Bench(name, "cycles")
    p, h = bench.params, bench.hardware
    dut = DiagonalDendrites(p, ConfigPort(24, 128), bench.images)
    ready = []

    async def main(ctx):
        await pulse(ctx, dut.start)
        for cycle in range(1, h.update_cycles(p.slots) + 1):
            ctx.set(dut.take, ctx.get(dut.ready))
            ready.extend([cycle] * ctx.get(dut.ready))
            await ctx.tick()

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 1000)
    assert ready == [ready[0] + n * h.words for n in range(p.slots)]
    assert h.update_cycles(p.slots) - 4 <= ready[-1] <= h.update_cycles(p.slots)


@pytest.mark.parametrize("name", ["many states", "S4D"])
def test_sums_wait(name):
    """However late a sum is taken."""
    bench = Bench(name, "wait")
    model, draw, p = bench.equations, bench.draw, bench.params
    dut = DiagonalDendrites(p, ConfigPort(24, 128), bench.images)

    async def main(ctx):
        for number in range(8):
            await send(ctx, dut, bench.events())
            clear = number in (0, 5)
            await pulse(ctx, dut.clear if clear else dut.start)
            slow = draw.choice([0, 0.5, 0.9])
            got, taken = [], []
            await ctx.tick().repeat(draw.choice([1, 100]))
            while len(got) < p.slots:
                take = ctx.get(dut.ready) and draw.random() >= slow
                ctx.set(dut.take, take)
                taken.append(take)
                await ctx.tick()
                if len(taken) > 1 and taken[-2]:
                    got.append(ctx.get(dut.sums[0]))
                taken = taken[-2:]
            ctx.set(dut.take, 0)
            if clear:
                model.clear()
            else:
                assert got == model.step(), (name, number)

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 20000)


@pytest.mark.parametrize("name", ["one of everything"])
def test_verilog(name, tmp_path):
    """The dendrites as Verilog, in Verilator: the least sizes."""
    bench = Bench(name, "verilog")
    p, mask = bench.params, (1 << bench.params.acc_bits) - 1
    dut = DiagonalDendrites(p, ConfigPort(24, 128), bench.images)
    for file, text in emit_verilog(dut, "unit").items():
        (tmp_path / file).write_text(text)
    built = Verilated.build(
        [tmp_path / "unit.v"], "unit", optimise=False, data_files=list(tmp_path.glob("*.mem"))
    )
    with built.new() as model:
        io, clock = model.io, model.clock
        for number in range(20):
            io.run = 1
            for event in bench.events():
                io.i__valid = 1
                io.i__payload = event["axon"] | event["value"] % (1 << p.value_bits) << (
                    (len(bench.axons) - 1).bit_length()
                )
                clock.tick()
            io.i__valid = 0
            while io.busy:
                clock.tick()
            io.run = 0
            io.clear, io.start = number % 7 == 0, number % 7 != 0
            clock.tick()
            io.clear = io.start = 0
            got, taken = [], [0, 0]
            while len(got) < p.slots:
                io.take = io.ready
                taken.append(io.take)
                clock.tick()
                if taken[-2]:
                    got.append(io.sums)
            io.take = 0
            if number % 7:
                assert got == [acc & mask for acc in bench.equations.step()], number
            else:
                bench.equations.clear()


@pytest.mark.parametrize("name", ["two lanes", "states, held"])
def test_reset_in_mid_run(name):
    """Whatever a reset meets, a clear puts right."""
    bench = Bench(name, "reset")
    reset = Signal()
    dut = ResetInserter(reset)(NeuronCore(bench.params, ConfigPort(24, 128), bench.images))
    until_idle, step, _ = tile_side(dut)
    got = []

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, into=got)

    async def main(ctx):
        for wait in range(1, 24, 3):
            await stream_put(ctx, dut.i, bench.events())
            await step(ctx, 2, clear=wait % 2 == 0)
            await ctx.tick().repeat(wait)
            await pulse(ctx, reset)
            await step(ctx, 0, 1)
            bench.equations.clear()
            for _ in range(2):
                await stream_put(ctx, dut.i, bench.events())
                await until_idle(ctx)
                del got[:]
                await step(ctx, 2)
                await until_idle(ctx)
                assert [e.value for e in got] == bench.equations.step(), (name, wait)

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 50000)


def test_wrong_dendrites():
    params = replace(Bench("states", 0).params, dendrites=None, synapse_words=999)
    with pytest.raises(TypeError, match="dendrites must be DiagonalParams, not None"):
        DiagonalDendrites(params, ConfigPort(24, 64))
