"""Halton's sequence."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from hdl.params.sc.halton import HaltonParams
from hdl.sc.unit import unit_signature

__all__ = ["Halton"]


class Halton(wiring.Component):
    """A low-discrepancy number a cycle (equation: hdl/params/sc/halton.py).

    A counter in base b and an accumulator of its digits' weights. If the j lowest digits are b - 1,
    the next cycle sets them to 0 and adds 1 to digit j: one constant for each j is added.

    Parameters
    ----------
    params : width, base, digits.

    Members
    -------
    value : the number of this cycle.
    en, clear : next number; back to the first.
    """

    def __init__(self, params: HaltonParams):
        self.params = params
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        digits = [Signal(range(p.base), name=f"digit_{k}") for k in range(p.places)]
        total = Signal(p.width + p.guard)
        change = Signal.like(total)

        # Change of digit j = places: all digits go back to 0, and so does the accumulator.
        lost = 0
        carry = 1
        for k, (digit, weight) in enumerate(zip(digits, p.weights, strict=True)):
            full = Signal(name=f"full_{k}")
            m.d.comb += full.eq(digit == p.base - 1)
            with m.If(carry & ~full):
                m.d.comb += change.eq(weight - lost)
            with m.If(self.clear):
                m.d.sync += digit.eq(0)
            with m.Elif(self.en & carry):
                with m.If(full):
                    m.d.sync += digit.eq(0)
                with m.Else():
                    m.d.sync += digit.eq(digit + 1)
            lost += (p.base - 1) * weight
            carry = carry & full
        with m.If(carry):
            m.d.comb += change.eq(-lost)
        with m.If(self.clear):
            m.d.sync += total.eq(0)
        with m.Elif(self.en):
            m.d.sync += total.eq(total + change)
        value = total[p.guard :]
        m.d.comb += self.value.eq(~value if p.invert else value)
        return m
