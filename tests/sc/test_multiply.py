"""Multiplication by one gate."""

import numpy as np
import pytest

from hdl.params.sc.multiply import MultiplyParams
from hdl.sc.multiply import Multiply
from sim.golden.sc.multiply import MultiplyModel
from sim.golden.sc.packed import count, pack
from tests.sc.kit import check, random_inputs

#: All pairs of numbers 0..16, as batch axes.
A, B = np.arange(17)[:, None, None], np.arange(17)[None, :, None]
N = 16


def test_wrong_parameters():
    with pytest.raises(ValueError, match="encoding must be 'unipolar' or 'bipolar', not 'ternary'"):
        MultiplyParams(encoding="ternary")


def pairs(correlation):
    """Streams of every pair (a, b) whose SCC is exactly `correlation`: N or N**2 cycles."""
    t = np.arange(N if correlation else N * N)
    if correlation == 0:
        return pack(t % N < A), pack(t // N < B)
    return np.broadcast_arrays(pack(t < A), pack((t if correlation > 0 else N - 1 - t) < B))


@pytest.mark.parametrize(
    ("correlation", "both", "neither"),
    [
        (0, A * B, (N - A) * (N - B)),
        (1, np.minimum(A, B), N - np.maximum(A, B)),
        (-1, np.maximum(0, A + B - N), np.maximum(0, N - A - B)),
    ],
)
def test_values_at_each_correlation(correlation, both, neither):
    """Exact counts of all pairs: AND is both, XNOR both or neither."""
    a, b = pairs(correlation)
    length = N if correlation else N * N
    y = MultiplyModel(MultiplyParams()).run(length, a=a, b=b)["y"]
    assert (count(y) == both[..., 0]).all()
    y = MultiplyModel(MultiplyParams(encoding="bipolar")).run(length, a=a, b=b)["y"]
    assert (count(y) == (both + neither)[..., 0]).all()


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
def test_rtl(encoding):
    params = MultiplyParams(encoding=encoding)
    inputs = random_inputs(params, runs=40, length=100, seed=3)
    check(params, Multiply, MultiplyModel, inputs, length=100, seed=3)
