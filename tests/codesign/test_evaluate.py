"""Evaluation: counts that can be checked by hand, and the RTL beside the golden model."""

import json

import numpy as np
import pytest

from codesign.activity import observed
from codesign.artefact import Artefact
from codesign.evaluate import evaluate
from codesign.simulate import decisions, read_input, simulate
from hdl.params.errors import UserError
from mapping.reference import simulate as run_float
from sim.golden.network import Golden
from tests.codesign.small import HIDDEN, OUTPUTS, compiled, run

KEYS = {
    "accuracy", "samples", "spikes_per_sample", "synaptic_operations_per_sample",
    "neuron_updates_per_sample", "cycles_per_sample", "latency_us",
}  # fmt: skip


@pytest.fixture
def built(tmp_path):
    return compiled(tmp_path)


def test_figures_against_plain_counts(built):
    artefact = Artefact.open(built)
    stimulus = read_input(artefact, built.parent / "in.npz")
    found = evaluate(artefact, stimulus, rtl=False)
    golden = Golden(artefact.program).run(stimulus.inputs, stimulus.lengths)
    lengths = stimulus.lengths
    real = run_float(artefact.graph, [x[: lengths[i]] for i, x in enumerate(stimulus.inputs)])
    decided = golden.outputs.sum(1).argmax(1)
    assert found.accuracy == {
        "float": np.mean(real.outputs.sum(1).argmax(1) == stimulus.labels),
        "golden": np.mean(decided == stimulus.labels),
        "rtl": None,
    }
    events = sum(count.sum() for count in golden.events.values())
    assert found.spikes_per_sample == events / 5
    assert found.input_events_per_sample == stimulus.inputs[:4].sum() / 5 + (
        stimulus.inputs[4, :8].sum() / 5
    )
    assert found.synaptic_operations_per_sample == golden.synaptic_operations.mean()
    assert found.neuron_updates_per_sample == (HIDDEN + OUTPUTS) * (4 * 12 + 8) / 5
    assert (found.cycles_per_sample, found.latency_us, found.mismatches) == (None, None, None)
    confusion = np.array(found.confusion)
    assert confusion.sum() == 5
    assert np.trace(confusion) / 5 == found.accuracy["golden"]
    wide, places = observed(artefact.program)
    mine = Golden(wide).run(stimulus.inputs, stimulus.lengths).outputs[..., places["lif1"]] != 0
    theirs = real.layers["lif1"]
    assert found.spike_agreement["lif1"] == (mine & theirs).sum() / (mine | theirs).sum()


def test_the_report_takes_the_outcome(built):
    artefact = Artefact.open(built)
    evaluate(artefact, built.parent / "in.npz", rtl=False, samples=3)
    report = artefact.report
    assert report["evaluation"]["samples"] == 3
    assert report["evaluation"]["source"] == "in.npz"
    first, last = report["quantisation"]
    assert 0 <= first["spike_agreement"] <= 1
    assert first["accuracy"] is None
    assert last["accuracy"] == report["evaluation"]["accuracy"]["golden"]
    assert "cycles_per_step" not in report
    assert report["raster"]["source"] == "in.npz, sample 0"


def test_without_float_and_labels(built, tmp_path):
    data = np.load(built.parent / "in.npz")
    np.savez(tmp_path / "bare.npz", spikes=data["spikes"])
    found = evaluate(Artefact.open(built), tmp_path / "bare.npz", rtl=False, float=False)
    assert found.accuracy == {"float": None, "golden": None, "rtl": None}
    assert found.spike_agreement == {}
    assert found.confusion is None
    assert found.passed


def test_decisions_compare_real_values_where_scales_differ(built):
    from dataclasses import replace

    from hdl.params.neuron import Emit

    program = Artefact.open(built).program
    last = program.populations[-1]
    fields = {**last.fields, "emit": np.full(last.size, int(Emit.STATE))}
    outputs = np.array([[[3, 2, 1]]])
    for scale, winner in (([1, 1, 1], 0), ([1, 1, 4], 2)):
        p = replace(last, fields=fields, membrane_scale=np.array(scale, float))
        changed = replace(program, populations=(*program.populations[:-1], p), readout="last")
        assert decisions(changed, outputs, np.array([1])).tolist() == [winner]
    assert decisions(replace(program, readout="none"), outputs, np.array([1])) is None


def test_unknown_backend(built):
    with pytest.raises(UserError, match="backend: must be one of golden, rtl, float"):
        simulate(Artefact.open(built), built.parent / "in.npz", backend="fpga")


@pytest.mark.cocotb
def test_the_rtl_agrees_and_a_wrong_bit_is_found(built, capsys, monkeypatch):
    from sim.rtl import Rtl

    data = built.parent / "in.npz"
    capsys.readouterr()
    assert run("evaluate", built, "-i", data, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= KEYS
    assert found["accuracy"]["rtl"] == found["accuracy"]["golden"]
    assert (found["mismatches"], found["errors"]) == (0, [])
    assert found["latency_us"] == pytest.approx(found["cycles_per_sample"] / found["clock_mhz"])
    report = Artefact.open(built).report
    assert report["cycles_per_step"] == found["cycles_per_step"] > 0
    out = built.parent / "rtl.npz"
    assert run("simulate", built, "-i", data, "-o", out, "--backend", "rtl", "-q") == 0
    assert run("verify", built, "-i", data, "--no-cocotb", "--json", "-q") == 0
    capsys.readouterr()

    right = Rtl.run

    def wrong(self, *arguments, **options):
        result = right(self, *arguments, **options)
        result.outputs[0, 0, 0] ^= 1
        return result

    monkeypatch.setattr(Rtl, "run", wrong)
    assert run("evaluate", built, "-i", data, "--json", "-q") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["mismatches"] == 1
    assert captured.err.startswith(f"{built}: RTL and golden model differ in 1 output words; ")
    assert run("verify", built, "-i", data, "--no-cocotb", "--json", "-q") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["status"] == "FAIL"
    assert "sample 0, step 0" in captured.err
    assert captured.err.count("\n") == 1
    page = (built / "report.html").read_text()
    assert "2 mismatches" in page or "1 mismatches" in page
