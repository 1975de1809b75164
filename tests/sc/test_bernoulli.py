"""The Bernoulli sampler: exact counts over a period, independence of lanes and cycles."""

import numpy as np
import pytest

from hdl.params.sc.bernoulli import BernoulliParams
from hdl.params.sc.draw import draw_generator
from hdl.sc.bernoulli import Bernoulli
from sim.golden.sc.bernoulli import BernoulliModel
from sim.golden.sc.draw import states
from sim.golden.sc.lfsr import LfsrModel
from sim.golden.sc.packed import count, unpack
from tests.sc.kit import check


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 0}, "bits must be in 1..32, not 0"),
        ({"bits": 9, "width": 8}, "bits must be in 1..8, not 9"),
        ({"bits": 8, "width": 2}, "width must be in 3..32, not 2"),
        ({"bits": 8, "lanes": 0}, "lanes must be in 1..32, not 0"),
        ({"bits": 8, "lanes": 5}, r"bits \* lanes must be at most width \(32\), not 40"),
        ({"bits": 8, "seed": -1}, "seed must be in 0..4294967295, not -1"),
        (
            {"bits": 12, "width": 12},
            "an LFSR of 12 bits has no full period with draws of 12 bits",
        ),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        BernoulliParams(**change)


@pytest.mark.parametrize("width", range(3, 33))
def test_states_are_those_of_the_lfsr_anywhere(width):
    """The fast generator against the LFSR's own twin, and its jumps against itself."""
    for bits in (1, width // 2, width - 1):
        generator = draw_generator(bits, width=width, seed=5, entity=bits)
        value = states(generator, 400)
        assert (value == LfsrModel(generator).run(400)["value"]).all()
        assert (states(generator, 30, 370) == value[370:]).all()
    period = (1 << width) - 1
    assert (states(generator, 400, 3 * period) == value).all()


@pytest.mark.parametrize(
    ("width", "bits", "lanes"), [(3, 1, 2), (5, 3, 1), (8, 8, 1), (9, 4, 2), (12, 5, 1)]
)
def test_counts_over_a_period_are_exact(width, bits, lanes):
    """p * 2**(width - bits) ones for every p, all ones for p = 2**bits, in each lane."""
    params = BernoulliParams(bits=bits, lanes=lanes, width=width, seed=2)
    period = (1 << width) - 1
    p = np.arange((1 << bits) + 1)
    for stream in BernoulliModel(params).run(period, p).values():
        assert (count(stream) == np.minimum(p << (width - bits), period)).all()


def test_lanes_and_cycles_are_independent():
    """Over a period, both of two lanes, and both of two successive cycles, are 1 p * p times."""
    params = BernoulliParams(bits=4, lanes=2, width=16, seed=3)
    period = (1 << 16) - 1
    for p in (1, 5, 8, 15):
        y = [unpack(s, period + 1) for s in BernoulliModel(params).run(period + 1, p).values()]
        assert (y[0] & y[1])[:-1].sum() == p * p << 8
        assert (y[0][1:] & y[0][:-1]).sum() == p * p << 8


def test_frequencies_of_long_runs():
    """2**20 samples of 32-bit generators lie within 4.5 standard deviations of p."""
    for seed in (0, 1):
        params = BernoulliParams(bits=8, lanes=4, seed=seed)
        p = np.array([1, 64, 100, 128, 255])
        sigma = np.sqrt(p / 256 * (1 - p / 256) / (1 << 20))
        for stream in BernoulliModel(params).run(1 << 20, p).values():
            assert (abs(count(stream) / (1 << 20) - p / 256) < 4.5 * sigma).all(), seed


@pytest.mark.parametrize(
    "params",
    [
        BernoulliParams(bits=1, lanes=3, width=3, seed=1),
        BernoulliParams(bits=5, width=5, seed=2),
        BernoulliParams(bits=8, lanes=4, seed=3, entity=7),
    ],
    ids=str,
)
def test_rtl(params):
    """Every probability, or 40 of them."""
    p = np.unique(np.linspace(0, 1 << params.bits, 40).astype(int))
    check(params, Bernoulli, BernoulliModel, {"p": p}, length=200)


def test_rtl_of_a_wide_word():
    p = np.array([0, 1, 1 << 31, (1 << 32) - 1, 1 << 32, 0x12345678])
    check(BernoulliParams(bits=32, seed=4), Bernoulli, BernoulliModel, {"p": p}, length=400)
