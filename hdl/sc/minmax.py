"""Minimum and maximum of two streams."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.minmax import MaximumParams, MinimumParams
from hdl.sc.difference import count_difference, difference
from hdl.sc.unit import unit_signature

__all__ = ["Maximum", "Minimum"]


class _Choice(wiring.Component):
    def __init__(self, params: MaximumParams | MinimumParams):
        self.params = params
        self.count = difference(params.limit)
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        if self.params.limit:
            count_difference(m, self, self.a, self.b)
        m.d.comb += self.y.eq(self._choose(self.count))
        return m


class Maximum(_Choice):
    """The larger of two streams (equation: hdl/params/sc/minmax.py).

    Parameters
    ----------
    params : limit of the counter, or 0 for an OR gate.

    Members
    -------
    a, b : streams; with a counter of any correlation, for the gate of SCC = +1.
    y : the larger.
    """

    def _choose(self, count):
        return (self.a & (self.b | (count >= 0))) | (self.b & (count <= 0))


class Minimum(_Choice):
    """The smaller of two streams (equation: hdl/params/sc/minmax.py).

    Parameters
    ----------
    params : limit of the counter, or 0 for an AND gate.

    Members
    -------
    a, b : streams; with a counter of any correlation, for the gate of SCC = +1.
    y : the smaller.
    """

    def _choose(self, count):
        return (self.a & (self.b | (count < 0))) | (self.b & (count > 0))
