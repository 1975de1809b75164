"""The search for the fewest bits, and how close values are, layer by layer."""

import itertools
import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from codesign.bits import Bound, memory_bits, search_bits
from codesign.cli import main
from codesign.fidelity import Fidelity, real_values
from codesign.settings import load_settings
from hdl.params.errors import CheckFailed, UserError
from hdl.params.neuron import FIELDS, Emit
from mapping.program import Population
from sim.stimulus import read_stimulus

MODEL, TEST = "examples/digits/digits.nir", "examples/digits/test.npz"
SETTINGS = "examples/digits/nervure.toml"


def digits(samples=120):
    data = read_stimulus(TEST, inputs=64, outputs=10)
    return replace(
        data, inputs=data.inputs[:samples], lengths=data.lengths[:samples],
        labels=data.labels[:samples],
    )  # fmt: skip


def test_every_step_of_the_path_keeps_the_bound_and_saves_bits():
    accuracy, path = search_bits(MODEL, digits(), load_settings(None), Bound(points=2))
    assert path[0].widths == {"weight_bits": 10}
    for before, after in itertools.pairwise(path):
        assert after.bits <= before.bits
        assert sum(before.widths.values()) - sum(after.widths.values()) == 1
    assert all(trial.kept and trial.accuracy >= accuracy - 0.02 - 1e-9 for trial in path)
    assert path[-1].widths["weight_bits"] < 4  # trained with 4 bits; 2 points are to be lost


def test_memory_bits_are_those_of_weights_and_states():
    from mapping.importers.load import load_graph
    from mapping.quantise import quantise

    program, _ = quantise(load_graph(MODEL))
    weights = sum(len(q.weights) * q.weight_bits for q in program.projections)
    assert memory_bits(program) == weights + 138 * program.formats.membrane_bits


@pytest.mark.parametrize(
    ("bound", "error", "message"),
    [
        ({}, UserError, "no bound; give --points or --sqnr"),
        ({"points": -1}, UserError, "--points must be in 0..200, not -1"),
        ({"sqnr": 1e9}, UserError, "--sqnr must be in 0..200"),
        ({"sqnr": 20}, UserError, "the outputs are spikes, which have no SQNR; give --points"),
    ],
)
def test_a_bound_that_says_nothing_is_refused(bound, error, message):
    with pytest.raises(error, match=message):
        search_bits(MODEL, digits(4), load_settings(None), Bound(**bound))


def test_crossbars_are_not_searched():
    for engine in ("crossbar", {"lif1": "crossbar"}):
        settings = load_settings(None, {"engine": engine})
        with pytest.raises(UserError, match="devices add errors of their own"):
            search_bits(MODEL, digits(4), settings, Bound(points=1))


def test_labels_that_no_format_can_meet_are_said_so():
    data = digits()
    wrong = replace(data, labels=(data.labels + 1) % 10)
    settings = load_settings(None, {"payload_bits": 8})
    _, path = search_bits(MODEL, wrong, settings, Bound(points=100))
    assert path[-1].widths["weight_bits"] == 2  # everything is allowed
    with pytest.raises(UserError, match="no labels"):
        search_bits(MODEL, replace(data, labels=None), settings, Bound(points=1))


def test_the_command_writes_settings_that_compile_takes(tmp_path, capsys):
    out = tmp_path / "found.toml"
    line = ["bits", MODEL, "-d", TEST, "--points", "3", "-o", str(out), "--json", "-q"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)["found"]
    assert tomllib.loads(out.read_text()) == found["widths"]
    load_settings(out)
    assert main(line) == 2
    assert "exists; give another -o" in capsys.readouterr().err


def _population(emit, unit):
    fields = {name: np.zeros(2, np.int64) for name in FIELDS}
    fields |= {"emit": np.array(emit, np.int64), "value_shift": np.ones(2, np.int64)}
    return Population(
        name="p", kind="Linear", size=2, level=1, fields=fields, membrane_scale=np.array(unit),
        payload_scale=0.25,
    )  # fmt: skip


def test_what_emissions_mean():
    sent = np.array([[[4, 8], [0, -2], [1, 0]]])
    values = real_values(_population([Emit.STATE, Emit.RELU], [0.5, 2.0]), sent)
    np.testing.assert_array_equal(values, sent * [0.5, 4.0])
    values = real_values(_population([Emit.DELTA, Emit.TABLE_DELTA], [0.125, 2.0]), sent)
    np.testing.assert_array_equal(values, [[[1, 2], [1, 1.5], [1.25, 1.5]]])
    assert real_values(_population([Emit.VALUE, Emit.SPIKE], [0.5, 2.0]), sent) is None


def test_sqnr_is_the_ratio_of_energies_over_valid_steps():
    rng = np.random.default_rng(3)
    real = rng.normal(size=(6, 50, 8))
    fidelity, valid = Fidelity(), np.arange(50) < rng.integers(10, 51, 6)[:, None]
    noise = rng.normal(size=real.shape) * 10 ** (-30 / 20)
    noise[~valid] = 100.0
    for part in (slice(0, 2), slice(2, 6)):
        fidelity.add("layer", (real + noise)[part], real[part], valid[part])
    fidelity.add("same", real, real, valid)
    assert fidelity.sqnr_db()["layer"] == pytest.approx(30, abs=0.5)
    assert fidelity.sqnr_db()["same"] is None


def test_a_bound_beyond_the_widest_formats_fails_the_check(monkeypatch):
    monkeypatch.setattr("codesign.bits.WIDTHS", (("weight_bits", 2, 2),))
    with pytest.raises(CheckFailed, match="even weight_bits 2 break the bound"):
        search_bits(MODEL, digits(360), load_settings(SETTINGS), Bound(points=0))


def test_states_have_widths_of_their_own(monkeypatch):
    starts = {"weight_bits": 6, "state_bits": 10, "pole_bits": 11, "payload_bits": 9}
    widths = tuple((name, start - 2, start) for name, start in starts.items())
    monkeypatch.setattr("codesign.bits.WIDTHS", widths)
    whole = read_stimulus("examples/vowels/test.npz", inputs=12, outputs=9)
    data = replace(
        whole, inputs=whole.inputs[:12], lengths=whole.lengths[:12], labels=whole.labels[:12]
    )
    settings = load_settings("examples/vowels_s4d/nervure.toml")
    accuracy, path = search_bits(
        "examples/vowels_s4d/model.pt", data, settings, Bound(points=0, sqnr=15)
    )
    assert accuracy == 1
    assert path[0].widths == starts
    assert path[-1].bits < path[0].bits
    assert all(trial.sqnr_db >= 15 and trial.accuracy == 1 for trial in path)
