"""Functions by saturating counters: tanh, exp, ReLU."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.fsm import ExponentialParams, ReluParams, TanhParams
from hdl.sc.unit import unit_signature

__all__ = ["Exponential", "Relu", "Tanh"]


class _Walk(wiring.Component):
    """A counter from 0 to states - 1 that a one moves up and a zero moves down."""

    def __init__(self, params):
        self.params = params
        super().__init__(unit_signature(params))
        self.state = Signal(range(params.states), init=params.states // 2)

    def elaborate(self, platform):
        m = Module()
        state = self.state
        top = self.params.states - 1
        with m.If(self.clear):
            m.d.sync += state.eq(state.init)
        with m.Elif(self.en & Mux(self.a, state != top, state != 0)):
            m.d.sync += state.eq(state + Mux(self.a, 1, -1))
        return m


class Tanh(_Walk):
    """tanh of a bipolar stream of i.i.d. bits (equation: hdl/params/sc/fsm.py).

    Parameters
    ----------
    params : number of states.

    Members
    -------
    a : the stream, bipolar.
    y : its tanh, bipolar.
    en, clear : next state; the first state.
    """

    def __init__(self, params: TanhParams):
        super().__init__(params)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(self.state >= self.params.states // 2)
        return m


class Exponential(_Walk):
    """exp(-2 gain x) of a bipolar stream of i.i.d. bits (equation: hdl/params/sc/fsm.py).

    Parameters
    ----------
    params : number of states, gain.

    Members
    -------
    a : the stream, bipolar.
    y : its exponential, unipolar.
    en, clear : next state; the first state.
    """

    def __init__(self, params: ExponentialParams):
        super().__init__(params)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(self.state < self.params.states - self.params.gain)
        return m


class Relu(wiring.Component):
    """max(0, x) of a bipolar stream of i.i.d. bits (equation: hdl/params/sc/fsm.py).

    Parameters
    ----------
    params : number of states.

    Members
    -------
    a : the stream, bipolar.
    y : its rectified value, bipolar.
    en, clear : next state; the first state.
    """

    def __init__(self, params: ReluParams):
        self.params = params
        super().__init__(unit_signature(params))
        self.state = Signal(range(params.states), init=1)

    def elaborate(self, platform):
        m = Module()
        state = self.state
        m.d.comb += self.y.eq(self.a | (state == 0))
        with m.If(self.clear):
            m.d.sync += state.eq(1)
        with m.Elif(self.en & ~(self.y & (state == self.params.states - 1))):
            m.d.sync += state.eq(state + Mux(self.y, 1, -1))
        return m
