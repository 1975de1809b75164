"""Named laws y(x) of a device's table: constants, polynomials, logarithms, powers, in pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LAWS", "Law", "Piece"]

#: Least x of a logarithm or a power (aihwkit's _ZERO_CLIP).
LEAST = 1e-7

Numbers = dict[str, tuple[float, ...]]
Real = NDArray[np.float64]


def _polynomial(x: Real, c: Numbers) -> Real:
    return sum((part * x**k for k, part in enumerate(c["coefficients"])), np.zeros_like(x))


def _logarithm(x: Real, c: Numbers) -> Real:
    return c["offset"][0] + c["slope"][0] * np.log(np.maximum(x, LEAST))


def _power(x: Real, c: Numbers) -> Real:
    rise = np.maximum(x, LEAST) ** c["exponent"][0]
    return c.get("offset", (0.0,))[0] + c["factor"][0] * rise


#: Name of a law: its formula, the numbers that it needs, those that it may have.
LAWS: dict[str, tuple[Callable[[Real, Numbers], Real], tuple[str, ...], tuple[str, ...]]] = {
    "polynomial": (_polynomial, ("coefficients",), ()),
    "logarithm": (_logarithm, ("offset", "slope"), ()),
    "power": (_power, ("factor", "exponent"), ("offset",)),
}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One law, for x below `below`.

    Parameters
    ----------
    law : a name in LAWS.
    numbers : its numbers by name, each a tuple.
    low, high : bounds of y.
    below : end of the piece.
    """

    law: str
    numbers: Numbers
    low: float = -np.inf
    high: float = np.inf
    below: float = np.inf

    def __call__(self, x: ArrayLike) -> Real:
        value = LAWS[self.law][0](np.asarray(x, float), self.numbers)
        return np.clip(value, self.low, self.high)


@dataclass(frozen=True)
class Law:
    """A law in pieces; the first whose `below` is above x holds. y has the shape of x."""

    pieces: tuple[Piece, ...]

    def __call__(self, x: ArrayLike) -> Real:
        x = np.asarray(x, float)
        return np.select([x < p.below for p in self.pieces], [p(x) for p in self.pieces], np.nan)
