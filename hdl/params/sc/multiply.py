"""Multiplication by one gate.

Unipolar: y = a & b. Bipolar: y = ~(a ^ b), which is 1 where the two bits agree.

For independent streams (SCC = 0) unipolar p(y) = p(a) p(b), and bipolar y = a b as values 2 p - 1:
p(y) = p(a) p(b) + (1 - p(a)) (1 - p(b)). What correlated streams give instead:

====  ======================  ==============================
SCC   unipolar p(y)           bipolar p(y)
====  ======================  ==============================
+1    min(p(a), p(b))         1 - |p(a) - p(b)|
0     p(a) p(b)               the product
-1    max(0, p(a) + p(b) - 1) |p(a) + p(b) - 1|
====  ======================  ==============================

Source: Gaines 1967; SCC after Alaghi & Hayes, ICCD 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import ENCODINGS, Port, UnitParams, check_choice

__all__ = ["MultiplyParams"]


@dataclass(frozen=True, kw_only=True)
class MultiplyParams(UnitParams):
    """A multiplier of two streams.

    Parameters
    ----------
    encoding : "unipolar" or "bipolar", of both inputs and of the output.
    """

    sequential = False

    encoding: str = "unipolar"

    def __post_init__(self) -> None:
        check_choice("encoding", self.encoding, ENCODINGS)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("a", "in"), Port("b", "in"), Port("y", "out"))
