"""Subtraction and absolute value."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.subtract import (
    AbsoluteDifferenceParams,
    AbsoluteValueParams,
    SubtractParams,
)
from hdl.sc.add import ScaledAdd
from hdl.sc.difference import count_difference, difference
from hdl.sc.unit import unit_signature

__all__ = ["AbsoluteDifference", "AbsoluteValue", "Subtract"]


class Subtract(wiring.Component):
    """The difference of bipolar streams (equation: hdl/params/sc/subtract.py).

    Parameters
    ----------
    params : scale, depth of the accumulator.

    Members
    -------
    a, b : streams of any correlation.
    y : (a - b) / scale.
    """

    def __init__(self, params: SubtractParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = ScaledAdd(self.params.adder)
        m.d.comb += [
            adder.en.eq(self.en),
            adder.clear.eq(self.clear),
            adder.x0.eq(self.a),
            adder.x1.eq(~self.b),
            self.y.eq(adder.y),
        ]
        return m


class AbsoluteDifference(wiring.Component):
    """|a - b| by an XOR (equation: hdl/params/sc/subtract.py). Combinational.

    Parameters
    ----------
    params : none.

    Members
    -------
    a, b : unipolar streams of SCC = +1.
    y : |a - b|.
    """

    def __init__(self, params: AbsoluteDifferenceParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.y.eq(self.a ^ self.b)
        return m


class AbsoluteValue(wiring.Component):
    """|a| of a bipolar stream (equation: hdl/params/sc/subtract.py).

    Parameters
    ----------
    params : limit of the counter.

    Members
    -------
    a : bipolar stream.
    y : its absolute value, bipolar.
    """

    def __init__(self, params: AbsoluteValueParams):
        self.params = params
        self.count = difference(params.limit)
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        count_difference(m, self, self.a, ~self.a)
        m.d.comb += self.y.eq((self.count == 0) | (self.a ^ (self.count < 0)))
        return m
