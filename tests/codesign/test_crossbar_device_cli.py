"""`nervure device`, crossbars in `compile`, and what pages say of them; wrong input: one line."""

import json
import shlex

import numpy as np
import pytest

from codesign.artefact import Artefact
from codesign.crossbar import curves, plot
from codesign.report import write_report
from codesign.settings import DEVICES
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.sc.dense import Streams
from sim.device.table import find_device, load_devices
from tests.codesign.kit_layers import MINE
from tests.codesign.small import (
    HIDDEN,
    INPUTS,
    OUTPUTS,
    compiled,
    listing,
    run,
    small_input,
)
from tests.codesign.test_report import check
from tests.mapping.nir_files import chain, ends, lif, node, write

CONFIG = """
device = "mine"
device_table = "tables/mine.toml"
array_rows = 4
array_columns = 9
spare_columns = 1
dead = 0.02
cores = 3
weight_bits = 4
[engine]
lif1 = "crossbar"
lif3 = "stochastic"
"""


def three_layers(path):
    """Input, three times Linear and LIF, Output."""
    rng = np.random.default_rng(2)
    sizes, nodes, names = (INPUTS, HIDDEN, 6, OUTPUTS), ends(INPUTS, OUTPUTS), ["input"]
    for k in (1, 2, 3):
        nodes[f"fc{k}"] = node("Linear", weight=rng.normal(0.3, 0.5, (sizes[k], sizes[k - 1])))
        nodes[f"lif{k}"] = lif(sizes[k])
        names += [f"fc{k}", f"lif{k}"]
    return write(path, nodes, chain(*names, "output"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A layer on devices of one's own, one of events, one of streams; the table is gone."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "tables").mkdir()
    (folder / "tables" / "mine.toml").write_text(MINE)
    (folder / "own.toml").write_text(CONFIG)
    three_layers(folder / "three.nir")
    small_input(folder / "in.npz")
    words = ("-o", folder / "built", "--config", folder / "own.toml", "-q")
    data = ("--calibration", folder / "in.npz")
    assert run("compile", folder / "three.nir", *words, *data) == 0
    (folder / "tables" / "mine.toml").unlink()
    return folder / "built"


def test_engines_by_layer_and_a_table_of_ones_own(mixed, tmp_path):
    artefact = Artefact.open(mixed)
    kinds = [type(p.dendrites) for p in artefact.program.populations]
    assert kinds == [Crossbar, type(None), Streams]
    report = artefact.report
    assert [d["node"] for d in report["devices"]] == ["lif1"]
    assert [s["node"] for s in report["streams"]] == ["lif3"]
    cores = {c["dendrites"]: c for c in report["mapping"]["cores"]}
    assert set(cores) == {"crossbar", "events", "streams"}
    assert (cores["crossbar"]["rows"], cores["crossbar"]["columns"]) == (4, 9)
    assert cores["crossbar"]["banks"] == 6  # 6 inputs on 4 rows, 10 neurons of 4 a block
    assert (mixed / DEVICES).read_text() == MINE
    assert artefact.settings.crossbar.device_table == mixed / DEVICES
    age = ("--age", "3600", "--compensation", "global")
    data = mixed.parent / "in.npz"
    assert run("simulate", mixed, "-i", data, "-o", tmp_path / "x.npz", "-q", *age) == 0


def test_the_page_of_an_artefact(mixed):
    words = check((mixed / "report.html").read_text())
    device = Artefact.open(mixed).report["devices"][0]
    assert "Devices Layers whose weights are conductances in crossbar banks" in words
    assert "lif1 mine fixed 3 × 2 of 4 × 9 120" in words
    assert f"{device['tolerance']:.2%}".replace("%", " %") in words
    assert f"{device['adc_step']:.3g} weight units" in words
    assert "6 banks of 4 × 9" in words
    assert "nervure device evaluate three --input labelled.npz" in words
    page = (mixed / "report.html").read_text()
    assert page.count('class="bank"') == 6
    assert "6 banks of 4 x 9 devices (mine), 6 converters of 8 bits" in page
    assert "Devices</div>" in page


def test_the_command_of_a_report_makes_the_same_bytes(tmp_path, monkeypatch):
    built = compiled(
        tmp_path, "--engine", "crossbar", "--array", "8x6", "--weight-bits", "3", "--pairs", "2",
        "--set", "program_policy=feedback", "-s", "offset_error=0.25", "-s", "correlated=true",
        "--program-tolerance", "1.5", "--set", "device=hermes-1",
    )  # fmt: skip
    command = Artefact.open(built).report["made"]["commands"]["compile"]
    monkeypatch.chdir(tmp_path)
    assert run(*shlex.split(command)[1:], "-q") == 0
    assert listing(tmp_path / "small") == listing(built)
    assert "--set offset_error=0.25" in command
    assert "--array 8x6" in command


def test_accuracy_over_drift_goes_into_the_report(mixed, capsys):
    data = mixed.parent / "in.npz"
    words = ("device", "evaluate", mixed, "-i", data, "--age", "1h", "--age", "0",
             "--compensation", "none", "--compensation", "global", "-m", "1", "-m", "3",
             "--strange", data, "--temperature", "2")  # fmt: skip
    capsys.readouterr()
    assert run(*words, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 5
    assert [(c["age"], c["compensation"], c["members"]) for c in found["conditions"]] == [
        (age, kind, members) for age in (3600, 0) for kind in ("none", "global")
        for members in (1, 3)
    ]  # fmt: skip
    assert {c["temperature"] for c in found["conditions"]} == {2}
    assert found["mismatches"] is None
    assert Artefact.open(mixed).report["device_evaluation"] == found
    words_of = check((mixed / "report.html").read_text())
    assert "1 h global 3" in words_of
    assert "global, 3 runs" in words_of
    assert "Expected calibration error" in words_of
    assert "AUROC in" in words_of
    command = "nervure device evaluate three --input in.npz --age 1h --age 0 --compensation none"
    assert command in words_of
    assert "What drift does is not known yet" not in words_of
    assert run(*words, "-q", "--samples", "4", "--rtl") == 0
    shown = capsys.readouterr().out
    assert "8 conditions" in shown
    assert "RTL differs" in shown
    assert Artefact.open(mixed).report["device_evaluation"]["mismatches"] == 0
    assert "0 output words of the RTL differ" in check((mixed / "report.html").read_text())


def test_an_older_report_still_makes_a_page(mixed):
    """One condition at age 0, all of it wrong."""
    artefact = Artefact.open(mixed)
    condition = {"age": 0.0, "compensation": "none", "members": 1, "temperature": 1.0,
                 "accuracy": 0.0, "member_accuracy": 0.0, "nll": 2.0, "ece": 0.0, "brier": 1.0,
                 "entropy": 0.0, "mutual_information": 0.0, "auroc": {}}  # fmt: skip
    artefact.add_to_report(
        device_evaluation={"source": "x.npz", "samples": 1, "mismatches": None, "command": "no",
                           "conditions": [condition]}
    )  # fmt: skip
    assert "1 samples of x.npz" in check(write_report(artefact).read_text())


def test_list(tmp_path, capsys):
    table = tmp_path / "mine.toml"
    table.write_text(MINE)
    assert run("device", "list", "--json", "--device-table", table) == 0
    found = {d["device"]: d for d in json.loads(capsys.readouterr().out)["devices"]}
    assert set(found) == {*load_devices(None), "mine"}
    assert found["mine"]["write_sigma_us"] == 0.8
    assert found["mine"]["drift_exponent"] == 0.06
    assert found["pcm"]["read_sigma_us"] == pytest.approx(0.722, abs=1e-3)  # published device
    assert found["pcm"]["write_sigma_us"] == pytest.approx(0.953, abs=1e-3)
    assert run("device", "list") == 0
    shown = capsys.readouterr().out
    assert "hermes-2" in shown
    assert "mine" not in shown


@pytest.fixture
def small(monkeypatch):
    """Pages of few devices."""
    monkeypatch.setattr(curves, "DEVICES", 4000)
    monkeypatch.setattr(plot, "READS", 1 << 11)
    monkeypatch.setattr(plot, "TRACES", 12)
    monkeypatch.setattr(plot, "TOLERANCES", (0.5, 1.0))


@pytest.mark.parametrize("device", ["pcm", "pcm-pulse", "ideal"])
def test_plot(device, small, tmp_path, capsys):
    """What stands in the tables, against the device's laws; integers beside real numbers."""
    out, law = tmp_path / "page.html", find_device(device)
    assert run("device", "plot", device, "-o", out, "--json", "-q") == 0
    sections = {s["title"]: s for s in json.loads(capsys.readouterr().out)["sections"]}
    words = check(out.read_text())
    for title in sections:
        assert title in words
    drifted = {row[0]: row[1:] for row in sections["Drift"]["rows"]}["0.5 g_max"]
    half = law.g_max / 2
    factor = (2592000 / law.t_0 + 1) ** -float(law.drift_mean(half))
    assert drifted[4] == pytest.approx(half * factor, rel=0.03)
    assert drifted[6] == pytest.approx(drifted[5], rel=0.02)
    assert ("Program-and-verify" in sections) == (device != "ideal")
    if device == "pcm":
        made = {row[0]: row[1:] for row in sections["Programmed conductances"]["rows"]}
        for _, aim, mean, sd, units_mean, units_sd in sections["Programmed conductances"]["rows"]:
            assert (mean, units_mean) == pytest.approx((aim, aim), rel=0.02)
            assert (sd, units_sd) == pytest.approx((float(law.write_sigma(aim)),) * 2, rel=0.06)
        assert len(made) == 5
        trade = {tuple(row[:2]): row for row in sections["Program-and-verify"]["rows"]}
        assert 3 < trade["redraw", 0.5][3] < 4.5
        assert trade["redraw", 1.0][3] < trade["redraw", 0.5][3] < 1.3 * trade["feedback", 0.5][3]
        real, fresh, correlated = (row[1] for row in sections["Spectrum of reads"]["rows"])
        assert correlated < real < fresh
    if device == "pcm-pulse":
        pulses = {row[0]: row[1:] for row in sections["Sequential SET pulses"]["rows"]}
        assert pulses[1][:2] == pytest.approx([0.1 + 0.892 - 0.0084, 0.575 + 0.009], abs=0.04)
        assert pulses[20][2] == pytest.approx(pulses[20][0], rel=0.02)
        assert "3 pulses" in words
    if device == "ideal":
        assert sections["Spectrum of reads"]["rows"][0][1:] == [0, 0]


@pytest.mark.parametrize(
    "given", ["correlated=true", "converters=4", "cell_bits=12", "stuck=0.1", "gain_error=0.1"]
)
def test_plot_with_any_setting(given, small, tmp_path):
    out = tmp_path / "page.html"
    assert run("device", "plot", "pcm", "-o", out, "-q", "--set", given) == 0
    check(out.read_text())


def test_program(tmp_path, capsys):
    """Figures against the arrays that are written; the weights come back."""
    weights = np.random.default_rng(1).normal(size=(40, 9))
    np.savez(tmp_path / "w.npz", weights=weights, other=np.zeros(3))
    out = tmp_path / "cells.npz"
    words = ("device", "program", tmp_path / "w.npz", "-o", out, "--set", "array_rows=32",
             "--set", "array_columns=16", "-s", "spare_columns=4", "-s", "dead=0.005")  # fmt: skip
    assert run(*words, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["shape"], found["banks"], found["devices"]) == ([40, 9], 4, 720)
    with np.load(out) as file:
        arrays = dict(file)
    assert found["pulses"] == arrays["pulses"].sum()
    assert sum(found["histogram"]) == 720
    mean = np.dot(found["histogram"], range(len(found["histogram"]))) / 720
    assert found["pulses_per_device"] == pytest.approx(mean)
    error = np.sqrt(np.mean((arrays["weights"] - weights) ** 2)) / np.abs(weights).max()
    assert found["weight_error"] == pytest.approx(error)
    assert error < 0.03
    read, pulse = 250e-9, 40e-9  # seconds
    assert found["seconds"] == pytest.approx(found["pulses"] * pulse + found["reads"] * read)
    assert found["joules"] > found["pulses"] * 19.2e-12
    assert found["moved"] > 0
    np.save(tmp_path / "huge.npy", np.array([[1e308, -1e308], [0, 1e300]]))
    np.save(tmp_path / "zero.npy", np.zeros((3, 2), np.float16))
    np.save(tmp_path / "small.npy", np.full((3, 2), 5e-324))
    for name, error in (("huge", 0.03), ("zero", 1e-9), ("small", 1.0)):
        assert run("device", "program", tmp_path / f"{name}.npy", "--json", "-q") == 0
        assert json.loads(capsys.readouterr().out)["weight_error"] <= error
    assert run(*words[:3], "-q", "--device", "pcm-pulse", "--tolerance", "1") == 0
    assert "Program-and-verify, pcm-pulse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expect"),
    [
        (("--age", "soon"), "--age: must be a time as 3600, 1h, 1d or 1month, not 'soon'"),
        (("--age", "-1h"), "age: must be a number of seconds from 0, not -3600"),
        (("--age", "nan"), "--age: must be a time"),
        (("--age", "1e20year"), "time since its first read must be in"),
        (("--compensation", "all"), "compensation: must be one of none, global, column, not 'all'"),
        (("-m", "0"), "members: must be in 1..1024, not 0"),
        (("--temperature", "0"), "--temperature: must be a positive number, not 0"),
        (("--samples", "0"), "samples: must be at least 1, not 0"),
        (("--calibration", "none.npz"), "none.npz: no such file"),
        (("--strange", "{data}", "--strange", "{data}"), "--strange: the files' names must differ"),
        (("-i", "{unlabelled}"), "has no labels to judge by"),
    ],
)
def test_bad_words_to_evaluate(mixed, tmp_path, capsys, words, expect):
    data, unlabelled = mixed.parent / "in.npz", tmp_path / "unlabelled.npz"
    np.savez(unlabelled, spikes=np.zeros((2, 3, INPUTS), np.uint8))
    words = [w.format(data=data, unlabelled=unlabelled) for w in words]
    before = listing(mixed)
    assert run("device", "evaluate", mixed, "-i", data, "-q", *words) == 2
    error = capsys.readouterr().err
    assert expect in error
    assert error.count("\n") == 1
    assert listing(mixed) == before


def test_evaluate_needs_a_crossbar(tmp_path, capsys):
    built = compiled(tmp_path)
    capsys.readouterr()
    assert run("device", "evaluate", built, "-i", tmp_path / "in.npz", "-q") == 2
    error = capsys.readouterr().err
    assert "no layer is on a crossbar" in error
    assert error.count("\n") == 1
