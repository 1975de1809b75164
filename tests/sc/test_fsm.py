"""Functions by saturating counters, against their exact Markov chains and laws."""

import numpy as np
import pytest

from hdl.params.sc.fsm import ExponentialParams, ReluParams, TanhParams
from hdl.params.sc.lfsr import LfsrParams
from hdl.sc.fsm import Exponential, Relu, Tanh
from sim.golden.sc.fsm import ExponentialModel, ReluModel, TanhModel
from sim.golden.sc.lfsr import LfsrModel
from sim.golden.sc.packed import count, pack, unpack
from sim.golden.sc.sobol import points
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every, within

X = np.array([-1.0, -0.9, -0.5, -0.1, 0.0, 0.01, 0.3, 0.8, 1.0])


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        (TanhParams, {"states": 0}, "states must be in 2..1024, not 0"),
        (TanhParams, {"states": 7}, "states must be even, not 7"),
        (ExponentialParams, {"states": 5}, "states must be even, not 5"),
        (ExponentialParams, {"states": 8, "gain": 8}, "gain must be in 1..7, not 8"),
        (ReluParams, {"states": 1}, "states must be in 2..1024, not 1"),
    ],
)
def test_wrong_parameters(params, change, message):
    with pytest.raises(ValueError, match=message):
        params(**change)


def counter_chain(p, states):
    """Transition matrix of a counter that saturates at both ends."""
    chain = np.zeros((states, states))
    for k in range(states):
        chain[k, min(k + 1, states - 1)] += p
        chain[k, max(k - 1, 0)] += 1 - p
    return chain


def relu_chain(p, states):
    """The same, but from 0 always up."""
    chain = counter_chain(p, states)
    chain[0] = 0
    chain[0, 1] = 1
    return chain


def half(p, states):
    return np.arange(states) >= states // 2


