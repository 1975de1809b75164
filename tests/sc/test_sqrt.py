"""The square root."""

import numpy as np
import pytest

from hdl.params.sc.sqrt import SquareRootParams
from hdl.sc.sqrt import SquareRoot
from sim.golden.sc.packed import count, pack, unpack
from sim.golden.sc.sqrt import SquareRootModel
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every, within

X = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])


@pytest.mark.parametrize(
    ("depth", "message"),
    [(65, r"depth must be in 1\.\.64, not 65"), (6, "depth must be a power of two, not 6")],
)
def test_wrong_parameters(depth, message):
    with pytest.raises(ValueError, match=message):
        SquareRootParams(depth=depth)


def run(depth, a, length, rng):
    index = rng.integers(0, depth, (*a.shape[:-1], length))
    given = {"index": index} if depth > 1 else {}
    return SquareRootModel(SquareRootParams(depth=depth)).run(length, a=a, **given)["y"], index


def test_by_hand():
    """Depth 2, earlier outputs 1, 0 (the newest first)."""
    index = np.array([0, 1, 0, 1, 0, 1, 0, 0])
    y = SquareRootModel(SquareRootParams(depth=2)).run(
        8, a=pack([0, 1, 1, 0, 0, 0, 1, 0]), index=index
    )["y"]
    # t = 0: 0. 1: y = 1, y(-1) = 1, nothing. 2: y = 1, y(1) = 1, nothing. 3, 4, 5: 0.
    # 6: y = 1, y(5) = 0, a one inserted. 7: that one.
    assert unpack(y, 8).tolist() == [0, 1, 1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_ones_are_counted(depth):
    """ones(a) - sum of y(t) y(t - 1 - index) is what is owed or about to be inserted: 0..depth."""
    rng, length = np.random.default_rng(depth), 600
    p = np.array([0.0, 0.1, 0.5, 0.9, 1.0]).repeat(40)
    a = bernoulli(rng, p, length)
    y, index = run(depth, a, length, rng)
    bits = unpack(y, length).astype(int)
    before = np.hstack([np.tile((np.arange(depth)[::-1] + 1) % 2, (200, 1)), bits])
    pairs = bits * np.take_along_axis(before, depth + np.arange(length) - 1 - index, axis=-1)
    owed = count(a) - pairs.sum(axis=-1)
    assert owed.min() >= 0
    assert owed.max() <= depth


def test_depth_one_is_two_a_by_one_plus_a():
    """Exact law of the single flip-flop, which is no square root."""
    rng, length = np.random.default_rng(1), 1 << 13
    y, _ = run(1, bernoulli(rng, np.broadcast_to(X, (100, len(X))), length), length, rng)
    assert within(count(y) / length, 2 * X / (1 + X), floor=2 / length)


@pytest.mark.parametrize(("depth", "error"), [(1, 0.135), (4, 0.083), (16, 0.047), (32, 0.028)])
def test_error_of_a_depth(depth, error):
    """The largest error over X of i.i.d. streams, as stated in the docstring."""
    rng, length = np.random.default_rng(7), 1 << 14
    y, _ = run(depth, bernoulli(rng, np.broadcast_to(X, (32, len(X))), length), length, rng)
    difference = (count(y) / length).mean(axis=0) - np.sqrt(X)
    assert abs(difference).max() == pytest.approx(error, abs=0.003)
    assert difference.max() < 0.003


def test_rtl_over_every_stream():
    """All streams of 6 bits with all sequences of 6 indices of depth 2; depth 1 has no index."""
    a, index = every(6, 2)
    inputs = {"a": a, "index": unpack(index, 6).astype(int)}
    check(SquareRootParams(depth=2), SquareRoot, SquareRootModel, inputs, length=6)
    check(SquareRootParams(depth=1), SquareRoot, SquareRootModel, {"a": every(11)[0]}, length=11)


def test_rtl_over_long_streams():
    params = SquareRootParams(depth=16)
    inputs = random_inputs(params, 30, 1000, seed=8)
    check(params, SquareRoot, SquareRootModel, inputs, length=1000)
