"""Synchroniser, desynchroniser and skewed synchroniser of two streams."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.synchronise import (
    DesynchroniseParams,
    SkewSynchroniseParams,
    SynchroniseParams,
)
from hdl.sc.step import step
from hdl.sc.unit import unit_signature

__all__ = ["Desynchronise", "SkewSynchronise", "Synchronise"]


class Synchronise(wiring.Component):
    """Ones are paired with those of the other stream (equation: hdl/params/sc/synchronise.py).

    Parameters
    ----------
    params : ones that are saved at most.

    Members
    -------
    a, b : the streams.
    y_a, y_b : the streams, their ones moved.
    en, clear : save or release; nothing saved.
    """

    def __init__(self, params: SynchroniseParams):
        self.params = params
        super().__init__(unit_signature(params))
        #: Ones of `a` that are saved; negative: of `b`.
        self.saved = Signal(range(-params.depth, params.depth + 1))

    def elaborate(self, platform):
        m = Module()
        depth, saved = self.params.depth, self.saved
        only_a, only_b, both = Signal(), Signal(), Signal()
        has_a, has_b = Signal(), Signal()
        full_a, full_b = Signal(), Signal()
        m.d.comb += [
            only_a.eq(self.a & ~self.b),
            only_b.eq(~self.a & self.b),
            both.eq(self.a & self.b),
            has_a.eq(saved > 0),
            has_b.eq(saved < 0),
            full_a.eq(saved == depth),
            full_b.eq(saved == -depth),
            self.y_a.eq(both | (only_a & (has_b | full_a)) | (only_b & has_a)),
            self.y_b.eq(both | (only_b & (has_a | full_b)) | (only_a & has_b)),
        ]
        with m.If(self.clear):
            m.d.sync += saved.eq(0)
        with m.Elif(self.en & ((only_a & ~full_a) | (only_b & ~full_b))):
            m.d.sync += saved.eq(step(saved, self.a))
        return m


class Desynchronise(wiring.Component):
    """Ones are parted from those of the other stream (equation: hdl/params/sc/synchronise.py).

    Parameters
    ----------
    params : ones that are saved at most.

    Members
    -------
    a, b : the streams.
    y_a, y_b : the streams, their ones moved.
    en, clear : save or release; nothing saved, `a` has the turn.
    """

    def __init__(self, params: DesynchroniseParams):
        self.params = params
        super().__init__(unit_signature(params))
        #: Ones that are saved, and of which stream: 0 `a`, 1 `b`.
        self.saved = Signal(range(params.depth + 1))
        self.turn = Signal()

    def elaborate(self, platform):
        m = Module()
        saved, turn = self.saved, self.turn
        save, release = Signal(), Signal()
        m.d.comb += [
            save.eq(self.a & self.b & (saved != self.params.depth)),
            release.eq(~self.a & ~self.b & (saved != 0)),
            self.y_a.eq(Mux(save, turn, self.a) | (release & ~turn)),
            self.y_b.eq(Mux(save, ~turn, self.b) | (release & turn)),
        ]
        with m.If(self.clear):
            m.d.sync += [saved.eq(0), turn.eq(0)]
        with m.Elif(self.en & (save | release)):
            m.d.sync += saved.eq(step(saved, save))
            with m.If(release & (saved == 1)):
                m.d.sync += turn.eq(~turn)
        return m


class SkewSynchronise(wiring.Component):
    """Ones of `a` are moved to ones of `b` (equation: hdl/params/sc/synchronise.py).

    Parameters
    ----------
    params : ones that are saved at most.

    Members
    -------
    a, b : the streams; a <= b.
    y : stream `a`, its ones moved.
    en, clear : save or release; nothing saved.
    """

    def __init__(self, params: SkewSynchroniseParams):
        self.params = params
        super().__init__(unit_signature(params))
        #: Ones of `a` that are saved.
        self.saved = Signal(range(params.depth + 1))

    def elaborate(self, platform):
        m = Module()
        saved = self.saved
        save, release = Signal(), Signal()
        m.d.comb += [
            save.eq(self.a & ~self.b & (saved != self.params.depth)),
            release.eq(~self.a & self.b & (saved != 0)),
            self.y.eq((self.a & ~save) | release),
        ]
        with m.If(self.clear):
            m.d.sync += saved.eq(0)
        with m.Elif(self.en & (save | release)):
            m.d.sync += saved.eq(step(saved, save))
        return m
