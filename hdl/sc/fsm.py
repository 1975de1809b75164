"""Functions by saturating counters: tanh, exp, ReLU."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.fsm import ReluParams
from hdl.sc.step import below, step
from hdl.sc.unit import unit_signature

__all__ = ["Exponential", "Relu", "Tanh"]


class _Walk(wiring.Component):
    """A counter that a one moves up and a zero moves down, between two ends.

    `state` is s + `low`, in the middle of its range: its highest bit is s >= N / 2, and one end
    is the inverse of the other, so that one comparison finds the end that `a` pushes against.
    """

    def __init__(self, params):
        self.params = params
        super().__init__(unit_signature(params))
        bits = (params.states - 1).bit_length()
        self.low = (1 << (bits - 1)) - params.states // 2
        self.state = Signal(bits, init=1 << (bits - 1))

    def elaborate(self, platform):
        m = Module()
        state = self.state
        ends = (state ^ self.a.replicate(len(state))) == self.low
        with m.If(self.clear):
            m.d.sync += state.eq(state.init)
        with m.Elif(self.en & ~ends):
            m.d.sync += state.eq(step(state, self.a))
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

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(self.state[-1])
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

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.y.eq(below(self.state, self.low + self.params.states - self.params.gain))
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
        self.low = 0
        self.state = Signal(range(params.states), init=1)

    def elaborate(self, platform):
        m = Module()
        state = self.state
        m.d.comb += self.y.eq(self.a | (state == 0))
        with m.If(self.clear):
            m.d.sync += state.eq(1)
        with m.Elif(self.en & ~(self.y & (state == self.params.states - 1))):
            m.d.sync += state.eq(step(state, self.y))
        return m
