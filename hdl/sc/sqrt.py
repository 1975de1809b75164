"""The square root by bit insertion."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.sqrt import SquareRootParams
from hdl.sc.step import step
from hdl.sc.unit import unit_signature

__all__ = ["SquareRoot"]


class SquareRoot(wiring.Component):
    """A unipolar square root (equation: hdl/params/sc/sqrt.py).

    Parameters
    ----------
    params : how many bits it looks back.

    Members
    -------
    a : the stream.
    index : which earlier output bit decides on an insertion; not there if depth is 1.
    y : its square root.
    en, clear : next bit; the first state.
    """

    def __init__(self, params: SquareRootParams):
        self.params = params
        super().__init__(unit_signature(params))
        depth = params.depth
        #: Ones to come, whether one is inserted, the last outputs (the newest lowest).
        self.owed = Signal(range(depth + 1))
        self.insert = Signal()
        self.last = Signal(depth, init=sum(1 << k for k in range(0, depth, 2)))

    def elaborate(self, platform):
        m = Module()
        owed, insert, last = self.owed, self.insert, self.last
        before = Array(last)[self.index] if self.params.depth > 1 else last
        more, less = Signal(), Signal()
        m.d.comb += [
            self.y.eq((owed != 0) | self.a | insert),
            more.eq(self.a & insert),
            less.eq((owed != 0) & ~self.a & ~insert),
        ]
        with m.If(self.clear):
            m.d.sync += [owed.eq(0), insert.eq(0), last.eq(last.init)]
        with m.Elif(self.en):
            m.d.sync += [insert.eq(self.y & ~before), last.eq(Cat(self.y, last))]
            with m.If(more | less):
                m.d.sync += owed.eq(step(owed, more))
        return m
