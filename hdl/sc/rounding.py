"""Stochastic rounding."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.arithmetic import saturate
from hdl.params.sc.rounding import StochasticRoundParams
from hdl.sc.unit import unit_signature

__all__ = ["StochasticRound"]


class StochasticRound(wiring.Component):
    """y = (x + random) >> drop, saturated (equation: hdl/params/sc/rounding.py).

    Combinational: one adder, whose low bits are only a carry.

    Parameters
    ----------
    params : widths.

    Members
    -------
    x : the number to round.
    random : a uniform number; a new one for each x.
    y : the result.
    """

    def __init__(self, params: StochasticRoundParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        total = (self.x + self.random)[: self.params.bits + 1].as_signed()
        high = total[self.params.drop :].as_signed()
        m.d.comb += self.y.eq(saturate(high, self.params.result_bits))
        return m
