"""Minimum and maximum of two streams, unipolar or bipolar.

D(t) = ones of a less ones of b before cycle t, saturated at +-limit::

    (a, b)    Maximum y             Minimum y
    (0, 0)    0                     0
    (1, 1)    1                     1
    (1, 0)    D >= 0                D < 0
    (0, 1)    D <= 0                D > 0

As long as D does not saturate, ones of y = max(ones of a, ones of b), or min, after every cycle:
exact for streams of any correlation. The two units put out between them what comes in:
maximum + minimum = a + b in every cycle. With saturation, for independent bits, D = k has in the
long run a probability proportional to r**k, r = p(a) (1 - p(b)) / (p(b) (1 - p(a))), hence the
maximum has P(y) = p(a) p(b) + p(a) (1 - p(b)) P(D >= 0) + (1 - p(a)) p(b) P(D <= 0): too large by
about 1 / (8 limit) of probability at most, where both are equal.

With limit = 0, D is always 0 and the units are gates, OR and AND, combinational. They are max and
min only of streams of SCC = +1; for SCC = 0, OR gives p(a) + p(b) - p(a) p(b) and AND p(a) p(b).

Source: the gates, Alaghi & Hayes, ICCD 2013. An accumulator of the signed difference and no source
of random numbers: Temenos & Sotiriadis, "Stochastic Computing Max & Min Architectures Using Markov
Chains", IEEE Trans. VLSI 2021; the table above is derived from the counts, not taken from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["MaximumParams", "MinimumParams"]


@dataclass(frozen=True, kw_only=True)
class MaximumParams(UnitParams):
    """The larger of two streams.

    Parameters
    ----------
    limit : where the counter saturates, 1..2**20; 0 is no counter: the gate.
    """

    limit: int = 127

    def __post_init__(self) -> None:
        check_integer("limit", self.limit, 0, 1 << 20)

    @property
    def sequential(self) -> bool:  # type: ignore[override]
        return self.limit > 0

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class MinimumParams(MaximumParams):
    """The smaller of two streams; parameters as for the larger."""
