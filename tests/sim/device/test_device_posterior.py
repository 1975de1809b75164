"""Bernoulli posteriors: published figures of PCM, and exact probabilities of integer cells."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from hdl.params.crossbar.device import Age
from hdl.params.errors import UserError
from sim.device import emulate
from sim.device.integer import age, tables
from sim.device.posterior import (
    LEAST_CHANCE,
    chance,
    chance_of,
    level_of,
    probability_of,
    target_of,
    threshold_at,
)
from sim.device.real import program
from sim.device.table import find_device

COUNT, DAY, THRESHOLD = 100_000, 86400.0, 12.5


def verified(device, target, tolerance, rng):
    """(g_p, nu, pulses) of devices written anew until they are within the tolerance (uS)."""
    aim = np.full(COUNT, float(target))
    g_p, nu = program(device, aim, rng)
    pulses = COUNT
    while (wrong := abs(g_p - aim) > tolerance).any():
        g_p[wrong], nu[wrong] = program(device, aim[wrong], rng)
        pulses += wrong.sum()
    return g_p, nu, pulses / COUNT


def test_writing_scatters_more_than_reading():
    """Deviations of writing and reading at 5, 12.5 and 25 uS."""
    pcm, g = find_device("pcm"), np.array([5.0, 12.5, 25.0])
    assert pcm.write_sigma(g) == pytest.approx([0.610, 0.953, 1.055], abs=6e-4)
    reading = g * pcm.read_sigma(g) * pcm.growth(0)
    assert reading == pytest.approx([0.524, 0.722, 0.920], abs=6e-4)


@pytest.mark.parametrize("seed", range(2))
def test_one_shot_writing_ruins_a_posterior_and_verifying_mends_it(seed):
    pcm, rng = find_device("pcm"), np.random.default_rng(seed)
    reading = float(THRESHOLD * pcm.read_sigma(THRESHOLD) * pcm.growth(0))

    def sampled(p, tolerance=None):
        target = target_of(pcm, p, THRESHOLD)
        if tolerance is None:
            return *program(pcm, np.full(COUNT, target), rng), 1.0
        return verified(pcm, target, tolerance * reading, rng)

    def spread(cells):
        p = probability_of(pcm, *cells[:2], THRESHOLD, 0.0)
        return p.mean(), p.std(), cells[2]

    assert spread(sampled(0.5)) == pytest.approx((0.5, 0.33, 1), abs=0.006)
    assert spread(sampled(0.1))[0] == pytest.approx(0.21, abs=0.01)
    assert spread(sampled(0.5, 0.5)) == pytest.approx((0.5, 0.11, 3.4), abs=0.06)
    assert spread(sampled(0.5, 0.5))[1] == pytest.approx(0.11, abs=0.006)
    half = sampled(0.5, 0.25)
    assert spread(half)[1] == pytest.approx(0.057, abs=0.002)
    assert spread(half)[2] == pytest.approx(6.6, abs=0.1)
    # A day later nothing is above the threshold, unless it drifts too; then the spread is .28.
    g_p, nu, _ = half
    assert probability_of(pcm, g_p, nu, THRESHOLD, DAY).mean() < 1e-4
    later = probability_of(pcm, g_p, nu, threshold_at(pcm, THRESHOLD, DAY), DAY)
    assert (later.mean(), later.std()) == pytest.approx((0.49, 0.28), abs=0.012)


@pytest.mark.parametrize("name", ["pcm", "hermes-1", "hermes-2", "rram"])
@pytest.mark.parametrize("seconds", [0.0, DAY])
def test_a_target_has_its_probability(name, seconds):
    device = find_device(name)
    threshold = device.g_max * np.array([[0.1], [0.3], [0.5]])
    p = np.linspace(0.01, 0.99, 25)
    g = target_of(device, p, threshold, seconds)
    assert g.shape == (3, 25)
    assert probability_of(device, g, device.drift_mean(g), threshold, seconds) == pytest.approx(
        np.broadcast_to(p, g.shape), abs=1e-9
    )
    assert (np.diff(g) > 0).all()


def test_targets_at_the_ends():
    pcm = find_device("pcm")
    low, high = target_of(pcm, [0, 1], THRESHOLD)
    assert probability_of(pcm, [low, high], 0, THRESHOLD, 0) == pytest.approx(
        [LEAST_CHANCE, 1 - LEAST_CHANCE]
    )
    assert target_of(pcm, 0.5, THRESHOLD) == pytest.approx(THRESHOLD)
    assert probability_of(find_device("ideal"), [12.4, 12.5, 12.6], 0, 12.5, 0).tolist() == [
        0,
        0,
        1,
    ]
    assert probability_of(pcm, 0.0, 0.05, 1.0, 0.0) == 0
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(UserError, match=r"^probabilities must be in 0\.\.1; mend the posteri"):
            target_of(pcm, [0.5, wrong], THRESHOLD)
        with pytest.raises(UserError, match=r"^probabilities must be in 0\.\.1; mend the posteri"):
            level_of(pcm, [0.5, wrong], 256, cell_bits=10)
    with pytest.raises(UserError) as caught:
        target_of(pcm, [0.5, 0.9], 30.0)
    assert str(caught.value) == (
        "device 'pcm': no target up to 25 uS is above a threshold of 30 uS with probability "
        "0.5; change the threshold"
    )


def law():
    """Exact law of a draw: counts of sums of two bytes minus two, over 256**4."""
    pair = [256 - abs(d) for d in range(-255, 256)]
    counts = dict.fromkeys(range(-510, 511), 0)
    for a, b in product(range(511), repeat=2):
        counts[a + b - 510] += pair[a] * pair[b]
    assert sum(counts.values()) == 256**4
    return counts


@pytest.fixture(scope="module")
def counts():
    return law()


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_chances_are_exact(counts, bits):
    """Against the enumeration of all draws with the equation in Python integers."""
    params, rng = tables(find_device("pcm"), bits), np.random.default_rng(bits)
    top, shift = 1 << bits, 20 - bits
    h = np.append(rng.integers(0, top, 40), [0, 0, 5, top - 1])
    s = np.append(rng.integers(0, 256, 40), [0, 255, 0, 255])
    reference = np.append(np.clip(h[:40] + rng.integers(-9, 9, 40), 0, None), [0, 0, 4, top - 1])
    found = chance(params, h, s, reference)
    for k in range(len(h)):
        above = sum(
            share
            for z, share in counts.items()
            if max(0, int(h[k]) + ((int(s[k]) * z + (1 << (shift - 1))) >> shift)) > reference[k]
        )
        assert found[k] == float(Fraction(above, 256**4))


def test_slow_noise_widens_a_chance(counts):
    """Averaged over the draw that stays: against the sum over both, and against sampled reads."""
    pcm = find_device("pcm")
    params, clock = tables(pcm, 10), Age(fresh=369, slow=1818)
    g_p, reference = np.array([250, 256, 262, 300]), 256
    found = chance_of(params, g_p, 50, clock, reference)
    known = np.zeros(4)
    for z, share in counts.items():
        h, s = emulate.conduct(params, g_p, np.full(4, 50), clock, z)
        known += share / 256**4 * chance(params, h, s, reference)
    assert found == pytest.approx(known, abs=1e-12)
    rng = np.random.default_rng(5)
    for k in range(4):
        z = emulate.draws(rng, (COUNT,))
        h, s = emulate.conduct(params, np.full(COUNT, g_p[k]), np.full(COUNT, 50), clock, z)
        often = (emulate.read(params, h, s, rng) > reference).mean()
        assert often == pytest.approx(found[k], abs=5 * 0.5 / COUNT**0.5)


@pytest.mark.parametrize("seconds", [0.0, DAY])
def test_chances_of_integers_are_near_those_of_real_numbers(seconds):
    pcm = find_device("pcm")
    params, unit = tables(pcm, 10), 25 / 512
    g = np.arange(200, 320)
    nu = np.full(g.shape, 50)
    reference = round(float(threshold_at(pcm, THRESHOLD, seconds)) / unit)
    ours = chance_of(params, g, nu, age(pcm, seconds), reference)
    # v > reference means v >= reference + 1: half a unit above it where v is rounded.
    real = probability_of(pcm, g * unit, nu / 1024, (reference + 0.5) * unit, seconds)
    # The hardware rounds the exponent of a drift down, by less than 1/256 of an octave.
    assert abs(ours - real).max() < (0.012 if seconds == 0 else 0.04)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("correlated", [False, True])
def test_the_level_of_a_probability_is_the_nearest(bits, correlated):
    pcm, reference = find_device("pcm"), 1 << (bits - 2)
    params, clock = tables(pcm, bits), age(pcm, 3600.0, correlated)
    p = np.linspace(0, 1, 21)
    level = level_of(pcm, p, reference, 3600.0, cell_bits=bits, correlated=correlated)
    everything = np.arange((1 << bits - 1) + 1)
    nu = np.asarray(params.drift_mean)[everything >> (bits - 7)]
    known = chance_of(params, everything, nu, clock, reference)
    aim = np.clip(p, LEAST_CHANCE, 1 - LEAST_CHANCE)
    error = abs(known[level] - aim)
    assert (error == abs(known[:, None] - aim).min(0)).all()
    assert error.max() < (0.06 if bits == 8 else 0.016)
    assert level.shape == p.shape
