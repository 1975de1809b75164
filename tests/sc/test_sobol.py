"""Sobol's sequence."""

import warnings

import numpy as np
import pytest
from scipy.stats import qmc

from hdl.params.sc.sobol import SobolParams
from hdl.sc.sobol import Sobol
from sim.golden.sc.sobol import SobolModel, points
from tests.sc.kit import check_many


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be in 1..32, not 0"),
        ({"width": 33}, "width must be in 1..32, not 33"),
        ({"dimension": 0}, "dimension must be in 1..16, not 0"),
        ({"dimension": 17}, "dimension must be in 1..16, not 17"),
        ({"shift": 256}, "shift must be in 0..255, not 256"),
        ({"order": "grey"}, "order must be 'gray' or 'natural', not 'grey'"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        SobolParams(**({"width": 8} | change))


def _scipy(width: int, start: int, length: int) -> np.ndarray:
    """Points [length, 16] of scipy, as integers."""
    sampler = qmc.Sobol(16, scramble=False, bits=max(width, 30))
    if start:
        sampler.fast_forward(start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not a power of two of points
        return (sampler.random(length) * 2.0**width).astype(np.int64)


@pytest.mark.parametrize("width", range(1, 13))
def test_gray_order_is_scipys(width):
    """All 16 dimensions over the whole period; then it starts again."""
    expected = _scipy(width, 0, 1 << width)
    for dimension in range(1, 17):
        length = (1 << width) + 5
        got = SobolModel(SobolParams(width=width, dimension=dimension)).run(length)["value"]
        assert (got == np.resize(expected[:, dimension - 1], length)).all(), dimension


@pytest.mark.parametrize("width", [16, 24, 31, 32])
def test_wide_points_are_scipys(width):
    """Across powers of two, where a new direction comes in, as far as scipy gets in a second."""
    for top in (10, 15, 26 if width == 32 else 14):
        start = (1 << top) - 25
        expected = _scipy(width, start, 50)
        for dimension in range(1, 17):
            got = points(width, dimension, range(start, start + 50), "gray")
            assert (got == expected[:, dimension - 1]).all(), (start, dimension)


def test_natural_order_is_gray_order_rearranged():
    """Point t in natural order stands in Gray order where the Gray code is t."""
    t = np.arange(1 << 10)
    for dimension in range(1, 17):
        natural = points(10, dimension, t)
        assert (natural[t ^ (t >> 1)] == points(10, dimension, t, "gray")).all()
    reversed_bits = sum(((t >> k) & 1) << (9 - k) for k in range(10))
    assert (points(10, 1, t) == reversed_bits).all()


@pytest.mark.parametrize("order", ["gray", "natural"])
def test_counts_of_blocks(order):
    """Each aligned block of 2**k points has each value of the k top bits once."""
    for width in (1, 2, 3, 8):
        for dimension in (1, 2, 7, 16):
            p = SobolParams(width=width, dimension=dimension, order=order, shift=1, invert=True)
            assert p.period == 1 << width
            value = SobolModel(p).run(2 * p.period)["value"]
            for k in range(width + 1):
                blocks = np.sort((value >> (width - k)).reshape(-1, 1 << k), axis=1)
                assert (blocks == np.arange(1 << k)).all()


def test_rtl():
    """Over more than a period, or many numbers of a wide one: every width, both orders."""
    small = [
        SobolParams(width=width, dimension=dimension, order=order, shift=shift, invert=shift > 0)
        for width, dimension in ((1, 1), (2, 2), (3, 3), (6, 16), (7, 1), (8, 2))
        for order, shift in (("gray", 0), ("natural", 1))
    ]
    wide = [
        SobolParams(
            width=width,
            dimension=width % 16 + 1,
            order="natural" if width % 2 else "gray",
            shift=0x5A5A5A5A >> (32 - width),
        )
        for width in range(9, 33)
    ]
    check_many([(p, Sobol, SobolModel) for p in small + wide], length=600)
