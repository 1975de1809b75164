"""Comparison of two streams."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.compare import CompareParams
from hdl.sc.difference import count_difference, difference
from hdl.sc.unit import unit_signature

__all__ = ["Compare"]


class Compare(wiring.Component):
    """Whether a has had more ones than b (equation: hdl/params/sc/compare.py). Latency 1.

    Parameters
    ----------
    params : limit of the counter.

    Members
    -------
    a, b : streams of any correlation.
    y : level, a is greater.
    """

    def __init__(self, params: CompareParams):
        self.params = params
        self.count = difference(params.limit)
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        count_difference(m, self, self.a, self.b)
        m.d.comb += self.y.eq(self.count > 0)
        return m
