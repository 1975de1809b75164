"""uMUL: a stream times a held number, without any condition on the stream's correlation.

With n = `width`, K1(t) and K0(t) = ones and zeros of a before cycle t, and r(k) = point k of a
Sobol dimension in natural order (hdl/params/sc/sobol.py) ^ (2**(n // 2) - 1), period 2**n::

    unipolar   T = b           y(t) = a(t) & (r(K1(t)) < T)
    bipolar    T = b + 2**(n-1)
               y(t) = r(K1(t)) < T if a(t) else not (r(K0(t)) < T)

b is 0..2**n for the value b / 2**n, bipolar -2**(n-1)..2**(n-1) for b / 2**(n-1).

The number generator advances only on the ones of a, a second one on the zeros, so of the next k
ones of a about k b / 2**n pass, which ones a has does not matter. Exactly: ones of y =
#(i < K : r(i) < b) for K ones of a, in any order. A period of 2**n bits is off by the discrepancy
of the first K points. Inverting the low half of each point makes it unbiased in dimension 1 (by
less than .13 / 2**n in odd widths), where the points themselves count about n / 8 too many.

RMS of y over all K and b, and the greatest error in units of 2**-n, for dimension 1; the last line
is UnarySim's, without the inversion and in Gray order:

=====  =====  =====  =====
n      4      6      8
=====  =====  =====  =====
RMS    .0214  .0066  .0019
most   .75    1.12   1.44
U.     -      -      .0024
=====  =====  =====  =====

Source: Wu et al., uGEMM, ISCA 2020; github diwu1990/UnarySim, kernel/mul.py (FSUMul, static).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.sobol import SobolParams
from hdl.params.sc.unit import ENCODINGS, Port, UnitParams, check_choice, check_integer

__all__ = ["UMulParams", "held_operand"]


def held_operand(name: str, width: int, encoding: str) -> Port:
    """The input port of a binary number that is encoded as a stream of numbers of `width` bits."""
    if encoding == "unipolar":
        return Port(name, "in", "held", width + 1, high=1 << width)
    half = 1 << (width - 1)
    return Port(name, "in", "held", width + 1, signed=True, low=-half, high=half)


@dataclass(frozen=True, kw_only=True)
class UMulParams(UnitParams):
    """A multiplier of a stream with a held number.

    Parameters
    ----------
    width : n, bits of the numbers compared, 1..16.
    encoding : "unipolar" or "bipolar", of a, b and y.
    dimension : of the Sobol sequence, 1..16. 1 is the best and the smallest; others are for
        products that meet again.
    """

    width: int
    encoding: str = "unipolar"
    dimension: int = 1

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 16)
        check_choice("encoding", self.encoding, ENCODINGS)
        check_integer("dimension", self.dimension, 1, 16)

    @property
    def latency(self) -> int:  # type: ignore[override]
        return 3 if self.staged else 2

    @property
    def staged(self) -> bool:
        """Whether the number is in a register before it is compared."""
        return self.encoding == "bipolar" or self.dimension > 1

    @property
    def source(self) -> SobolParams:
        """The number generator."""
        low = (1 << (self.width // 2)) - 1
        return SobolParams(width=self.width, dimension=self.dimension, order="natural", shift=low)

    @property
    def ports(self) -> tuple[Port, ...]:
        b = held_operand("b", self.width, self.encoding)
        return (Port("a", "in"), b, Port("y", "out"))
