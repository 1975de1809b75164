"""Proofs of the counting laws of stochastic arithmetic, for any streams, stalls and clears."""

import pytest
from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal, signed

from hdl.params.sc.add import ParallelCountParams, ScaledAddParams
from hdl.params.sc.convert import ToUnipolarParams
from hdl.params.sc.minmax import MaximumParams, MinimumParams
from hdl.params.sc.product import ProductParams
from hdl.params.sc.subtract import AbsoluteValueParams
from hdl.sc.add import ParallelCount, ScaledAdd
from hdl.sc.convert import ToUnipolar
from hdl.sc.minmax import Maximum, Minimum
from hdl.sc.product import Product
from hdl.sc.subtract import AbsoluteValue
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal

#: Bits of the sums in the specifications.
BITS = 8


class Spec(Elaboratable):
    """A unit with free inputs, `en` and `clear`; `law` says what must hold."""

    def __init__(self, unit) -> None:
        self.unit = unit
        self.inputs = [getattr(unit, p.name) for p in unit.params.ports if p.direction == "in"]
        self.ports = [unit.en, unit.clear, *self.inputs]

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = self.unit
        self.law(m)
        return m

    def total(self, m, amount):
        """The sum of `amount` in the enabled cycles before this one."""
        total = Signal(signed(BITS))
        with m.If(self.unit.clear):
            m.d.sync += total.eq(0)
        with m.Elif(self.unit.en):
            m.d.sync += total.eq(total + amount)
        return total


class Conservation(Spec):
    """scale * ones of y + acc = ones of the inputs - offset * cycles, if nothing saturates.

    Streams that would saturate the accumulator are assumed away.
    """

    def law(self, m):
        unit, p = self.unit, self.unit.params
        amount = Signal(signed(BITS))
        m.d.comb += amount.eq(sum(self.inputs, start=0) * p.unit - p.offset)
        rest = self.total(m, amount - unit.y * p.scale * p.unit)
        m.d.comb += [
            Assume((rest + amount >= -p.limit) & (rest + amount <= p.limit)),
            Assert(rest == unit.acc),
            Assert((rest >= p.least) & (rest <= p.most)),
            Assert(unit.y == (rest + amount >= p.scale * p.unit)),
        ]


class DropsTheRest(ScaledAdd):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & self.y):
            m.d.sync += self.acc.eq(0)
        return m


ADDERS = [(1, 1, "unipolar"), (3, 3, "bipolar"), (4, 4, "unipolar"), (3, 1, "unipolar")]
ADDERS += [(3, 2, "bipolar"), (4, 2, "bipolar"), (5, 2, "bipolar")]


@pytest.mark.parametrize(("inputs", "scale", "encoding"), ADDERS)
def test_accumulative_adder_conserves(inputs, scale, encoding):
    params = ScaledAddParams(inputs=inputs, scale=scale, encoding=encoding, depth=6)
    proven, log = prove(Conservation(ScaledAdd(params)), steps=3)
    assert proven, log


def test_an_adder_that_drops_the_rest_is_found():
    params = ScaledAddParams(inputs=3, depth=6)
    proven, _ = prove(Conservation(DropsTheRest(params)), steps=6, bounded=True)
    assert not proven


class Counted(Spec):
    """count and what is on its way to it = ones (less zeros) of the inputs, modulo 2**bits."""

    def law(self, m):
        unit, p = self.unit, self.unit.params
        ones = sum(self.inputs, start=0)
        total = self.total(m, 2 * ones - p.inputs if p.encoding == "bipolar" else ones)
        m.d.comb += Assert((unit.count + unit.added - total)[: p.bits] == 0)
        started, before, held = Signal(), Signal.like(unit.count), Signal.like(unit.added)
        m.d.sync += [started.eq(unit.en & ~unit.clear), before.eq(unit.count), held.eq(unit.added)]
        with m.If(started):
            m.d.comb += Assert((unit.count - before - held)[: p.bits] == 0)


class KeepsWhatIsOnItsWay(ParallelCount):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.clear):
            m.d.sync += self.added.eq(self.added)
        return m


@pytest.mark.parametrize(("inputs", "encoding"), [(1, "bipolar"), (5, "unipolar"), (7, "bipolar")])
def test_parallel_counter_counts(inputs, encoding):
    params = ParallelCountParams(inputs=inputs, encoding=encoding, bits=5)
    proven, log = prove(Counted(ParallelCount(params)), steps=3)
    assert proven, log


def test_a_counter_that_keeps_ones_over_a_clear_is_found():
    params = ParallelCountParams(inputs=3, bits=5)
    proven, _ = prove(Counted(KeepsWhatIsOnItsWay(params)), steps=6, bounded=True)
    assert not proven


class Best(Spec):
    """ones of y = max (or min) of the ones of a and of b, as long as the counter holds."""

    def law(self, m):
        unit = self.unit
        lead = self.total(m, unit.a - unit.b)
        more = self.total(m, unit.y - unit.a)
        limit = unit.params.limit
        behind = Mux(lead < 0, -lead, 0) if isinstance(unit, Maximum) else Mux(lead > 0, -lead, 0)
        m.d.comb += [
            Assume(~(unit.a & ~unit.b & (lead == limit))),
            Assume(~(unit.b & ~unit.a & (lead == -limit))),
            Assert((lead == unit.count) & (lead >= -limit) & (lead <= limit)),
            Assert(more == behind),
        ]


