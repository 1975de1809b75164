"""Subtraction and absolute value."""

import numpy as np
import pytest

from hdl.params.sc.subtract import (
    AbsoluteDifferenceParams,
    AbsoluteValueParams,
    SubtractParams,
)
from hdl.sc.subtract import AbsoluteDifference, AbsoluteValue, Subtract
from sim.golden.sc.packed import count, pack, unpack
from sim.golden.sc.subtract import AbsoluteDifferenceModel, AbsoluteValueModel, SubtractModel
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        (SubtractParams, {"scale": 3}, "scale must be in 1..2, not 3"),
        (SubtractParams, {"depth": 3}, "depth must be in 4..24, not 3"),
        (AbsoluteValueParams, {"limit": 0}, "limit must be in 1..1048576, not 0"),
    ],
)
def test_wrong_parameters(params, change, message):
    with pytest.raises(ValueError, match=message):
        params(**change)


def test_scaled_difference_is_exact():
    """After every cycle: ones of y = floor((ones of a + zeros of b) / 2)."""
    params = SubtractParams()
    given = random_inputs(params, runs=50, length=200, seed=1)
    y = unpack(SubtractModel(params).run(200, **given)["y"], 200)
    a, b = (unpack(given[name], 200).astype(int) for name in "ab")
    assert (np.cumsum(y, axis=-1) == np.cumsum(a + 1 - b, axis=-1) // 2).all()


def test_difference_saturates():
    """Scale 1: a - b within the accumulator's limit, -1 or 1 beyond."""
    params = SubtractParams(scale=1)
    rng = np.random.default_rng(2)
    p, q = rng.random((2, 60, 1))
    a, b = rng.random((60, 1 << 14)) < p, rng.random((60, 1 << 14)) < q
    y = 2 * count(SubtractModel(params).run(1 << 14, a=pack(a), b=pack(b))["y"]) / (1 << 14) - 1
    difference = 2 * (a.mean(axis=-1) - b.mean(axis=-1))
    assert np.abs(y - np.clip(difference, -1, 1)).max() < 2 * 256 / (1 << 14)
    assert (np.abs(difference) > 1).any()


def test_absolute_difference_at_each_correlation():
    a, b = np.arange(17)[:, None, None], np.arange(17)[None, :, None]
    t, long = np.arange(16), np.arange(256)

    def ones(length, x, y):
        model = AbsoluteDifferenceModel(AbsoluteDifferenceParams())
        return count(model.run(length, a=pack(x), b=pack(y))["y"])

    p, q = a[..., 0], b[..., 0]
    assert (ones(16, t < a, t < b) == np.abs(p - q)).all()
    assert (ones(256, long % 16 < a, long // 16 < b) == 16 * p + 16 * q - 2 * p * q).all()
    assert (ones(16, t < a, 15 - t < b) == 16 - np.abs(p + q - 16)).all()


def test_absolute_value_is_exact():
    """All 4096 streams of 12 bits: the sum of the bits as +1 and -1, after every cycle."""
    bits = (np.arange(4096)[:, None] >> np.arange(12)) & 1
    y = unpack(AbsoluteValueModel(AbsoluteValueParams(limit=12)).run(12, a=pack(bits))["y"], 12)
    total, of_y = (np.cumsum(2 * x.astype(int) - 1, axis=-1) for x in (bits, y))
    assert (of_y == np.abs(total)).all()


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_absolute_value_of_a_small_counter(limit):
    """Independent bits: the stationary distribution of the counter, in closed form."""
    p = np.linspace(0.1, 0.9, 9)
    rng = np.random.default_rng(limit)
    a = rng.random((9, 1 << 17)) < p[:, None]
    y = count(AbsoluteValueModel(AbsoluteValueParams(limit=limit)).run(1 << 17, a=pack(a))["y"])
    states = (p / (1 - p))[:, None] ** np.arange(-limit, limit + 1)
    states /= states.sum(axis=1, keepdims=True)
    below, zero, above = (
        states[:, :limit].sum(axis=1),
        states[:, limit],
        states[:, limit + 1 :].sum(axis=1),
    )
    assert np.abs(y / (1 << 17) - (zero + p * above + (1 - p) * below)).max() < 0.01


@pytest.mark.parametrize(
    ("params", "component", "twin"),
    [
        (SubtractParams(), Subtract, SubtractModel),
        (SubtractParams(scale=1, depth=4), Subtract, SubtractModel),
        (AbsoluteDifferenceParams(), AbsoluteDifference, AbsoluteDifferenceModel),
        (AbsoluteValueParams(limit=1), AbsoluteValue, AbsoluteValueModel),
        (AbsoluteValueParams(limit=6), AbsoluteValue, AbsoluteValueModel),
    ],
)
def test_rtl(params, component, twin):
    given = random_inputs(params, runs=40, length=150, seed=7)
    check(params, component, twin, given, length=150)
