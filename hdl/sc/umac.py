"""uMAC: the sum of products of a stream with a held number."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.umac import UMacParams
from hdl.sc.add import ParallelCount, ScaledAdd
from hdl.sc.umul import UMul
from hdl.sc.unit import unit_signature

__all__ = ["UMac"]


class UMac(wiring.Component):
    """A dot product (equation: hdl/params/sc/umac.py).

    The adder stays cleared until the first products arrive.

    Parameters
    ----------
    params : number of inputs, products, kind of output.

    Members
    -------
    x0, x1, ... : streams of any correlation.
    b0, b1, ... : binary, constant during a run.
    y or count : their dot product.
    """

    def __init__(self, params: UMacParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.adder = adder = (ScaledAdd if p.output == "stream" else ParallelCount)(p.adder)
        for k in range(p.inputs):
            m.submodules[f"product_{k}"] = product = UMul(p.product)
            m.d.comb += [
                product.en.eq(self.en),
                product.clear.eq(self.clear),
                product.a.eq(getattr(self, f"x{k}")),
                product.b.eq(getattr(self, f"b{k}")),
                getattr(adder, f"x{k}").eq(product.y),
            ]
        arrived = Signal(p.product.latency)
        with m.If(self.clear):
            m.d.sync += arrived.eq(0)
        with m.Elif(self.en):
            m.d.sync += arrived.eq((arrived << 1) | 1)
        m.d.comb += [adder.en.eq(self.en), adder.clear.eq(self.clear | ~arrived[-1])]
        result = p.adder.ports[-1].name
        m.d.comb += getattr(self, result).eq(getattr(adder, result))
        return m
