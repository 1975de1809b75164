"""Adders of streams."""

import numpy as np
import pytest

from hdl.params.sc.add import MuxAddParams, OrAddParams, ParallelCountParams, ScaledAddParams
from hdl.sc.add import MuxAdd, OrAdd, ParallelCount, ScaledAdd
from sim.golden.sc.add import MuxAddModel, OrAddModel, ParallelCountModel, ScaledAddModel
from sim.golden.sc.packed import count, pack, unpack
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        (MuxAddParams, {"inputs": 1}, "inputs must be in 2..256, not 1"),
        (MuxAddParams, {"inputs": 6}, "inputs must be a power of two, not 6"),
        (OrAddParams, {"inputs": 1}, "inputs must be in 2..256, not 1"),
        (ParallelCountParams, {"inputs": 0}, "inputs must be in 1..256, not 0"),
        (ParallelCountParams, {"inputs": 4, "bits": 2}, "bits must be in 3..62, not 2"),
        (
            ParallelCountParams,
            {"inputs": 4, "bits": 3, "encoding": "bipolar"},
            "bits must be in 4..62, not 3",
        ),
        (ScaledAddParams, {"inputs": 4, "scale": 5}, "scale must be in 1..4, not 5"),
        (ScaledAddParams, {"inputs": 4, "depth": 4}, "depth must be in 5..24, not 4"),
        (ScaledAddParams, {"inputs": 4, "registers": 4}, "registers must be in 0..3, not 4"),
        (
            ScaledAddParams,
            {"inputs": 4, "encoding": "ternary"},
            "encoding must be 'unipolar' or 'bipolar', not 'ternary'",
        ),
    ],
)
def test_wrong_parameters(params, change, message):
    with pytest.raises(ValueError, match=message):
        params(**change)


