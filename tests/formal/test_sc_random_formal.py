"""Proofs of the random decision units."""

import pytest
from amaranth.hdl import Assert, Cat, Const, Elaboratable, Module, Signal

import hdl.sc.pbit as pbit
from hdl.params.sc.bernoulli import BernoulliParams
from hdl.params.sc.gaussian import GaussianParams
from hdl.params.sc.pbit import PBitParams, SigmoidTable
from hdl.params.sc.rounding import StochasticRoundParams
from hdl.sc.bernoulli import Bernoulli
from hdl.sc.gaussian import Gaussian
from hdl.sc.lfsr import Lfsr
from hdl.sc.rom import rom
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


class BernoulliSpec(Elaboratable):
    """Any probability in any cycle, any state of the generator.

    Asserted: never 1 at p = 0, always 1 at p = 2**bits.
    """

    def __init__(self, unit: type, params: BernoulliParams) -> None:
        self.unit, self.params = unit, params
        self.p, self.en = Signal(params.bits + 1), Signal()
        self.ports = [self.p, self.en]

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit(self.params)
        m.d.comb += [unit.p.eq(self.p), unit.en.eq(self.en)]
        for name in self.params.samples:
            y = getattr(unit, name)
            m.d.comb += [
                Assert((self.p != 0) | ~y),
                Assert((self.p != 1 << self.params.bits) | y),
            ]
        return m


class ComparesTheOtherWay(Bernoulli):
    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.generator = generator = Lfsr(p.generator)
        m.d.comb += [generator.en.eq(self.en), self.y.eq(generator.value[: p.bits] <= self.p)]
        return m


@pytest.mark.parametrize(("bits", "lanes"), [(8, 1), (4, 3)])
def test_certainty_is_certain(bits, lanes):
    params = BernoulliParams(bits=bits, lanes=lanes, width=16)
    proven, log = prove(BernoulliSpec(Bernoulli, params), steps=3)
    assert proven, log


def test_a_broken_sampler_is_found():
    proven, _ = prove(BernoulliSpec(ComparesTheOtherWay, BernoulliParams(bits=4)), steps=3)
    assert not proven


#: Currents of -32..31, a table for magnitudes up to 14.
PBIT = PBitParams(
    bits=6,
    table=SigmoidTable(fraction=2, step_bits=1, address_bits=3, random_bits=8),
    width=8,
)


class PBitSpec(Elaboratable):
    """Any current in any cycle.

    Asserted: 2 cycles later the spin is the current's sign if that is beyond the table's end,
    whatever the generator's state.
    """

    def __init__(self, params: PBitParams) -> None:
        self.params = params
        self.current = Signal(params.bits)
        self.ports = [self.current]

    def elaborate(self, platform):
        m = Module()
        end = self.params.table.end
        m.submodules.unit = unit = pbit.PBit(self.params)
        current = self.current.as_signed()
        m.d.comb += [unit.current.eq(current), unit.en.eq(1)]
        certain, up = Signal(2), Signal(2)
        m.d.sync += [
            certain.eq(Cat((current >= end) | (current <= -end), certain[0])),
            up.eq(Cat(current >= 0, up[0])),
        ]
        m.d.comb += Assert(~certain[1] | (unit.m == up[1]))
        return m


def test_beyond_the_table_a_pbit_is_its_sign():
    proven, log = prove(PBitSpec(PBIT), steps=5)
    assert proven, log


@pytest.mark.parametrize("bug", ["the table repeats", "-32 has no magnitude"])
def test_a_broken_pbit_is_found(bug, monkeypatch):
    right = pbit.table_index

    def wrong(current, table):
        address, beyond = right(current, table)
        if bug == "the table repeats":
            return address, 0
        return address, beyond & (current != -32)

    monkeypatch.setattr(pbit, "table_index", wrong)
    proven, _ = prove(PBitSpec(PBIT), steps=5)
    assert not proven


class GaussianSpec(Elaboratable):
    """Any state of the generators. Asserted: numbers lie within the stated largest."""

    def __init__(self, unit: type, params: GaussianParams) -> None:
        self.unit, self.params = unit, params
        self.en = Signal()
        self.ports = [self.en]

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit(self.params)
        filled = Signal(self.params.latency)
        m.d.comb += unit.en.eq(1)
        m.d.sync += filled.eq(Cat(1, filled[:-1]))
        largest = self.params.largest
        m.d.comb += Assert(~filled[-1] | ((unit.z <= largest) & (unit.z >= -largest)))
        return m


class InvertsInsteadOfNegating(Gaussian):
    def _table(self, m, draws):
        p = self.params
        draw = draws[0] ^ draws[1]
        word = rom(m, "words", draw[: p.address_bits], self.en, p.words, p.bits - 1)
        sign = draw[p.address_bits]
        m.d.sync += self.z.eq(word ^ sign.replicate(p.bits))


@pytest.mark.parametrize(
    "params",
    [
        GaussianParams(address_bits=4, fraction=6),
        GaussianParams(method="sum", fraction=4),
        GaussianParams(method="sum", fraction=5, terms=3),
    ],
    ids=str,
)
def test_numbers_are_bounded(params):
    proven, log = prove(GaussianSpec(Gaussian, params), steps=6)
    assert proven, log


def test_a_broken_source_is_found():
    params = GaussianParams(address_bits=4, fraction=6)
    proven, _ = prove(GaussianSpec(InvertsInsteadOfNegating, params), steps=6)
    assert not proven
