"""The Gibbs sampler: its law is Boltzmann's, to the p-bit's error, and its samples follow it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hdl.params.sc.gibbs import GibbsSamplerParams
from hdl.params.sc.pbit import SigmoidTable
from hdl.sc.gibbs import GibbsSampler
from sim.golden.sc.gibbs import GibbsSamplerModel
from sim.golden.sc.pbit import odds_against
from tests.sc.kit import check

#: A table so coarse that the law is far from Boltzmann's.
COARSE = SigmoidTable(fraction=4, step_bits=4, address_bits=2, random_bits=4)


def problem(spins: int, seed: int, **more) -> GibbsSamplerParams:
    """Dense couplings in -3..3, fields in -2..2, a random first state."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(-3, 4, (spins, spins)), 1)
    return GibbsSamplerParams(
        couplings=tuple(map(tuple, (upper + upper.T).tolist())),
        fields=tuple(rng.integers(-2, 3, spins).tolist()),
        initial=int(rng.integers(1 << spins)),
        seed=seed,
        **more,
    )


def boltzmann(params: GibbsSamplerParams, beta: float) -> np.ndarray:
    """exp(-E beta / 2**f) of every state, normalised."""
    m = 2 * (np.arange(1 << params.spins)[:, None] >> np.arange(params.spins) & 1) - 1
    energy = -np.einsum("si,ij,sj->s", m, params.couplings, m) / 2 - m @ params.biases
    weight = np.exp(-(energy - energy.min()) * beta / (1 << params.table.fraction))
    return weight / weight.sum()


def sweep(params: GibbsSamplerParams, beta: int) -> np.ndarray:
    """The transition matrix [from, to] of n updates with the p-bit's own odds."""
    n, state = params.spins, np.arange(1 << params.spins)
    m = 2 * (state[:, None] >> np.arange(n) & 1) - 1
    matrix = np.eye(1 << n)
    for i in range(n):
        current = beta * (m @ np.array(params.couplings)[i] + params.biases[i])
        against = odds_against(params.table, current) / (1 << params.table.random_bits)
        up = np.where(current >= 0, 1 - against, against)
        update = np.zeros_like(matrix)
        update[state, state | 1 << i] += up
        update[state, state & ~(1 << i)] += 1 - up
        matrix = matrix @ update
    return matrix


def law(params: GibbsSamplerParams, beta: int) -> np.ndarray:
    """The stationary distribution of `sweep`."""
    return np.linalg.matrix_power(sweep(params, beta), 1 << 14)[0]


def distance(p: np.ndarray, q: np.ndarray) -> float:
    """Total variation."""
    return abs(p - q).sum() / 2


