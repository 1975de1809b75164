"""Conversion between unipolar and bipolar streams."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.convert import ToBipolarParams, ToUnipolarParams
from hdl.sc.add import ScaledAdd
from hdl.sc.unit import unit_signature

__all__ = ["ToBipolar", "ToUnipolar"]


class ToBipolar(wiring.Component):
    """The same value as a bipolar stream (equation: hdl/params/sc/convert.py).

    Parameters
    ----------
    params : none.

    Members
    -------
    a : unipolar stream.
    y : bipolar stream.
    """

    def __init__(self, params: ToBipolarParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = ScaledAdd(self.params.adder)
        m.d.comb += [
            adder.en.eq(self.en),
            adder.clear.eq(self.clear),
            adder.x0.eq(self.a),
            adder.x1.eq(1),
            self.y.eq(adder.y),
        ]
        return m


class ToUnipolar(wiring.Component):
    """The same value as a unipolar stream, 0 if negative (equation: hdl/params/sc/convert.py).

    Parameters
    ----------
    params : limit of the counter.

    Members
    -------
    a : bipolar stream.
    y : unipolar stream.
    """

    def __init__(self, params: ToUnipolarParams):
        self.params = params
        self.owed = Signal(range(params.limit + 1))
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        limit, owed = self.params.limit, self.owed
        m.d.comb += self.y.eq(self.a & (owed == 0))
        with m.If(self.clear):
            m.d.sync += owed.eq(0)
        with m.Elif(self.en & (owed != Mux(self.a, 0, limit))):
            m.d.sync += owed.eq(owed + Mux(self.a, -1, 1))
        return m
