"""Early termination of a stream by its progressive precision.

A stream of 2**n bits is a number of n bits. Its first 2**k bits give an estimate of it, so there is
a checkpoint after 2**k bits, k = 0 .. n::

    E(k) = ones in the first 2**k bits << (n - k)                 in units of 2**-n
    stop = first k in first + 1 .. n - 1 with |E(k) - E(k - 1)| <= tolerance, n if there is none

After each bit `estimate` is E(k) of the last checkpoint, and `done` is 1 from checkpoint `stop` on;
the estimate then stays and bits don't count any more. (The rule of hdl/params/sc/dense.py.)

Two estimates that agree are no proof: under Van der Corput's sequence E(k) is E(k - 1) or one unit
of 2**(n - k) less, each for about half of the numbers. What bounds the error of a low-discrepancy
stream is `first`: it is below 2**(n - first - 1) units, whatever the tolerance. For n = 8 and
first = 2, tolerances of 0, 4, 16 stop after 28, 20, 12 bits on average, with RMS errors of 13.6,
13.6, 14.2 units and a largest one of 31.

How good a prefix is depends on the generator. RMS error of 2**k bits, over all numbers of n = 8
bits, of a comparator with the generator's number::

    bits                8      16     32     64     128    256
    LFSR, seed 1        .398   .256   .182   .108   .030   .0002
    Van der Corput      .070   .034   .016   .007   .003   0
    i.i.d. (expected)   .144   .102   .072   .051   .036   .026

An LFSR that starts at 1 puts out its small numbers first: it is worse than chance until near its
full period. Early termination needs a low-discrepancy stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["ProgressParams"]


@dataclass(frozen=True, kw_only=True)
class ProgressParams(UnitParams):
    """A counter of ones that says when it has seen enough.

    Parameters
    ----------
    bits : n, 1..24.
    tolerance : in units of 2**-n, 0..2**n.
    first : the shortest stream has 2**(first + 1) bits; 0..n - 1.
    """

    bits: int = 8
    tolerance: int = 4
    first: int = 2

    latency = 1

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 1, 24)
        check_integer("tolerance", self.tolerance, 0, 1 << self.bits)
        check_integer("first", self.first, 0, self.bits - 1)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port("a", "in"),
            Port("done", "out"),
            Port("estimate", "out", "word", self.bits + 1),
        )
