"""Delay of a stream, and the shuffle buffer that decorrelates it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.delay import DecorrelateParams, DelayParams
from hdl.sc.unit import unit_signature

__all__ = ["Decorrelate", "Delay"]


class Delay(wiring.Component):
    """A stream `cycles` later (equation: hdl/params/sc/delay.py).

    Parameters
    ----------
    params : number of cycles.

    Members
    -------
    a : the stream.
    y : the delayed stream.
    en, clear : shift; all bits 0.
    """

    def __init__(self, params: DelayParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        bits = Signal(self.params.cycles)
        with m.If(self.clear):
            m.d.sync += bits.eq(0)
        with m.Elif(self.en):
            m.d.sync += bits.eq(Cat(self.a, bits))
        m.d.comb += self.y.eq(bits[-1])
        return m


class Decorrelate(wiring.Component):
    """A shuffle buffer: bits leave in random order (equation: hdl/params/sc/delay.py).

    Parameters
    ----------
    params : bits held.

    Members
    -------
    a : the stream.
    index : the held bit that changes places with `a`; `depth` or more: none, `a` passes.
    y : the shuffled stream.
    en, clear : exchange; the first contents again.
    """

    def __init__(self, params: DecorrelateParams):
        self.params = params
        super().__init__(unit_signature(params))
        self.held = Signal(params.depth, init=sum(1 << k for k in range(1, params.depth, 2)))

    def elaborate(self, platform):
        m = Module()
        depth, held = self.params.depth, self.held
        with m.If(self.clear):
            m.d.sync += held.eq(held.init)
        with m.Elif(self.en):
            for k in range(depth):
                with m.If(self.index == k):
                    m.d.sync += held[k].eq(self.a)
        m.d.comb += self.y.eq(Mux(self.index < depth, Array(held)[self.index], self.a))
        return m
