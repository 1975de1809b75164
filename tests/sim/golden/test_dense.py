"""Stochastic dendrites against closed forms, scipy, and the equations in plain Python."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from hdl.params.sc.dense import Streams
from hdl.params.sc.lfsr import LfsrParams, seed_of
from sim.golden.sc.dense import chosen, counts, kept_lengths, numbers, sums
from sim.golden.sc.lfsr import LfsrModel

EVERY = {"tolerance": 0, "first": 0}  # keeps all lengths


def plain_bit(m, n, u, bits):
    if m == 2**n:
        return 1
    h = 0
    while h < bits and not u >> (bits - 1 - h) & 1:
        h += 1
    return m >> (n - 1 - h) & 1 if h < n else 0


def plain_numbers(streams, g):
    """u(g, t), v(g, t) in Python integers, t by t."""
    s = streams.source_bits
    ones, length = 2**s - 1, 2**streams.log2_length

    def vdc(t):
        return int(f"{t % 2**s:0{s}b}"[::-1], 2) if s else 0

    def second(t):
        total, direction = 0, 2**s // 2
        for k in range(s):
            total ^= direction if t >> k & 1 else 0
            direction ^= direction // 2
        return total

    if streams.generator == "sobol":
        u = [ones ^ vdc(t) ^ vdc(g) for t in range(length)]
        return u, [ones ^ second(t) ^ second(g) for t in range(length)]
    pair = []
    for number in (2 * g, 2 * g + 1):
        p = LfsrParams(width=s, seed=seed_of(streams.seed, number, s))
        pair.append(LfsrModel(p).run(length)["value"].tolist())
    return pair


def plain_sums(streams, weights, values):
    """[k = 0..K][neuron] by the equations."""
    p, q, s = streams.value_bits, streams.weight_bits, streams.source_bits
    result = []
    pairs = [plain_numbers(streams, g) for g in range(streams.generators)]
    for k in range(streams.log2_length + 1):
        row = []
        for i in range(weights.shape[1]):
            total = 0
            for j, x in enumerate(values.tolist()):
                u, v = pairs[j % streams.generators]
                w = int(weights[j, i])
                ones = sum(
                    plain_bit(abs(w), q, u[t], s) & plain_bit(abs(x), p, v[t], s)
                    for t in range(2**k)
                )
                total += ones if w * x > 0 else -ones if w * x < 0 else 0
            row.append(total << (p + q - k) if p + q >= k else None)
        result.append(row)
    return result


@pytest.mark.parametrize("q", [0, 1, 4, 8])
def test_every_prefix_of_a_spike_rounds_the_weight_to_nearest(q):
    streams = Streams(weight_bits=q, source_bits=q, log2_length=q, **EVERY)
    weights = np.arange(2**q + 1)
    table = counts(streams, np.array([1]), weights)
    for k in range(q + 1):
        assert table[k, 0, 0].tolist() == [int(w * 2**k / 2**q + 0.5) for w in weights]


def test_a_source_of_fewer_bits_rounds_too():
    streams = Streams(weight_bits=8, source_bits=5, log2_length=5, **EVERY)
    weights = np.arange(257)
    assert counts(streams, np.array([1]), weights)[5, 0, 0].tolist() == [
        (w + 4) // 8 for w in weights
    ]


@pytest.mark.parametrize("generators", [1, 4])
@pytest.mark.parametrize(("q", "p"), [(0, 3), (3, 0), (4, 3), (5, 5), (2, 7)])
def test_products_are_exact_over_the_full_period(q, p, generators):
    streams = Streams(
        weight_bits=q, value_bits=p, source_bits=p + q, log2_length=p + q, generators=generators
    )
    table = counts(streams, np.arange(2**p + 1), np.arange(2**q + 1))[0]
    exact = np.outer(np.arange(2**p + 1), np.arange(2**q + 1))
    assert (table == exact).all()


def test_numbers_are_scipys_sobol_points():
    streams = Streams(weight_bits=9, source_bits=9, log2_length=9)
    u, v = numbers(streams)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = qmc.Sobol(2, scramble=False, bits=9).random(512)
    t = np.arange(512)
    gray = (points * 512).astype(int)  # scipy: in Gray code order
    order = t ^ t >> 1
    assert (511 - u[0][order] == gray[:, 0]).all()
    assert (511 - v[0][order] == gray[:, 1]).all()


def test_lfsrs_take_every_state_once_but_zero():
    streams = Streams(
        weight_bits=8, source_bits=8, log2_length=8, generator="lfsr", generators=4, seed=3
    )
    u, v = numbers(streams)
    for row in (*u, *v):
        assert sorted(row[:255].tolist()) == list(range(1, 256))
        assert row[255] == row[0]
    assert len({row[0] for row in (*u, *v)}) == 8


@given(
    seed=st.integers(0, 2**32 - 1),
    q=st.integers(0, 5),
    p=st.integers(0, 4),
    generator=st.sampled_from(["sobol", "lfsr"]),
    generators=st.sampled_from([1, 2, 8]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_sums_follow_the_equations(seed, q, p, generator, generators, data):
    least = 3 if generator == "lfsr" else 0
    if p + q < least:
        return
    s = data.draw(st.integers(least, p + q))
    k = data.draw(st.integers(0, s))
    streams = Streams(
        weight_bits=q, value_bits=p, source_bits=s, log2_length=k, generator=generator,
        generators=generators, seed=seed % 1000, **EVERY,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    sources, neurons = rng.integers(1, 12), rng.integers(1, 4)
    weights = rng.integers(-(2**q), 2**q + 1, (sources, neurons))
    values = rng.integers(-(2**p), 2**p + 1, (2, sources)) * rng.integers(0, 2, (2, sources))
    found = sums(streams, weights, values)
    for b in range(2):
        expected = plain_sums(streams, weights, values[b])
        assert found[:, b].tolist() == expected[-len(found) :]


def test_which_sum_is_chosen():
    streams = Streams(weight_bits=6, source_bits=6, log2_length=6, tolerance=2, first=2)
    assert list(kept_lengths(streams)) == [2, 3, 4, 5, 6]
    table = np.array([[0, 0, 0], [10, 2, 3], [12, 4, 6], [30, 6, 9], [60, 8, 12]])
    value, k = chosen(streams, table)
    assert value.tolist() == [12, 2, 12]  # settled at 4, at once, never
    assert k.tolist() == [4, 3, 6]
    for changes in ({"tolerance": -1}, {"first": 6}, {"first": 9}):
        given_up = Streams(**{**streams.__dict__, **changes})
        assert list(kept_lengths(given_up)) == [6]
        assert chosen(given_up, table[-1:])[0].tolist() == [60, 8, 12]


def test_which_sum_has_decided():
    """Four neurons that lack 20, the third at a shift of 2, the fourth without spikes."""
    streams = Streams(weight_bits=6, source_bits=6, log2_length=6, margin=1, first=3)
    assert list(kept_lengths(streams)) == [3, 4, 5, 6]
    table = np.array([[12, 29, 6, 90], [24, 29, 5, 90], [23, 29, 5, 90], [21, 29, 5, 90]])
    value, k = chosen(streams, table, 20, [0, 0, 2, 0], [True, True, True, False])
    assert value.tolist() == [23, 29, 5, 90]  # 3 > 2; 9 > 8; 0 is never far; no margin
    assert k.tolist() == [5, 3, 6, 6]
    both = Streams(**{**streams.__dict__, "tolerance": 0})
    assert chosen(both, table, 20, [0, 0, 2, 0], [True, True, True, False])[1].tolist() == [
        5, 3, 5, 4,
    ]  # fmt: skip


def test_wide_magnitudes_need_no_table_of_all_values():
    """15-bit weights and 17-bit values: rounding at 2**16 bits is below 2**-12 of the product."""
    streams = Streams(weight_bits=15, value_bits=17, source_bits=16, log2_length=16)
    rng = np.random.default_rng(5)
    weights = rng.integers(-(2**15), 2**15 + 1, (6, 5))
    values = rng.integers(-(2**17), 2**17 + 1, (4, 6))
    error = sums(streams, weights, values)[0] - values @ weights
    assert np.abs(error).max() < 2**32 * 6 * 2**-12
