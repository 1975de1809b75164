"""One state of a diagonal recurrence."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import saturate
from hdl.params.ssm.diagonal import GAIN_BITS, Diagonal

__all__ = ["Recurrence", "raised", "register"]


def register(m, name: str, value) -> Signal:
    """`value`, a cycle later."""
    value = Value.cast(value)
    held = Signal(value.shape(), name=name, reset_less=True)
    m.d.sync += held.eq(value)
    return held


def raised(value: Value, place: int) -> Value:
    """value + 2**place for a signed `value`, with an adder from that place on."""
    if len(value) <= place:
        value = Cat(value, value[-1].replicate(place + 1 - len(value)))
    return Cat(value[:place], value[place:].as_signed() + 1).as_signed()


class Recurrence(wiring.Component):
    """The new state from the old one and the input (equation: hdl/params/ssm/diagonal.py).

    A state a cycle, `latency` cycles later. It takes four multipliers, one if poles are real. Where
    complex states are neurons, two: a state comes twice, and each time one part is computed.

    Parameters
    ----------
    diagonal : the equations' parameters.

    Members
    -------
    state : re, im, and the draws if stochastic, lowest bits first.
    pole : ar, ai, gain.
    value : the input; where complex states are neurons that of the part.
    part : only there: which part is computed, 1 is im.
    new : re, im, or that part. May be set to 0 by `clear`, a cycle before.
    """

    #: Cycles from a state to the new one.
    latency = 4

    def __init__(self, diagonal: Diagonal):
        self.diagonal = d = diagonal
        self.serial = d.neurons == 2
        self.parts = 1 if self.serial else d.parts
        super().__init__(
            {
                "state": In(d.parts * d.state_bits + 32 * d.stochastic),
                "pole": In(d.parts * (d.pole_bits + 1) + GAIN_BITS),
                "value": In(signed(d.value_bits)),
                "part": In(1 if self.serial else 0),
                "clear": In(1),
                "new": Out(self.parts * d.state_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        d = self.diagonal
        x = [self.state.word_select(k, d.state_bits).as_signed() for k in range(d.parts)]
        a = [self.pole.word_select(k, d.pole_bits + 1).as_signed() for k in range(d.parts)]

        if d.real:
            sums = [register(m, "product", a[0] * x[0])]
        elif self.serial:
            one = register(m, "one", a[0] * Mux(self.part, x[1], x[0]))
            other = register(m, "other", a[1] * Mux(self.part, x[0], x[1]))
            minus = ~register(m, "part_1", self.part)
            other = other ^ minus.replicate(len(other)).as_signed()
            total = Cat(minus, one).as_signed() + Cat(minus, other).as_signed()
            sums = [total[1:].as_signed()]
        else:
            ar_re, ai_im = register(m, "ar_re", a[0] * x[0]), register(m, "ai_im", a[1] * x[1])
            ar_im, ai_re = register(m, "ar_im", a[0] * x[1]), register(m, "ai_re", a[1] * x[0])
            sums = [ar_re - ai_im, ar_im + ai_re]

        for k, (total, (skip, drive)) in enumerate(zip(sums, self._drives(m), strict=True)):
            turned = register(m, f"turned_{k}", total)[skip:].as_signed()
            moved = register(m, f"moved_{k}", turned + drive)
            new = self.new.word_select(k, d.state_bits)
            m.d.sync += new.eq(saturate(moved[d.pole_bits - skip :].as_signed(), d.state_bits))
        with m.If(self.clear):
            m.d.sync += self.new.eq(0)
        return m

    def _drives(self, m):
        """For each part: how many low bits don't matter, and input and rounding, in registers.

        2 cycles later. Below the lowest bit of both there is nothing to add, and nothing to keep.
        """
        d, fraction, shift = self.diagonal, self.diagonal.pole_bits, self.diagonal.drive_shift
        gained = register(m, "gained", self.value << self.pole[-GAIN_BITS:])
        for k in range(self.parts):
            driven = k == 0  # otherwise the input has no imaginary part
            if d.stochastic:
                draw = self.state[-32:].word_select(self.part if self.serial else k, 16)
                half = register(m, f"half_{k}", (draw << fraction)[16 : 16 + fraction])
                skip, drive = 0, half + ((gained << shift) if driven else 0)
            elif not driven:
                skip, drive = fraction - 1, Const(1, 2).as_signed()
            elif shift < fraction:
                skip = min(shift, fraction - 1)
                drive = raised(gained, fraction - 1 - skip)
            else:
                skip = fraction - 1
                drive = Cat(Const(1, shift - skip), gained).as_signed()
            yield skip, register(m, f"drive_{k}", drive)
