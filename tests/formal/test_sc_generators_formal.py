"""Proofs that generators count: over a period, how often a number lies below a threshold.

`en` and `clear` are free, so stalls and restarts are covered; the thresholds are free and constant.
"""

from collections.abc import Callable, Sequence

import pytest
from amaranth.hdl import Assert, Assume, Const, Elaboratable, Module, Signal, Value
from amaranth.lib import wiring

from hdl.params.sc.counter import CounterParams
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.sng import SngParams
from hdl.params.sc.sobol import SobolParams
from hdl.sc.counter import Counter
from hdl.sc.lfsr import Lfsr
from hdl.sc.sng import Sng
from hdl.sc.sobol import Sobol
from sim.golden.sc.source import sequence
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal

#: From the numbers of a cycle (of all generators) and the thresholds to one bit.
Rule = Callable[[Sequence[Value], Sequence[Value]], Value]


class CountSpec(Elaboratable):
    """Generators that run together; a rule makes a bit of their numbers and of thresholds.

    Asserted: over each period of `period` enabled cycles since the last clear, the bit is 1 exactly
    `total(thresholds)` times. For the induction also, unless `helped` is false: the numbers are
    those of the golden twins, the bits so far are as many as these give, and counters inside
    have the number of the cycle.

    Parameters
    ----------
    rule : made of the generators' outputs (`unit`, if given, computes the bit in its place).
    thresholds : (bits, most) of each.
    """

    def __init__(
        self,
        generators: Sequence[wiring.Component],
        period: int,
        rule: Rule,
        thresholds: Sequence[tuple[int, int]],
        total: Callable[..., Value | int],
        *,
        unit: Sng | None = None,
        helped: bool = True,
    ) -> None:
        self.generators, self.period, self.rule, self.total = generators, period, rule, total
        self.unit, self.helped = unit, helped
        self.en, self.clear = Signal(), Signal()
        self.thresholds = [Signal(bits, name=f"a{n}") for n, (bits, _) in enumerate(thresholds)]
        self.most = [most for _, most in thresholds]
        self.ports = [self.en, self.clear, *self.thresholds]

    def elaborate(self, platform):
        m = Module()
        started, bit = Signal(), Signal()
        m.d.sync += started.eq(1)
        for n, (a, most) in enumerate(zip(self.thresholds, self.most, strict=True)):
            before = Signal.like(a, name=f"before_{n}")
            m.d.sync += before.eq(a)
            m.d.comb += [Assume(a <= most), Assume(~started | (a == before))]
        for n, generator in enumerate(self.generators):
            m.submodules[f"generator_{n}"] = generator
            m.d.comb += [generator.en.eq(self.en), generator.clear.eq(self.clear)]
        numbers = [generator.value for generator in self.generators]
        if self.unit is None:
            m.d.comb += bit.eq(self.rule(numbers, self.thresholds))
        else:
            m.submodules.unit = unit = self.unit
            m.d.comb += [
                unit.value.eq(self.thresholds[0]),
                unit.random.eq(numbers[0]),
                bit.eq(unit.y),
            ]

        t, count = Signal(range(self.period)), Signal(range(self.period + 1))
        last = t == self.period - 1
        with m.If(self.clear):
            m.d.sync += [t.eq(0), count.eq(0)]
        with m.Elif(self.en & last):
            m.d.sync += [t.eq(0), count.eq(0)]
        with m.Elif(self.en):
            m.d.sync += [t.eq(t + 1), count.eq(count + bit)]
        with m.If(last):
            m.d.comb += Assert(count + bit == self.total(*self.thresholds))
        if not self.helped:
            return m

        m.d.comb += Assert(t < self.period)
        golden = [sequence(generator.params, self.period).tolist() for generator in self.generators]
        so_far = Const(0, 1)
        with m.Switch(t):
            for cycle, now in enumerate(zip(*golden, strict=True)):
                with m.Case(cycle):
                    m.d.comb += Assert(count == so_far)
                    for generator, number in zip(self.generators, now, strict=True):
                        m.d.comb += Assert(generator.value == number)
                        if hasattr(generator, "count"):
                            inside = generator.count
                            m.d.comb += Assert(inside == cycle % (1 << len(inside)))
                constants = [
                    Const(number, len(generator.value))
                    for generator, number in zip(self.generators, now, strict=True)
                ]
                total = Signal.like(count, name=f"so_far_{cycle + 1}")
                m.d.comb += total.eq(so_far + self.rule(constants, self.thresholds))
                so_far = total
        return m


def at_most(numbers, thresholds):
    return numbers[0] <= thresholds[0]