def agreement(seen: np.ndarray, law: np.ndarray) -> float:
    """The chi-square test's p; states expected less than 8 times count as one."""
    expected = law * seen.sum()
    rare = expected < 8
    seen = np.append(seen[~rare], seen[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    some = expected > 0
    chi = (((seen - expected) ** 2)[some] / expected[some]).sum()
    return stats.chi2.sf(chi, some.sum() - 1)


COUPLED = ((0, 1), (1, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"couplings": ()}, "couplings must have 1..63 rows, not 0"),
        ({"couplings": ((0, 1),)}, r"couplings\[0\] must have 1 items, not 2"),
        ({"couplings": ((0, 1), (1, 2))}, r"couplings\[1\]\[1\] must be 0, not 2"),
        (
            {"couplings": ((0, 1), (-1, 0))},
            r"couplings must be symmetric, but \[1\]\[0\] is -1 and \[0\]\[1\] is 1",
        ),
        ({"couplings": COUPLED, "fields": (1,)}, "fields must have 2 items, not 1"),
        ({"couplings": COUPLED, "initial": 4}, "initial must be in 0..3, not 4"),
        ({"couplings": COUPLED, "beta_bits": 9}, "beta_bits must be in 1..8, not 9"),
        ({"couplings": COUPLED, "width": 12}, r"at least random_bits \(16\), not 12"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        GibbsSamplerParams(**change)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("beta", [1, 2, 3])
def test_the_law_is_boltzmanns(seed, beta):
    """The exact law of 8 spins, whose p-bits are right to 2**-17, lies within 3e-5 in total
    variation; a coarse table is seen."""
    params = problem(8, seed)
    assert distance(law(params, beta), boltzmann(params, beta)) < 3e-5, (seed, beta)
    coarse = replace(params, table=COARSE)
    assert distance(law(coarse, beta), boltzmann(params, beta)) > 0.02


@pytest.mark.parametrize(("seed", "beta"), [(0, 1), (1, 2), (3, 3)])
def test_samples_follow_the_law(seed, beta):
    """2**20 sweeps of 8 spins. Every 16th state is as good as independent: chi-square with
    p > .001. All of them: the total variation is below .008; 2**20 independent samples of 256
    equally likely states would give .0062."""
    params = problem(8, seed)
    state = GibbsSamplerModel(params).run(8 << 20, np.array([beta]))["state"][::8]
    exact = law(params, beta)
    assert distance(np.bincount(state, minlength=256) / len(state), exact) < 0.008, (seed, beta)
    seen = np.bincount(state[16::16], minlength=256)
    assert agreement(seen, exact) > 0.001, (seed, beta)
    # The test has teeth: the law of a beta that is 10 % off is refused.
    assert agreement(seen, boltzmann(params, beta * 1.1)) < 1e-6


def test_a_cold_sampler_finds_the_ground_state():
    """A ring of 63 spins in a field that outweighs their neighbours, at high beta: all +1."""
    n = 63
    ring = tuple(tuple(int((i - j) % n in (1, n - 1)) for j in range(n)) for i in range(n))
    params = GibbsSamplerParams(couplings=ring, fields=(3,) * n, beta_bits=7)
    state = GibbsSamplerModel(params).run(40 * n, np.array([[100], [0]]))["state"]
    assert state[0, -1] == (1 << n) - 1
    free = np.bitwise_count(state[1, n:].astype(np.uint64))  # beta 0: fair coins
    assert abs(free.mean() - n / 2) < 4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_annealing_finds_the_ground_state(seed):
    """16 spins, 2**16 states searched: the best of 8 slow coolings ends at the least energy."""
    params = problem(16, seed, beta_bits=6, table=SigmoidTable(fraction=6, address_bits=9))
    m = 2 * (np.arange(1 << 16)[:, None] >> np.arange(16) & 1) - 1
    energy = -((m @ np.array(params.couplings)) * m).sum(axis=1) // 2 - m @ params.biases
    schedule = np.linspace(0, 63, 16 * 2000).astype(int)
    ends = [
        GibbsSamplerModel(replace(params, entity=run)).run(len(schedule), schedule)["state"][-1]
        for run in range(8)
    ]
    found = energy[ends]
    assert found.min() == energy.min(), (seed, found, energy.min())


def test_rate_of_one_spin_by_a_schedule():
    """One spin in a field of 1: its mean at each beta of a schedule is tanh(beta / 2**f)."""
    params = GibbsSamplerParams(couplings=((0,),), fields=(1,), beta_bits=6, seed=5)
    beta = np.repeat(np.arange(0, 64, 9), 1 << 16)
    state = GibbsSamplerModel(params).run(len(beta) + 1, np.append(beta, 0))["state"][1:]
    mean = 2 * state.reshape(-1, 1 << 16).mean(axis=1) - 1
    assert abs(mean - np.tanh(np.arange(0, 64, 9) / 16)).max() < 4.5 / 256


def betas(params: GibbsSamplerParams, length: int) -> np.ndarray:
    """Four runs: two constant ones, a slow cooling, a new value in each cycle."""
    most = (1 << params.beta_bits) - 1
    return np.array(
        [
            np.full(length, 1),
            np.full(length, most),
            np.linspace(0, most, length).astype(int),
            np.random.default_rng(params.seed).integers(0, most + 1, length),
        ]
    )


@pytest.mark.parametrize(
    ("spins", "more"),
    [
        (1, {}),
        (2, {"beta_bits": 1}),
        (3, {"table": COARSE}),
        (5, {}),
        (8, {}),
        (21, {"beta_bits": 6, "width": 17}),
    ],
)
def test_rtl(spins, more):
    params = problem(spins, spins, **more)
    check(params, GibbsSampler, GibbsSamplerModel, {"beta": betas(params, 5000)}, length=5000)


def test_rtl_of_63_spins_from_block_memory():
    params = problem(63, 1)
    check(params, GibbsSampler, GibbsSamplerModel, {"beta": betas(params, 4000)}, length=4000)
