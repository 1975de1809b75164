"""Halton's sequence."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.params.sc.halton import HaltonParams
from hdl.sc.unit import unit_signature

__all__ = ["Halton"]


class Halton(wiring.Component):
    """A low-discrepancy number a cycle (equation: hdl/params/sc/halton.py).

    A counter in base b and an accumulator of its digits' weights. If the j lowest digits are b - 1,
    the next cycle sets them to 0 and adds 1 to digit j: one constant for each j is added. The
    digits are one cycle ahead, so that the constant comes from a register.

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
        digits = [Signal(range(p.base), name=f"digit_{k}", init=k == 0) for k in range(p.places)]
        total = Signal(p.width + p.guard)
        change = Signal.like(total, init=p.weights[0])
        with m.If(self.clear):
            m.d.sync += [total.eq(0), change.eq(p.weights[0])]
            m.d.sync += [digit.eq(k == 0) for k, digit in enumerate(digits)]
        with m.Elif(self.en):
            m.d.sync += total.eq(total + change)
            carry = 1
            lost = 0
            for digit, weight in zip(digits, p.weights, strict=True):
                full = digit == p.base - 1
                with m.If(carry):
                    m.d.sync += digit.eq(Mux(full, 0, digit + 1))
                with m.If(carry & ~full):
                    m.d.sync += change.eq(weight - lost)
                lost += (p.base - 1) * weight
                carry = carry & full
            with m.If(carry):  # all digits go back to 0, and so does the accumulator
                m.d.sync += change.eq(-lost)
        value = total[p.guard :]
        m.d.comb += self.value.eq(~value if p.invert else value)
        return m