def below(numbers, thresholds):
    return numbers[0] < thresholds[0]


def both_below(numbers, thresholds):
    return (numbers[0] < thresholds[0]) & (numbers[1] < thresholds[1])


def selected(numbers, thresholds):
    """The weighted generator, case by case of the highest one of the random number."""
    random, value = numbers[0], thresholds[0]
    result = value[-1]
    for place in range(len(random)):
        result = result | ((random >> place == 1) & value[place])
    return result


def _itself(a):
    return a


def _lfsr(unit=Lfsr, width=4, **change):
    """#(r <= a) = a, 0 <= a < 2**width."""
    generator = unit(LfsrParams(width=width, seed=5))
    top = (1 << width) - 1
    return CountSpec([generator], top, at_most, [(width, top)], _itself, **change)


def _sobol(unit=Sobol, width=4, *, dimension=1, order="natural", **change):
    """#(r < a) = a, 0 <= a <= 2**width."""
    generator = unit(SobolParams(width=width, dimension=dimension, order=order))
    period = 1 << width
    return CountSpec([generator], period, below, [(width + 1, period)], _itself, **change)


def _clock_division(unit=Counter, width=2, **change):
    """#(r < a and s < b) = a b."""
    pair = [unit(CounterParams(width=width)), unit(CounterParams(width=width, divide=width))]
    limits = [(width + 1, 1 << width)] * 2
    return CountSpec(pair, 1 << (2 * width), both_below, limits, lambda a, b: a * b, **change)


def _sng(method, unit=Sng, width=4, **change):
    """As many ones as the value says, with an LFSR that lacks the highest (lowest) number."""
    weighted = method == "weighted"
    generator = Lfsr(LfsrParams(width=width, seed=3, invert=not weighted))
    top = (1 << width) - 1
    rule = selected if weighted else below
    sng = unit(SngParams(width=width, method=method))
    return CountSpec([generator], top, rule, [(width + 1, top)], _itself, unit=sng, **change)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(lambda: _lfsr(width=3), id="LFSR 3"),
        pytest.param(lambda: _lfsr(width=6), id="LFSR 6"),
        pytest.param(lambda: _sobol(width=1), id="Van der Corput 1"),
        pytest.param(lambda: _sobol(width=5), id="Van der Corput 5"),
        pytest.param(lambda: _sobol(width=5, dimension=3, order="gray"), id="Sobol 3, 5 bits"),
        pytest.param(lambda: _clock_division(width=1), id="clock division 1"),
        pytest.param(lambda: _clock_division(width=2), id="clock division 2"),
        pytest.param(lambda: _sng("comparator", width=5), id="comparator 5"),
        pytest.param(lambda: _sng("weighted", width=5), id="weighted 5"),
    ],
)
def test_counts_over_every_period(spec):
    proven, log = prove(spec(), steps=3)
    assert proven, log


class TakesAShortcut(Lfsr):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & ~self.clear & (self.state == 2)):
            m.d.sync += self.state.eq(7)
        return m


class SkipsAPoint(Sobol):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & (self.count == 5)):
            m.d.sync += self.count.eq(7)
        return m


class AdvancesInStalls(Counter):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(~self.en & ~self.clear & (self.count == 1)):
            m.d.sync += self.count.eq(2)
        return m


class LosesADirection(Sobol):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & (self.count == 2)):
            m.d.sync += self.count.eq(0)
        return m


class IncludesTheThreshold(Sng):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(self.random <= self.value)
        return m


class TakesTheLowestOne(Sng):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        lowest = self.random & -self.random
        m.d.comb += self.y.eq((lowest & self.value).any() | self.value[-1])
        return m


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(lambda: _lfsr(TakesAShortcut, 3, helped=False), id="TakesAShortcut"),
        pytest.param(lambda: _sobol(SkipsAPoint, 3, helped=False), id="SkipsAPoint"),
        pytest.param(
            lambda: _sobol(LosesADirection, 3, dimension=2, order="gray", helped=False),
            id="LosesADirection",
        ),
        pytest.param(
            lambda: _clock_division(AdvancesInStalls, helped=False), id="AdvancesInStalls"
        ),
        pytest.param(
            lambda: _sng("comparator", IncludesTheThreshold, 3, helped=False),
            id="IncludesTheThreshold",
        ),
        pytest.param(
            lambda: _sng("weighted", TakesTheLowestOne, 3, helped=False), id="TakesTheLowestOne"
        ),
    ],
)
def test_broken_counts_are_found(spec):
    """By the count alone."""
    proven, _ = prove(spec(), steps=20, bounded=True)
    assert not proven
