"""The divider of correlated streams."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.divide import DivideParams
from hdl.sc.synchronise import SkewSynchronise
from hdl.sc.unit import unit_signature

__all__ = ["Divide"]


class Divide(wiring.Component):
    """CORDIV: bits of the quotient are repeated where the divisor is 0.

    The equation stands in hdl/params/sc/divide.py.

    Parameters
    ----------
    params : depth, synchroniser.

    Members
    -------
    dividend, divisor : unipolar streams, dividend <= divisor; SCC = +1 without a synchroniser.
    index : which earlier bit is repeated; not there if depth is 1.
    y : the quotient.
    en, clear : next bit; the first state.
    """

    def __init__(self, params: DivideParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        dividend = self.dividend
        if p.synchronise:
            m.submodules.synchronise = unit = SkewSynchronise(p.synchroniser)
            m.d.comb += [
                unit.a.eq(self.dividend),
                unit.b.eq(self.divisor),
                unit.en.eq(self.en),
                unit.clear.eq(self.clear),
            ]
            dividend = unit.y
        first = sum(1 << k for k in range(1, p.depth, 2))
        taken = Signal(p.depth, init=first)
        with m.If(self.clear):
            m.d.sync += taken.eq(first)
        with m.Elif(self.en & self.divisor):
            m.d.sync += taken.eq(Cat(dividend, taken))
        again = Array(taken)[self.index] if p.depth > 1 else taken
        m.d.comb += self.y.eq(Mux(self.divisor, dividend, again))
        return m
