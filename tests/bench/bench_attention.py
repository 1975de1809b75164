"""Stochastic spiking attention beside binary attention of the same size, on ECP5-85F.

Both take the same spikes into the same memories and compute a score and an answer a cycle.
Stochastic: scores and value sums are compared with draws (hdl/params/sc/attention.py). Binary:
spiking self-attention without softmax (Spikformer, arXiv 2209.15425), exact in integers:

    A[i, d] = (sum over j of score(i, j) * V[j, d]) > threshold,
    score(i, j) = sum over d of Q[i, d] & K[j, d].

Area and clock out of context at speed grade 6; cycles from the start of a step's update to its last
answer. With --core also a whole neuron core behind the head (pointers, neurons, emission), with the
cycles of a step without events. The binary head's answers are checked in a simulation.

Example: python tests/bench/bench_attention.py --core        (about 6 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range, Reset, bits_for
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.sc.attention import Attention
from hdl.sc.overlap import delayed, overlap


class Score(wiring.Component):
    """The number of ones that two words share, `latency` cycles later."""

    def __init__(self, width: int):
        self.latency = 1 + bits_for(-(-width // 2))
        super().__init__(
            {
                "a": In(width),
                "b": In(width),
                "i_valid": In(1),
                "hit": Out(range(width + 1)),
                "o_valid": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        valid = delayed(m, self.i_valid, self.latency, "valid")
        m.d.comb += [
            self.hit.eq(overlap(m, self.a, self.b)[0]),
            self.o_valid.eq(valid[-1]),
        ]
        return m


class Answer(wiring.Component):
    """Whether the sum of those of `count` numbers whose bit is set is above the threshold."""

    def __init__(self, count: int, bits: int, threshold: int):
        self.count, self.bits, self.threshold = count, bits, threshold
        self.latency = max(bits_for(count), 1)
        super().__init__(
            {
                "a": In(count * bits),
                "b": In(count),
                "i_valid": In(1),
                "following": In(1),
                "hit": Out(1),
                "o_valid": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        level = [Mux(bit, self.a.word_select(k, self.bits), 0) for k, bit in enumerate(self.b)]
        for _ in range(self.latency):
            sums = [sum(level[k + 1 : k + 2], level[k]) for k in range(0, len(level), 2)]
            level = [Signal(s.shape(), name="part", reset_less=True) for s in sums]
            m.d.sync += [r.eq(s) for r, s in zip(level, sums, strict=True)]
        valid = delayed(m, self.i_valid, self.latency, "valid")
        m.d.comb += [self.hit.eq(level[0] > self.threshold), self.o_valid.eq(valid[-1])]
        return m


class BinaryAttention(Attention):
    """`Attention` with integer scores and a threshold; not causal."""

    def __init__(self, params: AttentionParams, threshold: int):
        self.threshold = threshold
        super().__init__(params)

    def _pipelines(self):
        scores = Score(self.params.dim)
        return scores, Answer(self.params.tokens, len(scores.hit), self.threshold)


def answers(head: Attention, spikes: np.ndarray) -> tuple[np.ndarray, int]:
    """A of one step, and the cycles to its last answer, in Amaranth's simulator."""
    p, found, last = head.params, [], 0

    async def main(ctx: Any) -> None:
        nonlocal last
        ctx.set(head.set, 1)
        for i, d in np.ndindex(p.tokens, p.dim):
            which = {port: int(spikes[k, i, d]) for k, port in enumerate(PORTS)}
            ctx.set(head.bit, {"token": i, "column": d, **which})
            await ctx.tick()
        ctx.set(head.set, 0)
        ctx.set(head.start, 1)
        await ctx.tick()
        ctx.set(head.start, 0)
        cycle = 1
        while ctx.get(head.busy):
            if ctx.get(head.valid):
                found.append(ctx.get(head.answer))
                last = cycle
            await ctx.tick()
            cycle += 1

    sim = Simulator(head)
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    sim.run()
    return np.reshape(found, (p.tokens, p.dim)), last


