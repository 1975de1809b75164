"""Devices in real numbers against the figures that their sources give."""

import numpy as np
import pytest
from scipy import signal

from sim.device.integer import noise_parts
from sim.device.real import drift, faults, program, read, read_series, reset, set_pulse
from sim.device.table import find_device, load_devices

COUNT = 200_000
HOUR, DAY = 3600.0, 86400.0
TIMES = (0.0, HOUR, DAY, 30 * DAY)
#: aihwkit's PCMLikeNoiseModel with 400 000 devices at x: deviation of programming by the formula
#: and measured, mean and deviation of nu, and (mean, deviation) of a read at TIMES.
PCM = {
    numbers[0]: numbers[1:]
    for numbers in np.loadtxt(
        """
        0.00  0.2635 0.1534  0.1004 0.0441  0.107 0.186  0.066 0.122  0.051 0.100  0.039 0.083
        0.05  0.3588 0.3587  0.0711 0.0310  1.250 0.481  0.876 0.389  0.713 0.362  0.578 0.342
        0.10  0.4482 0.4488  0.0601 0.0227  2.502 0.608  1.843 0.527  1.541 0.514  1.277 0.503
        0.25  0.6814 0.6819  0.0490 0.0114  6.249 0.886  4.853 0.785  4.166 0.762  3.542 0.746
        0.50  0.9527 0.9525  0.0490 0.0080  12.501 1.196  9.699 1.057  8.315 1.028  7.054 1.008
        0.75  1.0774 1.0785  0.0490 0.0080  18.751 1.362  14.545 1.270  12.468 1.293  10.577 1.320
        1.00  1.0554 1.0560  0.0490 0.0080  24.999 1.400  19.399 1.408  16.626 1.511  14.105 1.607
        """.splitlines()
    )
}
#: Standard error of the difference of two means, of COUNT and 400 000 samples; deviations of 1.
ERROR = (1 / COUNT + 1 / 400_000) ** 0.5


@pytest.mark.parametrize("x", PCM)
def test_pcm_has_the_statistics_of_aihwkit(x):
    """Means within 5 standard errors, deviations too (they are no larger here), and rounding."""
    pcm, rng = find_device("pcm"), np.random.default_rng(int(100 * x))
    formula, spread, *rest = PCM[x]
    exponent, *reads = zip(rest[::2], rest[1::2], strict=True)
    assert pcm.write_sigma(25 * x) == pytest.approx(formula, abs=6e-5)
    g_p, nu = program(pcm, np.full(COUNT, 25 * x), rng)
    assert g_p.std() == pytest.approx(spread, abs=5 * ERROR * spread + 6e-5)
    for found, known in zip((nu.mean(), nu.std()), exponent, strict=True):
        assert found == pytest.approx(known, abs=5 * ERROR * exponent[1] + 6e-5)
    for seconds, (mean, sigma) in zip(TIMES, reads, strict=True):
        g = read(pcm, g_p, nu, seconds, rng)
        assert g.mean() == pytest.approx(mean, abs=5 * ERROR * sigma + 6e-4)
        # Near 0 the clipped law has heavy tails: kurtosis 7 or so at x = 0.
        assert g.std() == pytest.approx(sigma, abs=(12 if x == 0 else 5) * ERROR * sigma + 6e-4)


def test_other_fits_of_the_same_devices():
    """cross-sim fits Joshi et al. 2020, Figure 3b, too; the HERMES chip at half scale."""
    g = np.array([5.0, 12.5, 20.0, 25.0])
    joshi = -0.00178767 * g**2 + 0.07585724 * g + 0.28638599
    assert joshi[1] == pytest.approx(0.9553, abs=5e-5)
    assert find_device("pcm").write_sigma(12.5) == pytest.approx(0.9527, abs=5e-5)
    assert find_device("pcm").write_sigma(g) == pytest.approx(joshi, rel=0.04)
    hermes, rng = find_device("hermes-1"), np.random.default_rng(1)
    assert hermes.write_sigma(10.35 / 2) == pytest.approx(0.865, abs=5e-4)
    _, nu = program(hermes, np.full(COUNT, 10.35 / 2), rng)
    assert (nu.mean(), nu.std()) == pytest.approx((0.0564, 0.0121), abs=1.5e-4)


def test_pieces_of_the_hermes_laws_meet():
    """What aihwkit has in branches is (nearly) continuous where one ends, as a fit should be."""
    for name, ends in (
        ("hermes-1", (0.0945, 0.3039, 0.1591)),
        ("hermes-2", (0.0945, 0.3055, 0.16)),
    ):
        device = find_device(name)
        laws = (device.drift_mean, device.drift_sigma, device.read_sigma)
        for law, end in zip(laws, ends, strict=True):
            below, above = law(np.array([end - 1e-9, end + 1e-9]) * device.g_max)
            assert below == pytest.approx(above, rel=0.02)


@pytest.mark.parametrize("seed", range(2))
def test_set_pulses_add_up_to_a_fixed_point(seed):
    """The mean step is 0 at 0.892 / 0.084 = 10.62 uS, and the mean after n pulses is
    10.62 (1 - 0.916**n) + 0.1 * 0.916**n but for what is clipped."""
    device, rng = find_device("pcm-pulse"), np.random.default_rng(seed)
    assert device.set_step(0.892 / 0.084) == pytest.approx(0, abs=1e-12)
    g, nu = reset(device, (COUNT,), rng)
    assert (g.mean(), g.std()) == pytest.approx((0.1, 0.01 * 0.5838), abs=0.005)
    assert g.min() == 0.1
    curve = 10.62 * (1 - 0.916 ** np.arange(21))
    for n in range(1, 21):
        g, nu = set_pulse(device, g, rng)
        # Clipping at 0.1 uS lifts the mean at first, at 20 uS it presses it down in the end.
        assert g.mean() == pytest.approx(curve[n] + 0.1 * 0.916**n, abs=0.13)
        assert g.min() >= 0.1
        assert g.max() <= 20
    assert (nu == 0.04).all()
    ratio = drift(device, g, nu, 38.6 * 1023) / g
    assert ratio == pytest.approx(1024**-0.04)
    still = np.full(COUNT, 5.0)
    assert read(device, still, nu, 0, rng).std() == pytest.approx(0.03 * 5 + 0.13, rel=0.01)


