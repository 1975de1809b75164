"""From a stream back to a binary number."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring

from hdl.params.sc.estimate import EstimateParams, MovingAverageParams
from hdl.sc.unit import unit_signature

__all__ = ["Estimate", "MovingAverage"]


class Estimate(wiring.Component):
    """The count of a stream's ones, or ones less zeros (equation: hdl/params/sc/estimate.py).

    Latency 1.

    Parameters
    ----------
    params : bits of the longest run, encoding.

    Members
    -------
    a : the stream.
    cycles : how many count, constant during a run.
    value : the count so far.
    done : level, `cycles` cycles have been counted.
    """

    def __init__(self, params: EstimateParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        cycle = Signal(p.bits + 1, init=1)
        if p.encoding == "bipolar":
            step = Mux(self.a, 1, -1)
        else:
            step = self.a
        with m.If(self.clear):
            m.d.sync += [cycle.eq(1), self.value.eq(0), self.done.eq(0)]
        with m.Elif(self.en & ~self.done):
            m.d.sync += [
                cycle.eq(cycle + 1),
                self.value.eq(self.value + step),
                self.done.eq(cycle == self.cycles),
            ]
        return m


class MovingAverage(wiring.Component):
    """An exponential average of a stream (equation: hdl/params/sc/estimate.py). Latency 1.

    Parameters
    ----------
    params : width, shift, encoding.

    Members
    -------
    a : the stream.
    value : the average.
    """

    def __init__(self, params: MovingAverageParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        one = 1 << p.width
        bipolar = p.encoding == "bipolar"
        acc = Signal((signed if bipolar else unsigned)(p.width + p.shift + 1 + bipolar))
        step = Mux(self.a, one, -one) if bipolar else self.a << p.width
        with m.If(self.clear):
            m.d.sync += acc.eq(0)
        with m.Elif(self.en):
            m.d.sync += acc.eq(acc - (acc >> p.shift) + step)
        m.d.comb += self.value.eq(acc >> p.shift)
        return m
