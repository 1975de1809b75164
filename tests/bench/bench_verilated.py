"""Cycles per second of the ways to drive one Verilated design, and what a build takes.

The design is a stochastic dot product: each lane has its own 16-bit LFSR and threshold; an input
word holds one bit a lane, an output word the running count of lanes where both bits were one.

Run: python tests/bench/bench_verilated.py [--lanes 40] [--cycles 1000000]
"""

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.toolchain import environment
from sim.verilated import Verilated, VerilatedModel

_TESTBENCH = """
import os, time, cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

@cocotb.test()
async def drive(dut):
    cycles = int(os.environ["BENCH_CYCLES"])
    Clock(dut.clk, 2, "ns").start()
    dut.rst.value = 0
    dut.o__ready.value = 1
    start, total = time.perf_counter(), 0
    for cycle in range(cycles):
        dut.i__payload.value = cycle
        dut.i__valid.value = 1
        await RisingEdge(dut.clk)
        total += dut.o__payload.value.to_unsigned()
    with open(os.environ["BENCH_RESULT"], "w") as file:
        file.write(str(cycles / (time.perf_counter() - start)))
"""


def total(values: list) -> Any:
    """Sum as a balanced tree."""
    half = len(values) // 2
    return total(values[:half]) + total(values[half:]) if half else values[0]


class Lanes(wiring.Component):
    """The benchmark's design: ``lanes`` stochastic multipliers and a counter."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__({"i": In(stream.Signature(lanes)), "o": Out(stream.Signature(32))})

    def elaborate(self, platform):
        m = Module()
        move = Signal()
        ones = Signal(range(self.lanes + 1))
        bits = []
        for lane in range(self.lanes):
            state = Signal(16, init=lane * 157 + 1, name=f"state{lane}")
            weight = Signal(name=f"weight{lane}")
            feedback = state[0] ^ state[2] ^ state[3] ^ state[5]
            m.d.comb += weight.eq(state < (1640 * lane + 300) % 65536)
            with m.If(move):
                m.d.sync += state.eq(Cat(state[1:], feedback))
            bits.append(weight & self.i.payload[lane])
        m.d.comb += [
            move.eq(self.i.valid & self.i.ready),
            self.i.ready.eq(~self.o.valid | self.o.ready),
            ones.eq(total(bits)),
        ]
        with m.If(move):
            m.d.sync += self.o.payload.eq(self.o.payload + ones)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        return m


def batch(sim: VerilatedModel, cycles: int) -> int:
    """All words in one call."""
    words = np.zeros((cycles, -(-sim.ports["i__payload"].width // 64)), dtype=np.uint64)
    words[:, 0] = np.arange(cycles)
    return sim.stream(words, until=cycles).cycles


def steps(sim: VerilatedModel, cycles: int) -> int:
    """Two pokes, a tick and a peek from Python, every cycle."""
    io, tick, total = sim.io, sim.clock.tick, 0
    io.o__ready = 1
    for cycle in range(cycles):
        io.i__payload = cycle
        io.i__valid = 1
        tick()
        total += io.o__payload
    return cycles


def ticks(sim: VerilatedModel, cycles: int) -> int:
    """Only the clock, in one call."""
    sim.io.i__valid = sim.io.o__ready = 1
    sim.clock.tick(cycles)
    return cycles


def rate(run: Callable[[VerilatedModel, int], int], built: Verilated, cycles: int) -> float:
    """Best cycles per second of three runs."""
    best = 0.0
    for _ in range(3):
        with built.new() as sim:
            start = time.perf_counter()
            done = run(sim, cycles)
            best = max(best, done / (time.perf_counter() - start))
    return best


def cocotb_rate(source: Path, cycles: int) -> float:
    """Cycles per second of cocotb 2 on the same Verilog, two pokes and a peek a cycle."""
    from cocotb_tools.runner import get_runner

    folder = source.parent
    (folder / "bench_tb.py").write_text(_TESTBENCH)
    os.environ.update(environment(), COCOTB_RANDOM_SEED="1")
    result = folder / "result.txt"
    runner = get_runner("verilator")
    flags = ["-O3", "-Wno-fatal", "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC"]
    runner.build(
        sources=[source], hdl_toplevel="lanes", build_dir=folder / "build", build_args=flags,
        log_file=folder / "build.log",
    )  # fmt: skip
    runner.test(
        test_module="bench_tb", hdl_toplevel="lanes", test_dir=folder, build_dir=folder / "build",
        extra_env={"BENCH_CYCLES": str(cycles), "BENCH_RESULT": str(result)},
        log_file=folder / "test.log",
    )  # fmt: skip
    return float(result.read_text())


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=40)
    parser.add_argument("--cycles", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "lanes.v"
        text = verilog.convert(Lanes(options.lanes), name="lanes", emit_src=False)
        source.write_text(re.sub(r"/\*.*?\*/", "", text))
        os.environ["NERVURE_CACHE"] = str(folder / "cache")
        for label in ("build, cold", "build, cached"):
            start = time.perf_counter()
            built = Verilated.build([source], "lanes")
            print(f"{label:28}{time.perf_counter() - start:12.3f} s")
        source.write_text(source.read_text() + "\n")
        start = time.perf_counter()
        built = Verilated.build([source], "lanes")
        print(f"{'build, runtime cached':28}{time.perf_counter() - start:12.3f} s")
        base = cocotb_rate(source, options.cycles // 20)
        print(f"{'cocotb 2':28}{base:12,.0f} cycles/s")
        ways = {
            "batch loop, array in and out": rate(batch, built, options.cycles),
            "one Python step a cycle": rate(steps, built, options.cycles // 4),
            "ticks only": rate(ticks, built, options.cycles),
        }
        for label, cycles in ways.items():
            print(f"{label:28}{cycles:12,.0f} cycles/s {cycles / base:8.1f} x cocotb")


if __name__ == "__main__":
    main()
