"""Devices against aihwkit itself, formula by formula and in distribution.

pip install nervure[crossbar-oracles]
"""

import numpy as np
import pytest
from scipy import stats

from sim.device.real import drift, program, read
from sim.device.table import find_device

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
noise = pytest.importorskip("aihwkit.inference.noise")

HOUR, DAY = 3600.0, 86400.0
COUNT = 50_000


def model(name):
    """(module, noise model) of aihwkit for a device; g_max is its default but for pcm, rram."""
    from aihwkit.inference.noise import hermes, pcm, reram

    return {
        "pcm": lambda: (pcm, pcm.PCMLikeNoiseModel(g_max=25.0)),
        "hermes-1": lambda: (hermes, hermes.HermesNoiseModel(num_devices=1)),
        "hermes-2": lambda: (hermes, hermes.HermesNoiseModel(num_devices=2)),
        "rram": lambda: (reram, reram.ReRamWan2022NoiseModel(g_max=40.0)),
    }[name]()


class Given:
    """A generator whose normal numbers are given, for both sides."""

    def __init__(self, seed):
        self.rng, self.numbers = np.random.default_rng(seed), []

    def standard_normal(self, shape):
        self.numbers.append(self.rng.standard_normal(shape).astype(np.float32))
        return self.numbers[-1].astype(float)

    def replay(self):
        """torch's randn_like, in the same order."""
        numbers = iter(self.numbers)
        return lambda like: torch.from_numpy(next(numbers)).to(like.dtype)


def same(ours, theirs):
    assert ours == pytest.approx(theirs.numpy(), rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("name", ["pcm", "hermes-1", "hermes-2"])
@pytest.mark.parametrize("seed", range(2))
def test_with_the_same_random_numbers_the_same_conductances(name, seed, monkeypatch):
    module, theirs = model(name)
    device, given = find_device(name), Given(seed)
    assert (device.g_max, device.t_0, device.t_read) == (theirs.g_max, theirs.t_0, theirs.t_read)
    x = np.append(np.linspace(0.002, 1, 400), [0.0945, 0.1591, 0.16, 0.3039, 0.3055])
    target = torch.from_numpy((x * device.g_max).astype(np.float32))
    start = target.numpy().astype(float)
    times = (0.0, 1.0, HOUR, DAY, 30 * DAY)
    g_p, nu = program(device, start, given)
    reads = [read(device, g_p, nu, seconds, given) for seconds in times]

    monkeypatch.setattr(module, "randn_like", given.replay())
    their_g = theirs.apply_programming_noise_to_conductance(target)
    their_nu = theirs.generate_drift_coefficients(target)
    same(g_p, their_g)
    same(nu, their_nu)
    same(drift(device, g_p, nu, DAY), their_g * (((DAY + device.t_0) / device.t_0) ** -their_nu))
    for ours, seconds in zip(reads, times, strict=True):
        same(ours, theirs.apply_drift_noise_to_conductance(their_g, their_nu, seconds))


def test_programming_of_rram(monkeypatch):
    module, theirs = model("rram")
    device, given = find_device("rram"), Given(3)
    target = torch.linspace(0, 40, 401)
    ours, _ = program(device, target.numpy().astype(float), given)
    monkeypatch.setattr(module, "randn_like", given.replay())
    same(ours, theirs.apply_programming_noise_to_conductance(target))


@pytest.mark.parametrize("name", ["pcm", "hermes-1", "hermes-2"])
@pytest.mark.parametrize("x", [0.0, 0.05, 0.25, 0.5, 1.0])
def test_distributions_are_those_of_aihwkit(name, x):
    """Two-sample Kolmogorov-Smirnov tests with own random numbers, at four times each."""
    _, theirs = model(name)
    device, rng = find_device(name), np.random.default_rng(4)
    torch.manual_seed(4)
    target = torch.full((COUNT,), x * device.g_max)
    their_g = theirs.apply_programming_noise_to_conductance(target)
    their_nu = theirs.generate_drift_coefficients(target)
    g_p, nu = program(device, target.numpy().astype(float), rng)
    assert stats.ks_2samp(nu, their_nu.numpy()).pvalue > 1e-4
    for seconds in (0.0, HOUR, DAY, 30 * DAY):
        ours = read(device, g_p, nu, seconds, rng)
        other = theirs.apply_drift_noise_to_conductance(their_g, their_nu, seconds).numpy()
        assert stats.ks_2samp(ours, other).pvalue > 1e-4, (seconds, ours.mean(), other.mean())
        assert ours.mean() == pytest.approx(other.mean(), abs=5 * ours.std() * (2 / COUNT) ** 0.5)
