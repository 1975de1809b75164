"""Comparison."""

import numpy as np
import pytest

from hdl.params.sc.compare import CompareParams
from hdl.sc.compare import Compare
from sim.golden.sc.compare import CompareModel
from sim.golden.sc.packed import count, pack, unpack
from tests.sc.kit import check, random_inputs


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"limit must be in 1..1048576, not 0"):
        CompareParams(limit=0)


def test_exact_at_any_correlation():
    """All pairs of 256 streams of 8 bits, after every cycle; a tie is not greater."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    ones = np.cumsum(bits, axis=-1)
    words = pack(bits)
    y = unpack(CompareModel(CompareParams(limit=8)).run(8, a=words[:, None], b=words)["y"], 8)
    assert (y == (ones[:, None] > ones)).all()


@pytest.mark.parametrize("limit", [1, 3])
def test_small_counters(limit):
    """Independent bits: the stationary distribution of the counter, in closed form."""
    p, q = (x.ravel() for x in np.meshgrid(*2 * [np.linspace(0.2, 0.8, 3)]))
    rng = np.random.default_rng(limit)
    length = 1 << 17
    a, b = rng.random((9, length)) < p[:, None], rng.random((9, length)) < q[:, None]
    y = CompareModel(CompareParams(limit=limit)).run(length, a=pack(a), b=pack(b))["y"]
    ratio = (p * (1 - q) / (q * (1 - p)))[:, None]
    greater = (ratio ** np.arange(1, limit + 1)).sum(axis=1)
    expected = greater / (ratio ** np.arange(-limit, limit + 1)).sum(axis=1)
    assert np.abs(count(y) / length - expected).max() < 0.02


@pytest.mark.parametrize("limit", [1, 6, 127])
def test_rtl(limit):
    params = CompareParams(limit=limit)
    given = random_inputs(params, runs=40, length=200, seed=limit)
    check(params, Compare, CompareModel, given, length=200)
