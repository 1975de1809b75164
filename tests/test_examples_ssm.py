"""The trained state-space examples: what torch answers, and what the integers keep of it."""

from pathlib import Path

import numpy as np
import pytest

from codesign.settings import load_settings
from mapping.importers.load import load_graph
from mapping.quantise import quantise
from mapping.readout import decide
from mapping.reference import simulate
from sim.golden.network import Golden
from sim.stimulus import quantise_inputs, read_stimulus, real_outputs

EXAMPLES = Path(__file__).parent.parent / "examples"
#: Folder of the test series; right answers of torch (printed by the training script).
MODELS = {"vowels_s4d": ("vowels", 364), "seqdigits": ("seqdigits", 356), "s5": ("vowels", 365)}


def load(name, file="model.pt", **overrides):
    """Settings, Graph, test series."""
    settings = load_settings(EXAMPLES / name / "nervure.toml", overrides)
    graph = load_graph(EXAMPLES / name / file, settings.options)
    return settings, graph, read_stimulus(EXAMPLES / MODELS[name][0] / "test.npz")


def golden(settings, graph, test):
    """Answers of the integers, in real numbers [series, frames, classes], and the Program."""
    calibration = read_stimulus(settings.calibration)
    program, _ = quantise(
        graph, calibration.inputs, settings.quantisation, lengths=calibration.lengths
    )
    outputs = Golden(program).run(quantise_inputs(program, test), test.lengths).outputs
    return real_outputs(program, outputs), program


def pooled(outputs, lengths):
    """Mean over the frames that a series has."""
    valid = np.arange(outputs.shape[1]) < lengths[:, None]
    return (outputs * valid[..., None]).sum(1) / lengths[:, None]


@pytest.mark.parametrize("name", MODELS)
def test_float_reference_answers_as_torch(name):
    _, graph, test = load(name)
    found = pooled(simulate(graph, test.inputs, keep=()).outputs, test.lengths)
    expected = np.load(EXAMPLES / name / "answers.npz")["answers"]
    np.testing.assert_allclose(found, expected, atol=1e-5)  # torch counts in float32
    assert (found.argmax(1) == test.labels).sum() == MODELS[name][1]


@pytest.mark.parametrize(
    ("name", "lost", "overrides"),
    [
        ("vowels_s4d", 0.005, {}),
        ("vowels_s4d", 0.005, {"state_bits": 12}),
        ("seqdigits", 0.005, {}),
        ("seqdigits", 0.005, {"state_bits": 12}),
        ("s5", 0.02, {}),  # layer norms become fixed scales
    ],
)
def test_integers_keep_the_accuracy(name, lost, overrides):
    settings, graph, test = load(name, **overrides)
    found, program = golden(settings, graph, test)
    right = (decide(program.readout, found, test.lengths) == test.labels).sum()
    assert program.readout == "mean"
    assert right >= MODELS[name][1] - lost * test.samples


@pytest.mark.parametrize("bits", [4, 2])
def test_fine_tuned_integers_are_those_of_the_training(bits):
    """The golden answers are what the training script computed, bit for bit."""
    settings, graph, test = load("seqdigits", f"model{bits}.pt", weight_bits=bits)
    found, program = golden(settings, graph, test)
    expected = np.load(EXAMPLES / "seqdigits" / f"answers{bits}.npz")["answers"]
    np.testing.assert_array_equal(found.mean(1), expected)
    assert max(p.weight_bits for p in program.projections) == bits
    assert (expected.argmax(1) == test.labels).sum() >= MODELS["seqdigits"][1] - 0.02 * test.samples
