"""uMUL."""

import numpy as np
import pytest
from scipy.stats import qmc

from hdl.params.sc.umul import UMulParams
from hdl.sc.umul import UMul
from sim.golden.sc.packed import count, pack, unpack
from sim.golden.sc.umul import UMulModel
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be in 1..16, not 0"),
        ({"width": 17}, "width must be in 1..16, not 17"),
        ({"width": 8, "dimension": 17}, "dimension must be in 1..16, not 17"),
        ({"width": 8, "encoding": "x"}, "encoding must be 'unipolar' or 'bipolar', not 'x'"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        UMulParams(**change)


def passes(width, ones, b):
    """How many of the first `ones` numbers are below b: Halton's base 2, the low half inverted."""
    numbers = qmc.Halton(1, scramble=False).random(1 << width)[:, 0] * (1 << width)
    numbers = np.rint(numbers).astype(int) ^ ((1 << (width // 2)) - 1)
    below = np.concatenate([np.zeros((len(b), 1)), np.cumsum(numbers < b[:, None], axis=1)], axis=1)
    return below[:, ones].astype(int)


def every_stream(length):
    """All 2**length streams, [2**length, words]."""
    return pack((np.arange(1 << length)[:, None] >> np.arange(length)) & 1)


def test_only_the_number_of_ones_matters():
    """Width 3, all 256 streams of a period, all b: ones of y as counted by scipy's sequence."""
    a, b = every_stream(8)[:, None], np.arange(9)
    y = UMulModel(UMulParams(width=3)).run(8, a=a, b=b)["y"]
    assert (count(y) == passes(3, count(a)[:, 0], b).T).all()
    y = UMulModel(UMulParams(width=3, encoding="bipolar")).run(8, a=a, b=b - 4)["y"]
    ones = count(a)[:, 0]
    rejected = (8 - ones)[:, None] - passes(3, 8 - ones, b).T
    assert (count(y) == passes(3, ones, b).T + rejected).all()


@pytest.mark.parametrize(
    ("width", "rms", "most"),
    [(4, 0.0214, 0.75), (6, 0.0066, 1.12), (8, 0.0019, 1.44)],
)
def test_error_over_a_period(width, rms, most):
    """All numbers of ones and all b. UnarySim's uMUL at width 8: rms .0024, at most 1.65."""
    length = 1 << width
    b = np.arange(length + 1)
    rng = np.random.default_rng(width)
    a = rng.permuted(np.arange(length) < b[:, None], axis=1)
    y = UMulModel(UMulParams(width=width)).run(length, a=pack(a)[:, None], b=b)["y"]
    error = count(y) / length - b[:, None] * b / length**2
    assert abs(np.sqrt((error**2).mean()) - rms) < 0.0001, np.sqrt((error**2).mean())
    assert abs(np.abs(error).max() * length - most) < 0.01, np.abs(error).max() * length
    assert abs(error.mean()) * length < 0.02, error.mean() * length


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_bipolar_value(dimension):
    params = UMulParams(width=8, encoding="bipolar", dimension=dimension)
    rng = np.random.default_rng(dimension)
    b = rng.integers(-128, 129, 200)
    bits = rng.random((200, 256)) < rng.random((200, 1))
    y = UMulModel(params).run(256, a=pack(bits), b=b)["y"]
    error = (2 * unpack(y, 256).mean(axis=-1) - 1) - (2 * bits.mean(axis=-1) - 1) * b / 128
    assert np.sqrt((error**2).mean()) < 0.009, np.sqrt((error**2).mean())


def test_rtl_all_streams():
    """Width 2: every stream of two periods times every b."""
    for encoding, low in (("unipolar", 0), ("bipolar", -2)):
        a, b = np.broadcast_arrays(every_stream(8), np.arange(5)[:, None, None])
        inputs = {"a": a, "b": b[..., 0] + low}
        check(UMulParams(width=2, encoding=encoding), UMul, UMulModel, inputs, length=8)


@pytest.mark.parametrize(
    ("width", "encoding", "dimension"),
    [
        (1, "bipolar", 1),
        (3, "unipolar", 2),
        (5, "bipolar", 3),
        (8, "unipolar", 1),
        (13, "unipolar", 1),
    ],
)
def test_rtl(width, encoding, dimension):
    """More than a period of ones; b at both ends of its range too."""
    params = UMulParams(width=width, encoding=encoding, dimension=dimension)
    length = min(3 << width, 600)
    inputs = random_inputs(params, runs=40, length=length, seed=width)
    low, high = params.ports[1].range
    inputs["b"][:2] = low, high
    check(params, UMul, UMulModel, inputs, length=length)
