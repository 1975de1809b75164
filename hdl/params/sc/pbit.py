"""The probabilistic bit: a spin that follows its input current with the odds of a logistic curve.

    m = sgn(tanh(I) + U),  U uniform in -1..1,  so that P(m = +1) = sigmoid(2 I)

(Camsari, Faria, Sutton & Datta, "Stochastic p-bits for invertible logic", Phys. Rev. X 7, 031014,
2017; the inverse temperature is part of I). In integers: the word `current` is I * 2**f,
f = `fraction`; with k = `random_bits`, s = `step_bits` and a table Q of 2**`address_bits` words::

    e       = (|current| + 2**(s - 1)) >> s            (|current| for s = 0)
    Q(e)    = round(2**k * sigmoid(-2 * e * 2**(s - f))) for e < 2**address_bits, 0 beyond
    against = draw >= 2**k - Q(e)
    m       = (current >= 0) != against                1 means +1, 0 means -1

with draws of k bits (hdl/params/sc/draw.py). So the odds are symmetric:
P(m = +1 | I) + P(m = +1 | -I) = 1, P(m = +1 | 0) = 1/2, and beyond the table's end m is the sign.
Over a period of the LFSR exactly Q(e) * 2**(width - k) draws are against.

P differs from the logistic curve by at most the half of 2**-k (the table's words), a quarter of
2**(s - f) if s > 0 (steps of the table: half a step times the slope of at most 1/2) and
sigmoid(-2 I) at the first I beyond the table's end: `error_bound`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property, lru_cache

from hdl.params.sc.draw import draw_generator
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["PBitParams", "SigmoidTable"]


@lru_cache(maxsize=64)
def _sigmoid_words(fraction: int, step_bits: int, address_bits: int, bits: int) -> tuple[int, ...]:
    """round(2**bits * sigmoid(-2 x)) at x = e * 2**(step_bits - fraction), halves to even.

    In decimal arithmetic of 60 digits, which gives the same words on every machine.
    """
    with localcontext() as context:
        context.prec = 60
        unit, top = Decimal(2 << step_bits) / (1 << fraction), Decimal(1 << bits)
        return tuple(
            int((top / (1 + (e * unit).exp())).to_integral_value())
            for e in range(1 << address_bits)
        )


@dataclass(frozen=True, kw_only=True)
class SigmoidTable:
    """The odds of a p-bit to go against the sign of its current.

    Parameters
    ----------
    fraction : f, fraction bits of a current, 0..12.
    step_bits : s, a word of the table stands for 2**s currents, 0..fraction.
    address_bits : the table has 2**address_bits words, 1..10.
    random_bits : k, bits of a word and of a draw, 2..32.
    """

    fraction: int = 4
    step_bits: int = 0
    address_bits: int = 7
    random_bits: int = 16

    def __post_init__(self) -> None:
        check_integer("fraction", self.fraction, 0, 12)
        check_integer("step_bits", self.step_bits, 0, self.fraction)
        check_integer("address_bits", self.address_bits, 1, 10)
        check_integer("random_bits", self.random_bits, 2, 32)

    @cached_property
    def words(self) -> tuple[int, ...]:
        """Q(0), Q(1), ... up to the table's end."""
        return _sigmoid_words(self.fraction, self.step_bits, self.address_bits, self.random_bits)

    @property
    def half_step(self) -> int:
        """What is added to a magnitude before its low `step_bits` bits are dropped."""
        return (1 << self.step_bits) >> 1

    @property
    def end(self) -> int:
        """The least magnitude of a current beyond the table: there m is the sign."""
        return (1 << (self.step_bits + self.address_bits)) - self.half_step

    @property
    def error_bound(self) -> float:
        """At most so much differs P(m = +1) from sigmoid(2 I), for any I."""
        rounding = 0.5 / (1 << self.random_bits)
        steps = self.half_step / (1 << self.fraction) / 2
        with localcontext() as context:
            context.prec = 30
            tail = 1 / (1 + (Decimal(2 * self.end) / (1 << self.fraction)).exp())
        return max(rounding + steps, float(tail))


@dataclass(frozen=True, kw_only=True)
class PBitParams(UnitParams):
    """A p-bit with a generator of its own.

    The output of cycle t + 2 belongs to the current of cycle t and uses the draw of cycle t + 2.

    Parameters
    ----------
    bits : of the signed current, 2..24.
    table : the odds.
    width : of the LFSR, 3..32, at least `table.random_bits`.
    seed : of the design.
    entity : number of this generator in the design.
    """

    bits: int = 8
    table: SigmoidTable = SigmoidTable()
    width: int = 32
    seed: int = 0
    entity: int = 0

    latency = 2

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 2, 24)
        check_integer("width", self.width, 3, 32)
        if not isinstance(self.table, SigmoidTable):
            raise TypeError(f"table must be a SigmoidTable, not {self.table!r}")
        if self.table.random_bits > self.width:
            raise ValueError(
                f"width must be at least random_bits ({self.table.random_bits}), not {self.width}"
            )
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        check_integer("entity", self.entity, 0, (1 << 32) - 1)
        _ = self.generator

    @property
    def generator(self) -> LfsrParams:
        """Where the draws come from."""
        return draw_generator(
            self.table.random_bits, width=self.width, seed=self.seed, entity=self.entity
        )

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("current", "in", "word", self.bits, signed=True), Port("m", "out"))
