"""The stochastic number generator: a number and a random number make one bit of a stream.

With w = `width` and the random number r, 0..2**w - 1, the stream of magnitude m, 0..2**w, is::

    "comparator"  bit(m, r) = r < m
    "weighted"    bit(m, r) = 1 if m == 2**w, else bit w - 1 - h of m, h = number of leading zeros
                  of r (w bits wide); 0 if r = 0

The second is the weighted binary generator (Gupta & Kumaresan 1988): a chain of gates finds the
highest one of r, which selects a bit of m. The chain does not depend on m, so many generators can
share it, and then each is one multiplexer. What the input `value` means::

    "unipolar"  m = value, 0..2**w:                   P(bit) = value / 2**w
    "bipolar"   m = value + 2**(w - 1), -2**(w - 1)..2**(w - 1):
                                                      2 P(bit) - 1 = value / 2**(w - 1)
    "ternary"   m = |value|, -2**w..2**w, and sign = value < 0:
                                                      (1 - 2 sign) P(bit) = value / 2**w

Counts. Over numbers r in which each of 0..2**w - 1 occurs once (Sobol, counter: a period) there are
exactly m ones, by either method. An LFSR lacks 0 and has 2**w - 1 cycles: "weighted" gives m ones
for m < 2**w; "comparator" gives max(m - 1, 0), and m if the LFSR is inverted (it then lacks
2**w - 1; for m = 2**w there are 2**w - 1 ones, all cycles). The prefixes differ: the first 2**k
points of Sobol's sequence give "comparator" ceil(m * 2**k / 2**w) ones, see hdl/params/sc/dense.py
for "weighted".
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_choice, check_integer

__all__ = ["SngParams"]


@dataclass(frozen=True, kw_only=True)
class SngParams(UnitParams):
    """A stochastic number generator; its random numbers come from outside.

    Parameters
    ----------
    width : bits of the random number, 1..32.
    encoding : "unipolar", "bipolar" or "ternary".
    method : "comparator" or "weighted".
    """

    width: int
    encoding: str = "unipolar"
    method: str = "comparator"

    sequential = False

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 32)
        check_choice("encoding", self.encoding, ("unipolar", "bipolar", "ternary"))
        check_choice("method", self.method, ("comparator", "weighted"))

    @property
    def ports(self) -> tuple[Port, ...]:
        one, half = 1 << self.width, 1 << (self.width - 1)
        value = {
            "unipolar": Port("value", "in", "held", self.width + 1, high=one),
            "bipolar": Port("value", "in", "held", self.width + 1, True, -half, half),
            "ternary": Port("value", "in", "held", self.width + 2, True, -one, one),
        }[self.encoding]
        sign = (Port("sign", "out"),) if self.encoding == "ternary" else ()
        return (value, Port("random", "in", "word", self.width), Port("y", "out"), *sign)
