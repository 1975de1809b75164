"""Comparison of two streams: a level that says which has had more ones.

D(t) = ones of a less ones of b up to and with cycle t, saturated at +-limit::

    y(t) = D(t) > 0          a tie (D = 0) is "not greater"

Exact for streams of any correlation as long as D does not saturate; a counter of the length of the
stream never does. A smaller one forgets what is older, which lets it follow values that change. In
the long run, for independent bits, D = k has a probability proportional to r**k,
r = p(a) (1 - p(b)) / (p(b) (1 - p(a))), so with L = limit::

    P(y) = (sum of r**k over 1 .. L) / (sum of r**k over -L .. L)     L / (2 L + 1) for r = 1

Source: the up and down counter of Gaines 1967 (ADDIE without its feedback).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["CompareParams"]


@dataclass(frozen=True, kw_only=True)
class CompareParams(UnitParams):
    """A comparator of two streams of the same encoding.

    Parameters
    ----------
    limit : where the counter saturates, 1..2**20.
    """

    limit: int = 127

    latency = 1

    def __post_init__(self) -> None:
        check_integer("limit", self.limit, 1, 1 << 20)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y", "out"))
