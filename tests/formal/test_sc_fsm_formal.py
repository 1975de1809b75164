"""Proofs of the state machines on streams: ranges, and that no one is lost or made up."""

import pytest
from amaranth.hdl import Assert, Elaboratable, Module, Mux, Signal

from hdl.params.sc.delay import DecorrelateParams
from hdl.params.sc.fsm import ExponentialParams, ReluParams, TanhParams
from hdl.params.sc.progress import ProgressParams
from hdl.params.sc.sqrt import SquareRootParams
from hdl.params.sc.synchronise import (
    DesynchroniseParams,
    SkewSynchroniseParams,
    SynchroniseParams,
)
from hdl.sc.delay import Decorrelate
from hdl.sc.fsm import Exponential, Relu, Tanh
from hdl.sc.progress import Progress
from hdl.sc.sqrt import SquareRoot
from hdl.sc.synchronise import Desynchronise, SkewSynchronise, Synchronise
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal


class Spec(Elaboratable):
    """A unit whose inputs, `en` and `clear` are free."""

    def __init__(self, unit):
        self.unit = unit
        self.inputs = {
            name: Signal.like(getattr(unit, name), name=f"free_{name}")
            for name in ("en", "clear", "a", "b", "index")
            if hasattr(unit, name)
        }
        self.ports = list(self.inputs.values())

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = self.unit
        for name, signal in self.inputs.items():
            m.d.comb += getattr(self.unit, name).eq(signal)
        self.claim(m)
        return m

    def tally(self, m, name, change):
        """The sum of `change` over the enabled cycles since the last clear, modulo 2**16."""
        total = Signal(16, name=name)
        with m.If(self.unit.clear):
            m.d.sync += total.eq(0)
        with m.Elif(self.unit.en):
            m.d.sync += total.eq(total + change)
        return total


class StepSpec(Spec):
    """The state stays in range, moves by one at most, and only when enabled; clear starts anew."""

    def claim(self, m):
        unit = self.unit
        state, top = unit.state, unit.params.states - 1
        old, old_en, old_clear, started = Signal.like(state), Signal(), Signal(), Signal()
        m.d.sync += [old.eq(state), old_en.eq(unit.en), old_clear.eq(unit.clear), started.eq(1)]
        m.d.comb += Assert((state >= unit.low) & (state <= unit.low + top))
        with m.If(started & old_clear):
            m.d.comb += Assert(state == state.init)
        with m.Elif(started):
            m.d.comb += Assert((state == old) | (state == old + 1) | (state + 1 == old))
            m.d.comb += Assert(old_en | (state == old))


class WrapsAtTop(Tanh):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & self.a & ~self.clear):
            m.d.sync += self.state.eq(self.state + 1)
        return m


class JumpsByTwo(Exponential):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & self.a & ~self.clear & (self.state == 2)):
            m.d.sync += self.state.eq(4)
        return m


class FallsBelowZero(Relu):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & ~self.a & ~self.clear):
            m.d.sync += self.state.eq(self.state - 1)
        return m


@pytest.mark.parametrize(
    ("unit", "params"),
    [
        *((Tanh, TanhParams(states=states)) for states in (2, 6, 8, 100)),
        *((Exponential, ExponentialParams(states=states)) for states in (2, 10)),
        *((Relu, ReluParams(states=states)) for states in (2, 3, 33)),
    ],
)
def test_states_stay_in_range_and_move_by_one(unit, params):
    proven, log = prove(StepSpec(unit(params)), steps=4)
    assert proven, log


@pytest.mark.parametrize(
    ("bug", "params"),
    [
        (WrapsAtTop, TanhParams(states=6)),
        (JumpsByTwo, ExponentialParams(states=6)),
        (FallsBelowZero, ReluParams(states=3)),
    ],
)
def test_a_broken_counter_is_found(bug, params):
    proven, _ = prove(StepSpec(bug(params)), steps=8, bounded=True)
    assert not proven


