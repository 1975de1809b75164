"""The divider of correlated streams."""

import numpy as np
import pytest

from hdl.params.sc.divide import DivideParams
from hdl.sc.divide import Divide
from sim.golden.sc.divide import DivideModel
from sim.golden.sc.packed import count, pack, unpack
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every, within


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, r"depth must be in 1\.\.64, not 0"),
        ({"depth": 3}, "depth must be a power of two, not 3"),
        ({"saved": 0}, r"saved must be in 1\.\.256, not 0"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        DivideParams(**change)


def index_for(params, rng, shape):
    return {"index": rng.integers(0, params.depth, shape)} if params.depth > 1 else {}


def test_by_hand():
    """Taken bits are 0, 1 at first, the newest first."""
    params = DivideParams(depth=2, synchronise=False)
    x, d = pack([0, 0, 1, 0, 0, 0, 0, 0]), pack([0, 0, 1, 0, 0, 1, 0, 0])
    index = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    y = DivideModel(params).run(8, dividend=x, divisor=d, index=index)["y"]
    assert unpack(y, 8).tolist() == [0, 1, 1, 1, 0, 0, 0, 1]


@pytest.mark.parametrize("depth", [1, 2, 4, 16])
def test_quotient_of_correlated_streams(depth):
    """i.i.d. pairs with SCC = +1: the mean is dividend / divisor, within the sampling error."""
    rng, length, params = (
        np.random.default_rng(depth),
        4096,
        DivideParams(depth=depth, synchronise=False),
    )
    x, d = np.array([0.1, 0.2, 0.3, 0.05, 0.5, 0.7]), np.array([0.2, 0.9, 0.3, 0.5, 0.6, 1.0])
    u = rng.random((100, 6, length))
    y = DivideModel(params).run(
        length,
        dividend=pack(u < x[:, None]),
        divisor=pack(u < d[:, None]),
        **index_for(params, rng, (100, 6, length)),
    )["y"]
    assert within(count(y) / length, x / d, floor=2 * depth / length / d.min())


def test_quotient_bits_of_short_streams():
    """E[y(t)] = dividend / divisor exactly, given that `depth` ones of the divisor have passed."""
    length, depth, p, q = 5, 2, 0.3, 0.8
    (d, ratio), params = every(length, 2), DivideParams(depth=2, synchronise=False)
    x = d & ratio
    index = unpack(every(length)[0], length).astype(int)
    y = DivideModel(params).run(length, dividend=x[:, None], divisor=d[:, None], index=index)["y"]
    y = unpack(y, length).mean(axis=1)
    bits, share = unpack(d, length), p / q
    weight = q ** count(d) * (1 - q) ** (length - count(d))
    weight *= share ** count(ratio) * (1 - share) ** (length - count(ratio))
    for t in range(depth, length):
        ready = bits[:, :t].sum(axis=1) >= depth
        mean = (weight * y[:, t])[ready].sum() / weight[ready].sum()
        assert mean == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("depth", [1, 4])
def test_bits_under_the_divisor_are_the_dividend(depth):
    """ones(y & divisor) = ones(dividend & divisor), for any streams."""
    rng, params = np.random.default_rng(9), DivideParams(depth=depth, synchronise=False)
    x, d = (bernoulli(rng, rng.random(200), 500) for _ in range(2))
    index = index_for(params, rng, (200, 500))
    y = DivideModel(params).run(500, dividend=x, divisor=d, **index)["y"]
    assert (count(y & d) == count(x & d)).all()


def test_synchroniser_makes_independent_streams_divisible():
    """RMS error over random operands: large without, falling with the number of saved ones."""
    rng, length = np.random.default_rng(4), 4096
    q = rng.uniform(0.1, 1, 300)
    p = q * rng.random(300)
    x, d = bernoulli(rng, p, length), bernoulli(rng, q, length)
    index = rng.integers(0, 4, (300, length))

    def error(**change):
        y = DivideModel(DivideParams(**change)).run(length, dividend=x, divisor=d, index=index)["y"]
        return np.sqrt(np.mean((count(y) / length - p / q) ** 2))

    errors = [error(synchronise=False), *(error(saved=saved) for saved in (1, 3, 15))]
    assert errors[0] > 0.15
    assert errors[0] > 2 * errors[1] > 2 * errors[2] > 2 * errors[3]
    assert errors[3] < 0.03


@pytest.mark.parametrize(
    "params",
    [
        DivideParams(depth=1, saved=1),
        DivideParams(depth=2, synchronise=False),
        DivideParams(depth=2, saved=2),
    ],
)
def test_rtl_over_every_pair_of_streams(params):
    x, d = every(6, 2)
    index = index_for(params, np.random.default_rng(1), (len(x), 6))
    check(params, Divide, DivideModel, {"dividend": x, "divisor": d, **index}, length=6)


def test_rtl_over_long_streams():
    params = DivideParams(depth=16, saved=5)
    check(params, Divide, DivideModel, random_inputs(params, 30, 1000, seed=2), length=1000)
