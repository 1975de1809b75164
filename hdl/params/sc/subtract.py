"""Subtraction and absolute value.

`Subtract`, bipolar, of streams of any correlation: the accumulative adder (hdl/params/sc/add.py,
`ScaledAdd`, 2 inputs) of a and the inverse of b, with scale m = 1 or 2. As values:
y = (a - b) / m, saturated for m = 1. For m = 2 exactly, after every cycle t::

    ones of y = floor((ones of a + zeros of b) / 2)

`AbsoluteDifference`, unipolar: y = a ^ b. p(y) = |p(a) - p(b)| for SCC = +1; for independent
streams (SCC = 0) p(a) + p(b) - 2 p(a) p(b), for SCC = -1 1 - |p(a) + p(b) - 1|.

`AbsoluteValue`, bipolar: y = |a|. With S(t) the sum of a's bits as +1 and -1 before cycle t,
saturated at +-limit::

    y(t) = 1 if S(t) == 0 else a(t) if S(t) > 0 else not a(t)

As long as S does not saturate, the sum of y's bits as +1 and -1 is |S| after every cycle: exact for
any stream. With saturation, for independent bits of probability p (r = p / (1 - p)), S = k has in
the long run a probability proportional to r**k, so P(y) = P(S = 0) + p P(S > 0) + (1 - p) P(S < 0);
at a = 0 the value of y is 1 / (2 limit + 1).

Source: Gaines 1967; Alaghi & Hayes, ICCD 2013 (XOR). The counter for the sign is FSUSignAbs of
github diwu1990/UnarySim (kernel/signabs.py), which looks at it after the bit has been counted and
so puts out a one too many for each step from -1 to 0; here the sum stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.add import ScaledAddParams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["AbsoluteDifferenceParams", "AbsoluteValueParams", "SubtractParams"]


@dataclass(frozen=True, kw_only=True)
class SubtractParams(UnitParams):
    """A bipolar subtracter.

    Parameters
    ----------
    scale : 1 or 2, what the difference is divided by.
    depth : bits of the accumulator, 4..24.
    """

    scale: int = 2
    depth: int = 10

    def __post_init__(self) -> None:
        check_integer("scale", self.scale, 1, 2)
        check_integer("depth", self.depth, 4, 24)

    @property
    def adder(self) -> ScaledAddParams:
        """What adds a and the inverse of b."""
        return ScaledAddParams(inputs=2, scale=self.scale, encoding="bipolar", depth=self.depth)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class AbsoluteDifferenceParams(UnitParams):
    """The XOR gate as absolute difference of two streams of SCC = +1."""

    sequential = False

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class AbsoluteValueParams(UnitParams):
    """The absolute value of a bipolar stream.

    Parameters
    ----------
    limit : where the counter saturates, 1..2**20.
    """

    limit: int = 127

    def __post_init__(self) -> None:
        check_integer("limit", self.limit, 1, 1 << 20)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("y", "out"))
