"""A binary multiplier made of stochastic units: two SNGs, a gate, a counter.

    r, s = the numbers of two independent generators of `width` bits (hdl/params/sc/source.py)
    y(t) = [r(t) < A] AND [s(t) < B]                          unipolar, A = a, B = b
    y(t) = [r(t) < A] XNOR [s(t) < B]                         bipolar, A, B = a, b + 2**(width - 1)
    value, done = Estimate of y (hdl/params/sc/estimate.py) over `cycles` cycles

With n = `width`: unipolar a, b are 0..2**n for a / 2**n, and value / cycles is a b / 2**(2 n);
bipolar a, b are -2**(n-1)..2**(n-1), and value / cycles is a b / 2**(2 n - 2).

RMS error of value / cycles at 2**n cycles, unipolar, over random a and b (measured):

====  ======  =========  =========  ==========  =========  ======
n     i.i.d.  LFSR, one  LFSR and   two LFSR    VDC and    Sobol
              for both   rotated    seeds       counter    1 and 2
====  ======  =========  =========  ==========  =========  ======
4     .1007   .100       .0437      .0472       .0365      .0274
6     .0390   .098       .0231      .0146       .0134      .0084
8     .0207   .107       .0120      .0114       .0044      .0023
10    .0089   .103       .0058      .0017       .0014      .00064
====  ======  =========  =========  ==========  =========  ======

The column of two seeds is one pair: of 300 random pairs of seeds at n = 8 that are not refused,
the RMS is .003 to .013, .006 on average. A generator shared by both gives min(a, b), not the
product: it is refused. Clock division, "counter" and "counter:divide=n" with `bits` = 2 n, meets
each pair of numbers once in 2**(2 n) cycles: there value = a b exactly (bipolar: 4 a b).

Source: Gaines 1967; Alaghi & Hayes, "Fast and accurate computation using stochastic circuits",
DATE 2014 (low-discrepancy pairs); Najafi et al., "Performing Stochastic Computation
Deterministically", IEEE Trans. VLSI 2019 (clock division).
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.estimate import EstimateParams
from hdl.params.sc.multiply import MultiplyParams
from hdl.params.sc.sng import SngParams
from hdl.params.sc.source import SourceParams, parse_source, require_independent
from hdl.params.sc.unit import ENCODINGS, Port, UnitParams, check_choice, check_integer

__all__ = ["ProductParams"]


@dataclass(frozen=True, kw_only=True)
class ProductParams(UnitParams):
    """A stochastic multiplier with binary operands and result.

    Parameters
    ----------
    width : n, 1..16 (LFSRs: from 3).
    encoding : "unipolar" or "bipolar".
    source_a, source_b : texts of the generators; two correlated ones are refused.
    bits : the longest run is 2**bits cycles, 0..32; -1 is n.
    """

    width: int = 8
    encoding: str = "unipolar"
    source_a: str = "sobol:1"
    source_b: str = "sobol:2"
    bits: int = -1

    latency = 2

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 16)
        check_choice("encoding", self.encoding, ENCODINGS)
        check_integer("bits", self.bits, -1, 32)
        if self.bits < 0:
            object.__setattr__(self, "bits", self.width)
        a, b = self.sources
        require_independent("Product", "source_a", a, "source_b", b)

    @property
    def sources(self) -> tuple[SourceParams, SourceParams]:
        """The generators of a and of b."""
        return parse_source(self.source_a, self.width), parse_source(self.source_b, self.width)

    @property
    def sng(self) -> SngParams:
        """What encodes each operand."""
        return SngParams(width=self.width, encoding=self.encoding)

    @property
    def gate(self) -> MultiplyParams:
        """What multiplies."""
        return MultiplyParams(encoding=self.encoding)

    @property
    def estimate(self) -> EstimateParams:
        """What counts."""
        return EstimateParams(bits=self.bits, encoding=self.encoding)

    @property
    def ports(self) -> tuple[Port, ...]:
        held = self.sng.ports[0]
        _, cycles, value, done = self.estimate.ports
        operands = (
            Port(name, "in", "held", held.bits, held.signed, held.low, held.high) for name in "ab"
        )
        return (*operands, cycles, value, done)
