"""Sobol's low-discrepancy sequence, one dimension of it (dimension 1 is Van der Corput's, base 2).

With w = `width` and the direction integers V(0) .. V(w - 1) of the dimension::

    point(t) = exclusive or of V(k) over the set bits k of g(t),   0 <= t < 2**w
    g(t)     = t for "natural" order, t ^ (t >> 1) for "gray" order
    value(t) = point(t mod 2**w) ^ shift ^ (2**w - 1 if invert else 0)

In Gray order one V(k) changes from point to point: point(t + 1) = point(t) ^ V(k) with k the number
of ones at the end of t, at most w - 1 (which closes the period: point(2**w) = point(0)). It is the
order of `scipy.stats.qmc.Sobol(d, scramble=False)`: column `dimension` - 1 times 2**w.

V(k) = m(k + 1) << (w - 1 - k), with the m of Joe & Kuo 2008 (file new-joe-kuo-6.21201) for a
primitive polynomial x**s + a(1) x**(s-1) + ... + a(s-1) x + 1::

    m(k) = 2 a(1) m(k-1) ^ 4 a(2) m(k-2) ^ ... ^ 2**(s-1) a(s-1) m(k-s+1) ^ 2**s m(k-s) ^ m(k-s)

Every m is odd, so the matrix of the V is triangular with ones: the period is 2**w and every number
occurs once in it, #(value < a) = a for 0 <= a <= 2**w. More: each block of 2**k points from a
multiple of 2**k has each value of the k top bits once, so #(value < a) over such a block is off
from a * 2**(k - w) by less than 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["JOE_KUO", "ORDERS", "SobolParams", "directions"]

#: (s, a, m(1) .. m(s)) for dimensions 2 to 16; a holds a(1) .. a(s-1), a(1) highest.
JOE_KUO: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
    (5, 11, (1, 1, 5, 1, 1)),
    (5, 13, (1, 1, 1, 3, 11)),
    (5, 14, (1, 3, 5, 5, 31)),
    (6, 1, (1, 3, 3, 9, 7, 49)),
    (6, 13, (1, 1, 1, 15, 21, 21)),
    (6, 16, (1, 3, 1, 13, 27, 49)),
)

ORDERS = ("gray", "natural")


def directions(width: int, dimension: int) -> tuple[int, ...]:
    """The direction integers V(0) .. V(width - 1) of `dimension`, 1..16."""
    if dimension == 1:
        return tuple(1 << (width - 1 - k) for k in range(width))
    degree, inner, initial = JOE_KUO[dimension - 2]
    m = list(initial)
    while len(m) < width:
        new = m[-degree] ^ (m[-degree] << degree)
        for i in range(1, degree):
            if (inner >> (degree - 1 - i)) & 1:
                new ^= m[-i] << i
        m.append(new)
    return tuple(m[k] << (width - 1 - k) for k in range(width))


@dataclass(frozen=True, kw_only=True)
class SobolParams(UnitParams):
    """One dimension of Sobol's sequence.

    Parameters
    ----------
    width : bits, 1..32.
    dimension : 1..16; 1 is Van der Corput's sequence.
    order : "gray" or "natural".
    shift : digital shift, 0..2**width - 1: an exclusive or with every number.
    invert : every output bit inverted.
    """

    width: int
    dimension: int = 1
    order: str = "gray"
    shift: int = 0
    invert: bool = False

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 32)
        check_integer("dimension", self.dimension, 1, len(JOE_KUO) + 1)
        check_integer("shift", self.shift, 0, (1 << self.width) - 1)
        if self.order not in ORDERS:
            raise ValueError(f"order must be 'gray' or 'natural', not {self.order!r}")

    @property
    def period(self) -> int:
        """Cycles until the numbers come again."""
        return 1 << self.width

    @property
    def directions(self) -> tuple[int, ...]:
        """The direction integers V(0) .. V(width - 1)."""
        return directions(self.width, self.dimension)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("value", "out", "word", self.width),)
