import math

import numpy as np
import pytest

from hdl.params.errors import UserError
from mapping.activations import ACTIVATIONS, EPSILON, activate
from mapping.quantise import quantise
from mapping.reference import simulate
from tests.mapping.models import model, neurons, synapses
from tests.mapping.state_layers import linear

PLAIN = {
    "": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "gelu_tanh": lambda x: x / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "softplus": lambda x: math.log1p(math.exp(x)),
    "exp": math.exp,
}


@pytest.mark.parametrize("name", PLAIN)
def test_activations_are_their_formulas(name):
    x = np.linspace(-6, 6, 121).reshape(11, 11)
    assert activate(name, x) == pytest.approx(np.vectorize(PLAIN[name])(x), rel=1e-9, abs=1e-12)


def test_all_are_covered_and_hold_far_out():
    assert set(PLAIN) == {"", *ACTIVATIONS}
    far = np.array([-700.0, 700.0])
    for name in ACTIVATIONS:
        with np.errstate(over="raise", invalid="raise"):
            assert np.isfinite(activate(name, far)).all(), name


@pytest.mark.parametrize("size", [1, 2, 7])
def test_layernorm_against_torch_formula(size):
    x = np.random.default_rng(size).normal(size=(5, size))
    found = activate("layernorm", x)
    for row, y in zip(x.tolist(), found, strict=True):
        mean = sum(row) / size
        variance = sum((v - mean) ** 2 for v in row) / size
        wanted = [(v - mean) / math.sqrt(variance + EPSILON) for v in row]
        assert y == pytest.approx(wanted, abs=1e-12)
    assert activate("layernorm", x.T, 0) == pytest.approx(found.T)


def test_reference_applies_them_behind_the_membrane():
    rng = np.random.default_rng(0)
    w, v, b = rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=4)
    graph = model(
        3,
        [linear("h", 4, 1, bias=b, activation="gelu"), linear("o", 2, 2, activation="layernorm")],
        [synapses("in", "h", w), synapses("h", "o", v)],
        ["o"],
    )
    data = rng.normal(size=(5, 6, 3))
    result = simulate(graph, data, record=["h"])
    hidden = data @ w.T + b
    assert result.membranes["h"] == pytest.approx(hidden)
    wanted = activate("layernorm", activate("gelu", hidden) @ v.T)
    assert result.outputs == pytest.approx(wanted)


def test_wrong_activations_by_their_message():
    for layer, text in (
        (linear("h", 2, 1, activation="swish"), "h: unknown activation 'swish'; there are exp, "),
        (neurons("h", 2, 1, activation="relu"), "h: spikes have no activation, not 'relu'"),
    ):
        graph = model(2, [layer], [synapses("in", "h", np.eye(2))], ["h"])
        with pytest.raises(UserError, match=text):
            quantise(graph, np.ones((1, 2, 2)))
