"""Halton's sequence."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import qmc

from hdl.params.sc.halton import BASES, HaltonParams
from hdl.sc.halton import Halton
from sim.golden.sc.halton import HaltonModel
from tests.sc.kit import check_many


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be in 1..24, not 0"),
        ({"width": 25}, "width must be in 1..24, not 25"),
        ({"base": 4}, "base must be a prime up to 31, not 4"),
        ({"digits": 33}, "digits must be in 0..32, not 33"),
        ({"base": 31, "digits": 7}, r"base\*\*digits must be at most 2\*\*32, not 31\*\*7"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        HaltonParams(**({"width": 8} | change))


@pytest.mark.parametrize("column", range(len(BASES)))
def test_is_scipys(column):
    """The floor of scipy's, whose rounding error decides only beside an integer."""
    length = 5000
    real = qmc.Halton(len(BASES), scramble=False).random(length)[:, column] * 2.0**24
    p = HaltonParams(width=24, base=BASES[column])
    value = HaltonModel(p).run(length)["value"]
    if p.base == 2:
        assert (value == real).all()
        return
    near = np.abs(real - np.round(real)) < 1e-6
    assert near.mean() < 0.01
    assert (value[~near] == np.floor(real[~near])).all()
    assert (np.abs(value[near] - real[near]) < 1 + 1e-6).all()


def test_is_the_exact_floor():
    for base, width in ((3, 8), (7, 5), (2, 6), (31, 1)):
        p = HaltonParams(width=width, base=base, digits=3)
        for t, value in enumerate(HaltonModel(p).run(p.period)["value"].tolist()):
            digits = [t // base**k % base for k in range(3)]
            phi = sum(Fraction(d, base ** (k + 1)) for k, d in enumerate(digits))
            assert value == phi * 2**width // 1


@pytest.mark.parametrize("base", BASES)
def test_counts_over_a_period(base):
    for width, digits in ((1, 1), (4, 2), (8, 0)):
        p = HaltonParams(width=width, base=base, digits=digits)
        value = np.sort(HaltonModel(p).run(2 * p.period)["value"])
        a = np.arange((1 << width) + 1)
        below = np.searchsorted(value, a)
        assert (below == 2 * -(-a * p.period // (1 << width))).all()


def test_rtl():
    """Whole periods of small ones, so the bound on the accumulator's error is met at its worst."""
    units = [
        HaltonParams(width=width, base=base, digits=digits, invert=invert)
        for width, base, digits, invert in (
            (1, 2, 0, False),
            (6, 2, 0, True),
            (4, 2, 7, False),
            (8, 2, 5, False),
            (1, 3, 1, False),
            (8, 3, 0, False),
            (12, 3, 5, True),
            (8, 5, 0, False),
            (24, 5, 4, False),
            (3, 7, 3, False),
            (8, 7, 0, True),
            (10, 11, 3, False),
            (8, 13, 0, False),
            (16, 31, 2, False),
            (24, 3, 20, False),
            (24, 31, 0, False),
        )
    ]
    check_many([(p, Halton, HaltonModel) for p in units], length=2200)
