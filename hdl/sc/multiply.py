"""Multiplication by one gate."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.multiply import MultiplyParams
from hdl.sc.unit import unit_signature

__all__ = ["Multiply"]


class Multiply(wiring.Component):
    """AND or XNOR (equation: hdl/params/sc/multiply.py). Combinational.

    Parameters
    ----------
    params : encoding.

    Members
    -------
    a, b : independent streams (SCC = 0).
    y : their product.
    """

    def __init__(self, params: MultiplyParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        if self.params.encoding == "unipolar":
            m.d.comb += self.y.eq(self.a & self.b)
        else:
            m.d.comb += self.y.eq(~(self.a ^ self.b))
        return m
