"""The Bernoulli sampler."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.params.sc.bernoulli import BernoulliParams
from hdl.sc.lfsr import Lfsr
from hdl.sc.unit import unit_signature

__all__ = ["Bernoulli"]


class Bernoulli(wiring.Component):
    """Bits of a programmed probability (equation: hdl/params/sc/bernoulli.py).

    Parameters
    ----------
    params : bits of the probability, lanes, generator.

    Members
    -------
    p : probability times 2**bits, 0..2**bits.
    y, or y0, y1, ... : a sample of each lane.
    en, clear : next draw; back to the first.
    """

    def __init__(self, params: BernoulliParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.generator = generator = Lfsr(p.generator)
        m.d.comb += [generator.en.eq(self.en), generator.clear.eq(self.clear)]
        for lane, name in enumerate(p.samples):
            word = generator.value[lane * p.bits : (lane + 1) * p.bits]
            m.d.comb += getattr(self, name).eq((word + self.p)[p.bits])  # a carry
        return m
