"""Draws: the fresh random bits that a unit takes from an LFSR in a cycle.

A draw of k bits is the low k bits of the state of an LFSR (hdl/params/sc/lfsr.py) before it
advances. The LFSR makes the least number of steps a cycle that is at least k, so that draws share
no bits, and that has no common factor with 2**width - 1. Then the period in cycles is 2**width - 1
as well, every state but 0 occurs once in it, and so do all draws but one::

    every value of k bits but 0 occurs 2**(width - k) times in a period, 0 once less.

The draw with index t is a function of (seed, entity, t) alone: the state starts at
`seed_of(seed, entity, width)` and cycle t has draw t.
"""

from __future__ import annotations

from math import gcd

from hdl.params.sc.lfsr import LfsrParams, seed_of

__all__ = ["draw_generator"]


def draw_generator(bits: int, *, width: int, seed: int, entity: int = 0) -> LfsrParams:
    """The LFSR of `width` bits that gives `bits` fresh bits a cycle.

    Raises ValueError if it has none with a full period.
    """
    period = (1 << width) - 1
    for steps in range(bits, width + 1):
        if gcd(steps, period) == 1:
            return LfsrParams(width=width, seed=seed_of(seed, entity, width), steps=steps)
    raise ValueError(f"an LFSR of {width} bits has no full period with draws of {bits} bits")
