"""Stochastic rounding: low bits are dropped, and the result is right on average.

With x a signed word of `bits` bits, d = `drop` and r a number in 0..2**d - 1::

    y = (x + r) >> d        (arithmetic shift), saturated to `out_bits` bits

Over all r exactly x mod 2**d results are floor(x / 2**d) + 1 and the others floor(x / 2**d), so
the sum over all r is x: unbiased for uniform r, with variance f * (1 - f) in units of the result,
f = (x mod 2**d) / 2**d. A result that saturates is biased; with out_bits = bits - drop + 1, the
default, none does, with bits - drop only results of floor(x / 2**d) = 2**(out_bits - 1) - 1.

Source: Gupta, Agrawal, Gopalakrishnan & Narayanan, "Deep learning with limited numerical
precision" (2015), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["StochasticRoundParams"]


@dataclass(frozen=True, kw_only=True)
class StochasticRoundParams(UnitParams):
    """A stochastic rounding unit.

    Parameters
    ----------
    bits : of the signed input, 2..40.
    drop : low bits that are dropped, 1..bits - 1.
    out_bits : of the signed result, 1..bits - drop + 1; None is the latter.
    """

    bits: int
    drop: int
    out_bits: int | None = None

    sequential = False

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 2, 40)
        check_integer("drop", self.drop, 1, self.bits - 1)
        if self.out_bits is not None:
            check_integer("out_bits", self.out_bits, 1, self.bits - self.drop + 1)

    @property
    def result_bits(self) -> int:
        """Bits of the result."""
        return self.bits - self.drop + 1 if self.out_bits is None else self.out_bits

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port("x", "in", "word", self.bits, signed=True),
            Port("random", "in", "word", self.drop),
            Port("y", "out", "word", self.result_bits, signed=True),
        )
