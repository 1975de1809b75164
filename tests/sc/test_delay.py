"""Delay and shuffle buffer."""

import numpy as np
import pytest

from hdl.params.sc.delay import DecorrelateParams, DelayParams
from hdl.sc.delay import Decorrelate, Delay
from sim.golden.sc.delay import DecorrelateModel, DelayModel
from sim.golden.sc.packed import count, mask, pack, unpack
from sim.golden.sc.scc import scc_of
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every, within


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        (DelayParams, {"cycles": 0}, "cycles must be in 1..1024, not 0"),
        (DecorrelateParams, {"depth": 65}, "depth must be in 1..64, not 65"),
    ],
)
def test_wrong_parameters(params, change, message):
    with pytest.raises(ValueError, match=message):
        params(**change)


@pytest.mark.parametrize("cycles", [1, 2, 63, 64, 65, 128, 200, 1024])
@pytest.mark.parametrize("length", [1, 64, 130, 500])
def test_delayed_bits(cycles, length):
    bits = np.random.default_rng(cycles).integers(0, 2, (3, length))
    expected = np.hstack([np.zeros((3, cycles), dtype=int), bits])[:, :length]
    assert (
        DelayModel(DelayParams(cycles=cycles)).run(length, a=pack(bits))["y"] == pack(expected)
    ).all()


def test_a_delay_isolates_equal_streams():
    a = bernoulli(np.random.default_rng(2), np.full(200, 0.5), 4096)
    y = DelayModel(DelayParams(cycles=1)).run(4096, a=a)["y"]
    assert (scc_of(a, a, 4096) == 1).all()
    assert within(scc_of(a, y, 4096), 0)


def test_shuffle_by_hand():
    """Held bits are 0, 1, 0 at first; index 3 lets pass."""
    index = np.array([1, 1, 0, 0, 3, 2, 2, 1])
    a = np.array([0, 1, 1, 1, 0, 1, 0, 0])
    y = DecorrelateModel(DecorrelateParams(depth=3)).run(8, a=pack(a), index=index)["y"]
    assert unpack(y, 8).tolist() == [1, 0, 0, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 16])
def test_ones_are_kept(depth):
    """ones(y) = ones(a) + ones held at first - ones held at last, 0..depth of them."""
    rng = np.random.default_rng(depth)
    params = DecorrelateParams(depth=depth)
    a = bernoulli(rng, rng.random(50), 300)
    index = rng.integers(0, 1 << params.index_bits, (50, 300))
    held = count(a) + depth // 2 - count(DecorrelateModel(params).run(300, a=a, index=index)["y"])
    assert held.min() >= 0
    assert held.max() <= depth
    # Zeros flush the buffer: nothing is left in it.
    zeros = np.hstack([a & mask(300), np.zeros((50, 95), dtype=np.uint64)])
    index = np.hstack([index, np.tile(np.arange(depth), 5760 // depth + 1)[None].repeat(50, 0)])
    y = DecorrelateModel(params).run(300 + 5760, a=zeros, index=index)["y"]
    assert (count(y) == count(a) + depth // 2).all()


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 16])
def test_share_of_correlation_that_is_left(depth):
    """SCC = 1 before, 1 - depth / 2**index_bits after."""
    rng = np.random.default_rng(10 + depth)
    params = DecorrelateParams(depth=depth)
    a = bernoulli(rng, np.full(300, 0.5), 4096)
    index = rng.integers(0, 1 << params.index_bits, (300, 4096))
    y = DecorrelateModel(params).run(4096, a=a, index=index)["y"]
    left = 1 - depth / (1 << params.index_bits)
    assert within(scc_of(a, y, 4096), left, floor=0.002)


@pytest.mark.parametrize("cycles", [1, 17])
def test_rtl_of_delay(cycles):
    params = DelayParams(cycles=cycles)
    check(params, Delay, DelayModel, random_inputs(params, 20, 200, seed=1), length=200)


def test_rtl_of_decorrelate_over_every_stream():
    """All streams of 5 bits with all sequences of 5 indices from 0..3."""
    bits, low, high = every(5, 3)
    index = unpack(low, 5).astype(int) + 2 * unpack(high, 5)
    inputs = {"a": bits, "index": index}
    check(DecorrelateParams(depth=3), Decorrelate, DecorrelateModel, inputs, length=5)


@pytest.mark.parametrize("depth", [1, 13])
def test_rtl_of_decorrelate(depth):
    params = DecorrelateParams(depth=depth)
    check(params, Decorrelate, DecorrelateModel, random_inputs(params, 20, 500, seed=2), length=500)
