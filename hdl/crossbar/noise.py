"""The generator of Gaussian draws for a row of devices."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.pipeline import held
from hdl.params.crossbar.noise import DRAW_BITS, angles

__all__ = ["Generator"]


class Generator(wiring.Component):
    """A row of draws a cycle (equations: hdl/params/crossbar/noise.py).

    Every bit of a draw's four bytes is the exclusive or of 3 bits of the state: one LUT.

    Parameters
    ----------
    columns : draws of a row.

    Members
    -------
    shift, word : s0 becomes `word`, s1 what s0 was; two of them set a state.
    last : s1.
    advance : the next row, from the next cycle on.
    z : the draws, signed, of the state of 2 cycles ago; column 0 lowest.
    """

    def __init__(self, columns: int):
        self.columns = columns
        super().__init__(
            {
                "shift": In(1),
                "word": In(64),
                "last": Out(64),
                "advance": In(1),
                "z": Out(DRAW_BITS * columns),
            }
        )

    def elaborate(self, platform):
        m = Module()
        s0, s1 = Signal(64, reset_less=True), Signal(64, reset_less=True)
        both = s0 ^ s1
        with m.If(self.shift):
            m.d.sync += [s0.eq(self.word), s1.eq(s0)]
        with m.Elif(self.advance):
            m.d.sync += [
                s0.eq(s0.rotate_left(24) ^ both ^ (both << 16)),
                s1.eq(both.rotate_left(37)),
            ]
        m.d.comb += self.last.eq(s1)

        def word(k):
            a, b, c = angles(k)
            return s0.rotate_left(a) ^ s1.rotate_left(b) ^ s0.rotate_left(c)

        def less(a, b):
            """a - b - 1 of two bytes."""
            return (a + Cat(~b, 1))[:9].as_signed()

        for group in range(0, self.columns, 8):
            words = [word(group // 2 + i) for i in range(4)]
            for column in range(group, min(group + 8, self.columns)):
                u = [w.word_select(column - group, 8) for w in words]
                # -1 - (u0 - u1) and u2 - u3 - 1: a complement takes its 1 along, so that two of
                # three adders need no carry.
                front = held(m, f"front_{column}", less(u[1], u[0]))
                back = held(m, f"back_{column}", less(u[2], u[3]))
                m.d.sync += self.z.word_select(column, DRAW_BITS).eq(back - front)
        return m
