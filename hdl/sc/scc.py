"""The correlation meter."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.scc import SccMeterParams
from hdl.sc.unit import unit_signature

__all__ = ["SccMeter"]


class SccMeter(wiring.Component):
    """Counts the pairs of bits of two streams (equation: hdl/params/sc/scc.py).

    The counts stand one cycle after the bits.

    Parameters
    ----------
    params : width of the counters.

    Members
    -------
    a, b : the streams.
    n11, n10, n01, n00 : cycles with these bits of (a, b).
    en, clear : count; all counts 0.
    """

    def __init__(self, params: SccMeterParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        pairs = (
            (self.n11, self.a & self.b),
            (self.n10, self.a & ~self.b),
            (self.n01, ~self.a & self.b),
            (self.n00, ~self.a & ~self.b),
        )
        for count, seen in pairs:
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(self.en & seen):
                m.d.sync += count.eq(count + 1)
        return m
