# amaranth: UnusedElaboratable=no
"""Products against the equations of hdl/params/crossbar/dendrites.py.

The array is a stand-in that keeps the rules of hdl/crossbar/ports.py: it adds integer weights, and
takes as long as it likes.
"""

import random
from collections import deque
from functools import cached_property
from itertools import pairwise

import pytest

from hdl.crossbar.ports import CONVERT_LATENCY
from hdl.crossbar.product import Product
from hdl.params.crossbar.array import ArrayParams, ReadRange
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import DeviceParams
from tests.kit_hdl import clocked, run


def crossbar(rows, columns, **options):
    return Crossbar(**({"rows": rows, "columns": columns, "fraction": 4} | options))


CASES = {
    "one of everything": (crossbar(1, 2, adc_bits=3), 1, 1),
    "binary, one column": (crossbar(1, 1, sampling="binary"), 1, 1),
    "spikes": (crossbar(19, 13, devices=3, adc_bits=8), 2, 3),
    "serial": (crossbar(5, 7, value_bits=3, spares=1, adc_bits=12), 2, 2),
    "serial, one bit": (crossbar(3, 4, value_bits=1, adc_bits=4), 1, 3),
    "serial, eight bits": (crossbar(3, 4, value_bits=8, adc_bits=4), 1, 1),
    "width": (crossbar(5, 8, value_bits=3, input="width", spares=1, adc_bits=6), 2, 2),
    "width, spikes": (crossbar(3, 12, input="width"), 1, 2),
    "width, one bit": (crossbar(2, 14, value_bits=1, input="width"), 1, 2),
    "binary": (crossbar(17, 5, sampling="binary", spares=2), 2, 2),
    "binary, serial": (crossbar(4, 14, sampling="binary", value_bits=2), 1, 2),
    "binary, width": (crossbar(4, 3, sampling="binary", value_bits=3, input="width"), 1, 2),
    "ternary": (crossbar(6, 7, sampling="ternary"), 3, 1),
    "ternary, width": (crossbar(6, 7, sampling="ternary", value_bits=2, input="width"), 1, 2),
}


