"""The sigmoid."""

import numpy as np
import pytest

from hdl.params.sc.sigmoid import SigmoidParams
from hdl.sc.sigmoid import Sigmoid
from sim.golden.sc.packed import count
from sim.golden.sc.sigmoid import SigmoidModel
from tests.sc.kit import check
from tests.sc.kit_streams import bernoulli, every, within


def test_wrong_parameters():
    with pytest.raises(ValueError, match="states must be even, not 3"):
        SigmoidParams(states=3)


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


@pytest.mark.parametrize(
    ("states", "error"), [(4, 0.0274), (8, 0.0065), (16, 0.0016), (32, 0.0004)]
)
def test_gain_is_the_number_of_states(states, error):
    """Exactly sigmoid(N artanh x), and sigmoid(N x) to half of what tanh is off by."""
    x = np.linspace(-1, 1, 200001)[1:-1]
    expected = SigmoidModel(SigmoidParams(states=states)).expected(x)
    assert np.allclose(expected, sigmoid(states * np.arctanh(x)), atol=1e-12)
    assert 0 <= abs(expected - sigmoid(states * x)).max() - error < 1e-4


def test_long_random_streams_follow_the_law():
    length, x = 1 << 14, np.array([-0.7, -0.2, 0.0, 0.1, 0.5])
    model = SigmoidModel(SigmoidParams(states=8))
    a = bernoulli(np.random.default_rng(6), np.broadcast_to((1 + x) / 2, (64, 5)), length)
    assert within(count(model.run(length, a=a)["y"]) / length, model.expected(x), floor=0.002)


def test_rtl():
    check(SigmoidParams(states=4), Sigmoid, SigmoidModel, {"a": every(11)[0]}, length=11)
