"""Proof that a new state of a diagonal recurrence is its equation, in small formats."""

import pytest
from amaranth.hdl import Assert, Cat, Const, Elaboratable, Module, Mux, Signal

from hdl.params.ssm.diagonal import Diagonal
from hdl.sc.overlap import delayed
from hdl.ssm.recurrence import Recurrence
from tests.formal.kit_formal import prove


class NewState(Elaboratable):
    """`new` is the equation of what came `latency` cycles before, or 0 after a clear.

    `wrong` rounds down.
    """

    def __init__(self, wrong=False, **options):
        self.diagonal, self.wrong = Diagonal(**options), wrong
        self.dut = r = Recurrence(self.diagonal)
        self.ports = [r.state, r.pole, r.value, r.part, r.clear]

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = r = self.dut
        d, bits, fraction = self.diagonal, self.diagonal.state_bits, self.diagonal.pole_bits
        given = delayed(m, Cat(r.state, r.pole, r.value, r.part), r.latency, "given")[-1]
        state, pole, value, part = (
            Signal(len(r.state)),
            Signal(len(r.pole)),
            Signal.like(r.value),
            0,
        )
        m.d.comb += Cat(state, pole, value).eq(given)
        if r.serial:
            part = given[-1]
        cleared = delayed(m, r.clear, 1, "cleared")[-1]
        re, im = state[:bits].as_signed(), Const(0, 2)
        ar, ai = pole[: fraction + 1].as_signed(), Const(0, 2)
        if not d.real:
            im = state[bits : 2 * bits].as_signed()
            ai = pole[fraction + 1 : 2 * fraction + 2].as_signed()
        drive = value << (pole[-3:] + d.drive_shift)
        wanted = []
        for k in range(r.parts):
            half = (Const(1) << fraction) >> 1
            if d.stochastic:
                half = (state[-32:].word_select(part if r.serial else k, 16) << fraction) >> 16
            real = ar * re - ai * im
            imaginary = ar * im + ai * re
            total = Mux(part, imaginary, real) if r.serial else (real, imaginary)[k]
            exact = (total + (drive if k == 0 else 0) + (0 if self.wrong else half)) >> fraction
            low, high = -1 << (bits - 1), (1 << bits - 1) - 1
            wanted.append(Mux(exact < low, low, Mux(exact > high, high, exact))[:bits])
        age = Signal(range(r.latency + 1))
        with m.If(age != r.latency):
            m.d.sync += age.eq(age + 1)
        with m.Else():
            m.d.comb += Assert(r.new == Mux(cleared, 0, Cat(wanted)))
        return m


SMALL = {"state_bits": 2, "pole_bits": 2, "value_bits": 2}


@pytest.mark.parametrize(
    "options",
    [
        {"drive_shift": 0},
        {"drive_shift": 2, "real": True, "pole_bits": 4, "state_bits": 3},
        {"drive_shift": 3, "mixed": False, "pole_bits": 3},
        {"drive_shift": 9, "mixed": False, "real": True, "state_bits": 4},
        {"drive_shift": 1, "stochastic": True},
    ],
    ids=str,
)
def test_new_state_is_its_equation(options):
    proven, log = prove(NewState(**(SMALL | options)), steps=11)
    assert proven, (options, log[-1500:])


def test_proof_finds_wrong_rounding():
    proven, _ = prove(NewState(**SMALL, wrong=True), steps=11)
    assert not proven
