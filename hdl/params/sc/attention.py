"""Stochastic spiking attention: one head, after Song et al. (arXiv 2402.09109).

In each step the query, key and value spikes Q, K, V are bits [tokens, dim], the answer A too::

    visible(i) = {j : j <= i} if causal else all tokens;  n(i) = their number
    score(i, j) = sum over d of Q[i, d] & K[j, d]                              j in visible(i)
    S[i, j]     = (r * dim)  < (score(i, j) << (16 + score_gain))
    value(i, d) = sum over visible j of S[i, j] & V[j, d]
    A[i, d]     = (r' * n(i)) < (value(i, d) << (16 + value_gain))

so that S[i, j] is 1 with probability min(1, 2**score_gain * score / dim), and A[i, d] with
probability min(1, 2**value_gain * value / n), both rounded up to 2**-16. r and r' are draws in
0..65535 of two generators, "score" and "value": a draw is the low 16 bits of a 32-bit LFSR
(hdl/params/sc/lfsr.py, steps=16) before it advances. One draw of "score" for each visible (i, j),
in the order i, then j; one draw of "value" for each (i, d), in the order i, then d. The generators
start at `seed_of(seed, 0, 32)` and `seed_of(seed, 1, 32)`, go on from step to step, and start
again with a clear.

In a core, an event sets one bit of Q, K or V, or of several of them, until the next update.
Memory.POINTER, item [axon], lowest bits first: column d (`column_bits`), token (`token_bits`), then
3 bits that say whether the bit is set in Q, K, V; an event of an axon with none of them is dropped.
Neuron (i, d) stands in slot i * dim + d; A[i, d] is its input sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.neuron import bits_for
from hdl.params.sc.lfsr import LfsrParams, seed_of
from hdl.params.sc.unit import check_integer

if TYPE_CHECKING:
    from hdl.params.neuron import CoreParams

__all__ = ["DRAW_BITS", "PORTS", "AttentionParams", "overlap_latency"]

#: Bits of a draw.
DRAW_BITS = 16

#: What feeds an attention head, in the order of its port numbers.
PORTS = ("query", "key", "value")


def overlap_latency(width: int, counted: int = 0) -> int:
    """Cycles from two words of `width` bits to the bit that encodes how many ones they share.

    A register after each level of a tree of adders; two bits of both words need no adder. A factor
    that changes, of up to `counted`, is multiplied in another such tree behind a register.
    """
    ones = 1 + bits_for(-(-width // 2))
    return max(ones, 1 + bits_for(counted.bit_length())) if counted else ones


@dataclass(frozen=True, kw_only=True)
class AttentionParams(DendritesParams):
    """One attention head: semantics and size at once.

    Parameters
    ----------
    tokens, dim : rows and columns of Q, K, V, 1..1024 and 1..256.
    causal : token i sees the tokens 0..i only.
    score_gain, value_gain : the probabilities are multiplied by 2 to these, 0..8.
    seed : of the two generators.
    """

    tokens: int
    dim: int
    causal: bool = False
    score_gain: int = 0
    value_gain: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("tokens", self.tokens, 1, 1024)
        check_integer("dim", self.dim, 1, 256)
        check_integer("score_gain", self.score_gain, 0, 8)
        check_integer("value_gain", self.value_gain, 0, 8)
        check_integer("seed", self.seed, 0, (1 << 32) - 1)

    @property
    def size(self) -> int:
        """Neurons of the head: (token, dim) is neuron token * dim + dim."""
        return self.tokens * self.dim

    @property
    def token_bits(self) -> int:
        return bits_for(self.tokens)

    @property
    def column_bits(self) -> int:
        return bits_for(self.dim)

    @property
    def item_bits(self) -> int:
        """Bits of a pointer."""
        return self.column_bits + self.token_bits + len(PORTS)

    def item(self, token: int, column: int, *ports: str) -> int:
        """The pointer of an axon that sets bit (token, column) of these of PORTS."""
        check_integer("token", token, 0, self.tokens - 1)
        check_integer("column", column, 0, self.dim - 1)
        if unknown := set(ports) - set(PORTS):
            raise ValueError(f"ports must be of {PORTS}, not {sorted(unknown)}")
        which = sum(1 << PORTS.index(port) for port in set(ports))
        return column | token << self.column_bits | which << (self.column_bits + self.token_bits)

    def items(self, slots: int, axons: int) -> dict[Memory, tuple[int, int]]:
        return {Memory.POINTER: (axons, self.item_bits)}

    def check(self, core: CoreParams) -> None:
        if core.slots != self.size:
            raise ValueError(
                f"slots must be tokens * dim = {self.size} with attention, not {core.slots}"
            )

    @property
    def latencies(self) -> tuple[int, int]:
        """Cycles of the two pipelines, from words to bits: of scores and of answers."""
        counted = self.tokens if self.causal else 0
        return overlap_latency(self.dim), overlap_latency(self.tokens, counted)

    def row_cycles(self, row: int) -> int:
        """Cycles from the first score of row `row` of S to the first of the next row.

        A score is computed in a cycle, and meanwhile the `dim` answers of the row before.
        """
        visible = row + 1 if self.causal else self.tokens
        return max(visible, self.dim) if row else visible

    def answer_cycle(self, row: int, column: int) -> int:
        """The cycle in which A[row, column] shows, counted from the start of the update."""
        begun = sum(self.row_cycles(i) for i in range(row + 1))
        return 2 + sum(self.latencies) + begun + column

    def update_cycles(self, slots: int) -> int:
        return self.answer_cycle(self.tokens - 1, self.dim - 1)

    def generator(self, number: int) -> LfsrParams:
        """Generator 0 ("score") or 1 ("value")."""
        return LfsrParams(width=32, seed=seed_of(self.seed, number, 32), steps=DRAW_BITS)
