"""The linear feedback shift register."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.lfsr import LfsrParams
from hdl.sc.unit import unit_signature

__all__ = ["Lfsr", "advanced"]


def advanced(state, taps, steps: int):
    """The state `steps` single steps later (equation: hdl/params/sc/lfsr.py)."""
    bits = list(state)  # bits[k]: bit k; each step puts a new one in front
    for _ in range(steps):
        bits = [Cat(bits[tap - 1] for tap in taps).xor(), *bits[:-1]]
    return Cat(bits)


class Lfsr(wiring.Component):
    """A pseudo-random number a cycle (equation: hdl/params/sc/lfsr.py).

    Parameters
    ----------
    params : width, seed, steps, form of the output.

    Members
    -------
    value : the number of this cycle.
    state : the bits themselves (inside).
    en, clear : next number; back to the seed.
    """

    def __init__(self, params: LfsrParams):
        self.params = params
        self.state = Signal(params.width, init=params.seed)
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        state = self.state
        with m.If(self.clear):
            m.d.sync += state.eq(p.seed)
        with m.Elif(self.en):
            m.d.sync += state.eq(advanced(state, p.taps, p.steps))
        value = ~state if p.invert else state
        m.d.comb += self.value.eq(value.rotate_left(p.rotate))
        return m
