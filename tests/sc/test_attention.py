"""Stochastic spiking attention: the twin against its equations, and its statistics."""

import numpy as np
import pytest

from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.sc.attention import Attention
from sim.golden.sc.attention import AttentionModel, draw, float_attention, initial_states
from sim.golden.sc.lfsr import LfsrModel
from tests.kit_hdl import clocked, run


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": 0, "dim": 4}, "tokens must be in 1..1024, not 0"),
        ({"tokens": 4, "dim": 257}, "dim must be in 1..256, not 257"),
        ({"tokens": 4, "dim": 4, "score_gain": 9}, "score_gain must be in 0..8, not 9"),
        ({"tokens": 4, "dim": 4, "value_gain": -1}, "value_gain must be in 0..8, not -1"),
        ({"tokens": 4, "dim": 4, "seed": 1 << 32}, "seed must be in 0..4294967295"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        AttentionParams(**change)


def test_wrong_shape():
    model = AttentionModel(AttentionParams(tokens=3, dim=2))
    good, bad = np.zeros((1, 3, 2)), np.zeros((1, 2, 3))
    with pytest.raises(ValueError, match=r"key must be \[..., steps, 3, 2\], not \[1, 2, 3\]"):
        model.run(good, bad, good)


@pytest.mark.parametrize("number", [0, 1])
def test_draws_are_those_of_the_lfsr(number):
    p = AttentionParams(tokens=1, dim=1, seed=5)
    states = initial_states(p)
    got = [draw(states, number) for _ in range(3000)]
    expected = LfsrModel(p.generator(number)).run(3001)["value"]
    assert (np.array(got) == expected[:-1] & 0xFFFF).all()
    assert states[number] == expected[-1]
    assert states[1 - number] == initial_states(p)[1 - number]


def plainly(p, query, key, value):
    """The equations, bit by bit; one run [steps, tokens, dim]."""
    steps, tokens, dim = query.shape
    draws = [
        iter((LfsrModel(p.generator(k)).run(steps * tokens * size)["value"] & 0xFFFF).tolist())
        for k, size in ((0, tokens), (1, dim))
    ]
    answers = np.zeros_like(query)
    for t in range(steps):
        for i in range(tokens):
            seen = range(i + 1) if p.causal else range(tokens)
            scores = [sum(query[t, i, d] and key[t, j, d] for d in range(dim)) for j in seen]
            s = [next(draws[0]) * dim < int(score) * 2**16 * 2**p.score_gain for score in scores]
            for d in range(dim):
                total = sum(s[j] and value[t, j, d] for j in seen)
                limit = int(total) * 2**16 * 2**p.value_gain
                answers[t, i, d] = next(draws[1]) * len(seen) < limit
    return answers


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1), (2, 1), (1, 3), (2, 3), (3, 5), (7, 4), (8, 16), (3, 70)], ids=str
)
def test_twin_follows_the_equations(size, causal, seed):
    rng = np.random.default_rng([*size, causal, seed])
    p = AttentionParams(
        tokens=size[0], dim=size[1], causal=causal, seed=seed,
        score_gain=int(rng.integers(4)), value_gain=int(rng.integers(4)),
    )  # fmt: skip
    rates = rng.choice([0.0, 0.2, 0.5, 0.9, 1.0], size=(3, 2, 6, 1, 1))
    q, k, v = (rng.random((3, 2, 6, *size)) < rates).astype(np.uint8)
    got = AttentionModel(p).run(q, k, v)
    for b in range(2):  # each run of the batch begins with a clear
        assert (got[b] == plainly(p, q[b], k[b], v[b])).all(), (p, b)
    shared = AttentionModel(p).run(q, k[0], v[:1])
    assert (shared[1] == AttentionModel(p).run(q[1], k[0], v[0])).all()


def test_float_attention_without_gains_is_a_product_of_matrices():
    """Q K^T V / (dim * n), to the 2**-16 that each encoder rounds up by at most."""
    rng = np.random.default_rng(1)
    q, k, v = rng.random((3, 6, 5))
    for causal in (False, True):
        s, a = float_attention(AttentionParams(tokens=6, dim=5, causal=causal), q, k, v)
        see = np.tri(6) if causal else np.ones((6, 6))
        exact = q @ k.T / 5 * see
        assert (s >= exact - 1e-12).all()
        assert (s - exact < 2**-16).all()
        exact = exact @ v / see.sum(1, keepdims=True)
        assert (a >= exact - 1e-12).all()
        assert (a - exact < 2**-15).all()


def within(mean, p, count, what):
    """Means of `count` Bernoulli draws against probabilities p: none beyond 5 standard errors.

    By chance that happens once in 1.7e6 cells. Returns the errors in standard errors, of the cells
    that are not certain; the certain ones must be exact.
    """
    sigma = np.sqrt(p * (1 - p) / count)
    assert (mean[sigma == 0] == p[sigma == 0]).all(), what
    z = ((mean - p) / np.where(sigma, sigma, 1))[sigma > 0]
    assert (np.abs(z) < 5).all(), (what, np.abs(z).max())
    return z


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("gains", [(0, 0), (1, 0), (0, 2), (3, 3)])
def test_answers_have_the_probabilities_of_the_float_attention(gains, causal):
    """Given spikes, 40,000 steps of them: the share of ones of each answer."""
    rng = np.random.default_rng(3)
    p = AttentionParams(
        tokens=9, dim=12, causal=causal, score_gain=gains[0], value_gain=gains[1], seed=11
    )
    q, k, v = (rng.random((3, 9, 12)) < 0.5).astype(float)
    _, expected = float_attention(p, q, k, v)
    steps = 40_000
    held = [np.broadcast_to(x, (steps, 9, 12)) for x in (q, k, v)]
    within(AttentionModel(p).run(*held).mean(axis=0), expected, steps, (gains, causal))


