"""Proof that a bit of attention is its inequality, for all words and all draws."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Signal

from hdl.params.sc.attention import DRAW_BITS
from hdl.sc.overlap import Overlap, delayed
from tests.formal.kit_formal import prove


class Spec(Elaboratable):
    """hit is (draw * factor) < (ones of (a & b) << (16 + gain)), of what came `latency` before.

    `wrong` compares with <= instead.
    """

    def __init__(self, width, most, gain, counted=False, wrong=False):
        self.dut = Overlap(width, most, gain, counted=counted)
        self.wrong = wrong
        d = self.dut
        self.ports = [d.a, d.b, d.draw, d.factor]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = d = self.dut
        ones = sum((a & b for a, b in zip(d.a, d.b, strict=True)), start=0)
        ones_then = Signal(range(d.width + 1))
        m.d.comb += ones_then.eq(ones)
        draw, factor = Signal(DRAW_BITS), Signal.like(d.factor)
        m.d.comb += [draw.eq(d.draw), factor.eq(d.factor if d.counted else d.most)]
        m.d.comb += Assume(factor <= d.most)
        then = delayed(m, ones_then, d.latency, "ones_then")[-1]
        drawn = delayed(m, Cat(draw, factor), d.draw_latency, "drawn")[-1]
        product = drawn[:DRAW_BITS] * drawn[DRAW_BITS:]
        limit = then << (DRAW_BITS + d.gain)
        # What the registers hold at first says nothing: `age` cycles have passed.
        age = Signal(range(d.latency + 1))
        with m.If(age != d.latency):
            m.d.sync += age.eq(age + 1)
        with m.Else():
            hit = (product <= limit) if self.wrong else (product < limit)
            m.d.comb += Assert(d.hit == hit)
        return m


CASES = [
    (1, 1, 0, False), (2, 2, 0, False), (3, 3, 1, False), (7, 7, 0, False), (11, 11, 2, False),
    (1, 1, 0, True), (2, 2, 1, True), (5, 5, 0, True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hit_is_the_inequality(case):
    spec = Spec(*case)
    proven, log = prove(spec, steps=2 * spec.dut.latency + 3)
    assert proven, (case, log[-1500:])


def test_proof_finds_a_bug():
    proven, _ = prove(Spec(3, 3, 1, wrong=True), steps=9)
    assert not proven
