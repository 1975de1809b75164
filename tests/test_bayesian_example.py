"""The Bayesian digits example: its files, and its answers from exact probabilities."""

import importlib.util
import re
import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from codesign.settings import load_settings
from codesign.uncertainty import (
    expected_calibration_error,
    fit_temperature,
    member_probabilities,
    summary,
)
from mapping.importers.nir import load_nir
from mapping.quantise import quantise
from sim.stimulus import read_stimulus

FOLDER = Path(__file__).parent.parent / "examples" / "bayesian"
MODEL = FOLDER / "bayesian.nir"
README = (FOLDER / "README.md").read_text()


def module(name):
    """A script of the example, which is no package."""
    spec = importlib.util.spec_from_file_location(f"bayesian_{name}", FOLDER / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


sampled = module("sampled")


def two_layers(path, first, second):
    """A model of two Linears with LIFs that add up their input; thresholds 1."""

    def lif(size):
        ones = np.ones(size)
        return nir.LIF(1e6 * ones, 1e9 * ones, 0 * ones, ones, v_reset=0 * ones)

    nodes = {
        "input": nir.Input({"input": np.array([first.shape[1]])}),
        "fc1": nir.Linear(first),
        "lif1": lif(len(first)),
        "fc2": nir.Linear(second),
        "lif2": lif(len(second)),
        "output": nir.Output({"output": np.array([len(second)])}),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes))))
    return path


def layer(w, sampling, spread=0.0, seed=0):
    w = np.asarray(w, dtype=np.float32)
    ones = np.ones(len(w))
    lif = nir.LIF(0.01 * ones, 10 * ones, 0 * ones, ones)
    return sampled.Layer(nir.Linear(w), lif, sampling, spread, np.random.default_rng(seed))


@pytest.mark.parametrize("sampling", ["binary", "ternary"])
def test_sums_have_the_mean_and_variance_of_their_weights(sampling):
    """Of bits drawn independently, each p clipped to .01 .. .99."""
    mu = np.array([[1.0, -0.5, 0.0, 0.25, 0.75], [-1.0, 0.5, 0.5, 0.0, 0.1]])
    found = layer(0.3 * mu, sampling)
    x = np.tile([1, 1, 0, 1, 1], (40_000, 1))
    sums = found.currents(x, np.random.default_rng(1))
    if sampling == "binary":
        p = np.clip((1 + mu) / 2, 0.01, 0.99)
        mean, variance = 2 * p - 1, 4 * p * (1 - p)
    else:
        up, down = (np.clip(sign * mu, 0.01, 0.99) for sign in (1, -1))
        mean, variance = up - down, up * (1 - up) + down * (1 - down)
    driven = [0, 1, 3, 4]
    mean, variance = 0.3 * mean[:, driven].sum(1), 0.09 * variance[:, driven].sum(1)
    np.testing.assert_allclose(sums.mean(0), mean, atol=4 * np.sqrt(variance.max() / 40_000))
    np.testing.assert_allclose(sums.var(0), variance, rtol=0.04)
    grid = sums / 0.3 if sampling == "ternary" else (sums / 0.3 + 4) / 2
    np.testing.assert_allclose(grid, np.rint(grid), atol=1e-6)
    assert not layer(mu, sampling).currents(0 * x, np.random.default_rng(1)).any()


def test_programming_errors_stay_for_all_events():
    w = np.zeros((200, 50))
    w[0, 0] = 1
    p = layer(w, "binary", spread=0.08).p[0]
    assert p.std() == pytest.approx(0.08, rel=0.03)
    assert p.mean() == pytest.approx(0.5, abs=0.003)
    np.testing.assert_array_equal(p, layer(w, "binary", spread=0.08).p[0])


def test_members_differ_by_their_draws_alone(tmp_path):
    rng = np.random.default_rng(4)
    first, second = rng.uniform(-1, 1, (7, 5)) * 0.6, rng.uniform(-1, 1, (3, 7)) * 0.6
    model = two_layers(tmp_path / "m.nir", first.astype("f4"), second.astype("f4"))
    events = rng.integers(0, 2, (20, 6, 5))
    counts, spikes = sampled.ensemble(model, events, 3, seed=9)
    assert counts.shape == (3, 20, 3)
    assert 0 < spikes <= 6 * 10
    assert (counts[0] != counts[1]).any()
    again, _ = sampled.ensemble(model, events, 3, seed=9)
    np.testing.assert_array_equal(again, counts)
    assert (sampled.ensemble(model, events, 3, seed=8)[0] != counts).any()


def test_the_files_are_what_the_mapper_takes():
    """Means on a grid of 8 bits, the largest one of a layer a itself; stimuli of one shape."""
    settings = load_settings(FOLDER / "nervure.toml")
    calibration = read_stimulus(FOLDER / "calibration.npz")
    program, reports = quantise(
        load_nir(MODEL, settings.options), calibration.inputs, settings.quantisation
    )
    assert all(w.exact for r in reports for w in r.weights)
    assert [int(np.abs(q.weights).max()) for q in program.projections] == [127, 127]
    test = read_stimulus(FOLDER / "test.npz", inputs=64, outputs=10)
    assert test.inputs.shape == (360, 16, 64)
    assert calibration.inputs.shape == (237, 16, 64)
    for name in ("shuffled", "rotated", "letters"):
        strange = read_stimulus(FOLDER / f"{name}.npz", inputs=64)
        assert strange.inputs.shape == (360, 16, 64)
        assert strange.labels is None
        brightness = strange.inputs.mean() / test.inputs.mean()
        assert brightness == pytest.approx(1, abs=0.02), name


def test_the_answers_of_the_readme():
    """M = 1 and 4 of the row "binary, errors of p 0.0": the same draws, so the same figures."""
    stimuli = {name: read_stimulus(FOLDER / f"{name}.npz")
               for name in ("calibration", "test", "shuffled")}  # fmt: skip
    scores = {name: sampled.ensemble(MODEL, s.inputs, 4)[0] for name, s in stimuli.items()}
    for members in (1, 4):
        t = fit_temperature(scores["calibration"][:members], stimuli["calibration"].labels)
        found = summary(scores["test"][:members], stimuli["test"].labels, t,
                        {"shuffled": scores["shuffled"][:members]})  # fmt: skip
        (row,) = re.findall(rf"^\| binary, errors of p 0.0 \| {members} \|(.*)\|$", README, re.M)
        printed = [float(cell) for cell in row.split("|")]
        values = [t, *(found[k] for k in ("accuracy", "nll", "ece", "brier"))]
        values.append(found["auroc"]["shuffled"]["entropy"])
        assert values == pytest.approx(printed[:6], abs=6e-4)
        assert found["accuracy"] >= 0.94
    p = member_probabilities(scores["test"], t).mean(0)
    rng = np.random.default_rng(0)
    chance = [
        expected_calibration_error(p, (rng.random((len(p), 1)) > p.cumsum(1)[:, :-1]).sum(1))
        for _ in range(200)
    ]
    (said,) = re.findall(r"have an ECE of (\.\d+) on average", " ".join(README.split()))
    assert np.mean(chance) == pytest.approx(float(said), abs=1e-3)
    assert found["ece"] < np.quantile(chance, 0.99)
