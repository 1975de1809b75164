"""Dot: the dot product of two vectors by bit-streams, with one pair of number generators.

All lanes share a number u for vector a and v for vector b. A weighted-binary stochastic number
generator takes one bit of a magnitude, and which one depends on the number alone
(hdl/params/sc/dense.py), so the vectors are stored as bit planes and the number is an address::

    bit(planes, n, u) = bit of plane n - 1 - h if h < n, else of plane n;
                        h = number of leading zeros of u (source_bits wide)
    count(t) = sum over s <= t, lanes j of bit(a(j), a_bits, u(s)) & bit(b(j), b_bits, v(s))
               * (-1 if sign(a(j)) != sign(b(j)) else 1)                  signs: if `signed`

With m = a magnitude 0 .. 2**n, its planes 0 .. n are the bits of m, or all ones for m = 2**n; plane
n + 1 is the sign. Then 2**k cycles give count = sum of a b / 2**(a_bits + b_bits) * 2**k, up to the
error of the streams. u(s) and v(s) are those of a population with one generator: "sobol", the first
two dimensions of Sobol's sequence in natural order, inverted, or "lfsr".

A run has two parts. At first each cycle with `write_a` or `write_b` writes one plane of the lanes.
The first cycle without begins the count: with `signed` that cycle reads the signs, and the next one
is s = 0, else it is s = 0 itself. From then on nothing is written. `count` is that behind the
cycle, as wide as 2**source_bits cycles need; it goes on modulo its width when the numbers start
again ("lfsr" after one cycle less). Vectors stay over a clear.

Statistics: RMS error of count / (lanes * 2**k) against the mean of the products of 64 pairs of
random magnitudes of 8 bits after 16 / 64 / 256 cycles: "sobol" .0044 / .0025 / .0002, with signs
.0040 / .0013 / .0003; "lfsr" of 8 bits, mean of seeds, .0093 / .0045 / .0022. With 16 lanes,
"sobol": .0083 / .0029 / .0005.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.neuron import bits_for
from hdl.params.sc.dense import DenseParams, Streams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["DATA_BITS", "LEVELS", "DotParams", "adder_levels"]

#: Lanes of a data port.
DATA_BITS = 32

#: Levels of full adders between registers.
LEVELS = 2


def adder_levels(bits: int) -> int:
    """Levels of full adders (three bits to two) until no weight has more than two bits."""
    columns, level = [bits], 0
    while max(columns) > 2:
        following = [0] * (len(columns) + 1)
        for weight, column in enumerate(columns):
            following[weight] += column % 3 + column // 3
            following[weight + 1] += column // 3
        columns, level = following, level + 1
    return level


@dataclass(frozen=True, kw_only=True)
class DotParams(UnitParams):
    """A dot product.

    Parameters
    ----------
    lanes : elements of a vector, 1..1024.
    a_bits, b_bits : of the magnitudes, 1..12 each: 0..2**bits.
    source_bits : S, of the generators' numbers, 0..16 and at most a_bits + b_bits.
    signed : whether elements have signs.
    generator : "sobol" or "lfsr".
    seed : of "lfsr".
    """

    lanes: int = 64
    a_bits: int = 8
    b_bits: int = 8
    source_bits: int = 8
    signed: bool = True
    generator: str = "sobol"
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("lanes", self.lanes, 1, 1024)
        check_integer("a_bits", self.a_bits, 1, 12)
        check_integer("b_bits", self.b_bits, 1, 12)
        if not isinstance(self.signed, bool):
            raise TypeError(f"signed must be True or False, not {self.signed!r}")
        _ = self.streams  # checks the rest

    @property
    def streams(self) -> Streams:
        """The numbers: weights are a, values are b."""
        return Streams(
            weight_bits=self.a_bits,
            value_bits=self.b_bits,
            source_bits=self.source_bits,
            log2_length=self.source_bits,
            generator=self.generator,
            seed=self.seed,
        )

    @property
    def dense(self) -> DenseParams:
        """Stochastic dendrites with the same numbers and planes."""
        return DenseParams(streams=self.streams, columns=1, lanes=1)

    @property
    def plane_bits(self) -> int:
        """Width of a plane's number."""
        return bits_for(max(self.a_bits, self.b_bits) + 2)

    @property
    def count_bits(self) -> int:
        return (self.lanes << self.source_bits).bit_length() + self.signed

    @property
    def data_ports(self) -> tuple[Port, ...]:
        """A plane's bits, DATA_BITS lanes to a port."""
        return tuple(
            Port(f"data_{n}", "in", "word", min(DATA_BITS, self.lanes - n * DATA_BITS))
            for n in range(-(-self.lanes // DATA_BITS))
        )

    @property
    def popcount_latency(self) -> int:
        """Cycles of the counter tree."""
        return adder_levels(self.lanes) // LEVELS + 1

    @property
    def latency(self) -> int:  # type: ignore[override]
        """Numbers 2, planes 2, product 1, the tree, signs 1, the sum 1."""
        return 6 + self.popcount_latency + self.signed

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port("write_a", "in"),
            Port("write_b", "in"),
            Port("plane", "in", "word", self.plane_bits),
            *self.data_ports,
            Port("count", "out", "word", self.count_bits, signed=self.signed),
        )
