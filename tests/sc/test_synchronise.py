"""Synchronisers: numbers are kept, correlation goes where it should."""

import numpy as np
import pytest

from hdl.params.sc.synchronise import (
    DesynchroniseParams,
    SkewSynchroniseParams,
    SynchroniseParams,
)
from hdl.sc.synchronise import Desynchronise, SkewSynchronise, Synchronise
from sim.golden.sc.packed import count, pack, unpack
from sim.golden.sc.scc import scc_of
from sim.golden.sc.synchronise import (
    DesynchroniseModel,
    SkewSynchroniseModel,
    SynchroniseModel,
)
from tests.sc.kit import check, random_inputs
from tests.sc.kit_streams import bernoulli, every, within

UNITS = {
    "synchronise": (SynchroniseParams, Synchronise, SynchroniseModel),
    "desynchronise": (DesynchroniseParams, Desynchronise, DesynchroniseModel),
    "skew": (SkewSynchroniseParams, SkewSynchronise, SkewSynchroniseModel),
}


@pytest.mark.parametrize("name", UNITS)
def test_wrong_parameters(name):
    with pytest.raises(ValueError, match=r"depth must be in 1\.\.256, not 0"):
        UNITS[name][0](depth=0)


def text(bits):
    return [int(c) for c in bits]


@pytest.mark.parametrize(
    ("name", "depth", "a", "b", "y"),
    [
        ("synchronise", 1, "10011011", "01100100", ("01010101", "01010100")),
        ("synchronise", 2, "1110000", "0000111", ("0010110", "0000110")),
        ("desynchronise", 1, "1011011", "1010011", ("0111001", "1000111")),
        ("skew", 2, "111000", "000111", ("001110", None)),
    ],
)
def test_by_hand(name, depth, a, b, y):
    """Worked with pencil from the rules."""
    params, _, model = UNITS[name]
    got = model(params(depth=depth)).run(len(a), a=pack(text(a)), b=pack(text(b)))
    assert unpack(got.get("y_a", got.get("y")), len(a)).tolist() == text(y[0])
    if y[1]:
        assert unpack(got["y_b"], len(a)).tolist() == text(y[1])


def running(words, length):
    """Ones up to each cycle."""
    return np.cumsum(unpack(words, length).astype(int), axis=-1)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_numbers_are_kept(depth):
    """In every prefix of every pair of streams of 7 bits, 0..depth ones of each are missing."""
    a, b = every(7, 2)
    for name, (params, _, model) in UNITS.items():
        y = model(params(depth=depth)).run(7, a=a, b=b)
        saved = [
            running(x, 7) - running(out, 7) for x, out in zip((a, b), y.values(), strict=False)
        ]
        assert min(s.min() for s in saved) == 0
        assert max(s.max() for s in saved) == depth
        if name != "skew":
            assert (np.minimum(*saved) == 0).all()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_when_the_wrong_pair_comes_out(depth):
    """Only when no more ones can be saved, or none are: over every pair of streams of 7 bits."""
    a, b = every(7, 2)

    def bits(name):
        params, _, model = UNITS[name]
        y = list(model(params(depth=depth)).run(7, a=a, b=b).values())
        missing = [running(x, 7) - running(out, 7) for x, out in zip((a, b), y, strict=False)]
        return [unpack(out, 7) for out in y], missing

    (y_a, y_b), (saved_a, saved_b) = bits("synchronise")
    assert (saved_a[y_a > y_b] == depth).all()
    assert (saved_b[y_b > y_a] == depth).all()
    (y_a, y_b), (saved_a, saved_b) = bits("desynchronise")
    assert ((saved_a + saved_b)[(y_a == 1) & (y_b == 1)] == depth).all()
    assert ((saved_a + saved_b)[(y_a == 0) & (y_b == 0)] == 0).all()
    (y,), (saved,) = bits("skew")
    assert (saved[y > unpack(b, 7)] == depth).all()


@pytest.mark.parametrize("depth", [1, 2, 8])
def test_correlation_of_independent_streams(depth):
    """SCC 0 before; after: 2 d / (2 d + 1), -d / (d + 1), and what the state's law gives."""
    rng = np.random.default_rng(depth)
    length = 1 << 13
    a, b = (bernoulli(rng, np.full(200, 0.5), length) for _ in range(2))

    def pooled(a, b):
        """SCC of all runs as one stream: that of a short one is biased."""
        a, b = (unpack(x, length).reshape(-1) for x in (a, b))
        return scc_of(pack(a), pack(b), a.size)

    assert abs(pooled(a, b)) < 0.004
    y = SynchroniseModel(SynchroniseParams(depth=depth)).run(length, a=a, b=b)
    assert pooled(y["y_a"], y["y_b"]) == pytest.approx(2 * depth / (2 * depth + 1), abs=0.004)
    y = DesynchroniseModel(DesynchroniseParams(depth=depth)).run(length, a=a, b=b)
    assert pooled(y["y_a"], y["y_b"]) == pytest.approx(-depth / (depth + 1), abs=0.004)


@pytest.mark.parametrize(("p_a", "p_b"), [(0.3, 0.6), (0.5, 0.55), (0.8, 0.7)])
def test_pairs_follow_the_law_of_the_state(p_a, p_b):
    """The share of wrong pairs is a stationary probability of a birth-death chain."""
    rng, depth, length = np.random.default_rng(3), 2, 1 << 13
    a, b = (bernoulli(rng, np.full(200, p), length) for p in (p_a, p_b))

    def shares(unit):
        y = unit.run(length, a=a, b=b)
        y_a, y_b = y["y_a"], y["y_b"]
        ones, other = count(y_a & y_b), count(y_a & ~y_b)
        return ones / length, other / length, 1 - (ones + other + count(y_b & ~y_a)) / length

    up, down = p_a * (1 - p_b), p_b * (1 - p_a)
    state = (up / down) ** np.arange(-depth, depth + 1)
    _, n10, _ = shares(SynchroniseModel(SynchroniseParams(depth=depth)))
    assert within(n10, up * state[-1] / state.sum(), floor=0.001)
    up, down = p_a * p_b, (1 - p_a) * (1 - p_b)
    state = (up / down) ** np.arange(depth + 1)
    n11, _, n00 = shares(DesynchroniseModel(DesynchroniseParams(depth=depth)))
    assert within(n11, up * state[-1] / state.sum(), floor=0.001)
    assert within(n00, down * state[0] / state.sum(), floor=0.001)


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("depth", [1, 2])
def test_rtl_over_every_pair_of_streams(name, depth):
    params, component, twin = UNITS[name]
    a, b = every(6, 2)
    check(params(depth=depth), component, twin, {"a": a, "b": b}, length=6)


def test_rtl_over_long_streams():
    unit = SynchroniseParams(depth=11)
    inputs = random_inputs(unit, 30, 1000, seed=4)
    check(unit, Synchronise, SynchroniseModel, inputs, length=1000)
