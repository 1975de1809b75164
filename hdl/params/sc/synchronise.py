"""Circuits that change the correlation of two streams and keep their numbers.

After Lee, Alaghi & Ceze, "Correlation Manipulating Circuits for Stochastic Computing", DATE 2018
(arXiv 1803.04862), and for the skewed form Wu & San Miguel, "In-Stream Stochastic Division and
Square Root via Correlation", DAC 2019 (UnarySim stream/shuffle.py, SkewedSync). A lone one is saved
until it can be put out where the correlation wants it; at most `depth` are saved. SCC is the
correlation of hdl/params/sc/scc.py.

`Synchronise` pairs ones, SCC towards +1. s is the number of saved ones of `a`, -s those of `b`::

    (a, b) = (1, 0):  s < 0: put out (1, 1), s + 1;  0 <= s < depth: (0, 0), s + 1;  else (1, 0)
    (a, b) = (0, 1):  s > 0: put out (1, 1), s - 1;  -depth < s <= 0: (0, 0), s - 1;  else (0, 1)
    else:             pass

Numbers: ones(y_a) = ones(a) - max(s, 0), ones(y_b) = ones(b) - max(-s, 0): off by `depth` at most.
(1, 0) comes out only when s = depth and (0, 1) only when s = -depth, so SCC = +1 exactly unless
ones(a) - ones(b) has gone beyond both limits. In the long run, for i.i.d. streams with joint
probabilities p10, p01, s = j has probability r**j / (sum of r**i over -depth..depth),
r = p10 / p01. Two independent streams of equal value have SCC 2 depth / (2 depth + 1) behind it.

`Desynchronise` parts ones, SCC towards -1. k ones are saved, all of one stream, `turn`::

    (a, b) = (1, 1), k < depth:  save the one of stream `turn`, put out the other; k + 1
    (a, b) = (0, 0), k > 0:      put out a one of stream `turn`; k - 1; at k = 0 the turn changes
    else:                        pass

Stream `a` has the first turn. Numbers: ones(y) = ones in - (k for the stream whose turn it is, 0
for the other). (1, 1) comes out only when k = depth and (0, 0) only when k = 0. In the long run,
for i.i.d. streams, k = j has probability r**j / (sum of r**i over 0..depth), r = p11 / p00. Two
independent streams of value 1/2 have SCC -depth / (depth + 1) behind it.

`SkewSynchronise` leaves `b` as it is and moves ones of `a` to where `b` has ones, for a divider:
`a` should be the smaller number. k ones of `a` are saved::

    (a, b) = (1, 0), k < depth:  put out 0, k + 1
    (a, b) = (0, 1), k > 0:      put out 1, k - 1
    else:                        y = a

Numbers: ones(y) = ones(a) - k. y = 1 without b = 1 happens only when k = depth.

What is still saved when a stream ends is lost: an error of at most depth / length.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["DesynchroniseParams", "SkewSynchroniseParams", "SynchroniseParams"]


@dataclass(frozen=True, kw_only=True)
class SynchroniseParams(UnitParams):
    """A synchroniser of two streams that saves up to `depth` ones, 1..256."""

    depth: int = 1

    def __post_init__(self) -> None:
        check_integer("depth", self.depth, 1, 256)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y_a", "out"), Port("y_b", "out"))


@dataclass(frozen=True, kw_only=True)
class DesynchroniseParams(SynchroniseParams):
    """A desynchroniser of two streams that saves up to `depth` ones, 1..256."""


@dataclass(frozen=True, kw_only=True)
class SkewSynchroniseParams(SynchroniseParams):
    """A synchroniser that changes stream `a` only and saves up to `depth` ones, 1..256."""

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y", "out"))
