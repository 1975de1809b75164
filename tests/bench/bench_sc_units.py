"""Stochastic units beside published ones, and streams beside binary multipliers, on ECP5-85F.

First the error of stochastic sums. Then uMUL and uMAC beside UnarySim's (github diwu1990/UnarySim,
measured in the same flow). Then a layer of 64 inputs and 64 neurons, weights and values of 8 bits:
one multiply-accumulate in LUTs and in a DSP, event-driven dendrites of 8 lanes, the unit Dot and
stochastic dendrites of 64 lanes. Products a second for each TRELLIS_COMB say where a binary
multiplier wins. Memories and their addressing are in all figures but those of the
multiply-accumulate; loading of new operands is in none.

Example: python tests/bench/bench_sc_units.py        (about 5 minutes)
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator
from rich import box
from rich.console import Console
from rich.table import Table

from codesign.sc.cost import cost
from codesign.sc.units import find_unit
from codesign.synth.ooc import measure
from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.neuron.dendrites import dendrites_for
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range, Reset
from hdl.params.sc.dense import DenseParams, Streams
from hdl.params.sc.dot import DotParams
from hdl.sc.dot import Dot
from sim.golden.sc.dense import sums

#: UnarySim's unit that ours stands beside: COMB, MHz.
PEERS = {
    ("umul", "unipolar"): (47, 296.0),
    ("umul", "bipolar"): (89, 274.0),
    ("umac", "unipolar"): (726, 80.5),
    ("umac", "bipolar"): (1458, 67.8),
}
SIZE, EVENT_LANES = 64, 8
SUM_BITS = 22  #: of 64 products of 8 bits with signs; 15 of 64 weights
LENGTHS = (16, 64, 256)


class MultiplyAccumulate(wiring.Component):
    """total += a * b of signed numbers of 8 bits, every cycle: rows of ANDs and a tree of adders
    with a register behind each level, or, with `dsp`, whatever Yosys makes of `*`."""

    def __init__(self, dsp: bool):
        self.dsp, self.latency = dsp, 3 if dsp else 6
        super().__init__(
            {"a": In(signed(8)), "b": In(signed(8)), "clear": In(1), "total": Out(signed(SUM_BITS))}
        )

    def elaborate(self, platform):
        m = Module()
        a, b = Signal.like(self.a), Signal.like(self.b)
        m.d.sync += [a.eq(self.a), b.eq(self.b)]
        level = [a * b]
        if not self.dsp:
            level = [Mux(b[k], a, 0) << k for k in range(8)]
        while True:
            held = [Signal(v.shape(), reset_less=True) for v in level]
            m.d.sync += [r.eq(v) for r, v in zip(held, level, strict=True)]
            level = held
            if len(level) == 1:
                break
            pairs = list(zip(level[::2], level[1::2], strict=True))
            top = 3 if len(level) == 8 else None  # the pair of bit 7 of b, which counts -128
            level = [x - y if k == top else x + y for k, (x, y) in enumerate(pairs)]
        m.d.sync += self.total.eq(self.total + level[0])
        with m.If(self.clear):
            m.d.sync += self.total.eq(0)
        return m


class Part(wiring.Component):
    """A component below the top: Yosys stops at some tops that have arrays of ports."""

    def __init__(self, inner: wiring.Component):
        self.inner = inner
        super().__init__(inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        connect(m, flipped(self), self.inner)
        return m


def check(dsp: bool) -> None:
    """AssertionError if a multiply-accumulate is wrong in Amaranth's simulator."""
    unit, draw = MultiplyAccumulate(dsp), random.Random(1)
    pairs = [(draw.randint(-128, 127), draw.randint(-128, 127)) for _ in range(400)]
    pairs += [(-128, -128), (-128, 127), (127, 127), (0, -128)]

    async def main(ctx: Any) -> None:
        for k, (a, b) in enumerate([*pairs, *[(0, 0)] * unit.latency]):
            ctx.set(unit.a, a)
            ctx.set(unit.b, b)
            await ctx.tick()
            done = sum(x * y for x, y in pairs[: max(k + 2 - unit.latency, 0)])
            assert ctx.get(unit.total) == done

    sim = Simulator(unit)
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    sim.run()


def event_params(value_bits: int) -> CoreParams:
    """The layer on event-driven dendrites; events are spikes if `value_bits` is 0."""
    return CoreParams(
        slots=SIZE, lanes=EVENT_LANES, axons=SIZE, synapse_words=SIZE * SIZE // EVENT_LANES,
        weight_bits=8, payload_bits=value_bits, value_bits=value_bits,
        acc_bits=SUM_BITS if value_bits else 15,
        ranges=(Range(level=0, first=0, end=SIZE),),
    )  # fmt: skip


def dense_params(value_bits: int, early: bool = True, margin: int = -1) -> CoreParams:
    """The layer on stochastic dendrites, with or without early termination."""
    whole = 7 + value_bits
    streams = Streams(
        weight_bits=7, value_bits=value_bits, source_bits=whole, log2_length=6,
        first=2 if early else 16, margin=margin,
    )  # fmt: skip
    fields: dict[str, int | tuple[int, ...]] = dict(
        membrane_decay=3686, current_decay=0, bias=0, threshold=1 << 12, reset_value=0, shift=0,
        value_shift=0, reset=Reset.SUBTRACT, emit=Emit.SPIKE,
    )  # fmt: skip
    return CoreParams(
        slots=SIZE, axons=SIZE, value_bits=value_bits + 1 if value_bits else 0, membrane_bits=24,
        acc_bits=SUM_BITS if value_bits else 15, ranges=(Range(level=0, first=0, end=SIZE),),
        shared=fields, dendrites=DenseParams(streams=streams, columns=SIZE, lanes=SIZE),
    )  # fmt: skip


