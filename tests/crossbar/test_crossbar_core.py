# amaranth: UnusedElaboratable=no
"""The neuron core with crossbar dendrites against the equations of hdl/params/crossbar.

Devices, reads and codes are those of tests/crossbar/kit_plain.py, plain Python integers.
"""

import random
from dataclasses import dataclass, replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from amaranth.hdl import ResetInserter, Signal

from hdl.crossbar.dendrites import CrossbarDendrites
from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.crossbar.core import CrossbarParams, Region
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import Age
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, Emit, Range
from tests.crossbar.kit_plain import COUNT, MVM, PlainArray
from tests.kit_core import state_of, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put


@dataclass
class Case:
    crossbar: Crossbar
    blocks: int
    tiles: int
    slots: int
    ranges: int = 1


def case(rows, columns, blocks, tiles, slots, ranges=1, **options):
    return Case(
        Crossbar(**({"rows": rows, "columns": columns} | options)), blocks, tiles, slots, ranges
    )


CASES = {
    "one of everything": case(1, 2, 1, 1, 1),
    "one column": case(2, 1, 2, 1, 2, sampling="binary", value_bits=1),
    "spikes": case(5, 9, 2, 3, 5, 2, spares=1, converters=3, adc_bits=6),
    "pairs": case(3, 13, 1, 2, 2, devices=3, spares=1, cell_bits=8, converters=13),
    "serial": case(7, 6, 3, 2, 8, 3, value_bits=3, cell_bits=12, adc_bits=10),
    "serial, eight bits": case(3, 4, 1, 1, 2, value_bits=8, converters=2),
    "width": case(4, 4, 2, 2, 3, value_bits=3, input="width", adc_bits=9),
    "binary": case(6, 5, 2, 3, 7, 2, sampling="binary", spares=1, fraction=13),
    "binary, values": case(3, 4, 2, 1, 7, sampling="binary", value_bits=3, fraction=13),
    "ternary": case(8, 7, 1, 2, 3, sampling="ternary", cell_bits=11),
    "ternary, trains": case(3, 5, 2, 2, 4, sampling="ternary", value_bits=2, input="width"),
}


class Devices(PlainArray):
    """The banks of a core, with generators that start where control words say."""

    def __init__(self, array, age, first):
        self.first = first
        super().__init__(SimpleNamespace(array=array), [age])

    def restart(self):
        self.states = [list(state) for state in self.first]


