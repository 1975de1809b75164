"""The float reference against snnTorch, Norse and closed forms."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from nir_files import chain, ends, lif, node, write

from hdl.params.errors import UserError
from mapping.graph import Options
from mapping.importers.nir import load_nir
from mapping.reference import simulate

VECTORS = Path(__file__).parents[1] / "vectors"


def oracles() -> ModuleType:
    """tests/vectors/make_oracles.py as a module."""
    spec = importlib.util.spec_from_file_location("make_oracles", VECTORS / "make_oracles.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_oracles"] = module
    spec.loader.exec_module(module)
    return module


CASES = oracles().CASES


def differing(graph, inputs, spikes) -> int:
    result = simulate(graph, inputs[None])
    return sum(int((result.layers[n][0] != raster).sum()) for n, raster in spikes.items())


@pytest.mark.parametrize("name", CASES)
def test_stored_traces_agree_in_every_spike(name):
    with np.load(VECTORS / f"{name}.npz") as stored:
        inputs, spikes = stored["inputs"], {n: stored[n] for n in ("lif1", "lif2")}
    graph = load_nir(VECTORS / f"{name}.nir", Options(**CASES[name].options))
    assert inputs.shape == (256, 12)
    assert all(0.03 < raster.mean() < 0.3 for raster in spikes.values() if raster.shape[1] == 38)
    assert differing(graph, inputs, spikes) == 0


@pytest.mark.oracle
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("name", CASES)
def test_live_frameworks_agree_in_every_spike(name, seed, tmp_path):
    pytest.importorskip(CASES[name].package)
    inputs, spikes = oracles().make(CASES[name], seed, tmp_path / "net.nir")
    graph = load_nir(tmp_path / "net.nir", Options(**CASES[name].options))
    assert differing(graph, inputs, spikes) == 0, f"seed {seed}"


def test_another_rule_gives_other_spikes():
    name = "snntorch_leaky_subtract"
    with np.load(VECTORS / f"{name}.npz") as stored:
        inputs, spikes = stored["inputs"], {n: stored[n] for n in ("lif1", "lif2")}
    for reset in ("subtract", "zero", "v_reset"):
        graph = load_nir(VECTORS / f"{name}.nir", Options(reset=reset))
        assert differing(graph, inputs, spikes) > 100


def one_neuron(path, neuron, **options):
    file = write(path / "n.nir", {**ends(1, 1), "n": neuron}, chain("input", "n", "output"))
    return load_nir(file, Options(**options))


@pytest.mark.parametrize("scheme", ["euler", "exponential"])
def test_li_step_response(scheme, tmp_path):
    tau, r, leak, dt = 2e-3, 3.0, 0.25, 1e-4
    neuron = node("LI", tau=np.array([tau]), r=np.array([r]), v_leak=np.array([leak]))
    graph = one_neuron(tmp_path, neuron, scheme=scheme, dt=dt)
    values = simulate(graph, np.ones((1, 200, 1))).outputs[0, :, 0]
    steps = np.arange(1, 201)
    decay = (1 - dt / tau) ** steps if scheme == "euler" else np.exp(-steps * dt / tau)
    assert values == pytest.approx((r + leak) * (1 - decay), rel=1e-12)


def test_cubali_impulse_response(tmp_path):
    """Two exponentials: v[t] = g a (a^(t+1) - b^(t+1)) / (a - b) for an impulse at step 0."""
    syn, mem, dt = 1e-3, 4e-3, 1e-4
    arrays = {"tau_syn": syn, "tau_mem": mem, "r": 2.0, "v_leak": 0.0, "w_in": -0.5}
    neuron = node("CubaLI", **{k: np.array([v]) for k, v in arrays.items()})
    graph = one_neuron(tmp_path, neuron, dt=dt)
    impulse = np.zeros((1, 100, 1))
    impulse[0, 0] = 1
    a, b, t = 1 - dt / syn, 1 - dt / mem, np.arange(100)
    gain = 2.0 * -0.5 * dt / syn * dt / mem
    expected = gain * (a ** (t + 1) - b ** (t + 1)) / (a - b)
    assert simulate(graph, impulse).outputs[0, :, 0] == pytest.approx(expected, rel=1e-9)


def test_if_spike_count(tmp_path):
    """1/4 a step against threshold 0.9, strict: a spike every 4 steps; all dyadic, so exact."""
    arrays = {"r": 0.25, "v_threshold": 0.9, "v_reset": 0.0}
    neuron = node("IF", **{k: np.array([v]) for k, v in arrays.items()})
    result = simulate(one_neuron(tmp_path, neuron, dt=1.0), np.ones((1, 100, 1)))
    assert np.flatnonzero(result.outputs[0, :, 0]).tolist() == list(range(3, 100, 4))
    assert result.peak == {"n": 1.0}
    assert result.margin["n"] == pytest.approx(0.1)
    assert result.spikes_per_sample() == {"n": 25.0}


@pytest.mark.parametrize(("compare", "first"), [(">", 4), (">=", 3)])
def test_compare_decides_at_the_threshold(compare, first, tmp_path):
    neuron = node("IF", r=np.array([0.25]), v_threshold=np.array([1.0]))
    graph = one_neuron(tmp_path, neuron, dt=1.0, compare=compare)
    assert simulate(graph, np.ones((1, 8, 1))).outputs[0, :, 0].argmax() == first


@pytest.mark.parametrize(
    ("reset", "after"),
    [("v_reset", -0.5), ("zero", 0.0), ("subtract", 0.5), ("delayed", 1.5)],
)
def test_what_a_spike_does_to_the_membrane(reset, after, tmp_path):
    neuron = node("IF", r=np.array([1.5]), v_threshold=np.array([1.0]), v_reset=np.array([-0.5]))
    graph = one_neuron(tmp_path, neuron, dt=1.0, reset=reset)
    pulse = np.array([[[1.0], [0.0]]])
    result = simulate(graph, pulse, record=["n"])
    assert result.membranes["n"][0, 0, 0] == after
    assert result.membranes["n"][0, 1, 0] == (0.5 if reset == "delayed" else after)
    assert result.outputs[0, :, 0].tolist() == [True, False]


def test_recurrent_delay_moves_the_feedback(tmp_path):
    back = node("Linear", weight=np.array([[1.0]]))
    neuron = node("Threshold", threshold=np.array([0.5]))
    edges = [*chain("input", "n", "output"), ("n", "back"), ("back", "n")]
    file = write(tmp_path / "n.nir", {**ends(1, 1), "n": neuron, "back": back}, edges)
    pulse = np.zeros((1, 9, 1))
    pulse[0, 0] = 1
    for delay in (1, 2, 4):
        graph = load_nir(file, Options(recurrent_delay=delay))
        spikes = simulate(graph, pulse).outputs[0, :, 0]
        assert np.flatnonzero(spikes).tolist() == list(range(0, 9, delay))


def test_samples_do_not_depend_on_their_batch(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    weight = np.where(rng.random((6, 4)) < 0.3, rng.integers(-4, 5, (6, 4)) / 4, 0)
    nodes = {**ends(4, 6), "fc": node("Linear", weight=weight), "n": lif(6)}
    graph = load_nir(write(tmp_path / "n.nir", nodes, chain("input", "fc", "n", "output")))
    samples = [rng.random((int(n), 4)) < 0.5 for n in rng.integers(0, 30, 20)]
    together = simulate(graph, samples)
    monkeypatch.setattr("mapping.reference.CHUNK_VALUES", 1)
    chunked = simulate(graph, samples)
    assert (together.outputs == chunked.outputs).all()
    for i, sample in enumerate(samples):
        alone = simulate(graph, sample[None]).outputs[0]
        assert (together.outputs[i, : len(sample)] == alone).all()
        assert not together.outputs[i, len(sample) :].any()
    assert together.lengths.tolist() == [len(s) for s in samples]


def test_wrong_inputs(tmp_path):
    graph = load_nir(
        write(tmp_path / "n.nir", {**ends(3, 3), "n": lif()}, chain("input", "n", "output"))
    )
    holes = np.zeros((2, 4, 3))
    holes[1, 2, 0] = np.nan
    for inputs, message in (
        (
            np.zeros((4, 3)),
            "inputs must be [samples, steps, 3] or a list of [steps, 3], not [4, 3]",
        ),
        (np.zeros((1, 4, 5)), "inputs have 5 columns, the model takes 3"),
        ([np.zeros((4, 3)), np.zeros(3)], "inputs: sample 1 must be [steps, 3], not [3]"),
        (holes, "inputs: sample 1, step 2, column 0 is NaN or infinite; replace it"),
        (np.full((1, 1, 3), "a"), "inputs must be numbers, not <U1"),
    ):
        with pytest.raises(UserError) as error:
            simulate(graph, inputs)
        assert str(error.value) == message
    with pytest.raises(UserError) as error:
        simulate(graph, np.zeros((1, 1, 3)), record=["m"])
    assert str(error.value) == "record: there is no layer 'm'; the layers are ['n']"


def test_a_run_away_membrane_is_named(tmp_path):
    back = node("Linear", weight=np.array([[1e200]]))
    neuron = node("LI", tau=np.array([1e-3]), r=np.array([10.0]), v_leak=np.array([0.0]))
    edges = [*chain("input", "n", "output"), ("n", "back"), ("back", "n")]
    graph = load_nir(write(tmp_path / "n.nir", {**ends(1, 1), "n": neuron, "back": back}, edges))
    with pytest.raises(UserError, match=r"^layer 'n': its membrane grows beyond floating point; "):
        simulate(graph, np.ones((1, 9, 1)))