class SynchroniseSpec(Spec):
    """Ones in - ones out = ones saved, of each stream; the wrong pairs come out as stated."""

    def claim(self, m):
        unit, depth = self.unit, self.unit.params.depth
        saved = unit.saved
        of_a = Mux(saved > 0, saved, 0)
        of_b = Mux(saved < 0, -saved, 0)
        m.d.comb += [
            Assert((saved <= depth) & (saved >= -depth)),
            Assert(self.tally(m, "missing_a", unit.a - unit.y_a) == of_a),
            Assert(self.tally(m, "missing_b", unit.b - unit.y_b) == of_b),
            Assert(~(unit.y_a & ~unit.y_b) | (saved == depth)),
            Assert(~(~unit.y_a & unit.y_b) | (saved == -depth)),
        ]


class DesynchroniseSpec(Spec):
    """The same of the desynchroniser."""

    def claim(self, m):
        unit, depth = self.unit, self.unit.params.depth
        saved, turn = unit.saved, unit.turn
        m.d.comb += [
            Assert(saved <= depth),
            Assert(self.tally(m, "missing_a", unit.a - unit.y_a) == Mux(turn, 0, saved)),
            Assert(self.tally(m, "missing_b", unit.b - unit.y_b) == Mux(turn, saved, 0)),
            Assert(~(unit.y_a & unit.y_b) | (saved == depth)),
            Assert(unit.y_a | unit.y_b | (saved == 0)),
        ]


class SkewSpec(Spec):
    """The same of the skewed synchroniser."""

    def claim(self, m):
        unit, depth = self.unit, self.unit.params.depth
        m.d.comb += [
            Assert(unit.saved <= depth),
            Assert(self.tally(m, "missing", unit.a - unit.y) == unit.saved),
            Assert(~(unit.y & ~unit.b) | (unit.saved == depth)),
        ]


class LosesOneWhenFull(Synchronise):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.saved == self.params.depth):
            m.d.comb += self.y_a.eq(self.a & self.b)
        return m


class ForgetsTurn(Desynchronise):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & ~self.clear & self.a & self.b):
            m.d.sync += self.turn.eq(~self.turn)
        return m


class MakesUpOnes(SkewSynchronise):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(self.a | self.b)
        return m


CONSERVING = {
    "synchronise": (SynchroniseSpec, Synchronise, SynchroniseParams, LosesOneWhenFull),
    "desynchronise": (DesynchroniseSpec, Desynchronise, DesynchroniseParams, ForgetsTurn),
    "skew": (SkewSpec, SkewSynchronise, SkewSynchroniseParams, MakesUpOnes),
}


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("name", CONSERVING)
def test_synchronisers_keep_every_one(name, depth):
    spec, unit, params, _ = CONSERVING[name]
    proven, log = prove(spec(unit(params(depth=depth))), steps=4)
    assert proven, log


@pytest.mark.parametrize("name", CONSERVING)
def test_a_broken_synchroniser_is_found(name):
    spec, _, params, bug = CONSERVING[name]
    proven, _ = prove(spec(bug(params(depth=2))), steps=8, bounded=True)
    assert not proven


class SquareRootSpec(Spec):
    """Ones out + ones owed = ones in + ones inserted, and never more than `depth` are owed.

    The invariant behind it: what is owed or about to come in is at most the number of ones put
    out in a row, as far as it looks back.
    """

    def claim(self, m):
        unit, depth = self.unit, self.unit.params.depth
        row = Signal(range(depth + 1))
        for k in range(depth):
            with m.If(unit.last[: k + 1].all()):
                m.d.comb += row.eq(k + 1)
        came = self.tally(m, "came", unit.a + unit.insert - unit.y)
        m.d.comb += [
            Assert(came == unit.owed),
            Assert(unit.owed + unit.insert <= row),
            Assert(unit.owed <= depth),
        ]


class InsertsTwice(SquareRoot):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & ~self.clear):
            m.d.sync += self.insert.eq(self.y)
        return m


