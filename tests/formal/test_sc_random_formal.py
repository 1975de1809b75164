"""Proofs of the random decision units."""

import pytest
from amaranth.hdl import Assert, Const, Elaboratable, Module, Signal

from hdl.params.sc.rounding import StochasticRoundParams
from hdl.sc.rounding import StochasticRound
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal


class RoundSpec(Elaboratable):
    """Any word, and two random numbers r <= s.

    Asserted, with the word in units of the result: results lie less than 1 from it (so they are
    its floor or its ceiling, and itself if that is a whole number), the larger random number gives
    the larger result, and of r and its inverse, whose sum is 2**drop - 1, exactly those two with
    fraction > r and fraction > inverse of r round up. A saturated result is the limit on its side.
    """

    def __init__(self, unit: type, params: StochasticRoundParams) -> None:
        self.unit, self.params = unit, params
        self.x = Signal(params.bits)
        self.r, self.s = Signal(params.drop), Signal(params.drop)
        self.ports = [self.x, self.r, self.s]

    def elaborate(self, platform):
        m = Module()
        p = self.params
        # The prover wants a clocked design: the inputs come through registers.
        word, r, s = (Signal.like(port, name=f"held_{port.name}") for port in self.ports)
        m.d.sync += [word.eq(self.x), r.eq(self.r), s.eq(self.s)]
        x, fraction = word.as_signed(), word[: p.drop]
        units = {"r": r, "s": s, "inverse": ~r}
        y = {}
        for name, random in units.items():
            m.submodules[name] = unit = self.unit(p)
            m.d.comb += [unit.x.eq(word), unit.random.eq(random)]
            y[name] = unit.y
        limit = 1 << (p.result_bits - 1)
        distance = (y["r"] << p.drop) - x
        near = (distance < (1 << p.drop)) & (distance > -(1 << p.drop))
        above = (y["r"] == limit - 1) & (x > (y["r"] << p.drop))
        below = (y["r"] == -limit) & (x < (y["r"] << p.drop))
        ups = ((x >> p.drop) * 2) + (fraction > r) + (fraction > ~r)
        m.d.comb += [
            Assert(near | above | below),
            Assert((s < r) | (y["r"] <= y["s"])),
        ]
        if p.result_bits == p.bits - p.drop + 1:
            m.d.comb += [
                Assert(near),
                Assert((fraction != 0) | ((y["r"] << p.drop) == x)),
                Assert(y["r"] + y["inverse"] == ups),
            ]
        return m


class Truncates(StochasticRound):
    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.y.eq(self.x >> self.params.drop)
        return m


class RoundsUpOnZero(StochasticRound):
    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.y.eq((self.x + self.random + Const(1)) >> self.params.drop)
        return m


class Wraps(StochasticRound):
    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.y.eq((self.x + self.random) >> self.params.drop)
        return m


@pytest.mark.parametrize(("bits", "drop", "out"), [(10, 4, None), (12, 3, 9), (9, 5, 2)])
def test_rounding_is_floor_or_ceiling(bits, drop, out):
    params = StochasticRoundParams(bits=bits, drop=drop, out_bits=out)
    proven, log = prove(RoundSpec(StochasticRound, params), steps=2)
    assert proven, log


@pytest.mark.parametrize(("bug", "out"), [(Truncates, None), (RoundsUpOnZero, None), (Wraps, 6)])
def test_a_broken_rounding_is_found(bug, out):
    params = StochasticRoundParams(bits=10, drop=4, out_bits=out)
    proven, _ = prove(RoundSpec(bug, params), steps=2)
    assert not proven
