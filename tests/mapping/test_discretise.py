"""Discretisation against scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import cont2discrete, lfilter

from mapping.discretise import METHODS, dense, diagonal


def system(seed, size, width):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 1, (size, size)) - 2 * math.sqrt(size) * np.eye(size)
    return matrix, rng.normal(0, 1, (size, width))


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
@pytest.mark.parametrize(("seed", "size", "width"), [(0, 1, 1), (1, 2, 3), (2, 5, 1), (3, 8, 2)])
def test_dense_systems_are_those_of_scipy(method, seed, size, width):
    matrix, inputs = system(seed, size, width)
    for step in (1e-3, 0.1, 1.0):
        through = np.zeros((size, width))
        expected = cont2discrete((matrix, inputs, np.eye(size), through), step, method)[:2]
        for found, value in zip(dense(matrix, inputs, step, method), expected, strict=True):
            assert np.abs(found - value).max() < 1e-12, f"seed {seed}, step {step}"


def test_dirac_is_the_impulse_invariant_response():
    """scipy's state is the one before the pulse, and its input is 1/step as large."""
    matrix, inputs = system(4, 3, 1)
    step, out = 0.2, np.array([[1.0, -2.0, 0.5]])
    a, b, c, d, _ = cont2discrete((matrix, inputs, out, [[0.0]]), step, "impulse")
    own, gain = dense(matrix, inputs, step, "dirac")
    x, s = np.zeros((3, 1)), np.zeros((3, 1))
    for u in np.random.default_rng(5).normal(0, 1, 30):
        expected = (c @ x + d * u)[0, 0]
        x = a @ x + b * u
        s = own @ s + gain * step * u
        assert (out @ s)[0, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_diagonal_systems_are_dense_ones_of_a_pair(method):
    """A pole x + iy is the matrix [[x, -y], [y, x]]."""
    poles = np.array([-0.5 + 3j, -1e-3 + 0j, -2 - 7j, 1j])
    steps = np.array([0.1, 1.0, 0.01, 0.3])
    a, b = diagonal(poles, steps, method)
    for pole, step, one, gain in zip(poles, steps, a, b, strict=True):
        matrix = np.array([[pole.real, -pole.imag], [pole.imag, pole.real]])
        whole, inputs = dense(matrix, np.array([[1.0], [0.0]]), step, method)
        assert complex(whole[0, 0], whole[1, 0]) == pytest.approx(one, abs=1e-14)
        assert complex(*inputs[:, 0]) == pytest.approx(gain, abs=1e-14)


def test_slow_and_resting_poles_keep_their_gain():
    """(exp(x) - 1) / x of small x by its series, which plain subtraction loses."""
    poles = np.array([0, 1e-300, -1e-12, 1e-9j])
    a, b = diagonal(poles, 0.5, "zoh")
    series = 0.5 * (1 + poles * 0.5 / 2)
    assert np.abs(b - series).max() < 1e-16
    assert a[0] == 1
    assert dense(np.zeros((1, 1)), np.ones((1, 1)), 0.5, "zoh")[1][0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("method", METHODS)
def test_a_stable_pole_stays_stable_and_its_step_response_settles(method):
    poles = np.array([-0.5 + 40j, -3 + 0j])
    a, b = diagonal(poles, 0.05, method)
    assert (np.abs(a) < 1).all()
    for pole, one, gain in zip(poles, a, b, strict=True):
        last = lfilter([gain], [1, -one], np.ones(4000))[-1]
        settled = gain / (1 - one) if method == "dirac" else -1 / pole
        assert last == pytest.approx(settled, rel=1e-9)


@pytest.mark.parametrize("call", [
    lambda: diagonal(np.array([-1.0]), 0.1, "euler"),
    lambda: dense(np.eye(1), np.eye(1), 0.1, "euler"),
])  # fmt: skip
def test_unknown_methods_by_their_message(call):
    with pytest.raises(ValueError, match=r"discretisation must be one of .*'dirac'.*, not 'euler'"):
        call()
