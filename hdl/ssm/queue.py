"""Sums that wait until the core takes them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import registered

__all__ = ["SumQueue"]


class SumQueue(wiring.Component):
    """A queue of sums, which promises room to those that are still being computed.

    Parameters
    ----------
    bits : of a sum.
    latency : cycles from `begin` to `done`; so many sums and some more have room.

    Members
    -------
    room : a sum may begin.
    begin : one does, which comes with `done` later.
    done, acc : it is there.
    ready, take, sum : as of all dendrites (hdl/neuron/ports.py).
    """

    def __init__(self, bits: int, latency: int):
        self.depth = max(16, 1 << (latency + 3).bit_length())
        super().__init__(
            {
                "room": Out(1),
                "begin": In(1),
                "done": In(1),
                "acc": In(bits),
                "ready": Out(1),
                "take": In(1),
                "sum": Out(bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        begun, done, taken = (
            Signal(range(2 * self.depth), name=name) for name in ("begun", "done_count", "taken")
        )
        for counter, strobe in ((begun, self.begin), (done, self.done), (taken, self.take)):
            with m.If(strobe):
                m.d.sync += counter.eq(counter + 1)
        found, write = registered(
            m, "sums", taken[:-1], 1, depth=self.depth, bits=len(self.acc)
        )  # of 2 cycles ago
        m.d.comb += [
            self.room.eq((begun ^ taken) != self.depth),
            self.ready.eq(done != taken),
            write.addr.eq(done[:-1]),
            write.data.eq(self.acc),
            write.en.eq(self.done),
            self.sum.eq(found),
        ]
        return m
