"""Conversion between the encodings: the same value, another probability.

`ToBipolar`: from p = x to p = (x + 1) / 2. The scaled adder of the stream and a constant 1::

    s = acc + a + 1;   y = s >= 2;   acc' = s - 2 y,   acc = 0 at first

Exactly, after every cycle t: ones of y = floor((ones of a + t) / 2), for any stream.

`ToUnipolar`: from p = (x + 1) / 2 to p = max(0, x). The non-scaled adder of a twice and a constant
-1; its accumulator is never above 0, so c = -acc counts the zeros that no one has made good::

    a = 1:   y = (c == 0);  c' = max(c - 1, 0)
    a = 0:   y = 0;         c' = min(c + 1, limit)

Exactly, as long as c does not saturate: with S(s) = ones less zeros of a after s cycles, ones of y
= the largest of S(0) .. S(t). For a negative x, S falls and y goes out. With saturation, for
independent bits of probability p, r = (1 - p) / p: p(y) = p (1 - r) / (1 - r**(limit + 1)) in the
long run, p / (limit + 1) for x = 0.

Source: Wu & San Miguel, DAC 2019; github diwu1990/UnarySim, Uni2Bi and Bi2Uni (stream/shuffle.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.add import ScaledAddParams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["ToBipolarParams", "ToUnipolarParams"]


@dataclass(frozen=True, kw_only=True)
class ToBipolarParams(UnitParams):
    """From unipolar to bipolar."""

    @property
    def adder(self) -> ScaledAddParams:
        """What adds the stream and 1."""
        return ScaledAddParams(inputs=2)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class ToUnipolarParams(UnitParams):
    """From bipolar to unipolar.

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
