"""Gaussian source: normally distributed numbers, from a table or as sums of uniform ones.

Numbers are signed with f = `fraction` fraction bits: the standard deviation is 2**f.

"table": a draw of a + 1 bits, a = `address_bits`, is the exclusive or of the draws of two LFSRs,
of 32 and 31 bits (hdl/params/sc/draw.py); its low a bits e address a table, bit a is the sign::

    z = sign ? -W(e) : W(e)
    W(e) = round(2**f * sqrt(mean of x**2 over cell e)),  cell e: the quantiles of a normal
           distribution's positive half from e / 2**a to (e + 1) / 2**a

The root mean square of each cell keeps the variance, whatever the size of the table; what a table
lacks is the tails. It is two LFSRs since one alone shows: squares of numbers 3 draws apart were
correlated by -.0024. In the joint period of both, (2**32 - 1) * (2**31 - 1) cycles, all draws
occur equally often but that 0 occurs once more. So the mean is 0, and in units of 2**f::

    a   f   standard deviation   excess kurtosis   largest |z|   Kolmogorov-Smirnov distance
    8   8        1.00000              -.0152          3.19         .0017    (to the normal law)
    10  10        .99999              -.0037          3.57         .00044
    12  12       1.00000              -.0009          3.92         .00011

"sum": the law of T = `terms` independent words u of b = f bits (Irwin 1927, Hall 1927)::

    T = 12: z = u0 - u1 + u2 - u3 + ... - u11
    T = 3:  z = 2 * (u0 - u1 + u2) - 2**b + 1

Both have mean 0 and variance 2**(2 * f) - 1 exactly, and excess kurtosis -1.2 / T * (1 + d),
d = 2 / (4**b - 1). Numbers lie within 6, and 3, standard deviations; the distance to the normal
law is .0029 for T = 12, f = 8 (.0024 for f = 11), .011 for T = 3, f = 8. The words come from as
many LFSRs as it takes, of pairwise coprime widths from `WIDTHS`, each with as many words as fit,
lowest bits first: over the joint period words of different LFSRs are independent exactly, those of
one LFSR up to its missing state 0.

Every LFSR starts at `seed_of(seed, entity, width)` and makes its steps in each cycle, so number t
is a function of (seed, entity, t) alone, and can be had without the ones before it (`jump`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import sqrt
from statistics import NormalDist

from hdl.params.sc.draw import draw_generator
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["WIDTHS", "GaussianParams"]

#: Widths of the LFSRs of a sum: no two have a common factor, so neither have their periods.
WIDTHS = (32, 31, 29, 27, 25, 23, 19, 17)


@lru_cache(maxsize=16)
def _words(address_bits: int, fraction: int) -> tuple[int, ...]:
    """W(0), W(1), ...: the integral of x**2 * pdf(x) is cdf(x) - x * pdf(x)."""
    normal, cells = NormalDist(), 1 << address_bits
    edges = [normal.inv_cdf(0.5 + e / (2 * cells)) for e in range(cells)]
    parts = [x * normal.pdf(x) for x in edges] + [0.0]
    squares = [1 - 2 * cells * (parts[e + 1] - parts[e]) for e in range(cells)]
    return tuple(round(sqrt(max(square, 0.0)) * (1 << fraction)) for square in squares)


@dataclass(frozen=True, kw_only=True)
class GaussianParams(UnitParams):
    """A Gaussian source.

    Parameters
    ----------
    method : "table" or "sum".
    fraction : f; 1..16 ("table"), 2..13 ("sum").
    address_bits : a of "table", 4..12.
    terms : T of "sum", 3 or 12.
    seed : of the design.
    entity : number of this generator in the design.
    """

    method: str = "table"
    fraction: int = 10
    address_bits: int = 10
    terms: int = 12
    seed: int = 0
    entity: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("table", "sum"):
            raise ValueError(f"method must be 'table' or 'sum', not {self.method!r}")
        low, high = (1, 16) if self.method == "table" else (2, 13)
        check_integer("fraction", self.fraction, low, high)
        check_integer("address_bits", self.address_bits, 4, 12)
        if self.terms not in (3, 12):
            raise ValueError(f"terms must be 3 or 12, not {self.terms!r}")
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        check_integer("entity", self.entity, 0, (1 << 32) - 1)

    @property
    def latency(self) -> int:  # type: ignore[override]
        """A table takes 3 cycles, every two levels of adders one."""
        return 3 if self.method == "table" else self.terms.bit_length() // 2

    @cached_property
    def words(self) -> tuple[int, ...]:
        """W of "table"."""
        return _words(self.address_bits, self.fraction)

    @cached_property
    def generators(self) -> tuple[tuple[LfsrParams, int], ...]:
        """The LFSRs, and how many bits of each are a draw."""
        if self.method == "table":
            parts = [(width, self.address_bits + 1) for width in WIDTHS[:2]]
        else:
            parts, missing = [], self.terms
            for width in WIDTHS:
                words = min(width // self.fraction, missing)
                if words:
                    parts.append((width, words * self.fraction))
                missing -= words
        return tuple(
            (draw_generator(bits, width=width, seed=self.seed, entity=self.entity), bits)
            for width, bits in parts
        )

    @property
    def largest(self) -> int:
        """The largest |z|."""
        if self.method == "table":
            return self.words[-1]
        return (6 if self.terms == 12 else 3) * ((1 << self.fraction) - 1)

    @property
    def bits(self) -> int:
        """Bits of a signed number."""
        return self.largest.bit_length() + 1

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("z", "out", "word", self.bits, signed=True),)
