"""Draws of an array's generator, rows that its scanner visits: in Amaranth's simulator."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.crossbar.noise import Generator
from hdl.crossbar.scan import Scanner
from hdl.params.crossbar.noise import DRAW_BITS, state_of
from tests.crossbar.kit_plain import row_of_draws


def simulate(dut, main):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    sim.run()


@pytest.mark.parametrize(("columns", "seed"), [(1, 0), (7, 1), (8, 2), (9, 3), (128, 4)])
def test_draws_are_the_equations(columns, seed):
    """Two states one after the other, and rows at random distances."""
    dut, rng = Generator(columns), random.Random(seed)

    async def main(ctx):
        for entity in range(2):
            first = state_of(seed, entity)
            for word in reversed(first):
                ctx.set(dut.word, word)
                ctx.set(dut.shift, 1)
                await ctx.tick()
            ctx.set(dut.shift, 0)
            assert ctx.get(dut.last) == first[1]
            state, rows, advanced = list(first), {}, True
            for cycle in range(60):
                if advanced:
                    drawn = row_of_draws(state, columns)
                rows[cycle] = drawn
                advanced = rng.random() < 0.7
                ctx.set(dut.advance, advanced)
                if cycle >= 2:
                    z = ctx.get(dut.z)
                    want = sum(
                        (value % (1 << DRAW_BITS)) << DRAW_BITS * c
                        for c, value in enumerate(rows[cycle - 2])
                    )
                    assert z == want, (cycle, entity)
                await ctx.tick()
            ctx.set(dut.advance, 0)

    simulate(dut, main)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 13, 64, 100, 1024])
@pytest.mark.parametrize("seed", [0])
def test_rows_come_once_ascending_without_gaps(rows, seed):
    dut, rng = Scanner(rows), random.Random(seed)

    async def main(ctx):
        full = (1 << rows) - 1
        some = [rng.getrandbits(rows) & rng.getrandbits(rows) for _ in range(6)]
        for number, drive in enumerate([0, full, 1, 1 << rows - 1, *some]):
            pause = rng.choice([0, 9]) if number > 1 else 0
            ctx.set(dut.start, 1)
            ctx.set(dut.drive, drive)
            ctx.set(dut.run, pause == 0)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.drive, rng.getrandbits(rows))  # doesn't matter any more
            visited, cycle = {}, 1
            while ctx.get(dut.busy) or ctx.get(dut.valid):
                if ctx.get(dut.valid):
                    visited[cycle] = ctx.get(dut.row)
                if cycle == pause:
                    ctx.set(dut.run, 1)
                await ctx.tick()
                cycle += 1
            driven = [r for r in range(rows) if drive >> r & 1]
            first = 5 if pause == 0 else pause + 1
            assert visited == {first + n: r for n, r in enumerate(driven)}, (hex(drive), pause)

    simulate(dut, main)
