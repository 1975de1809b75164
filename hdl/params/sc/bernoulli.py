"""Bernoulli sampler: bits that are 1 with a programmed probability.

The probability p / 2**k comes as the operand p in 0..2**k, k = `bits`. In each cycle a draw of
k * lanes bits (hdl/params/sc/draw.py) falls into one word of k bits for each lane, lane 0 lowest::

    y = word >= 2**k - p        (the carry of word + p)

Over a period of 2**width - 1 cycles the LFSR has every state but 0 once, so a lane has exactly
p * 2**(width - k) ones for p < 2**k, and only ones for p = 2**k: p = 0 and p = 2**k are never
wrong, and any other frequency is too large by the factor 1 + 1 / (2**width - 1), since what the
state 0 would have given is a 0. The lanes of one cycle are independent in the
same sense; so are draws of up to width / (k * lanes) successive cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.sc.draw import draw_generator
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["BernoulliParams"]


@dataclass(frozen=True, kw_only=True)
class BernoulliParams(UnitParams):
    """A Bernoulli sampler.

    Parameters
    ----------
    bits : k, of a probability, 1..width.
    lanes : samples a cycle, 1..32; bits * lanes is at most width.
    width : of the LFSR, 3..32.
    seed : of the design.
    entity : number of this generator in the design.
    """

    bits: int
    lanes: int = 1
    width: int = 32
    seed: int = 0
    entity: int = 0

    def __post_init__(self) -> None:
        check_integer("width", self.width, 3, 32)
        check_integer("bits", self.bits, 1, self.width)
        check_integer("lanes", self.lanes, 1, 32)
        if self.bits * self.lanes > self.width:
            raise ValueError(
                f"bits * lanes must be at most width ({self.width}), not {self.bits * self.lanes}"
            )
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        check_integer("entity", self.entity, 0, (1 << 32) - 1)
        _ = self.generator

    @property
    def generator(self) -> LfsrParams:
        """Where the draws come from."""
        return draw_generator(
            self.bits * self.lanes, width=self.width, seed=self.seed, entity=self.entity
        )

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the output ports: "y", or "y0", "y1", ... of several lanes."""
        return ("y",) if self.lanes == 1 else tuple(f"y{lane}" for lane in range(self.lanes))

    @property
    def ports(self) -> tuple[Port, ...]:
        probability = Port("p", "in", "held", self.bits + 1, high=1 << self.bits)
        return (probability, *(Port(name, "out") for name in self.samples))