@pytest.mark.parametrize("gain", [0, 1, 4])
def test_scores_have_their_probabilities(gain):
    """With V the identity and a value gain of n the answer is S itself."""
    rng = np.random.default_rng(4)
    p = AttentionParams(tokens=8, dim=8, score_gain=gain, value_gain=3, seed=2)
    q, k = (rng.random((2, 8, 8)) < 0.5).astype(float)
    expected, answers = float_attention(p, q, k, np.eye(8))
    assert np.allclose(expected, answers)
    assert (expected == np.minimum(1, q @ k.T * 2**gain / 8)).all()
    steps = 40_000
    held = [np.broadcast_to(x, (steps, 8, 8)) for x in (q, k, np.eye(8))]
    z = within(AttentionModel(p).run(*held).mean(axis=0), expected, steps, gain)
    # The draws of a step are independent too: the errors have variance 1.
    assert gain == 4 or abs((z**2).mean() - 1) < 5 * np.sqrt(2 / z.size), (gain, (z**2).mean())


@pytest.mark.parametrize("causal", [False, True])
def test_random_spikes_have_the_expected_answers(causal):
    """Independent Bernoulli spikes of given rates: the answers' rates are those of attention."""
    rng = np.random.default_rng(5)
    p = AttentionParams(tokens=5, dim=6, causal=causal, seed=8)
    rates = rng.random((3, 5, 6))
    steps = 60_000
    q, k, v = rng.random((3, steps, 5, 6)) < rates[:, None]
    _, expected = float_attention(p, *rates)
    within(AttentionModel(p).run(q, k, v).mean(axis=0), expected, steps, causal)


def test_clear_ends_a_run_and_seeds_differ():
    p = AttentionParams(tokens=4, dim=4, seed=1)
    ones = np.ones((1, 50, 4, 4))
    half = ones * (np.arange(4) < 2)
    first = AttentionModel(p).run(half, ones, half)
    both = AttentionModel(p).run(np.concatenate([half, half]), ones, half)
    assert (both[0] == first[0]).all()
    assert (both[1] == first[0]).all()
    other = AttentionModel(AttentionParams(tokens=4, dim=4, seed=2)).run(half, ones, half)
    assert (other != first).any()
    assert not AttentionModel(p).run(0 * ones, ones, ones).any()
    assert AttentionModel(p).run(ones, ones, ones).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (2, 3), (3, 2), (3, 5), (5, 3), (7, 4), (9, 17)], ids=str
)
def test_rtl(size, causal):
    """Every answer and its cycle, with a clear in mid-run; spikes left over would show."""
    rng = np.random.default_rng([*size, causal])
    gains = rng.integers(3, size=2).tolist() if size[0] > 1 else [8, 8]
    p = AttentionParams(
        tokens=size[0], dim=size[1], causal=causal, seed=int(rng.integers(100)),
        score_gain=gains[0], value_gain=gains[1],
    )  # fmt: skip
    steps, cleared = 6, 2
    rates = rng.choice([0.3, 0.6, 1.0], size=(3, steps, 1, 1))
    spikes = rng.random((3, steps, *size)) < rates
    expected = np.concatenate(
        [
            AttentionModel(p).run(*spikes[:, :cleared]),
            AttentionModel(p).run(*spikes[:, cleared + 1 :]),
        ]
    )
    dut = Attention(p)
    found = []

    async def main(ctx):
        for step in range(steps):
            # Places in random order, all matrices of a place at once.
            for place in rng.permutation(p.size):
                i, d = divmod(int(place), p.dim)
                which = {port: int(spikes[k, step, i, d]) for k, port in enumerate(PORTS)}
                ctx.set(dut.bit, {"token": i, "column": d, **which})
                ctx.set(dut.set, 1)
                await ctx.tick()
            ctx.set(dut.set, 0)
            ctx.set(dut.start, 1)
            ctx.set(dut.clear, step == cleared)
            await ctx.tick()
            ctx.set(dut.start, 0)
            answers, cycles = [], []
            for cycle in range(1, p.update_cycles(p.size) + 1):
                assert ctx.get(dut.busy), (step, cycle)
                if ctx.get(dut.valid):
                    answers.append(ctx.get(dut.answer))
                    cycles.append(cycle)
                await ctx.tick()
            assert not ctx.get(dut.busy)
            assert cycles == [p.answer_cycle(i, d) for i in range(p.tokens) for d in range(p.dim)]
            if step != cleared:
                found.append(np.reshape(answers, size))

    sim = clocked(dut)
    sim.add_testbench(main)
    run(sim, 10_000)
    assert (np.array(found) == expected).all(), (p, np.argwhere(found != expected)[:1])
