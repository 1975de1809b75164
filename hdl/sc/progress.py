"""Early termination by progressive precision."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.progress import ProgressParams
from hdl.sc.unit import unit_signature

__all__ = ["Progress"]


class Progress(wiring.Component):
    """Counts ones and stops when the estimate has settled (equation: hdl/params/sc/progress.py).

    The outputs stand one cycle after the bits.

    There is no shifter: between checkpoints k - 1 and k every one adds 2**(n - k), and at a
    checkpoint the sum is halved, since the weight of what it counted halves too.

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

    def elaborate(self, platform):
        m = Module()
        p = self.params
        bits = p.bits
        time, total = Signal(bits + 1), Signal(bits + 1)
        #: One bit set, number k: the next checkpoint is after 2**k bits.
        next_check = Signal(bits + 1, init=1)
        previous = Signal(bits + 1)
        #: A checkpoint has just been passed which may end the stream; it has ended before.
        fresh, over = Signal(), Signal()

        weight = next_check[::-1]
        new_time, new_total = Signal(bits + 1), Signal(bits + 1)
        check = Signal()
        m.d.comb += [
            new_time.eq(time + 1),
            new_total.eq(total + Mux(self.a, weight, 0)),
            check.eq((new_time & next_check).any()),
        ]
        difference = Signal(bits + 1)
        m.d.comb += [
            difference.eq(
                Mux(
                    self.estimate >= previous,
                    self.estimate - previous,
                    previous - self.estimate,
                )
            ),
            self.done.eq(over | (fresh & (difference <= p.tolerance))),
        ]
        with m.If(self.clear):
            m.d.sync += [
                time.eq(0),
                total.eq(0),
                next_check.eq(1),
                self.estimate.eq(0),
                fresh.eq(0),
                over.eq(0),
            ]
        with m.Elif(self.en):
            m.d.sync += over.eq(self.done)
            with m.If(~self.done):
                m.d.sync += [time.eq(new_time), total.eq(new_total), fresh.eq(0)]
                with m.If(check):
                    m.d.sync += [
                        total.eq(new_total >> 1),
                        next_check.eq(Cat(0, next_check)),
                        previous.eq(self.estimate),
                        self.estimate.eq(new_total),
                        fresh.eq(next_check[p.first + 1 :].any()),
                        over.eq(next_check[bits]),
                    ]
        return m