def binary_threshold(p: AttentionParams) -> int:
    """The mean of the sums, if half of all bits are ones; any constant costs about the same."""
    return p.tokens * p.dim // 8


def check(p: AttentionParams) -> int:
    """Cycles of a step of the binary head; AssertionError if an answer is wrong."""
    spikes = np.random.default_rng(1).random((3, p.tokens, p.dim)) < 0.5
    q, k, v = spikes.astype(int)
    threshold = binary_threshold(p)
    found, cycles = answers(BinaryAttention(p, threshold), spikes)
    expected = (q @ k.T) @ v > threshold
    assert (found == expected).all()
    assert 0 < expected.mean() < 1
    return cycles


def core(p: AttentionParams) -> NeuronCore:
    """A core of threshold neurons behind the head; each spike of Q, K, V has its axon."""
    fields = dict(
        membrane_decay=2048, current_decay=0, bias=0, threshold=1, reset_value=0, shift=0,
        value_shift=0, reset=Reset.SET, emit=Emit.SPIKE,
    )  # fmt: skip
    params = CoreParams(
        slots=p.size, axons=3 * p.size, dendrites=p, acc_bits=2, shared=fields,
        ranges=(Range(level=0, first=0, end=p.size),),
    )  # fmt: skip
    return NeuronCore(params, ConfigPort(16, 24))


def silent_step(head: NeuronCore) -> int:
    """Cycles of a step in which nothing arrives and nothing is sent."""
    cycles = 0

    async def main(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(head.step.mask, 1)
        ctx.set(head.step.start, 1)
        await ctx.tick()
        ctx.set(head.step.start, 0)
        cycles = 1
        while not ctx.get(head.idle):
            await ctx.tick()
            cycles += 1

    sim = Simulator(head)
    sim.add_clock(1e-6)
    sim.add_testbench(main)
    sim.run()
    return cycles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["8x16", "16x32", "16x64"])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds")
    parser.add_argument("--freq", type=float, default=220, help="clock that placement aims at, MHz")
    parser.add_argument("--core", action="store_true", help="whole cores too")
    arguments = parser.parse_args()
    table = Table(title="One head, ECP5-85F, speed 6, out of context; MHz best / median of seeds")
    columns = ("tokens x dim", "attention", "COMB", "FF", "BRAM", "DSP", "MHz", "cycles", "us")
    for column in columns:
        table.add_column(column, justify="left" if column == "attention" else "right")

    for size in arguments.sizes:
        tokens, dim = map(int, size.split("x"))
        plain = AttentionParams(tokens=tokens, dim=dim, seed=1)
        causal = AttentionParams(tokens=tokens, dim=dim, causal=True, seed=1)
        binary_cycles = check(plain)
        designs = [
            ("binary", BinaryAttention(plain, binary_threshold(plain)), binary_cycles),
            ("stochastic", Attention(plain), plain.update_cycles(plain.size)),
            ("stochastic, causal", Attention(causal), causal.update_cycles(causal.size)),
        ]
        if arguments.core:
            head = core(plain)
            designs.append(("stochastic, whole core", head, silent_step(core(plain))))
        for name, design, cycles in designs:
            with tempfile.TemporaryDirectory() as folder:
                for file, text in emit_verilog(design, "head").items():
                    (Path(folder) / file).write_text(text)
                r = measure(
                    Path(folder) / "head.v", "head", freq=arguments.freq, seeds=arguments.seeds
                )
            mhz = f"{r['fmax_mhz']:.1f} / {r['fmax_median_mhz']:.1f}"
            figures = (r["comb"], r["ff"], r["bram"], r["dsp"], mhz, cycles)
            time = f"{cycles / r['fmax_median_mhz']:.2f}"
            table.add_row(size, name, *map(str, figures), time)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