#: Unit: model, chain, first state, probability of a one out of each state.
CASES = {
    "tanh": (TanhModel, counter_chain, lambda n: n // 2, half),
    "exponential": (
        ExponentialModel,
        counter_chain,
        lambda n: n // 2,
        lambda p, states: np.arange(states) < states - 1,
    ),
    "relu": (ReluModel, relu_chain, lambda n: 1, lambda p, s: np.where(np.arange(s) == 0, 1, p)),
}
PARAMS = {"tanh": TanhParams, "exponential": ExponentialParams, "relu": ReluParams}


@pytest.mark.parametrize("states", [2, 4, 6, 8])
@pytest.mark.parametrize("name", CASES)
def test_expected_bits_over_every_stream(name, states):
    """The mean of all streams of 12 bits, weighted by their probability, is the Markov chain's."""
    model, chain, first, ones = CASES[name]
    (a,) = every(12)
    y = unpack(model(PARAMS[name](states=states)).run(12, a=a)["y"], 12)
    for p in (0.2, 0.5, 0.9):
        weight = p ** count(a) * (1 - p) ** (12 - count(a))
        state = np.eye(states)[first(states)]
        for t in range(12):
            assert weight @ y[:, t] == pytest.approx(state @ ones(p, states), abs=1e-12)
            state = state @ chain(p, states)


@pytest.mark.parametrize("states", [2, 4, 6, 8, 16, 32, 50])
@pytest.mark.parametrize("name", CASES)
def test_closed_form_is_the_stationary_value(name, states):
    model, chain, first, ones = CASES[name]
    expected = model(PARAMS[name](states=states)).expected(X)
    for x, value in zip(X, expected, strict=True):
        p = (1 + x) / 2
        # Staying in half of the cycles changes no stationary value, but ends all periods.
        lazy = (chain(p, states) + np.eye(states)) / 2
        state = np.eye(states)[first(states)] @ np.linalg.matrix_power(lazy, 1 << 18)
        mean = state @ ones(p, states)
        assert value == pytest.approx(mean if name == "exponential" else 2 * mean - 1, abs=1e-8)


@pytest.mark.parametrize("gain", [1, 2, 3, 7])
def test_exponential_of_every_gain(gain):
    expected = ExponentialModel(ExponentialParams(states=8, gain=gain)).expected(X[1:-1])
    r = (1 + X[1:-1]) / (1 - X[1:-1])
    sums = [(r**k).tolist() for k in range(8)]
    law = np.sum(sums[: 8 - gain], axis=0) / np.sum(sums, axis=0)
    assert np.allclose(expected, law, atol=1e-12)


@pytest.mark.parametrize(
    ("states", "published"), [(4, 0.0548), (8, 0.0130), (16, 0.0032), (32, 0.0008)]
)
def test_approximation_of_brown_and_card(states, published):
    """tanh(N x / 2) is off by the published amounts (which are cut, not rounded)."""
    x = np.linspace(-1, 1, 200001)
    exact = TanhModel(TanhParams(states=states)).expected(x)
    assert np.allclose(exact[1:-1], np.tanh(states / 2 * np.arctanh(x[1:-1])), atol=1e-12)
    assert 0 <= abs(exact - np.tanh(states * x / 2)).max() - published < 1e-4


@pytest.mark.parametrize(("states", "gain"), [(16, 1), (32, 2), (32, 4)])
def test_approximation_of_the_exponential(states, gain):
    """exp(-2 G x) is off by G / N at x = 0, exp(-2 G) at x = 1, and by no more."""
    x = np.linspace(0, 1, 20001)
    error = abs(
        ExponentialModel(ExponentialParams(states=states, gain=gain)).expected(x)
        - np.exp(-2 * gain * x)
    )
    assert error[0] == pytest.approx(gain / states)
    assert error[-1] == pytest.approx(np.exp(-2 * gain))
    assert error.max() == max(error[0], error[-1])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("states", [4, 16])
def test_long_random_streams_follow_the_law(name, states):
    model = CASES[name][0](PARAMS[name](states=states))
    length, x = 1 << 14, X[1:-1]
    a = bernoulli(np.random.default_rng(5), np.broadcast_to((1 + x) / 2, (64, len(x))), length)
    mean = count(model.run(length, a=a)["y"]) / length
    mean = mean if name == "exponential" else 2 * mean - 1
    assert within(mean, model.expected(x), floor=4 * states / length)


def test_which_generators_will_do():
    """RMS error against the law: small for i.i.d. and many-step LFSR streams, large for others."""
    length, x = 1 << 15, np.linspace(-0.9, 0.9, 19)
    wide = {
        steps: LfsrModel(LfsrParams(width=32, seed=12345, steps=steps)).run(length)["value"] / 2**32
        for steps in (1, 8, 16)
    }
    model = TanhModel(TanhParams(states=8))

    def error(u):
        y = model.run(length, a=pack(u < (1 + x[:, None]) / 2))["y"]
        return np.sqrt(np.mean((2 * count(y) / length - 1 - model.expected(x)) ** 2))

    assert error(np.random.default_rng(1).random(length)) < 0.02
    assert error(wide[16]) < 0.02
    assert error(wide[8]) < 0.02
    assert error(wide[1]) > 0.1
    assert error(points(15, 1, range(length)) / length) > 0.2
    assert error(points(15, 2, range(length)) / length) > 0.2
    assert error(np.arange(length) / length) > 0.2


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_relu_is_accumulate_and_compare(depth):
    """UnarySim's FSUReLU of an accumulator of `depth` bits, over every stream of 12 bits."""
    (a,) = every(12)
    bits = unpack(a, 12).astype(int)
    half, accumulator = 1 << (depth - 1), np.full(len(a), 1 << (depth - 1))
    expected = np.empty_like(bits)
    for t in range(12):
        expected[:, t] = bits[:, t] | (accumulator < half)
        accumulator = np.clip(accumulator + 2 * expected[:, t] - 1, 0, (1 << depth) - 1)
    params = ReluParams(states=half + 1)
    assert (ReluModel(params).run(12, a=a)["y"] == pack(expected)).all()


def test_relu_output_is_never_negative():
    (a,) = every(14)
    for states in (2, 3, 5, 9):
        y = unpack(ReluModel(ReluParams(states=states)).run(14, a=a)["y"], 14).astype(int)
        assert np.cumsum(2 * y - 1, axis=-1).min() == -1


@pytest.mark.parametrize(
    ("params", "component", "twin"),
    [
        (TanhParams(states=2), Tanh, TanhModel),
        (TanhParams(states=6), Tanh, TanhModel),
        (ExponentialParams(states=8, gain=3), Exponential, ExponentialModel),
        (ReluParams(states=2), Relu, ReluModel),
        (ReluParams(states=5), Relu, ReluModel),
    ],
)
def test_rtl_over_every_stream(params, component, twin):
    check(params, component, twin, {"a": every(11)[0]}, length=11)


@pytest.mark.parametrize(
    ("params", "component", "twin"),
    [
        (TanhParams(states=1024), Tanh, TanhModel),
        (ExponentialParams(states=34, gain=5), Exponential, ExponentialModel),
    ],
)
def test_rtl_over_long_streams(params, component, twin):
    check(params, component, twin, random_inputs(params, 12, 3000, seed=3), length=3000)
