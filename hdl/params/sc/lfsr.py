"""The linear feedback shift register.

Fibonacci form, shifting left. With w = `width` and taps (w, a, b, ...), the state s becomes
    s' = ((s << 1) | parity of s[w-1], s[a-1], s[b-1], ...) mod 2**w
`steps` times a cycle. Output of cycle t, with s(0) = `seed`:
    value(t) = rotate_left(s(t) ^ (2**w - 1 if invert else 0), rotate)
The characteristic polynomials x**w + x**a + ... + 1 are primitive, so the period of a single step
is 2**w - 1 and every state but 0 occurs once in it: #(value <= a) = a for 0 <= a < 2**w, and with
`invert`, where 2**w - 1 is the number that does not occur, #(value < a) = a. With more steps the
period is (2**w - 1) / gcd(2**w - 1, steps).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from hdl.params.sc.unit import Port, UnitParams, check_integer

__all__ = ["TAPS", "LfsrParams", "jump", "seed_of", "successor"]

#: A primitive polynomial for each width, of fewest terms and, among these, of highest taps (bits
#: that are far from the output allow many steps a cycle with few gates). tests/sc/test_lfsr.py
#: proves each one primitive by the order of x.
TAPS: dict[int, tuple[int, ...]] = {
    3: (3, 2),
    4: (4, 3),
    5: (5, 3),
    6: (6, 5),
    7: (7, 6),
    8: (8, 6, 5, 4),
    9: (9, 5),
    10: (10, 7),
    11: (11, 9),
    12: (12, 11, 8, 6),
    13: (13, 12, 10, 9),
    14: (14, 13, 11, 9),
    15: (15, 14),
    16: (16, 14, 13, 11),
    17: (17, 14),
    18: (18, 11),
    19: (19, 18, 17, 14),
    20: (20, 17),
    21: (21, 19),
    22: (22, 21),
    23: (23, 18),
    24: (24, 23, 21, 20),
    25: (25, 22),
    26: (26, 25, 24, 20),
    27: (27, 26, 25, 22),
    28: (28, 25),
    29: (29, 27),
    30: (30, 29, 26, 24),
    31: (31, 28),
    32: (32, 30, 26, 25),
}


def seed_of(seed: int, entity: int, width: int) -> int:
    """A state in 1..2**width - 1 for generator `entity` of a design with seed `seed`.

    The finaliser of SplitMix64 (Steele, Lea & Flood 2014) over both numbers: neighbouring seeds
    and entities give unrelated states, which small seeds themselves would not (an LFSR that starts
    at 1 stays low for `width` steps).
    """
    mask = (1 << 64) - 1
    z = (seed * 0x9E3779B97F4A7C15 + (entity + 1) * 0xD1B54A32D192ED03) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    z ^= z >> 31
    return z % ((1 << width) - 1) + 1


@dataclass(frozen=True, kw_only=True)
class LfsrParams(UnitParams):
    """An LFSR.

    Parameters
    ----------
    width : bits, 3..32.
    seed : first state, 1..2**width - 1.
    steps : single steps a cycle, 1..width.
    invert : every output bit inverted (0 occurs, all ones does not).
    rotate : output bits rotated left by so many places, 0..width - 1.
    """

    width: int
    seed: int = 1
    steps: int = 1
    invert: bool = False
    rotate: int = 0

    def __post_init__(self) -> None:
        check_integer("width", self.width, 3, 32)
        check_integer("seed", self.seed, 1, (1 << self.width) - 1)
        check_integer("steps", self.steps, 1, self.width)
        check_integer("rotate", self.rotate, 0, self.width - 1)

    @property
    def taps(self) -> tuple[int, ...]:
        """Exponents of the characteristic polynomial, `width` first; the constant 1 left out."""
        return TAPS[self.width]

    @property
    def period(self) -> int:
        """Cycles until the numbers come again."""
        states = (1 << self.width) - 1
        return states // gcd(states, self.steps)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port("value", "out", "word", self.width),)


def jump(params: LfsrParams, cycles: int) -> int:
    """The state after so many cycles (before, if negative), from `params.seed`.

    Single steps obey s(n + w) = exclusive or of s(n + w - tap) over the taps, so for every number
    of steps n there is x**n = sum of r(i) x**i modulo x**w + sum of x**(w - tap), and then
    s(n) = exclusive or of s(i) with r(i) = 1, 0 <= i < w. Takes about log2(n) * w operations: a
    seed for a generator that starts far away in the same cycle of states.
    """
    width, top = params.width, 1 << params.width
    polynomial = top | sum(1 << (width - tap) for tap in params.taps)

    def times(a: int, b: int) -> int:
        product = 0
        for i in reversed(range(width)):
            product <<= 1
            product ^= polynomial if product & top else 0
            product ^= a if (b >> i) & 1 else 0
        return product

    power, square = 1, 2
    steps = cycles * params.steps % (top - 1)
    while steps:
        power = times(power, square) if steps & 1 else power
        square = times(square, square)
        steps >>= 1
    result, state = 0, params.seed
    single = LfsrParams(width=width)
    for i in range(width):
        result ^= state if (power >> i) & 1 else 0
        state = successor(single, state)
    return result


def successor(params: LfsrParams, state: int) -> int:
    """The state one cycle after `state`."""
    for _ in range(params.steps):
        new = sum(state >> (tap - 1) for tap in params.taps) & 1
        state = (state << 1 | new) & ((1 << params.width) - 1)
    return state
