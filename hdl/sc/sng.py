"""The stochastic number generator."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring

from hdl.params.sc.sng import SngParams
from hdl.sc.unit import unit_signature

__all__ = ["Sng", "highest_one"]


def highest_one(number: Value) -> Value:
    """The highest set bit of `number` alone (one-hot, or 0): what weighted generators share."""
    above = [number[k + 1 :].any() for k in range(len(number) - 1)]
    return Cat(*(number[k] & ~seen for k, seen in enumerate(above)), number[-1])


class Sng(wiring.Component):
    """One bit of a stream from a value and a random number (equation: hdl/params/sc/sng.py).

    Combinational.

    Parameters
    ----------
    params : width, encoding, method.

    Members
    -------
    value : what the stream stands for.
    random : this cycle's random number.
    y : this cycle's bit.
    sign : 1 if the value is negative ("ternary" only).
    """

    def __init__(self, params: SngParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        magnitude = Signal(p.width + 1)
        if p.encoding == "ternary":
            m.d.comb += [
                self.sign.eq(self.value[-1]),
                magnitude.eq(Mux(self.sign, -self.value, self.value)),
            ]
        elif p.encoding == "bipolar":
            # Adding 2**(w - 1) to a number of w + 1 bits, modulo 2**(w + 1).
            m.d.comb += magnitude.eq(self.value + (1 << (p.width - 1)))
        else:
            m.d.comb += magnitude.eq(self.value)
        if p.method == "comparator":
            m.d.comb += self.y.eq(self.random < magnitude)
        else:
            chosen = (highest_one(self.random) & magnitude[: p.width]).any()
            m.d.comb += self.y.eq(magnitude[p.width] | chosen)
        return m
