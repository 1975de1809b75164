"""Division of correlated streams: CORDIV.

Chen & Hayes, "Design of Division Circuits for Stochastic Computing", ISVLSI 2016, with the store of
several bits of UnarySim kernel/div.py (CORDIV_kernel). taken(k) is the (k + 1)-th last bit that was
put out in a cycle with divisor = 1, at the start k mod 2, and x is the dividend::

    y(t) = divisor(t) ? x(t) : taken(index(t)),     0 <= index(t) < depth

Law of numbers: in the cycles with divisor = 1, y = x; the others repeat earlier ones of these bits.
If the ones of the dividend lie where the divisor has ones (SCC = +1 and dividend <= divisor), then
P(x = 1 | divisor = 1) = dividend / divisor, and for i.i.d. pairs of bits E[y(t)] is exactly that
once `depth` ones of the divisor have passed. An independent dividend gives E[y] = dividend. A
deeper store makes y less correlated with itself; the index should be uniform. depth = 1 is the
published circuit with one flip-flop; it needs no index.

With `synchronise` a SkewSynchronise (hdl/params/sc/synchronise.py) that saves up to `saved` ones
moves the ones of the dividend: x = its output. Then any two streams with dividend <= divisor can be
divided. RMS error for random operands, divisor >= .1, depth 4::

    saved                                    none   1      3      15
    i.i.d., 256 bits                         .289   .129   .081   .072
    i.i.d., 4096 bits                        .301   .122   .049   .021
    Sobol dimensions 1 and 2, 256 bits       .280   .027   .018   .018
    Sobol dimensions 1 and 2, 4096 bits      .292   .022   .005   .005
    one i.i.d. source for both, 4096 bits    .011   .011   .011   .011
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.neuron import bits_for
from hdl.params.sc.synchronise import SkewSynchroniseParams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["DivideParams"]


@dataclass(frozen=True, kw_only=True)
class DivideParams(UnitParams):
    """A divider of unipolar streams.

    Parameters
    ----------
    depth : bits of the quotient that are kept: 1, 2, 4, ... 64.
    synchronise : whether the dividend is made to overlap with the divisor first.
    saved : ones that the synchroniser saves at most, 1..256.
    """

    depth: int = 4
    synchronise: bool = True
    saved: int = 3

    def __post_init__(self) -> None:
        check_integer("depth", self.depth, 1, 64)
        if self.depth & (self.depth - 1):
            raise ValueError(f"depth must be a power of two, not {self.depth}")
        check_integer("saved", self.saved, 1, 256)

    @property
    def index_bits(self) -> int:
        return bits_for(self.depth)

    @property
    def synchroniser(self) -> SkewSynchroniseParams:
        return SkewSynchroniseParams(depth=self.saved)

    @property
    def ports(self) -> tuple[Port, ...]:
        index = (Port("index", "in", "word", self.index_bits),) if self.depth > 1 else ()
        return (Port("dividend", "in"), Port("divisor", "in"), *index, Port("y", "out"))