def synthesise(component: wiring.Component, freq: float, seeds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="nervure-") as folder:
        for file, text in emit_verilog(Part(component), "design").items():
            (Path(folder) / file).write_text(text)
        return measure(Path(folder) / "design.v", "design", freq=freq, seeds=seeds)


def empty(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are figures."""
    table = Table(title=title, box=box.MARKDOWN)
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    return table


def units(seeds: int) -> Table:
    """uMUL and uMAC beside the published ones."""
    table = empty(
        "Units of 8 bits beside UnarySim's; best clock of the seeds",
        "unit", "COMB", "FF", "MHz", "UnarySim COMB", "UnarySim MHz",
    )  # fmt: skip
    for (name, encoding), (comb, mhz) in PEERS.items():
        row = cost(find_unit(name), {"encoding": encoding}, seeds=seeds)
        inputs = " 16 inputs," if name == "umac" else ""
        figures = (row["comb"], row["ff"], row["fmax_mhz"], comb, mhz)
        table.add_row(f"{name},{inputs} {encoding}", *map(str, figures))
    return table


def layers(seeds: int) -> Table:
    """Area and products a second of the ways to sum a layer's inputs."""
    config = ConfigPort(16, 64)
    spikes, values = dense_params(0), dense_params(7)
    plain, margin = dense_params(7, early=False), dense_params(0, margin=2)
    dot = Dot(DotParams(a_bits=7, b_bits=7, source_bits=8))
    designs: list[tuple[str, wiring.Component, int, bool, float]] = [
        ("multiply-accumulate, LUTs", MultiplyAccumulate(False), 1, False, 350),
        ("multiply-accumulate, DSP", MultiplyAccumulate(True), 1, False, 300),
        ("event-driven, spikes", dendrites_for(event_params(0), config), EVENT_LANES, False, 220),
        ("event-driven, values", dendrites_for(event_params(8), config), EVENT_LANES, False, 220),
        ("Dot, 64 stored pairs", dot, SIZE, True, 300),
        ("stochastic, spikes", dendrites_for(spikes, config), SIZE, True, 280),
        ("stochastic, values", dendrites_for(values, config), SIZE, True, 280),
        ("the same, no early end", dendrites_for(plain, config), SIZE, True, 280),
        ("values, whole core", NeuronCore(values, config), SIZE, True, 220),
        ("spikes, whole core", NeuronCore(spikes, config), SIZE, True, 220),
        ("the same with a margin", NeuronCore(margin, config), SIZE, True, 220),
    ]
    table = empty(
        "64 x 64, 8 bits; MHz best / median of seeds; M products/s/COMB at the median clock",
        "design", "lanes", "COMB", "FF", "BRAM", "DSP", "MHz", "COMB/lane", "one a cycle",
        *(f"L = {n}" for n in LENGTHS),
    )  # fmt: skip
    for name, component, lanes, streams, freq in designs:
        r = synthesise(component, freq, seeds)
        each = r["fmax_median_mhz"] * lanes / r["comb"]
        rates = ["", *(f"{each / (n + 1):.3f}" for n in LENGTHS)] if streams else [f"{each:.3f}"]
        mhz = f"{r['fmax_mhz']:.1f} / {r['fmax_median_mhz']:.1f}"
        figures = (lanes, r["comb"], r["ff"], r["bram"], r["dsp"], mhz, f"{r['comb'] / lanes:.1f}")
        table.add_row(name, *map(str, figures), *rates)
    return table


def errors() -> Table:
    """Error of a sum of 64 products over 64, weights and values in 0..1 and in -1..1."""
    title = f"RMS error of the mean of {SIZE} products of 8 bits, {SIZE * SIZE} sums"
    table = empty(title, "numbers", "generators", *(f"L = {n}" for n in LENGTHS))
    rows = (
        ("dendrites, 0..1, Sobol", 0, "sobol", 14),
        ("dendrites, -1..1, Sobol", -128, "sobol", 14),
        ("dendrites, 0..1, LFSR", 0, "lfsr", 14),
        ("Dot, 0..1, Sobol of 8 bits", 0, "sobol", 8),
    )
    for name, low, generator, bits in rows:
        for generators in (1, 16) if bits == 14 else (1,):
            row = []
            for length in LENGTHS:
                rng = np.random.default_rng([1, length])
                weights = rng.integers(low, 129, (SIZE, SIZE))
                values = rng.integers(low, 129, (SIZE, SIZE))
                streams = Streams(
                    weight_bits=7, value_bits=7, source_bits=bits, generators=generators,
                    log2_length=length.bit_length() - 1, generator=generator,
                )  # fmt: skip
                error = (sums(streams, weights, values)[0] - values @ weights) / (SIZE << 14)
                row.append(f"{np.sqrt(np.mean(error**2)):.4f}")
            table.add_row(name, str(generators), *row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds")
    arguments = parser.parse_args()
    console = Console(width=140)
    check(dsp=False)
    check(dsp=True)
    console.print("ECP5-85F, speed 6, out of context")
    console.print(errors())
    console.print(units(arguments.seeds))
    console.print(layers(arguments.seeds))


if __name__ == "__main__":
    main()
