"""The integer device against the equations in plain Python, and against the real-number device."""

import math

import numpy as np
import pytest

from hdl.params.crossbar.device import Age, DeviceParams
from hdl.params.errors import UserError
from sim.device import emulate
from sim.device.compare import compare
from sim.device.integer import (
    age,
    noise_floor,
    noise_parts,
    read_noise_units,
    tables,
    to_microsiemens,
    to_units,
)
from sim.device.table import find_device, load_devices

DAY = 86400.0


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_tables_are_the_laws_in_integers(bits):
    """Of pcm, entry by entry, from the formulas of aihwkit; unit uS / (g_max / 2**(bits - 1))."""
    pcm, width = tables(find_device("pcm"), bits), 1 << (bits - 7)
    unit, sigma, full = 25 / (1 << (bits - 1)), 21845**0.5, 1 << (bits - 1)
    for i in (0, 1, 5, 17, 40, 63, 64, 70):
        xs = [(i * width + k) / full for k in range(width)]
        aims = [0.0] if i == 0 else xs
        write = sum(0.26348 + 1.9650 * x - 1.1731 * x * x for x in aims) / len(aims)
        assert pcm.write_noise[i] == round(write / unit * 2 ** (20 - bits) / sigma)
        nu = [min(max(-0.0155 * math.log(max(x, 1e-7)) + 0.0244, 0.049), 0.1) for x in aims]
        assert pcm.drift_mean[i] == round(sum(nu) / len(nu) * 1024)
        sd = [min(max(-0.0125 * math.log(max(x, 1e-7)) - 0.0059, 0.008), 0.045) for x in aims]
        assert pcm.drift_sigma[i] == round(sum(sd) / len(sd) * 2**20 / sigma)
        qs = [min(0.0088 / max(x**0.65, 1e-3), 0.2) for x in xs]
        assert pcm.read_noise[i] == round(sum(qs) / len(qs) * 4096)
    pulse = tables(find_device("pcm-pulse"), bits)
    unit = 10 / full
    for i in (0, 3, 64, 68, 127):
        g = (i + (width - 1) / width / 2) * width * unit
        assert pulse.set_step[i] == round((0.892 - 0.084 * g) / unit)
        assert pulse.set_noise[i] == round((0.575 + 0.09 * g) / unit * 2 ** (20 - bits) / sigma)
    assert pulse.reset_level == round(0.1 / unit)
    assert pulse.reset_noise == round(0.01 / unit * 2 ** (20 - bits) / sigma)
    assert set(pulse.write_noise) == {0}
    assert tables(find_device("ideal"), bits) == DeviceParams(cell_bits=bits)


def test_entries_beyond_the_hardware_are_its_largest():
    """The cubic law of a HERMES device's reads grows fast beyond g_max."""
    hermes = find_device("hermes-1")
    assert hermes.read_sigma(2 * 10.35) > 0.15
    for bits in range(8, 13):
        assert max(tables(hermes, bits).read_noise) <= 2047


