"""The trained mixture of experts: what torch answers, what integers keep, who hears of what."""

from pathlib import Path

import numpy as np
import pytest

from codesign.settings import load_settings
from mapping.importers.load import load_graph
from mapping.mapper import Target, map_program
from mapping.quantise import quantise
from mapping.readout import decide
from mapping.reference import simulate
from mapping.winners import winning
from sim.golden.network import Golden
from sim.stimulus import quantise_inputs, read_stimulus, real_outputs
from tests.kit_arrivals import expected

EXAMPLES = Path(__file__).parent.parent / "examples"
SETTINGS = load_settings(EXAMPLES / "experts" / "nervure.toml", {})
GRAPH = load_graph(EXAMPLES / "experts" / "model.pt", SETTINGS.options)
TEST = read_stimulus(EXAMPLES / "vowels" / "test.npz")
VALID = np.arange(TEST.inputs.shape[1]) < TEST.lengths[:, None]
#: Right answers of torch, of 370 (printed by the training script).
RIGHT = 363


@pytest.fixture(scope="module")
def reference():
    return simulate(GRAPH, TEST.inputs, record=["moe.router"])


@pytest.fixture(scope="module")
def program():
    calibration = read_stimulus(SETTINGS.calibration)
    made, _ = quantise(
        GRAPH, calibration.inputs, SETTINGS.quantisation, lengths=calibration.lengths
    )
    return made


def test_float_reference_answers_as_torch(reference):
    found = (reference.outputs * VALID[..., None]).sum(1) / TEST.lengths[:, None]
    wanted = np.load(EXAMPLES / "experts" / "answers.npz")["answers"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)  # torch counts in float32
    assert (found.argmax(1) == TEST.labels).sum() == RIGHT
    gates = reference.layers["moe.router"][VALID]
    assert (gates.sum(1) == 1).all()
    assert 0.1 < gates.mean(0).min() < gates.mean(0).max() < 0.25  # all six are at work


def test_integers_keep_answers_and_choices(reference, program):
    found = Golden(program).run(quantise_inputs(program, TEST), TEST.lengths, record_state=True)
    answers = real_outputs(program, found.outputs)
    right = (decide(program.readout, answers, TEST.lengths) == TEST.labels).sum()
    assert right >= RIGHT - 0.01 * TEST.samples
    winners = program.population("moe.router").winners
    chosen = winning(winners, found.state["moe.router"].membrane)
    same = (chosen == winning(winners, reference.membranes["moe.router"])).all(-1)[VALID]
    assert same.mean() > 0.95, same.mean()


def test_experts_hear_nothing_unless_they_are_chosen(program):
    """In all frames; and each of the nine cores does one thing."""
    mapped = map_program(program, Target(cores=9))
    arrived, sent = expected(mapped, quantise_inputs(program, TEST))
    for e in range(6):
        (tile,) = np.unique(mapped.slots[f"moe.experts.{e}.0"][0])
        chosen = sent["moe.router"][..., e] != 0
        assert not arrived[..., tile][~chosen].any()
        assert (arrived[..., tile][chosen & VALID] > 0).all()
        assert mapped.stats["cores"][tile]["slots_by_population"] == {f"moe.experts.{e}.0": 24}
