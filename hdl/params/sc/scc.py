"""Correlation of two streams: SCC, the stochastic cross correlation.

The meter counts the four pairs of bits of the cycles so far, this one too::

    n11, n10, n01, n00 = number of cycles with (a, b) = (1, 1), (1, 0), (0, 1), (0, 0)

modulo 2**bits. From the counts, with N = n11 + n10 + n01 + n00, A = n11 + n10, B = n11 + n01::

    D = n11 * n00 - n10 * n01
    SCC = D / max(1, N * min(A, B) - A * B)            if D > 0
          D / max(1, A * B - N * max(n11 - n00, 0))    else

SCC is +1 when the ones overlap as much as they can, -1 when as little, 0 for independent streams
(expected value): Alaghi & Hayes, "Exploiting correlation in stochastic circuit design", ICCD 2013;
UnarySim metric/metric.py, from which the limit of 1 for the denominators.

What gates compute depends on it: AND gives min(p, q) at +1, p * q at 0, max(0, p + q - 1) at -1; OR
gives max(p, q), p + q - p * q, min(1, p + q); XOR gives |p - q| at +1.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["SccMeterParams"]


@dataclass(frozen=True, kw_only=True)
class SccMeterParams(UnitParams):
    """A meter with counters of `bits` bits, 1..32: exact for runs of up to 2**bits - 1 cycles."""

    bits: int = 16

    latency = 1

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 1, 32)

    @property
    def ports(self) -> tuple[Port, ...]:
        counts = (Port(name, "out", "word", self.bits) for name in ("n11", "n10", "n01", "n00"))
        return (Port("a", "in"), Port("b", "in"), *counts)
