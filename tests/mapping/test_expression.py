"""Affine expressions against numpy, and when a layer is made of them."""

from __future__ import annotations

import numpy as np
import pytest

from mapping.graph import Options
from mapping.importers.expression import Builder
from mapping.reference import simulate

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(0, 1, (4, 6, 3))


def finish(builder, x):
    name = builder.layer("end", "Linear", x).name
    return builder.graph("g", [name], Options(), "none")


def run(builder, x):
    return simulate(finish(builder, x), INPUTS).outputs


def names(builder):
    return [layer.name for layer in builder.layers]


def test_sums_gains_and_linear_modules_are_one_layer():
    """W1 x + b1, twice a gain and bias, plus x, plus itself."""
    b = Builder()
    x = b.input(3)
    weight, bias, gain, more = RNG.normal(0, 1, (3, 3)), *RNG.normal(0, 1, (3, 3))
    y = b.linear("a", x, weight, bias).times("n", gain, more).plus("s", x)
    y = y.plus("t", y)
    expected = 2 * (gain * (INPUTS @ weight.T + bias) + more + INPUTS)
    assert np.abs(run(b, y) - expected).max() < 1e-12
    assert names(b) == ["end"]


def test_a_second_dense_matrix_makes_a_layer_of_the_first():
    """So that both stay as they were trained."""
    b = Builder()
    x = b.input(3)
    first, second = RNG.normal(0, 1, (5, 3)), RNG.normal(0, 1, (2, 5))
    out = run(b, b.linear("two", b.linear("one", x, first), second))
    assert np.abs(out - INPUTS @ first.T @ second.T).max() < 1e-12
    assert names(b) == ["one", "end"]


def test_a_matrix_over_a_gain_makes_none():
    b = Builder()
    x = b.input(3).times("n", np.array([1.0, 2, 3]), np.ones(3))
    out = run(b, b.linear("one", x, np.ones((2, 3))))
    assert np.abs(out - (INPUTS * [1, 2, 3] + 1).sum(2, keepdims=True)).max() < 1e-12
    assert names(b) == ["end"]


def test_values_of_a_layer_stand_alone_only_where_they_must():
    b = Builder()
    x = b.input(3)
    assert b.single(x).source == "input'"  # an input is no neuron layer
    y = b.layer("y", "Linear", x)
    assert b.single(y) is y
    assert b.single(y.times("half", np.full(3, 0.5))).source == "half"
    assert b.single(y.times("moved", np.ones(3), np.ones(3))).source == "moved"
    assert b.single(b.values("y", 3, delay=1)).source == "y'"
    assert names(b) == ["input'", "y", "half", "moved", "y'"]


def test_zero_weights_are_no_connection():
    b = Builder()
    x = b.input(3)
    y = b.layer("y", "Linear", x)
    out = run(b, y.plus("s", x.times("D", np.zeros(3))))
    assert np.abs(out - INPUTS).max() == 0
    assert [(c.source, c.target) for c in b.connections] == [("input", "y"), ("y", "end")]


def test_a_function_goes_onto_a_fresh_layer_or_gets_its_own():
    b = Builder()
    y = b.layer("y", "Linear", b.input(3))
    assert b.function("f", y, "relu") is y
    z = b.function("g", y, "tanh")
    assert z.source == "g"
    assert np.abs(run(b, z) - np.tanh(np.maximum(INPUTS, 0))).max() < 1e-12


def test_layer_norm_leaves_gain_and_bias_to_what_listens():
    b = Builder()
    x, gain, bias = b.input(3), *RNG.normal(0, 1, (2, 3))
    out = run(b, b.norm("n", x, gain, bias))
    mean, variance = INPUTS.mean(2, keepdims=True), INPUTS.var(2, keepdims=True)
    assert np.abs(out - ((INPUTS - mean) / np.sqrt(variance + 1e-5) * gain + bias)).max() < 1e-12
    assert not b.layers[0].bias.any()
    assert {record["name"] for record in b.nodes} == {"input", "n", "n.affine", "end"}


def test_gates_multiply_what_two_layers_give():
    b = Builder()
    x = b.input(3)
    left, right = RNG.normal(0, 1, (2, 2, 3))
    y = b.gate("g", b.linear("l", x, left, np.ones(2)), b.linear("r", x, right))
    assert np.abs(run(b, y) - (INPUTS @ left.T + 1) * (INPUTS @ right.T)).max() < 1e-12
    gate = {layer.name: layer for layer in b.layers}["g"]
    assert gate.level == 2
    assert {c.port for c in b.connections if c.target == "g"} == {"left", "right"}


@pytest.mark.parametrize("case", ["complex", "real", "real poles"])
def test_states_are_a_loop(case):
    """Real systems have one neuron a state, others two."""
    b = Builder()
    poles = np.array([0.9, -0.5]) + (0.3j if case == "complex" else 0)
    shape = (2, 3), (4, 2)
    gain, weight = (RNG.normal(0, 1, s) + 1j * RNG.normal(0, 1, s) for s in shape)
    if case == "real":
        gain = gain.real + 0j
    states = b.states("s", b.input(3), poles, gain)
    out = run(b, b.read("C", states, weight))
    for sample, found in zip(INPUTS, out, strict=True):
        x = np.zeros(2, complex)
        for row, y in zip(sample, found, strict=True):
            x = poles * x + gain @ row
            assert np.abs((weight @ x).real - y).max() < 1e-12
    assert states.size == (2 if case == "real" else 4)
    assert {layer.name: layer for layer in b.layers}["s"].dendrites.real == (case != "complex")


def test_states_that_nobody_reads_go():
    b = Builder()
    x = b.layer("x", "Linear", b.input(3))
    poles, mix = np.full((3, 3), 0.5), np.array([[1, 0, 0], [0, 0, 2], [3, 0, 4]])
    b.mixed("kept", x, poles, mix)
    b.mixed("none", x, poles, 0 * mix)
    kept, none = (layer.dendrites for layer in b.layers[1:])
    assert kept.mix.tolist() == [[1, 0], [0, 2], [3, 4]]
    assert none.mix.shape == (3, 1)
