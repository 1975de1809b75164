"""Early termination by progressive precision."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring

from hdl.params.sc.progress import ProgressParams
from hdl.sc.step import below
from hdl.sc.unit import unit_signature

__all__ = ["Progress"]


class Progress(wiring.Component):
    """Counts ones and stops when the estimate has settled (equation: hdl/params/sc/progress.py).

    The outputs stand one cycle after the bits.

    There is no shifter: between checkpoints k - 1 and k every one adds 2**(n - k), and at a
    checkpoint the sum is halved, since the weight of what it counted halves too. The change starts
    at the inverse of that half: -E(k - 1) / 2 - 1.

    Parameters
    ----------
    params : length of the stream, when to stop.

    Members
    -------
    a : the stream.
    done : level, the estimate is final.
    estimate : of the last checkpoint, in units of 2**-n.
    en, clear : next bit; a new stream.
    """

    def __init__(self, params: ProgressParams):
        self.params = params
        super().__init__(unit_signature(params))
        bits = params.bits
        #: 2**k - 1 for the next checkpoint k, and the bits that are left before its last one.
        self.span, self.left = Signal(bits), Signal(bits)
        #: The running E(k), and what it is above E(k - 1), less 1.
        self.total, self.change = Signal(bits + 1), Signal(signed(bits + 1))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        bits = p.bits
        span, left, total, change = self.span, self.left, self.total, self.change
        one_hot = Cat(1, span) & Cat(~span, 1)
        weight = one_hot[::-1] & self.a.replicate(bits + 1)
        new_total, new_change = Signal(bits + 1), Signal(bits + 1)
        settled = Signal()
        m.d.comb += [
            new_total.eq(total + weight),
            new_change.eq(change + weight),
            settled.eq(
                Mux(
                    new_change[-1],
                    below(~new_change[:-1], p.tolerance + 1),
                    below(new_change[:-1], p.tolerance),
                )
            ),
        ]
        with m.If(self.clear):
            m.d.sync += [
                span.eq(0),
                left.eq(0),
                total.eq(0),
                self.estimate.eq(0),
                self.done.eq(0),
            ]
        with m.Elif(self.en & ~self.done):
            m.d.sync += [left.eq(left - 1), total.eq(new_total), change.eq(new_change)]
            with m.If(left == 0):
                m.d.sync += [
                    span.eq(Cat(1, span)),
                    left.eq(span),
                    total.eq(new_total >> 1),
                    change.eq(~(new_total >> 1)),
                    self.estimate.eq(new_total),
                    self.done.eq((span[p.first] & settled) | span[-1]),
                ]
        return m
