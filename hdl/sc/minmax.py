"""Minimum and maximum of two streams."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.minmax import MaximumParams, MinimumParams
from hdl.sc.difference import difference
from hdl.sc.unit import unit_signature

__all__ = ["Maximum", "Minimum"]


class _Choice(wiring.Component):
    def __init__(self, params: MaximumParams | MinimumParams):
        self.params = params
        super().__init__(unit_signature(params))

    def _count(self, m):
        return difference(m, self, self.a, self.b, self.params.limit) if self.params.limit else 0


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

    def elaborate(self, platform):
        m = Module()
        count = self._count(m)
        m.d.comb += self.y.eq((self.a & (self.b | (count >= 0))) | (self.b & (count <= 0)))
        return m


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

    def elaborate(self, platform):
        m = Module()
        count = self._count(m)
        m.d.comb += self.y.eq((self.a & (self.b | (count < 0))) | (self.b & (count > 0)))
        return m
