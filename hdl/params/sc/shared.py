"""One LFSR that feeds several lanes, each with its own order of the bits.

With the state s(t) of an LFSR (hdl/params/sc/lfsr.py) and the order o(k) of lane k, bits counted
from the top (0 is the highest)::

    bit j from the top of value_k(t) = bit o(k)[j] from the top of s(t),
                                       inverted in odd lanes with `invert`

    order "rotate":  o(k)[j] = (j + k * width // lanes) mod width          lanes <= width
    order "spread":  o(0) is the identity, o(1) the reverse; each further one is the one of all
                     rotations, their reverses and SHUFFLES seeded shuffles whose largest sum over
                     bits of 4**-(i + j) with a lane before it is least (the first of those), where
                     the bit is i from the top of one lane and j from the top of the other.

Every lane has the period and the counts of the LFSR, but lanes are not independent. Their `overlap`
is the least i + j of a bit. The AND of two comparators' streams is off by about .104 * 2**-overlap
RMS at any length (Walsh coefficients of a threshold, see hdl/params/sc/source.py); inverting
changes only the sign. A rotation by r has overlap min(r, width - r), the reverse width - 1: two
lanes in reverse are better than two LFSRs. The wires cost nothing, but with more lanes the error
is about .03 at any length, and LFSRs of their own (`width` flip-flops each) are better.

Printed by `python tests/bench/lanes.py --lanes 2 3 4 8 16`, 8 bits, over a period, of all pairs of
lanes: RMS error of the AND and mean |SCC| (Alaghi & Hayes 2013), over all pairs of thresholds::

    order   lanes  overlap  RMS worst   mean   |SCC| worst   mean
    rotate      2        4     0.0111  0.0111        0.259  0.259
    rotate      3        2     0.0268  0.0188        0.437  0.347
    rotate      4        2     0.0268  0.0216        0.437  0.378
    rotate      8        1     0.0527  0.0285        0.673  0.441
    spread      2        7     0.0036  0.0036        0.130  0.130
    spread      3        3     0.0213  0.0132        0.438  0.290
    spread      4        2     0.0289  0.0179        0.514  0.350
    spread      8        1     0.0560  0.0293        0.768  0.463
    spread     16        0     0.0856  0.0334        0.887  0.489
    two LFSRs, seeds far apart
                           0.0114  0.0044        0.220  0.138
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hdl.params.sc.lfsr import LfsrParams, seed_of
from hdl.params.sc.unit import Port, UnitParams, check_choice, check_integer

__all__ = ["SHUFFLES", "SharedLfsrParams"]

#: Shuffles among which "spread" chooses each lane.
SHUFFLES = 200


def _sums(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """For each bit of the state the places it has from the top of two lanes, added."""
    places = {bit: j for j, bit in enumerate(b)}
    return [i + places[bit] for i, bit in enumerate(a)]


def _shuffled(width: int, number: int) -> tuple[int, ...]:
    """A permutation of range(width) (Fisher & Yates), the same for the same number."""
    order = list(range(width))
    for last in range(width - 1, 0, -1):
        other = seed_of(number, last, 32) % (last + 1)
        order[last], order[other] = order[other], order[last]
    return tuple(order)


@lru_cache(maxsize=64)
def _spread(width: int, lanes: int) -> tuple[tuple[int, ...], ...]:
    natural = tuple(range(width))
    orders = [natural, natural[::-1]][:lanes]
    turns = [natural[r:] + natural[:r] for r in range(1, width)]
    turns += [turn[::-1] for turn in turns]

    def worst(order: tuple[int, ...]) -> float:
        return max(sum(4.0**-n for n in _sums(order, lane)) for lane in orders)

    while len(orders) < lanes:
        shuffles = [_shuffled(width, len(orders) * SHUFFLES + n) for n in range(SHUFFLES)]
        orders.append(min(turns + shuffles, key=worst))
    return tuple(orders)


@dataclass(frozen=True, kw_only=True)
class SharedLfsrParams(UnitParams):
    """An LFSR with lanes.

    Parameters
    ----------
    width, seed, steps : of the LFSR.
    lanes : 1..64; with "rotate" at most `width`.
    order : "rotate" or "spread".
    invert : odd lanes are inverted.
    """

    width: int
    lanes: int
    seed: int = 1
    steps: int = 1
    order: str = "spread"
    invert: bool = False

    def __post_init__(self) -> None:
        _ = self.lfsr
        check_choice("order", self.order, ("rotate", "spread"))
        check_integer("lanes", self.lanes, 1, 64 if self.order == "spread" else self.width)

    @property
    def lfsr(self) -> LfsrParams:
        return LfsrParams(width=self.width, seed=self.seed, steps=self.steps)

    @property
    def period(self) -> int:
        """Cycles until the numbers come again."""
        return self.lfsr.period

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """o(k) for each lane."""
        if self.order == "spread":
            return _spread(self.width, self.lanes)
        turns = (k * self.width // self.lanes for k in range(self.lanes))
        return tuple(tuple((j + turn) % self.width for j in range(self.width)) for turn in turns)

    def overlap(self, a: int, b: int) -> int:
        """Of lanes a and b."""
        return min(_sums(self.orders[a], self.orders[b]))

    @property
    def ports(self) -> tuple[Port, ...]:
        return tuple(Port(f"value_{k}", "out", "word", self.width) for k in range(self.lanes))
