"""Program-and-verify of layers: the published statistics of its writes and of what they leave."""

import numpy as np
import pytest
from scipy import stats

from hdl.params.crossbar.device import Age
from sim.device.integer import age, tables, to_units
from sim.device.posterior import chance_of, probability_of, target_of, threshold_at
from sim.device.table import find_device
from sim.golden.crossbar.layer import program_layer
from tests.crossbar.kit_controller import params

PCM, PULSE = find_device("pcm"), find_device("pcm-pulse")
NOW, NEW = age(PCM, 0.0), age(PULSE, 0.0)
COUNT, UNIT = 20_000, 25.0 / 2048


def draws(rng: np.random.Generator, count: int) -> np.ndarray:
    """Numbers of the law of the hardware's draws, standard deviation 1."""
    return 3**0.5 * (rng.random((4, count)).sum(axis=0) - 2)


def programmed(target: float, share: float, *, averages: int = 10, seed: int = 1, **control):
    """COUNT devices programmed to `target` uS within `share` read standard deviations."""
    sigma = float(target * PCM.read_sigma(target) * PCM.growth(0.0))
    sizes = {"rows": 250, "columns": 80, "adc_bits": 12, "seed": seed}
    tolerance = round(share * sigma / UNIT)
    p = params(tables(PCM, 12), sizes, {}, tolerance=tolerance, averages=averages, **control)
    level = int(to_units(PCM, target, 12))
    done = program_layer(p, np.full((1, 1, 250, 80), level), NOW)
    return done, tolerance * UNIT


def chances(done, reference: float, seconds: float = 0.0) -> np.ndarray:
    """Of each device the exact probability that a read is above the reference (uS)."""
    clock, law = age(PCM, seconds), tables(PCM, 12)
    reference = np.int64(round(reference / UNIT))
    return chance_of(law, done.conductance, done.exponent, clock, reference)


@pytest.mark.parametrize(("share", "writes", "spread"), [(0.5, 3.4, 0.11), (0.25, 6.6, 0.057)])
def test_writes_and_posterior_at_a_tolerance(share, writes, spread):
    """Writes are geometric with the chance of landing within the tolerance (verifies of 1024 reads:
    their noise is 1/32 of a read's), and the probability of a read above the target is spread as
    400k float samples of this device gave. A sum of four uniform numbers has 3.5 % less density
    in its middle than the normal law, so a write is as much rarer a hit."""
    done, tolerance = programmed(12.5, share, max_pulses=255)
    sigma = float(PCM.write_sigma(12.5))
    found = done.pulses.mean()
    assert not done.failed.any()
    uniform = stats.irwinhall(4, loc=-2, scale=1).cdf(tolerance / sigma / 3**0.5)
    assert found == pytest.approx(1 / (2 * uniform - 1), rel=0.025)
    normal = stats.norm.cdf(tolerance / sigma)
    assert found == pytest.approx(1 / (2 * normal - 1), rel=0.07)
    assert found == pytest.approx(writes, rel=0.07)
    p = chances(done, 12.5)
    assert p.std() == pytest.approx(spread, rel=0.04)
    assert p.mean() == pytest.approx(0.5, abs=0.008)


@pytest.mark.parametrize(
    ("aim", "mean", "spread"), [(0.5, 0.5, 0.33), (0.1, 0.21, None)], ids=["half", "tenth"]
)
def test_one_write_ruins_a_posterior(aim, mean, spread):
    """As 400k float samples of this device said, and as the integral of its laws says."""
    target = float(target_of(PCM, aim, 12.5))
    done, _ = programmed(target, 0.0, averages=0, max_pulses=1)
    p = chances(done, 12.5)
    z = np.linspace(-6, 6, 4001)
    g = target + float(PCM.write_sigma(target)) * z
    law = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    real = probability_of(PCM, g, 0.0, 12.5, 0.0)
    assert p.mean() == pytest.approx(law @ real, abs=0.01)
    assert p.std() == pytest.approx((law @ real**2 - (law @ real) ** 2) ** 0.5, rel=0.02)
    assert p.mean() == pytest.approx(mean, abs=0.015)
    if spread:
        assert p.std() == pytest.approx(spread, rel=0.03)


def test_posterior_after_a_day():
    """Lost without correction; a threshold that drifts with the mean exponent restores the mean of
    probabilities, not each. A mean exponent of .049 is 50 units of 2**-10, which is worth .01 of
    the mean; with that the law is that of real numbers."""
    done, _ = programmed(12.5, 0.25, max_pulses=255)
    lost = chances(done, 12.5, 86400.0)
    assert lost.mean() < 0.001
    scaled = float(threshold_at(PCM, 12.5, 86400.0))
    p = chances(done, scaled, 86400.0)
    assert p.mean() == pytest.approx(0.49, abs=0.03)
    assert p.std() == pytest.approx(0.28, rel=0.05)
    g, rng = done.conductance.reshape(-1) * UNIT, np.random.default_rng(1)
    nu = np.abs(50 / 1024 + PCM.drift_sigma(12.5) * draws(rng, COUNT))
    real = probability_of(PCM, g, nu, scaled, 86400.0)
    assert p.mean() == pytest.approx(real.mean(), abs=0.012)
    assert p.std() == pytest.approx(real.std(), rel=0.03)


