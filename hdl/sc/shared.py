"""One LFSR that feeds several lanes."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring

from hdl.params.sc.shared import SharedLfsrParams
from hdl.sc.lfsr import Lfsr
from hdl.sc.unit import unit_signature

__all__ = ["SharedLfsr"]


class SharedLfsr(wiring.Component):
    """A number a cycle for each lane (equation: hdl/params/sc/shared.py).

    Parameters
    ----------
    params : the LFSR, number and order of the lanes.

    Members
    -------
    value_<k> : the number of lane k in this cycle.
    en, clear : next numbers; back to the seed.
    """

    def __init__(self, params: SharedLfsrParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.lfsr = lfsr = Lfsr(p.lfsr)
        m.d.comb += [lfsr.en.eq(self.en), lfsr.clear.eq(self.clear)]
        for k, order in enumerate(p.orders):
            value = Cat(lfsr.value[p.width - 1 - place] for place in reversed(order))
            m.d.comb += getattr(self, f"value_{k}").eq(~value if p.invert and k % 2 else value)
        return m
