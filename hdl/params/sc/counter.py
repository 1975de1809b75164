"""The counter as number generator: a ramp.

    value(t) = (t >> divide) mod 2**width, every bit inverted with `invert` (a falling ramp)

Each number stands for 2**divide cycles; the period is 2**(width + divide) and every number has the
same share of it: #(value < a) = a * 2**divide. Two counters of w bits, one with divide 0 and one
with divide w, meet in every pair of numbers once in 2**(2 w) cycles: this is clock division
(Jenson & Riedel 2016), whose AND product is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["CounterParams"]


@dataclass(frozen=True, kw_only=True)
class CounterParams(UnitParams):
    """A counter.

    Parameters
    ----------
    width : bits, 1..32.
    divide : the number advances every 2**divide cycles, 0..32.
    invert : every output bit inverted.
    """

    width: int
    divide: int = 0
    invert: bool = False

    def __post_init__(self) -> None:
        check_integer("width", self.width, 1, 32)
        check_integer("divide", self.divide, 0, 32)

    @property
    def period(self) -> int:
        """Cycles until the numbers come again."""
        return 1 << (self.width + self.divide)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("value", "out", "word", self.width),)
