"""A binary multiplier made of stochastic units."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.product import ProductParams
from hdl.sc.estimate import Estimate
from hdl.sc.multiply import Multiply
from hdl.sc.sng import Sng
from hdl.sc.source import make_source
from hdl.sc.unit import unit_signature

__all__ = ["Product"]


class Product(wiring.Component):
    """Two SNGs, a gate and a counter (equation: hdl/params/sc/product.py).

    Latency 2: the product's bit is in a register before it is counted.

    Parameters
    ----------
    params : width, encoding, the generators, bits of the longest run.

    Members
    -------
    a, b : operands, constant during a run.
    cycles : of a run, constant during it.
    value : the count so far; value / cycles is the product.
    done : level, the run is over.
    """

    def __init__(self, params: ProductParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.gate = gate = Multiply(p.gate)
        for name, operand, factor, source in zip(
            "ab", (self.a, self.b), (gate.a, gate.b), p.sources, strict=True
        ):
            m.submodules[f"source_{name}"] = numbers = make_source(source)
            m.submodules[f"sng_{name}"] = sng = Sng(p.sng)
            m.d.comb += [
                numbers.en.eq(self.en),
                numbers.clear.eq(self.clear),
                sng.value.eq(operand),
                sng.random.eq(numbers.value),
                factor.eq(sng.y),
            ]
        product, arrived = Signal(reset_less=True), Signal()
        with m.If(self.clear):
            m.d.sync += arrived.eq(0)
        with m.Elif(self.en):
            m.d.sync += [product.eq(gate.y), arrived.eq(1)]
        m.submodules.estimate = estimate = Estimate(p.estimate)
        m.d.comb += [
            estimate.en.eq(self.en),
            estimate.clear.eq(self.clear | ~arrived),
            estimate.a.eq(product),
            estimate.cycles.eq(self.cycles),
            self.value.eq(estimate.value),
            self.done.eq(estimate.done),
        ]
        return m
