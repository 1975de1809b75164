"""Halton's sequence, one base of it (Halton 1960): the radical inverse of the cycle number.

With b = `base`, D = `places`, w = `width` and the digits of t mod b**D in base b, lowest first::

    t mod b**D = sum over k < D of d(k) * b**k
    R(t)       = sum over k < D of d(k) * b**(D - 1 - k)          (the digits in reverse)
    value(t)   = floor(2**w * R(t) / b**D), every bit inverted with `invert`

The period is b**D. R takes every value below b**D once in it, so over a period
#(value < a) = ceil(a * b**D / 2**w) for 0 <= a <= 2**w (without `invert`).

How the hardware divides: it keeps an accumulator of w + g bits that equals the sum of
d(k) * weight(k) with weight(k) = floor(2**(w + g) / b**(k + 1)). The weights are too small by less
than 1 each, so the sum is by less than D * (b - 1). For odd b, 2**w * R / b**D with R > 0 lies at
least b**-D above an integer; so with 2**g >= D * (b - 1) * b**D the w top bits are the floor. For
b = 2 weights are exact with g = max(0, D - w).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["BASES", "HaltonParams"]

BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)


@dataclass(frozen=True, kw_only=True)
class HaltonParams(UnitParams):
    """One base of Halton's sequence.

    Parameters
    ----------
    width : bits, 1..24.
    base : a prime up to 31.
    digits : D, 1..32, with base**D at most 2**32; 0 is as few as base**D >= 2**width needs.
    invert : every output bit inverted.
    """

    width: int
    base: int = 3
    digits: int = 0
    invert: bool = False

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 24)
        if self.base not in BASES:
            raise ValueError(f"base must be a prime up to 31, not {self.base!r}")
        check_integer("digits", self.digits, 0, 32)
        if self.base**self.digits > 1 << 32:
            raise ValueError(f"base**digits must be at most 2**32, not {self.base}**{self.digits}")

    @property
    def places(self) -> int:
        """D: the digits that are kept."""
        if self.digits:
            return self.digits
        places = 1
        while self.base**places < 1 << self.width:
            places += 1
        return places

    @property
    def period(self) -> int:
        """Cycles until the numbers come again."""
        return int(self.base**self.places)

    @property
    def guard(self) -> int:
        """g: bits of the accumulator below the output."""
        if self.base == 2:
            return max(0, self.places - self.width)
        return (self.places * (self.base - 1) * self.period - 1).bit_length()

    @property
    def weights(self) -> tuple[int, ...]:
        """What one unit of each digit adds to the accumulator, lowest digit first."""
        one = 1 << (self.width + self.guard)
        return tuple(one // self.base ** (k + 1) for k in range(self.places))

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("value", "out", "word", self.width),)
