"""Counters back to binary."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hdl.params.sc.estimate import EstimateParams, MovingAverageParams
from hdl.sc.estimate import Estimate, MovingAverage
from sim.golden.sc.estimate import EstimateModel, MovingAverageModel
from sim.golden.sc.packed import count, pack, unpack
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        (EstimateParams, {"bits": 33}, "bits must be in 0..32, not 33"),
        (EstimateParams, {"encoding": 2}, "encoding must be 'unipolar' or 'bipolar', not 2"),
        (MovingAverageParams, {"width": 0}, "width must be in 1..24, not 0"),
        (MovingAverageParams, {"shift": 17}, "shift must be in 0..16, not 17"),
    ],
)
def test_wrong_parameters(params, change, message):
    with pytest.raises(ValueError, match=message):
        params(**change)


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
def test_counts_the_first_cycles(encoding):
    rng = np.random.default_rng(1)
    bits = rng.random((40, 100)) < rng.random((40, 1))
    cycles = rng.integers(1, 65, 40)
    got = EstimateModel(EstimateParams(bits=6, encoding=encoding)).run(
        100, a=pack(bits), cycles=cycles
    )
    for run, n in enumerate(cycles):
        ones = count(pack(bits[run, :n]))
        assert got["value"][run, -1] == (ones if encoding == "unipolar" else 2 * ones - n)
        assert unpack(got["done"][run], 100).sum() == 100 - n + 1


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
@pytest.mark.parametrize("shift", [0, 3, 6])
def test_moving_average_is_a_filter(shift, encoding):
    """Within 1 of scipy's filter of first order; both ends are reached and not passed."""
    rng = np.random.default_rng(shift)
    bits = rng.random((30, 400)) < np.array([0, 1, *rng.random(28)])[:, None]
    params = MovingAverageParams(width=8, shift=shift, encoding=encoding)
    got = MovingAverageModel(params).run(400, a=pack(bits))["value"]
    x = 2.0 * bits - 1 if encoding == "bipolar" else bits.astype(float)
    weight = 2.0**-shift
    exact = 256 * lfilter([weight], [1, weight - 1], x, axis=-1)
    assert np.abs(got - exact).max() < 1
    low, high = params.ports[1].range[0], 256
    assert low <= got.min()
    assert got.max() <= high
    if shift < 6:
        assert got[0, -1] == (0 if encoding == "unipolar" else -256)
        assert got[1, -1] == 256


def test_spread_of_a_moving_average():
    """Independent bits: the standard deviation in the long run, in closed form."""
    rng = np.random.default_rng(5)
    bits = rng.random((40, 20000)) < 0.3
    value = MovingAverageModel(MovingAverageParams(width=16, shift=4)).run(20000, a=pack(bits))
    got = value["value"][:, 500:] / 65536
    assert abs(got.mean() - 0.3) < 0.003
    assert abs(got.std() / np.sqrt(0.3 * 0.7 / 31) - 1) < 0.03


@pytest.mark.parametrize(
    ("params", "component", "twin"),
    [
        (EstimateParams(bits=0), Estimate, EstimateModel),
        (EstimateParams(bits=3, encoding="bipolar"), Estimate, EstimateModel),
        (EstimateParams(bits=7), Estimate, EstimateModel),
        (MovingAverageParams(width=8, shift=5), MovingAverage, MovingAverageModel),
        (
            MovingAverageParams(width=3, shift=2, encoding="bipolar"),
            MovingAverage,
            MovingAverageModel,
        ),
    ],
)
def test_rtl(params, component, twin):
    """Runs of all kinds of lengths, and longer than counted."""
    given = random_inputs(params, runs=40, length=150, seed=11)
    check(params, component, twin, given, length=150)