def test_without_noise_a_device_is_its_target():
    device, rng = find_device("ideal"), np.random.default_rng(0)
    g_p, nu = program(device, np.linspace(0, 25, 11), rng)
    assert (g_p == np.linspace(0, 25, 11)).all()
    assert (read(device, g_p, nu, DAY, rng) == g_p).all()


@pytest.mark.parametrize("name", load_devices())
def test_faulty_devices_stay_what_they_are(name):
    device, rng = find_device(name), np.random.default_rng(3)
    fixed = faults((COUNT,), rng, stuck=0.02, dead=0.01, level=device.g_max)
    assert np.isnan(fixed).mean() == pytest.approx(0.97, abs=0.002)
    assert (fixed == 0).mean() == pytest.approx(0.01, abs=0.001)
    assert (fixed == device.g_max).mean() == pytest.approx(0.02, abs=0.0015)
    if device.kind == "write":
        g_p, nu = program(device, np.full(COUNT, device.g_max / 2), rng, fixed)
    else:
        g_p, nu = set_pulse(device, reset(device, (COUNT,), rng, fixed)[0], rng, fixed)
    stuck, dead = fixed == device.g_max, fixed == 0
    assert (g_p[dead] == 0).all()
    assert (g_p[stuck] == device.g_max).all()
    later = read(device, g_p, nu, DAY, rng)
    assert (later[dead] == 0).all()
    assert later[stuck].mean() == pytest.approx(device.g_max, rel=0.01)
    with pytest.raises(ValueError, match=r"^stuck and dead must be shares of at most 1, not 0\.9"):
        faults((3,), rng, stuck=0.9, dead=0.2)


def test_a_pulse_that_a_device_does_not_take():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^device must be of kind 'write', not 'pulse'$"):
        program(find_device("pcm-pulse"), [1.0], rng)
    for pulse in (lambda d: set_pulse(d, [1.0], rng), lambda d: reset(d, (1,), rng)):
        with pytest.raises(ValueError, match=r"^device must be of kind 'pulse', not 'write'$"):
            pulse(find_device("pcm"))


@pytest.mark.parametrize("name", ["pcm", "hermes-2", "rram"])
@pytest.mark.parametrize("seconds", [0.0, DAY])
def test_correlated_reads_have_the_variance_of_single_ones(name, seconds):
    device, rng = find_device(name), np.random.default_rng(5)
    g = np.full(20_000, device.g_max / 2)
    known = (g * device.read_sigma(g) * device.growth(seconds))[0]
    series = read_series(device, g, g, seconds, 1e-6, 3, rng)
    assert series.shape == (20_000, 3)
    for k in range(3):
        assert series[:, k].mean() == pytest.approx(g[0], abs=5 * known / 20_000**0.5)
        assert series[:, k].std() == pytest.approx(known, rel=0.025)
    related = np.corrcoef(series[:, 0], series[:, 2])[0, 1]
    assert (related > 0.7) if device.t_read else (abs(related) < 0.04)


@pytest.mark.parametrize("seed", range(2))
def test_the_spectrum_of_reads_falls_as_one_over_f(seed):
    """The slope of the averaged periodogram over two decades, and the density A / f itself.

    A is the variance of a natural octave, (g * read_sigma)**2. Reads are 2 t_read apart, so that
    little of the band lies beyond half their rate and is folded back."""
    device, rng = find_device("pcm"), np.random.default_rng(seed)
    g = np.full(48, 12.5)
    series = read_series(device, g, g, 0.0, 2 * device.t_read, 1 << 14, rng)
    f, power = signal.periodogram(series, 1 / (2 * device.t_read), "hann", detrend="constant")
    power = power.mean(0)
    band = (f > 2e3) & (f < 2e5)
    centres = np.geomspace(2e3, 2e5, 21)
    part = np.digitize(f[band], centres)
    octaves = [np.log(power[band][part == k]).mean() for k in range(1, 21)]
    middle = [np.log(f[band][part == k]).mean() for k in range(1, 21)]
    slope = np.polyfit(middle, octaves, 1)[0]
    assert slope == pytest.approx(-1, abs=0.06)
    density = (12.5 * device.read_sigma(12.5)) ** 2
    low = (f > 2e3) & (f < 2e4)
    assert (power * f)[low].mean() == pytest.approx(density, rel=0.06)


def test_neighbouring_reads_differ_by_more_than_the_sharp_cut_says():
    """ln(2 pi T f) + Euler's constant: half the mean squared difference of 1/f noise up to f."""
    device, rng = find_device("pcm"), np.random.default_rng(9)
    g = np.full(50_000, 12.5)
    near = read_series(device, g, g, 0.0, 1e-6, 2, rng)
    half = ((near[:, 1] - near[:, 0]) ** 2).mean() / 2 / (12.5 * device.read_sigma(12.5)) ** 2
    assert half == pytest.approx(np.log(2 * np.pi * 1e-6 / 500e-9) + np.euler_gamma, rel=0.03)
    assert noise_parts(device, 0.0, True, 1e-6)[0] ** 2 == pytest.approx(np.log(2))
