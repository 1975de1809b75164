"""Minimum and maximum."""

import numpy as np
import pytest

from hdl.params.sc.minmax import MaximumParams, MinimumParams
from hdl.sc.minmax import Maximum, Minimum
from sim.golden.sc.minmax import MaximumModel, MinimumModel
from sim.golden.sc.packed import count, pack, unpack
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize("params", [MinimumParams, MaximumParams])
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=r"limit must be in 0..1048576, not -1"):
        params(limit=-1)


def test_exact_at_any_correlation():
    """All pairs of 256 streams of 8 bits: ones of y are max, min of the ones, after every cycle."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    words = pack(bits)
    ones = np.cumsum(bits, axis=-1)
    for params, model, best in (
        (MaximumParams(limit=8), MaximumModel, np.maximum),
        (MinimumParams(limit=8), MinimumModel, np.minimum),
    ):
        y = unpack(model(params).run(8, a=words[:, None], b=words)["y"], 8)
        assert (np.cumsum(y, axis=-1) == best(ones[:, None], ones)).all()


def test_gates_at_each_correlation():
    a, b = np.arange(17)[:, None, None], np.arange(17)[None, :, None]
    t, long = np.arange(16), np.arange(256)
    p, q = a[..., 0], b[..., 0]
    for model, params, best, product in (
        (MaximumModel, MaximumParams(limit=0), np.maximum(p, q), 16 * p + 16 * q - p * q),
        (MinimumModel, MinimumParams(limit=0), np.minimum(p, q), p * q),
    ):
        run = model(params).run
        assert (count(run(16, a=pack(t < a), b=pack(t < b))["y"]) == best).all()
        streams = {"a": pack(long % 16 < a), "b": pack(long // 16 < b)}
        assert (count(run(256, **streams)["y"]) == product).all()


@pytest.mark.parametrize("limit", [1, 3])
def test_small_counters(limit):
    """Independent bits: the stationary distribution of the counter, in closed form."""
    p, q = (x.ravel() for x in np.meshgrid(*2 * [np.linspace(0.1, 0.9, 5)]))
    rng = np.random.default_rng(limit)
    length = 1 << 16
    a, b = rng.random((25, length)) < p[:, None], rng.random((25, length)) < q[:, None]
    states = (p * (1 - q) / (q * (1 - p)))[:, None] ** np.arange(-limit, limit + 1)
    states /= states.sum(axis=1, keepdims=True)
    not_below, not_above = states[:, limit:].sum(axis=1), states[:, : limit + 1].sum(axis=1)
    largest = p * q + p * (1 - q) * not_below + (1 - p) * q * not_above
    streams = {"a": pack(a), "b": pack(b)}
    got = count(MaximumModel(MaximumParams(limit=limit)).run(length, **streams)["y"]) / length
    assert np.abs(got - largest).max() < 0.01
    assert (largest - np.maximum(p, q)).max() <= 1 / (8 * limit)
    got = count(MinimumModel(MinimumParams(limit=limit)).run(length, **streams)["y"]) / length
    assert np.abs(got - (p + q - largest)).max() < 0.01


@pytest.mark.parametrize(
    ("params", "component", "twin"),
    [
        (MaximumParams(limit=0), Maximum, MaximumModel),
        (MaximumParams(limit=5), Maximum, MaximumModel),
        (MinimumParams(limit=0), Minimum, MinimumModel),
        (MinimumParams(limit=1), Minimum, MinimumModel),
        (MinimumParams(limit=8), Minimum, MinimumModel),
    ],
)
def test_rtl(params, component, twin):
    given = random_inputs(params, runs=60, length=150, seed=8)
    check(params, component, twin, given, length=150)