class Bench:
    """A core whose neurons forget everything and send their sum; and what they should send."""

    def __init__(self, name, seed):
        self.case, self.draw = CASES[name], random.Random(f"{name} {seed}")
        k, c, draw = self.case, self.case.crossbar, self.draw
        analogue = c.sampling == "none"
        full = c.rows << (c.cell_bits - 1)  # about a column of high devices
        gain = min((1 << 16 + c.adc_bits) // full, (1 << 18) - 1)
        self.dendrites = d = CrossbarParams(
            crossbar=c, blocks=k.blocks, tiles=k.tiles,
            read_noise=tuple(draw.randrange(2048) for _ in range(128)),
            gain=tuple(draw.randint(gain // 2, gain) for _ in range(c.converters * analogue)),
            offset=tuple(draw.randint(-(1 << 19), 1 << 19) for _ in range(c.converters * analogue)),
        )  # fmt: skip
        sources = k.tiles * c.rows
        self.sources = [*draw.sample(range(sources), sources), None]
        draw.shuffle(self.sources)
        cuts = [n * k.slots // k.ranges for n in range(k.ranges + 1)]
        self.params = CoreParams(
            slots=k.slots, levels=2, axons=len(self.sources), dendrites=d,
            ranges=tuple(Range(level=1, first=a, end=b) for a, b in pairwise(cuts)),
            value_bits=32, membrane_bits=32, acc_bits=32,
            shared={
                "membrane_decay": 0, "bias": 0, "threshold": 0, "reset_value": 0, "shift": 0,
                "value_shift": 0, "reset": 0, "emit": int(Emit.STATE),
            },
        )  # fmt: skip
        self.control = {region: self.words(region) for region in Region}
        self.items = [
            draw.randrange(1 << c.cell_bits)
            | draw.choice([0, 511, draw.randrange(512)]) << c.cell_bits
            for _ in range(d.array.cells)
        ]
        self.devices = Devices(d.array, Age(), [])
        for cell, item in zip(self.devices.cells.values(), self.items, strict=True):
            cell[0], cell[1] = item & ((1 << c.cell_bits) - 1), item >> c.cell_bits
        self.stale = True

    def words(self, region):
        """Random control words of a region."""
        draw, d, c = self.draw, self.dendrites, self.case.crossbar
        count, bits = d.regions[region]
        if region == Region.AGE:
            return [draw.choice([0, draw.randrange(8192)]), draw.randrange(4096),
                    draw.choice([0, draw.randrange(4096)])]  # fmt: skip
        if region == Region.COLUMN:
            places = c.neurons * c.width
            return [q for _ in range(d.blocks) for q in draw.sample(range(c.columns), places)]
        if region == Region.REFERENCE:
            return [draw.randrange(1 << (c.cell_bits - 1)) for _ in range(count)]
        return [draw.choice([1, (1 << bits) - 1, draw.getrandbits(bits)]) for _ in range(count)]

    @property
    def images(self):
        d = self.dendrites
        control = [0] * d.items(1, 1)[Memory.CONTROL][0]
        for region, words in self.control.items():
            first = region << d.region_bits
            control[first : first + len(words)] = words
        pointers = [0 if j is None else d.pointer(j) for j in self.sources]
        return {Memory.SYNAPSE: self.items, Memory.POINTER: pointers, Memory.CONTROL: control}

    def events(self):
        """Events of a step, and the values of all sources."""
        draw, p = self.draw, self.case.crossbar.value_bits
        top, values, events = (1 << p) - 1, {}, []
        count = draw.choice([0, 1, len(self.sources) // 2, len(self.sources)])
        for axon in draw.sample(range(len(self.sources)), count):
            value = draw.choice([-top, top, draw.randint(-top, top)]) if p else 1
            events.append({"axon": axon, "value": value})
            if self.sources[axon] is not None:
                values[self.sources[axon]] = value
        return events, values

    def clear(self):
        """The generators begin anew; a stale array ages."""
        devices, states = self.devices, self.control[Region.STATE]
        devices.first = list(zip(states[::2], states[1::2], strict=True))
        devices.restart()
        if self.stale:
            devices.ages = [Age(**dict(zip(("log_age", "fresh", "slow"), self.control[Region.AGE],
                                           strict=True)))]  # fmt: skip
            devices.age()
        self.stale = False

    def reads(self, values, tile):
        """[(factor, rows of all reads of a train)] of a bank, which are read as they are asked."""
        c = self.case.crossbar
        p = c.value_bits
        x = [values.get(tile * c.rows + r, 0) for r in range(c.rows)]
        for sign in (1, -1) if p else (1,):
            mine = [max(sign * v, 0) for v in x]
            if c.input == "serial":
                for k in range(max(p, 1)):
                    yield sign << k, [[r for r, v in enumerate(mine) if v >> k & 1]]
            else:
                yield sign, [[r for r, v in enumerate(mine) if v > u] for u in range(2**p - 1)]

    def sums(self, values):
        """Input sums of all slots; the devices are read."""
        k, c, d, devices = self.case, self.case.crossbar, self.dendrites, self.devices
        sensed = c.sampling != "none"
        columns, factors = self.control[Region.COLUMN], self.control[Region.FACTOR]
        words, out = self.control[Region.REFERENCE], []
        devices.reference = [words[k : k + c.columns] for k in range(0, len(words), c.columns)]
        for block in range(d.blocks):
            acc = [0] * c.neurons
            for tile in range(k.tiles):
                bank = block * k.tiles + tile
                for scale, trains in self.reads(values, tile):
                    if not trains[0]:
                        continue
                    driven = 0
                    for number, rows in enumerate(trains):
                        if rows:
                            devices.read(bank, rows, hold=number > 0, sense=sensed)
                            driven += len(rows)
                    for n in range(c.neurons):
                        first = (block * c.neurons + n) * c.width
                        codes = [
                            devices.code(columns[first + i], COUNT if sensed else MVM)
                            for i in range(c.width)
                        ]
                        difference = sum(codes[0::2]) - sum(codes[1::2])
                        if c.sampling == "binary":
                            difference = 2 * codes[0] - driven
                        acc[n] += scale * factors[bank * c.neurons + n] * difference
            out += [(a + (1 << (c.fraction - 1))) >> c.fraction for a in acc]
        return out[: k.slots]


def drive(bench, *, seed, stall, loaded, steps):
    """Random steps on a core; every sum and state is checked. Returns all sums."""
    draw, p, d = bench.draw, bench.params, bench.dendrites
    images = bench.images
    dut = NeuronCore(p, ConfigPort(24, 64), None if loaded else images)
    got, found = [], []

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    until_idle, step, write = tile_side(dut)

    async def words(ctx, region):
        for index, word in enumerate(bench.control[region]):
            await write(ctx, Memory.CONTROL, region << d.region_bits | index, word)

    async def rewrite(ctx, region):
        """Other control words, while nothing is going on."""
        bench.control[region] = bench.words(region)
        bench.stale |= region in (Region.AGE, Region.STATE)
        await words(ctx, region)

    async def main(ctx):
        if loaded:
            for memory in (Memory.SYNAPSE, Memory.POINTER):
                for address, item in enumerate(images[memory]):
                    await write(ctx, memory, address, item)
            for region in Region:
                await words(ctx, region)
        await step(ctx, 0, 1)
        await until_idle(ctx)
        bench.clear()
        events, values = bench.events()
        for number in range(steps):
            await stream_put(ctx, dut.i, events, seed=number, stall=stall)
            del got[:]
            kind = draw.choice(["update"] * 5 + ["other level", "clear"])
            if kind == "clear" and draw.random() < 0.5:
                await until_idle(ctx)
                await rewrite(ctx, Region.STATE)
            if kind == "other level":  # the events stay
                await step(ctx, 1)
            await step(ctx, 0 if kind == "clear" else draw.choice([2, 3]), kind == "clear")
            events, new_values = bench.events()
            if draw.random() < 0.5:  # they come while the core is busy
                await stream_put(ctx, dut.i, events, seed=number, stall=stall)
                events = []
            await until_idle(ctx)
            if kind == "clear":
                bench.clear()
                states = [0] * p.slots
            else:
                states = bench.sums(values)
                found.extend(states)
            sent = [] if kind == "clear" else list(enumerate(states))
            assert [(e.slot, e.value) for e in got] == sent, (number, seed)
            for slot in range(p.slots):
                assert (await state_of(ctx, dut, slot))[0] == states[slot], (number, seed)
            values = new_values
            while draw.random() < 0.4:
                await rewrite(ctx, draw.choice(list(Region)))

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 200000)
    return found


@pytest.mark.parametrize("name", CASES)
def test_core_follows_the_equations(name):
    """Steps, clears, other levels; every other core is loaded, and has stalls."""
    seed = list(CASES).index(name)
    loaded = seed % 2 == 1
    bench = Bench(name, seed)
    found = drive(bench, seed=seed, stall=0.4 * loaded, loaded=loaded, steps=14)
    assert len(set(found)) > 2, found


@pytest.mark.parametrize("name", ["serial", "width", "binary", "binary, values"])
def test_cycles(name):
    """Where every row is driven in every read, an update takes most of what it may take at most."""
    bench = Bench(name, "cycles")
    d, c = bench.dendrites, bench.case.crossbar
    dut = CrossbarDendrites(bench.params, ConfigPort(24, 64), bench.images)
    top = max((1 << c.value_bits) - 1, 1)
    events = [{"axon": a, "value": top} for a in range(len(bench.sources))]

    async def taken(ctx):
        """Takes all sums; cycles that this needs."""
        cycles = 0
        for slot in range(bench.params.slots):
            ctx.set(dut.group, slot)
            while not ctx.get(dut.ready):
                await ctx.tick()
                cycles += 1
            ctx.set(dut.take, 1)
            await ctx.tick()
            ctx.set(dut.take, 0)
            cycles += 1
        return cycles

    async def pulse(ctx, signal):
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    async def main(ctx):
        await pulse(ctx, dut.clear)
        assert d.array.cells < await taken(ctx) <= d.clear_cycles
        await pulse(ctx, dut.clear)  # nothing has changed: no ageing
        assert await taken(ctx) < bench.params.slots + 16 * d.blocks
        ctx.set(dut.run, 1)
        await stream_put(ctx, dut.i, events)
        while ctx.get(dut.busy):
            await ctx.tick()
        ctx.set(dut.run, 0)
        await pulse(ctx, dut.start)
        cycles = await taken(ctx)
        signs = 2 if c.value_bits else 1
        assert d.read_cycles / 3 / signs < cycles <= d.read_cycles

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 50000)


def test_reset_in_mid_run():
    """Whatever a reset meets, a clear puts right: the devices age again."""
    bench = Bench("serial", "reset")
    reset = Signal()
    dut = ResetInserter(reset)(NeuronCore(bench.params, ConfigPort(24, 64), bench.images))
    until_idle, step, _ = tile_side(dut)
    got = []

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, into=got)

    async def main(ctx):
        await step(ctx, 0, 1)
        for wait in (1, 2, 30, 100, 170):
            await stream_put(ctx, dut.i, bench.events()[0])
            await step(ctx, 2)
            await ctx.tick().repeat(wait)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await step(ctx, 0, 1)
            await ctx.tick().repeat(wait)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await step(ctx, 0, 1)
            bench.stale = True
            bench.clear()
            events, values = bench.events()
            await stream_put(ctx, dut.i, events)
            await until_idle(ctx)
            del got[:]
            await step(ctx, 2)
            await until_idle(ctx)
            assert [e.value for e in got] == bench.sums(values), wait

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 50000)


def test_wrong_dendrites():
    params = Bench("spikes", 0).params
    with pytest.raises(TypeError, match="dendrites must be CrossbarParams, not None"):
        CrossbarDendrites(replace(params, dendrites=None, synapse_words=999), ConfigPort(24, 64))
