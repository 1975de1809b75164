"""Stochastic rounding: unbiased over all random numbers, exactly."""

import numpy as np
import pytest

from hdl.params.sc.rounding import StochasticRoundParams
from hdl.sc.rounding import StochasticRound
from sim.golden.sc.rounding import StochasticRoundModel
from tests.sc.kit import check, random_inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 1, "drop": 1}, "bits must be in 2..40, not 1"),
        ({"bits": 8, "drop": 0}, "drop must be in 1..7, not 0"),
        ({"bits": 8, "drop": 8}, "drop must be in 1..7, not 8"),
        ({"bits": 8, "drop": 3, "out_bits": 7}, "out_bits must be in 1..6, not 7"),
        ({"bits": 8, "drop": 3, "out_bits": 0}, "out_bits must be in 1..6, not 0"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        StochasticRoundParams(**change)


def every(bits: int, drop: int) -> dict[str, np.ndarray]:
    """Every word in a row of its own, with every random number."""
    x = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))[:, None]
    random = np.arange(1 << drop)[None, :]
    return dict(zip(("x", "random"), np.broadcast_arrays(x, random), strict=True))


@pytest.mark.parametrize("bits", range(2, 11))
def test_every_word_is_unbiased(bits):
    """For all words and drops: the sum over all r is x, and the variance is f * (1 - f)."""
    for drop in range(1, bits):
        params = StochasticRoundParams(bits=bits, drop=drop)
        given = every(bits, drop)
        y = StochasticRoundModel(params).run(1 << drop, **given)["y"]
        x = given["x"][:, 0]
        assert (y.sum(axis=1) == x).all(), (bits, drop)
        f = x % (1 << drop)
        squares = ((y << drop) - given["x"]) ** 2  # in units of 2**-drop
        assert (squares.sum(axis=1) == (f * ((1 << drop) - f)) << drop).all(), (bits, drop)


def test_the_default_never_saturates_and_less_does():
    x, random = np.array([127, -128, 120]), np.array([7, 7, 0])
    wide = StochasticRoundModel(StochasticRoundParams(bits=8, drop=3))
    assert wide.run(3, x, random)["y"].tolist() == [16, -16, 15]
    same = StochasticRoundModel(StochasticRoundParams(bits=8, drop=3, out_bits=5))
    assert same.run(3, x, random)["y"].tolist() == [15, -16, 15]
    narrow = StochasticRoundModel(StochasticRoundParams(bits=8, drop=3, out_bits=3))
    assert narrow.run(3, x, random)["y"].tolist() == [3, -4, 3]


@pytest.mark.parametrize(
    "params",
    [
        StochasticRoundParams(bits=2, drop=1),
        StochasticRoundParams(bits=7, drop=3, out_bits=4),
        StochasticRoundParams(bits=8, drop=5, out_bits=1),
    ],
    ids=str,
)
def test_rtl_on_every_pair(params):
    check(params, StochasticRound, StochasticRoundModel, every(params.bits, params.drop),
          length=1 << params.drop)  # fmt: skip


@pytest.mark.parametrize("seed", [1])
def test_rtl_of_long_words(seed):
    params = StochasticRoundParams(bits=40, drop=17, out_bits=23)
    inputs = random_inputs(params, 4, 2000, seed)
    inputs["x"][:, ::7] = (1 << 39) - 1 - (inputs["x"][:, ::7] & 0xFFFFF)  # about to saturate
    check(params, StochasticRound, StochasticRoundModel, inputs, length=2000, seed=seed)
