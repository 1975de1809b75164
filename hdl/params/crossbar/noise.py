"""Gaussian numbers for a whole row of devices at once.

The state is two words of 64 bits, s0 and s1, not both 0. A draw of column c (with g = c // 8,
j = c % 8, rotl a rotation to the left, ^ exclusive or, all modulo 2**64) is::

    word(k) = rotl(s0, a) ^ rotl(s1, b) ^ rotl(s0, c)     a, b, c: the lowest three groups of 6 bits
                                                          of seed_of(4200, k, 64), lowest first
    u_i     = byte j of word(4g + i), i = 0..3
    z(c)    = u_0 - u_1 + u_2 - u_3

and after a row of draws the state advances as the linear engine of xoroshiro128 does (Blackman &
Vigna, arXiv 1805.01407)::

    t = s0 ^ s1;   s0 = rotl(s0, 24) ^ t ^ (t << 16);   s1 = rotl(t, 37)

whose period is 2**128 - 1. z is in -510..510 with mean 0, variance 21845 (4 * (256**2 - 1) / 12)
and excess kurtosis -.3, the law of a sum of four uniform numbers. Every bit of every word is a
different linear function of the state, in 12 successive rows no two are the same, so draws are
pairwise uncorrelated. Nor has the exclusive or of two bits of one draw the value of two bits of
another one, up to 5 rows apart, nor of three bits that of one, so squares are uncorrelated too.
(Tests; 4200 is the first number found for which all this holds. Angles that are multiples of the
word's number don't do: word(k + 32) of odd multiples is word(k), turned.)

A generator starts at `state_of(seed, entity)`: draw n of a column is a function of
(seed, entity, column, n) alone.
"""

from __future__ import annotations

from hdl.params.sc.lfsr import seed_of
from hdl.params.sc.unit import check_integer

__all__ = ["DRAW_BITS", "DRAW_SIGMA", "MOST_COLUMNS", "angles", "state_of"]

#: Columns that one generator serves.
MOST_COLUMNS = 128

#: Bits of a draw, signed, and its standard deviation, sqrt(21845).
DRAW_BITS = 10
DRAW_SIGMA = 21845**0.5


def angles(word: int) -> tuple[int, int, int]:
    """Rotations of s0, s1 and again s0 that make word `word`."""
    check_integer("word", word, 0, MOST_COLUMNS // 2 - 1)
    drawn = seed_of(4200, word, 64)
    return drawn & 63, drawn >> 6 & 63, drawn >> 12 & 63


def state_of(seed: int, entity: int) -> tuple[int, int]:
    """The first (s0, s1) of generator `entity`, both at least 1."""
    check_integer("seed", seed, 0, (1 << 32) - 1)
    check_integer("entity", entity, 0, (1 << 31) - 1)
    return seed_of(seed, 2 * entity, 64), seed_of(seed, 2 * entity + 1, 64)
