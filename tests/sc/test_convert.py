"""Conversion between the encodings."""

import numpy as np
import pytest

from hdl.params.sc.convert import ToBipolarParams, ToUnipolarParams
from hdl.sc.convert import ToBipolar, ToUnipolar
from sim.golden.sc.convert import ToBipolarModel, ToUnipolarModel
from sim.golden.sc.packed import count, pack, unpack
from tests.sc.kit import check, random_inputs


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"limit must be in 1..1048576, not 0"):
        ToUnipolarParams(limit=0)


#: All streams of 12 bits.
BITS = (np.arange(4096)[:, None] >> np.arange(12)) & 1


def test_to_bipolar_is_exact():
    """After every cycle: ones of y = floor((ones of a + cycles) / 2)."""
    y = unpack(ToBipolarModel(ToBipolarParams()).run(12, a=pack(BITS))["y"], 12)
    expected = (np.cumsum(BITS, axis=-1) + np.arange(1, 13)) // 2
    assert (np.cumsum(y, axis=-1) == expected).all()


def test_to_unipolar_is_the_running_maximum():
    """After every cycle: ones of y = the largest sum of the bits as +1 and -1 so far, or 0."""
    y = unpack(ToUnipolarModel(ToUnipolarParams(limit=12)).run(12, a=pack(BITS))["y"], 12)
    largest = np.maximum.accumulate(np.cumsum(2 * BITS - 1, axis=-1), axis=-1)
    assert (np.cumsum(y, axis=-1) == np.maximum(largest, 0)).all()


@pytest.mark.parametrize("limit", [1, 7])
def test_small_counters(limit):
    """Independent bits: the stationary distribution of the counter, in closed form."""
    p = np.linspace(0.05, 0.95, 10)
    rng = np.random.default_rng(limit)
    a = rng.random((10, 1 << 17)) < p[:, None]
    y = count(ToUnipolarModel(ToUnipolarParams(limit=limit)).run(1 << 17, a=pack(a))["y"])
    r = (1 - p) / p
    assert np.abs(y / (1 << 17) - p * (1 - r) / (1 - r ** (limit + 1))).max() < 0.01


def test_there_and_back():
    """A positive value comes through both."""
    rng = np.random.default_rng(3)
    a = pack(rng.random((50, 4096)) < rng.random((50, 1)))
    there = ToBipolarModel(ToBipolarParams()).run(4096, a=a)["y"]
    back = ToUnipolarModel(ToUnipolarParams(limit=255)).run(4096, a=there)["y"]
    assert np.abs(count(back) - count(a)).max() <= 2


@pytest.mark.parametrize(
    ("params", "component", "twin"),
    [
        (ToBipolarParams(), ToBipolar, ToBipolarModel),
        (ToUnipolarParams(limit=1), ToUnipolar, ToUnipolarModel),
        (ToUnipolarParams(limit=10), ToUnipolar, ToUnipolarModel),
    ],
)
def test_rtl(params, component, twin):
    given = random_inputs(params, runs=40, length=150, seed=9)
    check(params, component, twin, given, length=150)
