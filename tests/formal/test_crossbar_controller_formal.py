# amaranth: UnusedElaboratable=no
"""Proofs of program-and-verify: pulses are limited, the array's port is driven by its rules, every
start has one end. Whatever the array gives, and however long it takes."""

import pytest
from amaranth.hdl import Assert, Assume, Elaboratable, Module, Signal

from hdl.crossbar.programmer import Programmer
from tests.crossbar.kit_commands import make
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal


def params(**control):
    return make(
        rows=2, columns=3, tiles=2, cell_bits=8, adc_bits=4,
        control={"averages": 1, "max_pulses": 3} | control,
    )  # fmt: skip


class ProgrammerSpec(Elaboratable):
    """The array is busy from a strobe or a pulse on for any time (with `restless`, at any time);
    codes, targets, columns are arbitrary; VERIFY and PROGRAM start when the programmer is ready.

    Asserted: a device takes at most `limit` pulses from where its turn begins; at most one of
    strobe, sample, pulse in a cycle, and only while the array is ready; row and bank stay while it
    isn't; a `done` for each start.
    """

    def __init__(self, programmer, limit: int, *, restless: bool = False) -> None:
        self.programmer, self.limit, self.restless = programmer, limit, restless
        p = programmer.params.array
        self.starts, self.which, self.wakes, self.falls = (
            Signal(name=name) for name in ("starts", "which", "wakes", "falls")
        )
        self.code, self.target = Signal(p.code_bits), Signal(p.cell_bits)
        self.physical, self.spare = Signal(2), Signal()
        self.ports = [self.starts, self.which, self.wakes, self.falls, self.code, self.target,
                      self.physical, self.spare]  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.programmer = unit = self.programmer
        array = unit.array
        busy, running, pending = Signal(), Signal(), Signal()
        m.d.comb += [
            unit.verify.eq(self.starts & unit.ready & self.which),
            unit.program.eq(self.starts & unit.ready & ~self.which),
            unit.target.eq(self.target),
            unit.physical.eq(self.physical),
            unit.spare.eq(self.spare),
            array.ready.eq(~busy),
            array.code.eq(self.code),
        ]
        m.d.sync += [
            busy.eq(array.strobe | array.pulse | (busy & ~self.wakes)),
            running.eq(unit.verify | unit.program | (running & ~unit.done)),
            pending.eq(array.pulse | (pending & ~unit.worn)),
        ]
        if self.restless:
            with m.If(self.falls):
                m.d.sync += busy.eq(1)

        given = Signal(range(2 * self.limit + 1), init=self.limit)
        with m.If(unit.begins):
            m.d.sync += given.eq(0)
        with m.Elif(unit.worn):
            m.d.sync += given.eq(given + 1)
        kept = Signal(len(array.row) + len(array.bank))
        was_busy = Signal()
        here = Signal.like(kept)
        m.d.comb += here.eq(array.row << len(array.bank) | array.bank)
        m.d.sync += [kept.eq(here), was_busy.eq(busy)]
        m.d.comb += [
            Assume(~unit.update),
            Assert(given + unit.left == self.limit),
            Assert(~(unit.aims | unit.settles) | (unit.left != 0)),
            Assert(~array.pulse | unit.aims),
            Assert(~busy | unit.reads | unit.settles),
            Assert(~unit.updates),
            Assert(pending == unit.settles),
            Assert(array.strobe + array.sample + array.pulse <= 1),
            Assert(~(array.strobe | array.sample | array.pulse) | ~busy),
            Assert(~(was_busy & busy) | (kept == here)),
            Assert(unit.ready == ~running),
            Assert(~unit.done | running),
        ]
        return m


class Forgets(Programmer):
    """Ends a PROGRAM without a word."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.done.eq(0)
        return m


class Hasty(Programmer):
    """Samples whenever it strobes."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.array.strobe):
            m.d.comb += self.array.sample.eq(1)
        return m


@pytest.mark.parametrize("policy", ["redraw", "feedback"])
def test_program_and_verify_keeps_its_rules(policy):
    p = params(policy=policy)
    proven, log = prove(ProgrammerSpec(Programmer(p), p.max_pulses), steps=8)
    assert proven, log[-2000:]


@pytest.mark.parametrize("bug", [Forgets, Hasty])
def test_a_broken_programmer_is_found(bug):
    p = params(averages=0)
    proven, _ = prove(ProgrammerSpec(bug(p), p.max_pulses), steps=24, bounded=True)
    assert not proven


def test_a_pulse_too_many_is_found():
    proven, _ = prove(ProgrammerSpec(Programmer(params(max_pulses=4)), 3), steps=8, bounded=True)
    assert not proven


def test_an_array_that_breaks_its_rules_is_found():
    """It may fall busy on its own."""
    p = params()
    spec = ProgrammerSpec(Programmer(p), p.max_pulses, restless=True)
    proven, _ = prove(spec, steps=16, bounded=True)
    assert not proven
