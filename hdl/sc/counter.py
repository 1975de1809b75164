"""The counter as number generator."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.counter import CounterParams
from hdl.sc.unit import unit_signature

__all__ = ["Counter"]


class Counter(wiring.Component):
    """A ramp (equation: hdl/params/sc/counter.py).

    Parameters
    ----------
    params : width, divide, invert.

    Members
    -------
    value : the number of this cycle.
    count : the cycle's number (inside).
    en, clear : next cycle; back to the first.
    """

    def __init__(self, params: CounterParams):
        self.params = params
        self.count = Signal(params.width + params.divide)
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        with m.If(self.clear):
            m.d.sync += self.count.eq(0)
        with m.Elif(self.en):
            m.d.sync += self.count.eq(self.count + 1)
        ramp = self.count[p.divide :]
        m.d.comb += self.value.eq(~ramp if p.invert else ramp)
        return m