@pytest.mark.parametrize("bits", range(8, 13))
def test_units_and_back(bits):
    device, full = find_device("hermes-2"), 1 << (bits - 1)
    assert to_units(device, [0.0, 20.7, 20.7 / 4], bits).tolist() == [0, full, full // 4]
    everything = np.arange(1 << bits)
    assert (to_units(device, to_microsiemens(device, everything, bits), bits) == everything).all()
    top = (2 * full - 1) * 20.7 / full
    for wrong in (-1.0, 2 * 20.7, np.nan, np.inf):
        with pytest.raises(UserError) as caught:
            to_units(device, [1.0, wrong], bits)
        assert str(caught.value) == (
            f"device 'hermes-2': conductances must be in 0..{top:g} uS, not {wrong:g}; "
            "scale the targets"
        )
    with pytest.raises(ValueError, match=r"^cell_bits must be in 8\.\.12, not 7$"):
        to_units(device, 1.0, 7)


def test_ages():
    pcm = find_device("pcm")
    unit = 2**16 / 21845**0.5
    fresh = round(math.sqrt(math.log((20 + 250e-9) / 500e-9)) * unit)
    assert age(pcm, 0) == Age(log_age=0, fresh=fresh, slow=0)
    day = age(pcm, DAY)
    assert day.log_age == round(256 * math.log2(86420 / 20))
    assert day.fresh == round(math.sqrt(math.log(86420 / 500e-9)) * unit)
    part = age(pcm, DAY, correlated=True)
    assert part.fresh == round(math.sqrt(math.log(2)) * unit)
    assert part.fresh**2 + part.slow**2 == pytest.approx(day.fresh**2, rel=1e-3)
    assert part.log_age == day.log_age
    # 12.5 uS, reads 1 us apart: 0.144 uS of 0.722 uS are fresh.
    sigma = 12.5 * pcm.read_sigma(12.5)
    assert sigma * noise_parts(pcm, 0, True)[0] == pytest.approx(0.144, abs=5e-4)
    assert sigma * noise_parts(pcm, 0)[0] == pytest.approx(0.722, abs=5e-4)
    # Faster than 2 t_read nothing is fresh, slower than the device's age all is.
    assert age(pcm, 0, True, 400e-9) == Age(fresh=0, slow=fresh)
    assert age(pcm, 0, True, 1e9) == Age(fresh=fresh)
    # White noise neither grows nor stays.
    assert age(find_device("rram"), DAY, True) == Age(
        log_age=round(256 * math.log2(86401)), fresh=443, slow=0
    )
    assert age(pcm, 20 * (2**31.995 - 1)).log_age == 8191


@pytest.mark.parametrize("seconds", [-1.0, np.nan, np.inf, 1e12])
def test_a_time_that_no_clock_holds(seconds):
    with pytest.raises(UserError) as caught:
        age(find_device("pcm"), seconds)
    assert str(caught.value) == (
        f"device 'pcm': time since its first read must be in 0..8.57e+10 s, not {seconds:g}; "
        "change it"
    )


@pytest.mark.parametrize("interval", [0.0, -1e-6, np.nan, np.inf])
def test_an_interval_that_is_none(interval):
    with pytest.raises(UserError, match=r"^interval of reads must be more than 0 s, not "):
        age(find_device("pcm"), 0, True, interval)


def test_noise_of_a_read_in_units():
    pcm = find_device("pcm")
    unit = 25 / 512
    found = read_noise_units(pcm, [0, 102.4, 256, 512], cell_bits=10) * unit
    assert found == pytest.approx([0, 0.524, 0.722, 0.920], abs=1e-3)
    later = read_noise_units(pcm, 256, DAY, cell_bits=10) * unit
    drifted = 12.5 * (86420 / 20) ** -0.049
    qs = 0.0088 / 0.5**0.65
    assert later == pytest.approx(drifted * qs * math.sqrt(math.log(86420 / 500e-9)))
    assert read_noise_units(pcm, 256, cell_bits=10, correlated=True) * unit == pytest.approx(
        0.144, abs=1e-3
    )


@pytest.mark.parametrize(("averages", "adc_bits"), [(0, 10), (4, 10), (4, 6), (10, 8)])
def test_the_noise_floor_of_a_verify(averages, adc_bits):
    """Against verifies of an emulated cell, its codes rounded as a converter does."""
    pcm, bits, level = find_device("pcm"), 10, 256
    floor = noise_floor(pcm, level, averages, adc_bits, cell_bits=bits)
    params, rng = tables(pcm, bits), np.random.default_rng(1)
    shift = bits - adc_bits
    errors = []
    for h in level + np.arange(-8, 8):
        _, s = emulate.conduct(params, np.array(level), 0, age(pcm, 0))
        v = emulate.read(params, np.full((400, 1 << averages), h), s, rng)
        codes = (v + (1 << shift >> 1)) >> shift
        errors.append((codes.sum(1) << shift) / 2.0**averages - h)
    assert np.std(errors) == pytest.approx(floor, rel=0.05)
    assert abs(np.mean(errors)) < 0.6


def test_what_stays_is_no_averages_business():
    pcm = find_device("pcm")
    few, many = (
        noise_floor(pcm, 256, k, 10, cell_bits=10, correlated=True, interval=1e-6) for k in (0, 10)
    )
    slow = noise_parts(pcm, 0, True)[1] * 256 * pcm.read_sigma(12.5)
    assert many == pytest.approx(slow, rel=1e-3)
    assert many < few < 1.03 * many
    assert noise_floor(find_device("ideal"), 256, 4, 8, cell_bits=10) == pytest.approx(4 / 12**0.5)


def test_the_law_of_a_draw():
    z = emulate.draws(np.random.default_rng(3), (400_000,))
    assert abs(z).max() <= 510
    assert z.mean() == pytest.approx(0, abs=5 * 147.8 / 400_000**0.5)
    assert z.var() == pytest.approx(21845, rel=0.01)
    assert (z**4).mean() / z.var() ** 2 == pytest.approx(2.7, abs=0.03)


def plain(params, g_p, nu, clock, z):
    """(h, s) of one device: hdl/params/crossbar/device.py in Python integers."""
    b = params.cell_bits
    e = (nu * clock.log_age) >> 10
    fade = round(2**12 * 2 ** (-(e & 255) / 256))
    g = (g_p * fade + 2 ** (11 + (e >> 8))) >> (12 + (e >> 8))

    def sigma(w):
        wide = g * ((params.read_noise[g_p >> (b - 7)] * w + 2**8) >> 9)
        return min((wide + 2 ** (b - 2)) >> (b - 1), 255)

    slow = (sigma(clock.slow) * z + 2 ** (20 - b - 1)) >> (20 - b)
    return min(max(g + slow, 0), 2**b - 1), sigma(clock.fresh)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("seed", range(2))
def test_conductances_are_those_of_the_equations(bits, seed):
    params, rng = tables(find_device("pcm"), bits), np.random.default_rng(seed)
    g_p = rng.integers(0, 1 << bits, 200)
    nu = rng.integers(0, 512, 200)
    z = rng.integers(-510, 511, 200)
    for clock in (
        Age(),
        Age(log_age=3092, fresh=2256),
        Age(log_age=8191, fresh=4095, slow=4095),
        age(find_device("pcm"), DAY, correlated=True),
    ):
        h, s = emulate.conduct(params, g_p, nu, clock, z)
        known = [plain(params, *(int(v) for v in one), clock, 0) for one in zip(g_p, nu, strict=1)]
        assert emulate.conduct(params, g_p, nu, clock)[0].tolist() == [k[0] for k in known]
        known = [
            plain(params, int(g), int(n), clock, int(k)) for g, n, k in zip(g_p, nu, z, strict=True)
        ]
        assert list(zip(h.tolist(), s.tolist(), strict=True)) == known


@pytest.mark.parametrize("name", load_devices())
@pytest.mark.parametrize("seconds", [0.0, 3600.0, DAY, 30 * DAY])
def test_integers_have_the_statistics_of_real_numbers(name, seconds):
    """tests/bench/bench_device.py prints the figures. At g_max the read noise of hermes-1 is more
    than the hardware holds (255), and the mean of a bin of its drift is less than at its edge."""
    device = find_device(name)
    for x in (0.05, 0.1, 0.25, 0.5, 0.75, 1.0):
        c = compare(device, x, seconds, samples=40_000, seed=7)
        unit, error = device.g_max / 512, c.sigma / 40_000**0.5
        assert abs(c.integer_mean - c.mean) < 0.01 * c.mean + 0.3 * unit + 5 * error
        assert abs(c.integer_sigma - c.sigma) < 0.045 * c.sigma + 0.02 * unit + 5 * error
        limit = 0.045 if (name, x) == ("hermes-1", 1.0) else 0.04 if name == "hermes-2" else 0.024
        assert c.distance < limit + 1.63 * (2 / 40_000) ** 0.5, (x, c)


@pytest.mark.parametrize("bits", [8, 12])
def test_other_widths_have_them_too(bits):
    for name in ("pcm", "pcm-pulse", "rram"):
        device = find_device(name)
        for x in (0.1, 0.5, 1.0):
            c = compare(device, x, DAY, cell_bits=bits, samples=40_000, seed=8)
            unit, error = device.g_max / (1 << (bits - 1)), c.sigma / 40_000**0.5
            assert abs(c.integer_mean - c.mean) < 0.01 * c.mean + 0.3 * unit + 5 * error
            assert abs(c.integer_sigma - c.sigma) < 0.045 * c.sigma + 0.05 * unit + 5 * error
            assert c.distance < 0.03 + 1.63 * (2 / 40_000) ** 0.5, (name, x, c)


def test_pulses_add_up_as_in_real_numbers():
    """10.62 (1 - 0.916**n) uS in the mean; resets find the way back."""
    device, rng = find_device("pcm-pulse"), np.random.default_rng(4)
    params = tables(device, 10)
    g, _ = emulate.reset(params, (40_000,), rng)
    assert to_microsiemens(device, g, 10).mean() == pytest.approx(0.1, abs=0.01)
    for n in range(1, 21):
        g, nu = emulate.set_pulse(params, g, rng)
        mean = to_microsiemens(device, g, 10).mean()
        assert mean == pytest.approx(10.62 * (1 - 0.916**n) + 0.1 * 0.916**n, abs=0.15)
    assert set(nu.tolist()) == {41}
    assert g.max() <= 1023