@pytest.mark.parametrize("inputs", [2, 4, 8])
def test_multiplexer_is_the_mean(inputs):
    """Select streams that count through the inputs, independent of them: exactly the mean."""
    rng = np.random.default_rng(inputs)
    numbers = rng.integers(0, 17, (50, inputs))
    t = np.arange(16 * inputs)
    streams = {f"x{k}": pack(t // inputs < numbers[:, k, None]) for k in range(inputs)}
    selects = {f"s{k}": pack((t >> k) & 1) for k in range(inputs.bit_length() - 1)}
    y = MuxAddModel(MuxAddParams(inputs=inputs)).run(len(t), **streams, **selects)["y"]
    assert (count(y) == numbers.sum(axis=1)).all()


def test_or_at_each_correlation():
    a, b = np.arange(17)[:, None, None], np.arange(17)[None, :, None]
    t, long = np.arange(16), np.arange(256)

    def ones(length, x0, x1):
        return count(OrAddModel(OrAddParams()).run(length, x0=pack(x0), x1=pack(x1))["y"])

    a2, b2 = a[..., 0], b[..., 0]
    assert (ones(256, long % 16 < a, long // 16 < b) == 256 - (16 - a2) * (16 - b2)).all()
    assert (ones(16, t < a, t < b) == np.maximum(a2, b2)).all()
    assert (ones(16, t < a, 15 - t < b) == np.minimum(16, a2 + b2)).all()


@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
def test_parallel_counter_counts(encoding):
    """At the end: the ones (less the zeros) of all inputs."""
    params = ParallelCountParams(inputs=5, encoding=encoding, bits=12)
    inputs = random_inputs(params, runs=20, length=100, seed=1)
    ones = sum(count(stream) for stream in inputs.values())
    expected = ones if encoding == "unipolar" else 2 * ones - 500
    assert (ParallelCountModel(params).run(100, **inputs)["count"][:, -1] == expected).all()


def totals(params, inputs, length):
    """Running ones of all inputs, [..., length]."""
    return np.cumsum(sum(unpack(x, length).astype(int) for x in inputs.values()), axis=-1)


@pytest.mark.parametrize("inputs", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("encoding", ["unipolar", "bipolar"])
def test_scaled_adder_is_the_exact_mean(inputs, encoding):
    """Scale = inputs: after every cycle, ones of y = floor(ones of the inputs / inputs)."""
    params = ScaledAddParams(inputs=inputs, encoding=encoding)
    given = random_inputs(params, runs=30, length=150, seed=inputs)
    y = unpack(ScaledAddModel(params).run(150, **given)["y"], 150)
    assert (np.cumsum(y, axis=-1) == totals(params, given, 150) // inputs).all()


def test_non_scaled_adder_is_a_queue():
    """Scale 1 without saturation: ones of y by t = min over s <= t of (ones by s) + t - s."""
    params = ScaledAddParams(inputs=3, scale=1, depth=12)
    given = random_inputs(params, runs=60, length=200, seed=2)
    y = unpack(ScaledAddModel(params).run(200, **given)["y"], 200)
    t = np.arange(1, 201)
    slack = np.minimum(np.minimum.accumulate(totals(params, given, 200) - t, axis=-1), 0)
    assert (np.cumsum(y, axis=-1) == t + slack).all()


@pytest.mark.parametrize(("inputs", "scale"), [(2, 1), (3, 2), (4, 1), (5, 2), (8, 5)])
def test_bipolar_sum_of_any_scale(inputs, scale):
    """Values in range add up to within the accumulator; beyond the range y is all ones or zeros."""
    params = ScaledAddParams(inputs=inputs, scale=scale, encoding="bipolar")
    rng = np.random.default_rng(inputs)
    length = 1 << 14
    centre = rng.choice([0.02, 0.3, 0.5, 0.7, 0.98], size=(40, 1, 1))
    p = np.clip(centre + rng.uniform(-0.2, 0.2, (40, inputs, 1)), 0, 1)
    bits = rng.random((40, inputs, length)) < p
    given = {f"x{k}": pack(bits[:, k]) for k in range(inputs)}
    y = unpack(ScaledAddModel(params).run(length, **given)["y"], length)
    value = 2 * y.mean(axis=-1) - 1
    total = (2 * bits.mean(axis=-1) - 1).sum(axis=-1) / scale
    # The accumulator ends within its limit. Near the ends of the range chance saturates it before.
    error = value - np.clip(total, -1, 1)
    bound = 2 * (1 << (params.depth - 2)) / scale / length
    assert np.abs(error).max() <= 2 * bound, (np.abs(error).max(), bound)
    assert (np.abs(total) > 1.2).sum() >= 3
    assert np.abs(error[np.abs(total) < 0.9]).max() <= bound
    for side in (-1, 1):
        beyond = total * side > 1.2
        assert (y[beyond, length // 2 :] == (side > 0)).all()


@pytest.mark.parametrize(("inputs"), [2, 8])
def test_rtl_multiplexer(inputs):
    params = MuxAddParams(inputs=inputs)
    given = random_inputs(params, runs=20, length=100, seed=inputs)
    check(params, MuxAdd, MuxAddModel, given, length=100)


def test_rtl_or():
    params = OrAddParams(inputs=5)
    given = random_inputs(params, runs=20, length=100, seed=5)
    check(params, OrAdd, OrAddModel, given, length=100)


@pytest.mark.parametrize(
    ("inputs", "encoding", "bits"),
    [(1, "unipolar", 3), (3, "bipolar", 5), (11, "bipolar", 12), (16, "unipolar", 16)],
)
def test_rtl_parallel_counter(inputs, encoding, bits):
    """Counts wrap too."""
    params = ParallelCountParams(inputs=inputs, encoding=encoding, bits=bits)
    given = random_inputs(params, runs=20, length=150, seed=inputs)
    check(params, ParallelCount, ParallelCountModel, given, length=150)


@pytest.mark.parametrize(
    ("inputs", "scale", "encoding", "depth", "registers"),
    [
        (1, 1, "unipolar", 3, 0),
        (2, 1, "bipolar", 4, 0),
        (3, 3, "unipolar", 5, 1),
        (3, 2, "bipolar", 5, 2),
        (4, 4, "bipolar", 5, 0),
        (5, 2, "unipolar", 6, 1),
        (9, 4, "bipolar", 7, 3),
    ],
)
def test_rtl_scaled_adder(inputs, scale, encoding, depth, registers):
    """All streams random, of all probabilities: the small accumulators saturate at both ends."""
    params = ScaledAddParams(
        inputs=inputs, scale=scale, encoding=encoding, depth=depth, registers=registers
    )
    given = random_inputs(params, runs=40, length=200, seed=inputs)
    check(params, ScaledAdd, ScaledAddModel, given, length=200)