def test_what_is_measured_is_what_is():
    """Of devices that took a pulse: the last verify differs from g_p by the noise of its mean."""
    for averages in (0, 4, 8):
        done, tolerance = programmed(12.5, 1.0, averages=averages, seed=averages)
        sigma = float(12.5 * PCM.read_sigma(12.5) * PCM.growth(0.0)) / UNIT / 2 ** (averages / 2)
        assert abs(done.measured).max() <= tolerance / UNIT
        missed = (done.measured - done.error).std()
        # a verify that passes is not a verify at random: its noise is cut to what stays within
        true = float(PCM.write_sigma(12.5)) / UNIT
        rng = np.random.default_rng(averages)
        g, z = true * draws(rng, 400_000), sigma * draws(rng, 400_000)
        assert missed == pytest.approx(z[abs(g + z) <= tolerance / UNIT].std(), rel=0.03)


def test_correlated_noise_is_programmed_into_the_device():
    """What stays of the noise for a while is no part of what a mean of reads removes: the error
    that is left is as the slow part's, however many reads."""
    sizes = {"rows": 250, "columns": 80, "adc_bits": 12, "seed": 3}
    slow = age(PCM, 0.0, correlated=True)
    p = params(tables(PCM, 12), sizes, {}, tolerance=10, averages=8, max_pulses=1000)
    done = program_layer(p, np.full((1, 1, 250, 80), 1024), slow)
    read, write = (float(f(12.5)) for f in (PCM.read_sigma, PCM.write_sigma))
    stays = 12.5 * read * np.sqrt(PCM.growth(0.0) ** 2 - np.log(2.0)) / UNIT
    rng = np.random.default_rng(3)
    g, z = write / UNIT * draws(rng, 1_000_000), stays * draws(rng, 1_000_000)
    expected = g[abs(g + z) <= 10].std()
    assert not done.failed.any()
    assert done.error.std() == pytest.approx(expected, rel=0.03)


def test_feedback_does_not_help_against_noise_of_writing():
    """A step back by half the error adds to errors that are independent: with the policy the aim of
    a write is off by half of the last error, so its chance is lower. The geometric law of "redraw"
    is the best that there is; stated so that nobody expects the contrary."""
    redraw, _ = programmed(12.5, 0.5)
    feedback, _ = programmed(12.5, 0.5, policy="feedback")
    assert 1.05 < feedback.pulses.mean() / redraw.pulses.mean() < 1.25


def test_feedback_mends_what_is_always_off():
    """A converter that reads 30 units low, and devices that do not vary: "redraw" can't get there,
    "feedback" halves what is left at each write: -30, -15, -7, -3, -1."""
    ideal = tables(find_device("ideal"), 12)
    sizes = {"rows": 4, "columns": 4, "adc_bits": 12,
             "gain": ((0,), (1 << 16,)), "offset": ((0,), (-30 << 16,))}  # fmt: skip
    targets = np.full((1, 1, 4, 4), 1000)
    for policy, pulses in (("redraw", 64), ("feedback", 5)):
        p = params(ideal, sizes, {}, tolerance=1, policy=policy)
        done = program_layer(p, targets, Age())
        assert done.failed.all() == (policy == "redraw")
        assert (done.pulses == pulses).all(), done.pulses


def test_pulses_that_a_target_takes():
    """Devices of kind "pulse" get to a target in as many SET pulses as in a float model of the same
    device with the same rule, RESETs included."""
    sizes = {"rows": 250, "columns": 80, "adc_bits": 12, "seed": 6}
    unit, goal, band = 10.0 / 2048, 4.0, 0.25
    p = params(tables(PULSE, 12), sizes, {}, tolerance=round(band / unit), averages=8,
               max_pulses=4000)  # fmt: skip
    done = program_layer(p, np.full((1, 1, 250, 80), round(goal / unit)), NEW)
    assert not done.failed.any()
    rng = np.random.default_rng(6)
    g, counts, pulses = np.zeros(COUNT), [], 0
    while len(g):
        read = g + rng.normal(size=len(g)) * g * PULSE.read_sigma(g) / 16
        off = abs(read - goal) > band
        counts.append(np.full(len(g) - off.sum(), pulses))
        g, read, pulses = g[off], read[off], pulses + 1
        made = g + PULSE.set_step(g) + PULSE.set_sigma(g) * rng.normal(size=len(g))
        back = PULSE.reset_level + PULSE.reset_sigma * rng.normal(size=len(g))
        g = np.clip(np.where(read < goal, made, back), 0, 20.0)
    count = np.concatenate(counts)
    assert done.pulses.mean() == pytest.approx(count.mean(), rel=0.04)
    for share in (0.1, 0.5, 0.9):
        found, real = np.quantile(done.pulses, share), np.quantile(count, share)
        assert found == pytest.approx(real, rel=0.06, abs=1), share


def test_last_device_makes_up_for_the_others():
    """Of N pairs the sum is off by what the last device misses, not by sqrt(N) times that."""
    spread = {}
    for devices in (1, 4):
        sizes = {"rows": 200, "columns": 40, "adc_bits": 12, "seed": devices}
        p = params(tables(PCM, 12), sizes, {"devices": devices}, tolerance=60, averages=8)
        targets = np.full((1, 1, 200, 40), 1024)
        done = program_layer(p, targets, NOW)
        assert not done.failed.any()
        g = np.take_along_axis(done.conductance, done.column[:, None, None, :], -1)
        missed = (g - targets).reshape(200, -1, devices, 2).sum(axis=2)
        alone = (g - done.aim).reshape(200, -1, devices, 2)
        spread[devices] = missed.std()
        assert missed.std() < 1.15 * alone[:, :, -1].std()
    assert spread[4] < 1.15 * spread[1]