class Forgets(SquareRoot):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & self.a & self.insert):
            m.d.sync += self.owed.eq(self.owed)
        return m


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_square_root_owes_no_more_than_depth(depth):
    proven, log = prove(SquareRootSpec(SquareRoot(SquareRootParams(depth=depth))), steps=4)
    assert proven, log


@pytest.mark.parametrize("bug", [InsertsTwice, Forgets])
def test_a_broken_square_root_is_found(bug):
    proven, _ = prove(SquareRootSpec(bug(SquareRootParams(depth=2))), steps=8, bounded=True)
    assert not proven


class DecorrelateSpec(Spec):
    """Ones in - ones out = ones held - ones held at first."""

    def claim(self, m):
        held, depth = self.unit.held, self.unit.params.depth
        ones = sum(held[k] for k in range(depth))
        kept = self.tally(m, "kept", self.unit.a - self.unit.y)
        m.d.comb += Assert((kept + depth // 2)[:16] == ones)


class OverwritesNeighbour(Decorrelate):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & ~self.clear & (self.index == 0)):
            m.d.sync += self.held[1].eq(self.a)
        return m


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_shuffle_buffer_keeps_every_one(depth):
    proven, log = prove(DecorrelateSpec(Decorrelate(DecorrelateParams(depth=depth))), steps=4)
    assert proven, log


def test_a_broken_shuffle_buffer_is_found():
    unit = OverwritesNeighbour(DecorrelateParams(depth=3))
    proven, _ = prove(DecorrelateSpec(unit), steps=8, bounded=True)
    assert not proven


class ProgressSpec(Spec):
    """While it runs: total = ones so far << (n - k), and a checkpoint comes after 2**k bits.

    `ones`, `bits` count what came since the clear, `seen` the ones at the last checkpoint.
    """

    def claim(self, m):
        unit, n = self.unit, self.unit.params.bits
        ones, bits, seen = Signal(n + 1), Signal(n + 1), Signal(n + 1)
        runs = unit.en & ~unit.done
        with m.If(unit.clear):
            m.d.sync += [ones.eq(0), bits.eq(0), seen.eq(0)]
        with m.Elif(runs):
            m.d.sync += [ones.eq(ones + unit.a), bits.eq(bits + 1)]
            with m.If(unit.left == 0):
                m.d.sync += seen.eq(ones + unit.a)
        with m.If(unit.done):
            m.d.comb += [
                Assert((bits & (bits - 1)[: n + 1]) == 0),
                Assert(bits > 1 << unit.params.first),
                Assert(unit.estimate * bits == ones << n),
            ]
        for k in range(n + 1):
            with m.If(~unit.done & (unit.span == (1 << k) - 1)):
                m.d.comb += [
                    Assert(bits + unit.left + 1 == 1 << k),
                    Assert(ones <= bits),
                    Assert(unit.total == ones << (n - k)),
                ]
                if k:
                    m.d.comb += [
                        Assert(unit.estimate == seen << (n - k + 1)),
                        Assert(unit.change + unit.estimate + 1 == unit.total),
                        Assert(seen <= 1 << (k - 1)),
                        Assert(bits >= 1 << (k - 1)),
                    ]
        known = [unit.span == (1 << k) - 1 for k in range(n + 1)]
        m.d.comb += Assert(sum(known) == 1)


class DoesNotHalve(Progress):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.en & ~self.done & ~self.clear & (self.left == 0)):
            m.d.sync += self.total.eq(self.total)
        return m


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_estimates_are_counts(bits):
    params = ProgressParams(bits=bits, tolerance=1, first=bits // 2)
    proven, log = prove(ProgressSpec(Progress(params)), steps=4)
    assert proven, log


def test_a_broken_estimate_is_found():
    unit = DoesNotHalve(ProgressParams(bits=3, tolerance=1, first=1))
    proven, _ = prove(ProgressSpec(unit), steps=8, bounded=True)
    assert not proven