class LosesTies(Maximum):
    def _choose(self, count):
        return (self.a & (self.b | (count > 0))) | (self.b & (count <= 0))


class TakesTies(Minimum):
    def _choose(self, count):
        return (self.a & (self.b | (count <= 0))) | (self.b & (count > 0))


@pytest.mark.parametrize("limit", [1, 6])
@pytest.mark.parametrize(("params", "unit"), [(MaximumParams, Maximum), (MinimumParams, Minimum)])
def test_maximum_and_minimum_of_counts(params, unit, limit):
    proven, log = prove(Best(unit(params(limit=limit))), steps=3)
    assert proven, log


@pytest.mark.parametrize(
    ("params", "bug"), [(MaximumParams, LosesTies), (MinimumParams, TakesTies)]
)
def test_a_wrong_choice_at_ties_is_found(params, bug):
    proven, _ = prove(Best(bug(params(limit=6))), steps=6, bounded=True)
    assert not proven


class Magnitude(Spec):
    """The sum of y's bits as +1 and -1 = that of a without its sign, as long as a counter holds."""

    def law(self, m):
        unit = self.unit
        bit = Mux(unit.a, 1, -1)
        signed_sum = self.total(m, bit)
        limit = unit.params.limit
        m.d.comb += [
            Assume((signed_sum + bit <= limit) & (signed_sum + bit >= -limit)),
            Assert((signed_sum == unit.count) & (signed_sum <= limit) & (signed_sum >= -limit)),
            Assert(self.total(m, Mux(unit.y, 1, -1)) == abs(signed_sum)),
        ]


class LooksAfterTheBit(AbsoluteValue):
    """Takes the sign after the bit has been counted, as UnarySim's does."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(self.a ^ (self.count + Mux(self.a, 1, -1) < 0))
        return m


def test_absolute_value_of_the_sum():
    proven, log = prove(Magnitude(AbsoluteValue(AbsoluteValueParams(limit=5))), steps=3)
    assert proven, log


def test_a_sign_of_the_wrong_time_is_found():
    spec = Magnitude(LooksAfterTheBit(AbsoluteValueParams(limit=5)))
    proven, _ = prove(spec, steps=6, bounded=True)
    assert not proven


class Owed(Spec):
    """ones of y - (ones - zeros of a) = owed >= 0, and y needs owed = 0: the running maximum."""

    def law(self, m):
        unit = self.unit
        limit = unit.params.limit
        owed = self.total(m, unit.y - Mux(unit.a, 1, -1))
        m.d.comb += [
            Assume(unit.a | (owed < limit)),
            Assert((owed == unit.owed) & (owed >= 0) & (owed <= limit)),
            Assert(unit.y == (unit.a & (owed == 0))),
        ]


class ForgetsDebts(ToUnipolar):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & self.a):
            m.d.sync += self.owed.eq(0)
        return m


def test_bipolar_to_unipolar_owes_the_zeros():
    proven, log = prove(Owed(ToUnipolar(ToUnipolarParams(limit=5))), steps=3)
    assert proven, log


def test_forgotten_debts_are_found():
    spec = Owed(ForgetsDebts(ToUnipolarParams(limit=5)))
    proven, _ = prove(spec, steps=6, bounded=True)
    assert not proven


class Divided(Spec):
    """At the end of 2**(2 width) cycles, value = a * b (bipolar 4 a b), for all a and b."""

    def law(self, m):
        unit, p = self.unit, self.unit.params
        started, a, b = Signal(), Signal.like(unit.a), Signal.like(unit.b)
        m.d.sync += [started.eq(1), a.eq(unit.a), b.eq(unit.b)]
        port = p.ports[0]
        for operand, before in ((unit.a, a), (unit.b, b)):
            m.d.comb += [
                Assume((operand >= port.range[0]) & (operand <= port.range[1])),
                Assume(~started | (operand == before)),
            ]
        factor = 4 if p.encoding == "bipolar" else 1
        m.d.comb += Assume(unit.cycles == 1 << p.bits)
        with m.If(unit.done):
            m.d.comb += Assert(unit.value == unit.a * unit.b * factor)


class CountsTooEarly(Product):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += m.submodules.estimate.clear.eq(self.clear)
        return m


def division(width, encoding):
    """Parameters of a product by clock division."""
    return ProductParams(
        width=width,
        encoding=encoding,
        source_a="counter",
        source_b=f"counter:divide={width}",
        bits=2 * width,
    )


@pytest.mark.parametrize(("width", "encoding"), [(2, "unipolar"), (2, "bipolar")])
def test_clock_division_is_the_product(width, encoding):
    """With any pattern of stalls and clears within the first cycles."""
    steps = (1 << (2 * width)) + 6
    proven, log = prove(Divided(Product(division(width, encoding))), steps=steps, bounded=True)
    assert proven, log


def test_a_count_that_starts_too_early_is_found():
    spec = Divided(CountsTooEarly(division(2, "unipolar")))
    proven, _ = prove(spec, steps=22, bounded=True)
    assert not proven
