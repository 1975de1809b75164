"""The neuron core with stochastic dendrites against the equations of hdl/params/sc/dense.py."""

import random
from dataclasses import dataclass

import pytest

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range
from hdl.params.noc import Memory
from hdl.params.sc.dense import DenseParams, Streams
from hdl.params.sc.lfsr import TAPS, seed_of
from hdl.sc.dense import DenseDendrites
from tests.kit_core import state_of, tile_side
from tests.kit_hdl import clocked, run, stream_get, stream_put


def lfsr_states(bits, seed, length):
    state, out = seed, []
    for _ in range(length):
        out.append(state)
        parity = 0
        for tap in TAPS[bits]:
            parity ^= state >> (tap - 1) & 1
        state = (state << 1 | parity) & ((1 << bits) - 1)
    return out


def sobol2(t, bits):
    """Joe & Kuo's second dimension: m(1) = 1, m(k+1) = 2 m(k) ^ m(k)."""
    out, m = 0, 1
    for k in range(bits):
        if t >> k & 1:
            out ^= m << (bits - 1 - k)
        m ^= m << 1
    return out


def numbers(s, g):
    """u and v of generator g, all 2**S of them."""
    bits, length = s.source_bits, 1 << s.source_bits
    if s.generator == "lfsr":
        return tuple(lfsr_states(bits, seed_of(s.seed, 2 * g + k, bits), length) for k in range(2))
    mask = length - 1

    def vdc(t):
        return int(f"{t & mask:0{bits}b}"[::-1], 2) if bits else 0

    u = [~(vdc(t) ^ vdc(g)) & mask for t in range(length)]
    v = [~(sobol2(t, bits) ^ sobol2(g & mask, bits)) & mask for t in range(length)]
    return u, v


def bit(m, n, u, bits):
    if m == 1 << n:
        return 1
    h = bits - u.bit_length()
    return m >> (n - 1 - h) & 1 if h < n else 0


def expected_sum(s, pairs, length, tolerance):
    """(the sum, its k) of `pairs`: weight, value, generator of each source."""
    top, drawn = s.weight_bits + s.value_bits, {g: numbers(s, g) for g in {g for *_, g in pairs}}

    def total(k):
        count = 0
        for w, x, g in pairs:
            u, v = drawn[g]
            product = sum(
                bit(abs(w), s.weight_bits, u[t], s.source_bits)
                & bit(abs(x), s.value_bits, v[t], s.source_bits)
                for t in range(1 << k)
            )
            count += product if (w < 0) == (x < 0) else -product
        return count << (top - k)

    if tolerance >= 0:
        for k in range(s.first + 1, length + 1):
            if abs(total(k) - total(k - 1)) <= tolerance:
                return total(k), k
    return total(length), length


def coded(weight, bits):
    """Planes of a weight."""
    magnitude = abs(weight)
    code = (2 << bits) - 1 if magnitude == 1 << bits else magnitude
    return [code >> b & 1 for b in range(bits + 1)] + [int(weight < 0)]


