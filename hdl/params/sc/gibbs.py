"""Gibbs sampler: one p-bit that takes n coupled spins in turn.

Spins m_i are +1 or -1; couplings J (symmetric, no self-coupling) and fields h are integers. Update
t = 0, 1, ... gives spin i = t mod n a new value from the others::

    current = beta(t) * (h_i + sum over j of J_ij * m_j)
    m_i     = what a p-bit makes of it (hdl/params/sc/pbit.py) with draw t + `latency`

so with f = `table.fraction` P(m_i = +1) is sigmoid(2 * current / 2**f), up to the error of the
table. The exact logistic curve leaves the Boltzmann distribution as it is::

    P(m) ~ exp(-E(m) * beta / 2**f),  E(m) = -sum over i < j of J_ij m_i m_j - sum over i of h_i m_i

(Geman & Geman 1984; with p-bits: Camsari et al., Phys. Rev. X 7, 031014, 2017) if beta, the
inverse temperature in units of 2**-f, stays; each update has its own, for annealing. In the word
`state` bit i is 1 for m_i = +1. The state given for update t is the one before it: the first is
`initial`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdl.params.neuron import bits_for
from hdl.params.sc.draw import draw_generator
from hdl.params.sc.lfsr import LfsrParams
from hdl.params.sc.pbit import SigmoidTable
from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["GibbsSamplerParams"]

#: Couplings and fields lie within this.
LIMIT = (1 << 15) - 1

#: The table of a sampler that is not given one.
TABLE = SigmoidTable()


@dataclass(frozen=True, kw_only=True)
class GibbsSamplerParams(UnitParams):
    """A Gibbs sampler of 1..63 spins.

    Parameters
    ----------
    couplings : J, rows of integers.
    fields : h, an integer for each spin; none is 0 everywhere.
    beta_bits : of the inverse temperature, 1..8.
    table : the odds of the p-bit; it is made of LUTs, twice.
    initial : the first state, bit i for spin i.
    width : of the LFSR, 3..32, at least `table.random_bits`.
    seed : of the design.
    entity : number of this generator in the design.
    """

    couplings: tuple[tuple[int, ...], ...]
    fields: tuple[int, ...] = ()
    beta_bits: int = 4
    table: SigmoidTable = TABLE
    initial: int = 0
    width: int = 32
    seed: int = 0
    entity: int = 0

    latency = 6

    def __post_init__(self) -> None:
        n = len(self.couplings)
        if not 1 <= n <= 63:
            raise ValueError(f"couplings must have 1..63 rows, not {n}")
        if self.fields and len(self.fields) != n:
            raise ValueError(f"fields must have {n} items, not {len(self.fields)}")
        for i, row in enumerate(self.couplings):
            if len(row) != n:
                raise ValueError(f"couplings[{i}] must have {n} items, not {len(row)}")
            for j, coupling in enumerate(row):
                check_integer(f"couplings[{i}][{j}]", coupling, -LIMIT, LIMIT)
        for i, row in enumerate(self.couplings):
            if row[i]:
                raise ValueError(f"couplings[{i}][{i}] must be 0, not {row[i]}")
            for j in range(i):
                if row[j] != self.couplings[j][i]:
                    raise ValueError(
                        f"couplings must be symmetric, but [{i}][{j}] is {row[j]} and "
                        f"[{j}][{i}] is {self.couplings[j][i]}"
                    )
        for i, field in enumerate(self.fields):
            check_integer(f"fields[{i}]", field, -LIMIT, LIMIT)
        check_integer("beta_bits", self.beta_bits, 1, 8)
        if not isinstance(self.table, SigmoidTable):
            raise TypeError(f"table must be a SigmoidTable, not {self.table!r}")
        check_integer("initial", self.initial, 0, (1 << n) - 1)
        check_integer("width", self.width, 3, 32)
        if self.table.random_bits > self.width:
            raise ValueError(
                f"width must be at least random_bits ({self.table.random_bits}), not {self.width}"
            )
        check_integer("seed", self.seed, 0, (1 << 32) - 1)
        check_integer("entity", self.entity, 0, (1 << 32) - 1)
        _ = self.generator

    @property
    def spins(self) -> int:
        """n."""
        return len(self.couplings)

    @property
    def biases(self) -> tuple[int, ...]:
        """h, written out."""
        return self.fields or (0,) * self.spins

    @property
    def field_bits(self) -> int:
        """Bits of a signed sum h_i + J_i0 m_0 + ..."""
        rows = zip(self.couplings, self.biases, strict=True)
        return max(abs(h) + sum(map(abs, row)) for row, h in rows).bit_length() + 1

    @property
    def index_bits(self) -> int:
        """Bits of the index of a spin, at least 1."""
        return max(bits_for(self.spins), 1)

    @property
    def generator(self) -> LfsrParams:
        """Where the draws come from."""
        return draw_generator(
            self.table.random_bits, width=self.width, seed=self.seed, entity=self.entity
        )

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port("beta", "in", "word", self.beta_bits),
            Port("spin", "out", "word", self.index_bits),
            Port("state", "out", "word", self.spins),
        )