class Bench:
    """A product, the memories around it and an array of integer weights; `reads` are logged."""

    def __init__(self, case, seed):
        self.crossbar, blocks, tiles = case
        c, self.draw = self.crossbar, random.Random(f"product {seed}")
        self.array = ArrayParams(
            device=DeviceParams(cell_bits=c.cell_bits), rows=c.rows, columns=c.columns,
            tiles=tiles, blocks=blocks, adc_bits=c.adc_bits, train=c.train,
            senses=c.sampling != "none",
        )  # fmt: skip
        draw, a, places = self.draw, self.array, c.neurons * c.width
        most = 1 if c.sampling != "none" else (2 << c.adc_bits) // c.rows
        self.weights = [
            [[draw.randint(0, most) for _ in range(c.columns)] for _ in range(c.rows)]
            for _ in range(a.banks)
        ]
        self.column = [draw.sample(range(c.columns), places) for _ in range(blocks)]
        self.factor = [
            [draw.choice([0, 1, 65535, draw.randrange(65536)]) for _ in range(c.neurons)]
            for _ in range(a.banks)
        ]
        self.values = [0] * c.rows
        self.reads = []

    @cached_property
    def dut(self):
        return Product(self.array, self.crossbar, calibrates=self.crossbar.sampling == "none")

    def new_values(self):
        p, draw = self.crossbar.value_bits, self.draw
        top = (1 << p) - 1
        dense = draw.choice([0, 0.2, 1])
        self.values = [
            (draw.choice([-top, top, draw.randint(-top, top)]) if p else 1)
            if draw.random() < dense
            else 0
            for _ in range(self.crossbar.rows)
        ]

    def plane(self, k):
        """Bit plane k of the values."""
        bits = [v < 0 if k == self.crossbar.value_bits > 0 else abs(v) >> k & 1
                for v in self.values]  # fmt: skip
        return sum(int(bit) << r for r, bit in enumerate(bits))

    def codes(self, bank, rows):
        """Of physical columns, for driven rows (of all reads of a train)."""
        sums = [sum(self.weights[bank][r][c] for r in rows) for c in range(self.crossbar.columns)]
        top = (1 << self.crossbar.adc_bits) - 1
        return [min(s, top) for s in sums] if self.crossbar.sampling == "none" else sums

    def difference(self, bank, n, rows):
        c = self.crossbar
        codes, columns = self.codes(bank, rows), self.column[bank // self.array.tiles]
        mine = [codes[columns[n * c.width + i]] for i in range(c.width)]
        if c.sampling == "binary":
            return 2 * mine[0] - len(rows)
        return sum(mine[0::2]) - sum(mine[1::2])

    def trains(self):
        """[(factor, [rows of each read])] of the equations, for the values of now."""
        c, p, out = self.crossbar, self.crossbar.value_bits, []
        for sign in (1, -1) if p else (1,):
            x = [max(sign * v, 0) for v in self.values]
            if c.input == "serial":
                for k in range(max(p, 1)):
                    out.append((sign << k, [[r for r, v in enumerate(x) if v >> k & 1]]))
            else:
                levels = range(max(1 << p, 2) - 1)
                out.append((sign, [[r for r, v in enumerate(x) if v > u] for u in levels]))
        return [(f, [rows for rows in reads if rows]) for f, reads in out if reads[0]]

    def add(self, acc, bank):
        """What a product should do to `acc`; returns the reads that it should make."""
        expected = []
        for factor, reads in self.trains():
            driven = [r for rows in reads for r in rows]
            for n in range(len(acc)):
                acc[n] += factor * self.factor[bank][n] * self.difference(bank, n, driven)
            expected += [(bank, rows, k > 0) for k, rows in enumerate(reads)]
        return expected

    async def around(self, ctx):
        """The array and the memories."""
        dut, port, draw = self.dut, self.dut.array, self.draw
        charge = held = [0] * self.crossbar.columns
        codes = deque([0] * (CONVERT_LATENCY - 1))
        memories = deque([(0, 0, 0)])
        wait, slow, current = 0, draw.choice([1, 4, 40]), None
        senses = self.crossbar.sampling != "none"
        ctx.set(port.ready, 1)
        while True:
            _, _, *now = await ctx.tick().sample(
                port.ready, port.bank, port.strobe, port.drive, port.hold, port.sample,
                port.convert, port.column, dut.plane, dut.logical, dut.factor_at, port.sense,
                port.range,
            )  # fmt: skip
            ready, bank, strobe, drive, hold, sample, convert, column, *asked, sense, what = now
            assert not (strobe and sample)
            assert ready or not (strobe or sample)
            assert sense == senses
            assert what == (ReadRange.COUNT if senses else ReadRange.MVM)
            top = (1 << self.crossbar.adc_bits) - 1
            code = held[column] if senses else min(held[column], top)
            codes.append(code if convert else draw.randrange(top + 1))
            ctx.set(port.code, codes.popleft())
            memories.append(asked)
            plane, logical, at = memories.popleft()
            places = self.crossbar.neurons * self.crossbar.width
            if plane <= self.crossbar.value_bits:
                ctx.set(dut.word, self.plane(plane))
            if logical < self.array.blocks * places:
                ctx.set(dut.physical, self.column[logical // places][logical % places])
            if at < self.array.banks * self.crossbar.neurons:
                block, place = divmod(at, self.crossbar.neurons)
                ctx.set(dut.factor, self.factor[block][place])
            if sample:
                held = charge
            assert current in (None, bank), "the bank changed during a read"
            if strobe:
                rows = [r for r in range(self.crossbar.rows) if drive >> r & 1]
                assert rows, "a read of no row"
                self.reads.append((bank, rows, bool(hold)))
                old = charge if hold else [0] * self.crossbar.columns
                charge = [
                    old[c] + sum(self.weights[bank][r][c] for r in rows)
                    for c in range(self.crossbar.columns)
                ]
                wait, current = draw.randint(1, slow), bank
            elif wait:
                wait -= 1
            if not wait:
                current = None
            ctx.set(port.ready, not wait)

    async def begin(self, ctx, bank, **flags):
        """Starts a product as soon as it may be."""
        while not ctx.get(self.dut.ready):
            await ctx.tick()
        flags = {"start": 1, "bank": bank, "block": bank // self.array.tiles} | flags
        for name, value in flags.items():
            ctx.set(getattr(self.dut, name), value)
        await ctx.tick()
        for name in ("start", "fresh", "calibrate"):
            ctx.set(getattr(self.dut, name), 0)

    async def sums(self, ctx):
        """acc of all places, one a cycle."""
        while ctx.get(self.dut.busy):
            await ctx.tick()
        got = []
        for n in range(self.crossbar.neurons + 2):
            if n < self.crossbar.neurons:
                ctx.set(self.dut.place, n)
            if n >= 2:
                got.append(ctx.get(self.dut.acc))
            await ctx.tick()
        return got

    def run(self, main):
        sim = clocked(self.dut)
        sim.add_testbench(self.around, background=True)
        sim.add_testbench(main)
        run(sim, 200000)


@pytest.mark.parametrize("name", CASES)
def test_products(name):
    """Reads, and sums over the tiles of a block, of random values; also where nothing is driven."""
    for seed in range(2):
        bench = Bench(CASES[name], seed)
        a, c = bench.array, bench.crossbar

        async def main(ctx, bench=bench, a=a, c=c, seed=seed):
            for number in range(6):
                block = bench.draw.randrange(a.blocks)
                acc, expected = [1 << (c.fraction - 1)] * c.neurons, []
                alone = number % 2
                if alone:
                    ctx.set(bench.dut.fresh, 1)
                    await ctx.tick()
                    ctx.set(bench.dut.fresh, 0)
                for tile in range(a.tiles):
                    await bench.begin(
                        ctx, block * a.tiles + tile, fresh=not alone and tile == 0, calibrate=0
                    )
                    bench.new_values()
                    expected += bench.add(acc, block * a.tiles + tile)
                    while not ctx.get(bench.dut.ready):
                        await ctx.tick()
                got = await bench.sums(ctx)
                assert bench.reads == expected, (number, seed)
                assert got == (acc if expected else [0] * c.neurons), (number, seed)
                del bench.reads[:]

        bench.run(main)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case[0].sampling == "none"]
)
def test_calibration(name):
    """Each row alone, and the sums of magnitudes; a product afterwards isn't disturbed."""
    bench = Bench(CASES[name], "calibrate")
    c, bank = bench.crossbar, bench.array.banks - 1
    bench.values = [1] * c.rows

    async def main(ctx):
        for _ in range(2):
            await bench.begin(ctx, bank, fresh=1, calibrate=1)
            readout = [
                sum(abs(bench.difference(bank, n, [r])) for r in range(c.rows))
                for n in range(c.neurons)
            ]
            assert await bench.sums(ctx) == readout
            assert bench.reads == [(bank, [r], False) for r in range(c.rows)]
            acc = [1 << (c.fraction - 1)] * c.neurons
            await bench.begin(ctx, bank, fresh=1, calibrate=0)
            bench.add(acc, bank)
            assert await bench.sums(ctx) == acc
            del bench.reads[:]

    bench.run(main)


def test_conversions_hide_behind_reads():
    """A read after the first takes neurons * width + 1 cycles, if the array is faster."""
    bench = Bench((crossbar(3, 16, value_bits=8), 1, 1), 0)
    bench.values = [255, 255, -255]
    times = []

    async def watch(ctx):
        cycle = 0
        while True:
            _, _, sample = await ctx.tick().sample(bench.dut.array.sample)
            cycle += 1
            if sample:
                times.append(cycle)

    async def main(ctx):
        await bench.begin(ctx, 0, fresh=1)
        await bench.sums(ctx)

    sim = clocked(bench.dut)
    bench.draw.choice = lambda options: options[0]
    sim.add_testbench(bench.around, background=True)
    sim.add_testbench(watch, background=True)
    sim.add_testbench(main)
    run(sim, 2000)
    assert [b - a for a, b in pairwise(times)] == [17] * 15


def test_what_counts_is_not_calibrated():
    c = CASES["binary"][0]
    with pytest.raises(ValueError, match="calibrates needs sampling 'none', not 'binary'"):
        Product(Bench((c, 1, 1), 0).array, c, calibrates=True)