@dataclass
class Bench:
    """A core whose neurons forget everything and send their sum."""

    dense: DenseParams
    slots: int
    axons: int
    draw: random.Random

    def __post_init__(self):
        d, draw = self.dense, self.draw
        s = d.streams
        top = 1 << s.weight_bits
        self.weights = [
            [draw.choice([0, top, -top, draw.randint(-top, top)]) for _ in range(d.columns)]
            for _ in range(self.slots)
        ]
        self.columns = draw.sample(range(d.columns), min(self.axons - 1, d.columns))
        self.columns += [None] * (self.axons - len(self.columns))  # these are dropped
        draw.shuffle(self.columns)
        cut = self.slots // 2
        ranges = [Range(level=1, first=0, end=self.slots)]
        if cut:
            ranges = [
                Range(level=1, first=0, end=cut),
                Range(level=1, first=cut, end=self.slots),
            ]
        self.params = CoreParams(
            slots=self.slots, levels=2, ranges=tuple(ranges), axons=self.axons, dendrites=d,
            value_bits=32, membrane_bits=32, acc_bits=32,
            shared={
                "membrane_decay": 0, "bias": 0, "threshold": 0, "reset_value": 0, "shift": 0,
                "value_shift": 0, "reset": 0, "emit": int(Emit.STATE),
            },
        )  # fmt: skip

    @property
    def images(self):
        d = self.dense
        planes = [[coded(w, d.streams.weight_bits) for w in row] for row in self.weights]
        items = []
        for row in planes:
            for tile in range(d.tiles):
                for plane in range(d.planes):
                    for bank in range(d.streams.generators):
                        first = tile * d.lanes + bank * d.bank_lanes
                        items.append(sum(row[first + n][plane] << n for n in range(d.bank_lanes)))
        pointers = [
            self.draw.randrange(d.columns) if c is None else c | 1 << d.column_bits
            for c in self.columns
        ]
        return {Memory.SYNAPSE: items, Memory.POINTER: pointers}

    def events(self):
        """Events of a step: each axon at most once. Returns (events, {column: value})."""
        p = self.dense.streams.value_bits
        count = self.draw.choice([0, 1, 1, 2, self.axons // 2, self.axons])
        values, events = {}, []
        axons = self.draw.sample(range(self.axons), count)
        if self.draw.random() < 0.5:  # as a layer sends them: neighbours meet in a tile
            axons.sort(key=lambda axon: self.columns[axon] or 0)
        for axon in axons:
            value = 1
            if p:
                low, high = -(1 << p), (1 << p) - 1
                value = self.draw.choice([low, high, self.draw.randint(low, high)])
            events.append({"axon": axon, "value": value})
            if self.columns[axon] is not None:
                values[self.columns[axon]] = value
        return events, values

    def expected(self, values, length, tolerance):
        """[(sum, its k)] of all slots."""
        d = self.dense
        return [
            expected_sum(
                d.streams,
                [(row[c], x, c % d.lanes // d.bank_lanes) for c, x in values.items()],
                length,
                tolerance,
            )
            for row in self.weights
        ]


def dense(lanes, columns, **streams):
    return DenseParams(streams=Streams(**streams), columns=columns, lanes=lanes)


CASES = {
    "one of everything": (dense(1, 1, weight_bits=0, source_bits=0, log2_length=0), 1),
    "ternary": (dense(4, 12, weight_bits=0, source_bits=0, log2_length=0), 5),
    "ternary, values": (
        dense(2, 6, weight_bits=0, value_bits=5, source_bits=5, log2_length=5, first=1), 3,
    ),
    "spikes": (dense(4, 8, weight_bits=3, source_bits=3, log2_length=3, first=0), 5),
    "one lane": (dense(1, 5, weight_bits=3, source_bits=3, log2_length=2, first=1), 3),
    "banks": (dense(16, 48, weight_bits=7, source_bits=7, log2_length=5, generators=4), 4),
    "two banks": (
        dense(2, 6, weight_bits=3, value_bits=2, source_bits=5, log2_length=4, generators=2), 4,
    ),
    "short numbers": (
        dense(4, 8, weight_bits=7, value_bits=7, source_bits=4, log2_length=3, first=0), 3,
    ),
    "values": (dense(8, 8, weight_bits=7, value_bits=7, source_bits=8, log2_length=5), 2),
    "sixteen shifts": (
        dense(16, 32, weight_bits=3, value_bits=3, source_bits=6, log2_length=5, generators=16), 2,
    ),
    "lfsr": (
        dense(4, 12, weight_bits=3, value_bits=3, source_bits=5, log2_length=4, generators=2,
              generator="lfsr", seed=5, first=1), 3,
    ),
    "lfsr, spikes": (
        dense(4, 8, weight_bits=6, source_bits=6, log2_length=5, generator="lfsr", seed=9), 3,
    ),
    "wide": (dense(64, 64, weight_bits=7, value_bits=7, source_bits=8, log2_length=6), 2),
    "stop at a tile's end": (
        dense(16, 96, weight_bits=5, source_bits=5, log2_length=4, first=0), 4,
    ),
    "blocks": (dense(2, 140, weight_bits=4, source_bits=4, log2_length=1, generators=2), 5),
    "deep": (dense(2, 144, weight_bits=3, source_bits=3, log2_length=1, first=0), 3),
}  # fmt: skip


async def give(ctx, dut, bench):
    """Sends events, at least one, to dendrites alone; returns {column: value}."""
    events, values = bench.events()
    while not values:
        events, values = bench.events()
    ctx.set(dut.run, 1)
    await stream_put(ctx, dut.i, events)
    while ctx.get(dut.busy):
        await ctx.tick()
    ctx.set(dut.run, 0)
    return values


def drive(bench, *, seed, stall, loaded, steps):
    """Random steps on a core; every sum and state is checked. Returns the k of the sums."""
    d, draw, p = bench.dense, bench.draw, bench.params
    s = d.streams
    images = bench.images
    dut = NeuronCore(p, ConfigPort(24, 72), None if loaded else images)
    got, stops = [], set()

    async def sink(ctx):
        await stream_get(ctx, dut.o, None, seed=seed, stall=stall, into=got)

    until_idle, step, write = tile_side(dut)

    async def control(ctx, length, tolerance):
        await write(ctx, Memory.CONTROL, 0, d.control(length, tolerance))
        return length, tolerance

    async def main(ctx):
        if loaded:
            for memory, items in images.items():
                for address, item in enumerate(items):
                    await write(ctx, memory, address, item)
        now = s.log2_length, s.tolerance
        events, values = bench.events()
        for number in range(steps):
            where = (number, seed, now)
            await stream_put(ctx, dut.i, events, seed=number, stall=stall)
            del got[:]
            kind = draw.choice(["update"] * 5 + ["other level", "clear"])
            if kind == "other level":  # the events stay
                await step(ctx, 1)
            await step(ctx, 0 if kind == "clear" else draw.choice([2, 3]), kind == "clear")
            following = now
            if draw.random() < 0.3:  # during an update, for the next one
                following = await control(ctx, draw.randint(0, s.source_bits), now[1])
            events, new_values = bench.events()
            if draw.random() < 0.5:  # so are events
                await stream_put(ctx, dut.i, events, seed=number, stall=stall)
                events = []
            await until_idle(ctx)
            expected = [(0, 0)] * p.slots
            if kind != "clear":
                expected = bench.expected(values, *now)
                stops.update(k for _, k in expected)
            states = [value for value, _ in expected]
            sent = [] if kind == "clear" else list(enumerate(states))
            assert [(e.slot, e.value) for e in got] == sent, where
            for slot in range(p.slots):
                assert (await state_of(ctx, dut, slot))[0] == states[slot], where
            values, now = new_values, following
            if draw.random() < 0.5:
                most = d.columns << (s.weight_bits + s.value_bits)
                huge = 1 << (most.bit_length() + 1)
                tolerance = draw.choice([-1, 0, 1, draw.randrange(most), huge, huge])
                now = await control(ctx, draw.randint(0, s.source_bits), tolerance)

    sim = clocked(dut)
    sim.add_testbench(sink, background=True)
    sim.add_testbench(main)
    run(sim, 200000)
    return stops


@pytest.mark.parametrize("name", CASES)
def test_core_follows_the_equations(name):
    """From memory images and with memories loaded, with stalls; steps, clears, other levels."""
    dense, slots = CASES[name]
    stops = set()
    for seed in range(2):
        bench = Bench(dense, slots, min(dense.columns + 2, 40), random.Random(f"{name} {seed}"))
        stops |= drive(bench, seed=seed, stall=0.4 * seed, loaded=seed == 1, steps=9)
    assert len(stops) > 1 or dense.streams.source_bits == 0, "one stream length only"


@pytest.mark.parametrize("tolerance", [-1, 0, 40])
@pytest.mark.parametrize("name", ["spikes", "banks", "values", "lfsr", "stop at a tile's end"])
def test_cycles(name, tolerance):
    """Sums are ready when the docstring says; taken a cycle later, as behind a range."""
    dense, slots = CASES[name]
    s = dense.streams
    draw = random.Random(f"cycles {name} {tolerance}")
    bench = Bench(dense, slots, min(dense.columns, 40) + 1, draw)
    control = {Memory.CONTROL: [dense.control(s.source_bits, tolerance)]}
    dut = DenseDendrites(bench.params, ConfigPort(24, 72), bench.images | control)
    early = tolerance >= 0 and s.first < s.source_bits

    async def main(ctx):
        for number in range(6):
            values = await give(ctx, dut, bench)
            active = len({c // dense.lanes for c in values})
            expected = bench.expected(values, s.source_bits, tolerance)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            cycle, due = 1, 0 if early else dut.latency
            for slot, (value, k) in enumerate(expected):
                if early:
                    due += active * ((1 << k) + k - s.first + 1) + dut.stop_latency
                else:
                    due += active * ((1 << k) + 1)
                while not ctx.get(dut.ready):
                    await ctx.tick()
                    cycle += 1
                assert cycle == due, (number, slot, k)
                late = draw.randrange(2)
                if late:
                    await ctx.tick()
                ctx.set(dut.take, 1)
                ctx.set(dut.group, slot)
                await ctx.tick()
                ctx.set(dut.take, 0)
                await ctx.tick()
                assert ctx.get(dut.sums[0]) == value, (number, slot)
                cycle += 2 + late
            await ctx.tick().repeat(2)

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 50000)
