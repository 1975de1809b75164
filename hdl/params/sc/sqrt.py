"""Square root by bit insertion.

Wu & San Miguel, "In-Stream Correlation-Based Division and Bit-Inserting Square Root in Stochastic
Computing", IEEE Design & Test 2021; UnarySim kernel/sqrt.py (FSUSqrt with emit, unipolar). Ones are
inserted into the stream at the rate y * (1 - y), so that y = a + y * (1 - y), which is y**2 = a.
owed(t) is the number of ones that could not be put out yet, insert(t) a one that comes in besides
a; both start at 0, and y(-1 - k) = (k + 1) mod 2::

    total(t)      = owed(t) + a(t) + insert(t)
    y(t)          = 1 if total(t) >= 1 else 0
    owed(t + 1)   = total(t) - y(t)                                   0..depth, never more
    insert(t + 1) = y(t) & ~y(t - 1 - index(t)),  0 <= index(t) < depth

Law of numbers: ones(y) = ones(a) + ones inserted - owed. Hence a = mean of y(t) * y(t - 1 - index),
to within depth / length, for any input. So y = sqrt(a) as far as y is independent of its own
`depth` last bits; since it is not, the result is low. For i.i.d. inputs and a uniform index::

    depth               1      4      16     32
    largest error       .135   .083   .047   .028      (of a = .02, .05, .1, .2 .. .9, .95)

depth = 1, without an index, is exactly y = 2 a / (1 + a). The JK flip-flop form of the same file
has that law too (its trace bit is 1 with probability a / (1 + a), and is never 1 twice), so it is
not built here. UnarySim draws no index in this mode: it always takes the oldest of its bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.neuron import bits_for
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["SquareRootParams"]


@dataclass(frozen=True, kw_only=True)
class SquareRootParams(UnitParams):
    """A square root of a unipolar stream that looks back `depth` bits: 1, 2, 4, ... 64."""

    depth: int = 16

    def __post_init__(self) -> None:
        check_integer("depth", self.depth, 1, 64)
        if self.depth & (self.depth - 1):
            raise ValueError(f"depth must be a power of two, not {self.depth}")

    @property
    def index_bits(self) -> int:
        return bits_for(self.depth)

    @property
    def ports(self) -> tuple[Port, ...]:
        index = (Port("index", "in", "word", self.index_bits),) if self.depth > 1 else ()
        return (Port("a", "in"), *index, Port("y", "out"))
