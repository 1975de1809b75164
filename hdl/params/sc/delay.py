"""Streams apart in time: a fixed delay, and a buffer that shuffles the bits of a stream.

`Delay` (an isolator) puts every bit out `cycles` later::

    y(t) = a(t - cycles), 0 for t < cycles

Delayed copies of an i.i.d. stream are independent of it, so one stream can serve as several. The
period of a generator is not changed by a delay, and a low-discrepancy stream stays correlated with
its delayed copies: use it on i.i.d. or LFSR streams. Ones are lost only at the end: those of the
last `cycles` bits.

`Decorrelate` is the shuffle buffer of Lee, Alaghi & Ceze, "Correlation Manipulating Circuits for
Stochastic Computing", DATE 2018 (arXiv 1803.04862). `depth` bits are held; `index` names the one
that goes out, and the bit that comes in takes its place. An index of `depth` or more lets the bit
pass. With held(k) = k mod 2 at the start::

    index(t) <  depth:  y(t) = held(index(t)); then held(index(t)) = a(t)
    index(t) >= depth:  y(t) = a(t)

The index has b = max(1, ceil(log2(depth))) bits, so a depth of 2**b - 1 gives each held bit and the
passing bit the same chance, and a depth of 2**b never lets a bit pass.

Law of numbers: ones(y) + ones held at the end = ones(a) + floor(depth / 2).
Law of correlation: if the index is uniform and independent, bits leave after n > 0 cycles with
probability depth / 2**b * 2**-b * (1 - 2**-b)**(n - 1). So of the covariance of an i.i.d. stream
`a` with any stream the share 1 - depth / 2**b is left: two equal streams, SCC = 1, have
SCC = 1 - depth / 2**b behind a Decorrelate in one of them (hdl/params/sc/scc.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.neuron import bits_for
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["DecorrelateParams", "DelayParams"]


@dataclass(frozen=True, kw_only=True)
class DelayParams(UnitParams):
    """A delay, 1..1024 `cycles`."""

    cycles: int = 1

    def __post_init__(self) -> None:
        check_integer("cycles", self.cycles, 1, 1024)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("y", "out"))


@dataclass(frozen=True, kw_only=True)
class DecorrelateParams(UnitParams):
    """A shuffle buffer that holds `depth` bits, 1..64."""

    depth: int = 4

    def __post_init__(self) -> None:
        check_integer("depth", self.depth, 1, 64)

    @property
    def index_bits(self) -> int:
        return max(1, bits_for(self.depth))

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port("a", "in"),
            Port("index", "in", "word", self.index_bits),
            Port("y", "out"),
        )
