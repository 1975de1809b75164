"""The stochastic engine from the command line: options, settings file, run time, refusals."""

import json

import numpy as np
import pytest

from codesign.artefact import Artefact
from codesign.settings import load_settings
from hdl.params.errors import UserError
from tests.codesign.small import compiled, run, small_input, small_model


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A stochastic artefact that tests don't change."""
    return compiled(
        tmp_path_factory.mktemp("streams"), "--engine", "stochastic", "--stream-length", "8",
        "--cores", "2", "--stream-lanes", "4", "--weight-bits", "6",
    )  # fmt: skip


def simulated(built, folder, *options):
    out = folder / "out.npz"
    assert run("simulate", built, "-i", built.parent / "in.npz", "-o", out, "-q", *options) == 0
    with np.load(out) as arrays:
        return arrays["spikes"]


def test_the_report_tells_what_streams_lose(built, capsys):
    artefact = Artefact.open(built)
    streams = artefact.report["streams"]
    assert [s["node"] for s in streams] == ["lif1", "lif2"]
    for s in streams:
        assert (s["stream_length"], s["full_period"], s["generator"]) == (8, 32, "sobol")
        assert 0 < s["relative_error"] < 0.5
        assert s["mean_length"] == 8
        assert s["threshold_share"] > 0
    cores = artefact.report["mapping"]["cores"]
    assert [c["dendrites"] for c in cores] == ["streams", "streams"]
    assert {c["stream_lanes"] for c in cores} == {4}
    assert artefact.settings.quantisation.stream_length == 8
    assert "8 bits" in (built / "report.html").read_text()


def test_lengths_change_at_run_time(built, tmp_path):
    whole = simulated(built, tmp_path, "--stream-length", "32")
    exact = compiled(tmp_path, "--weight-bits", "6")
    assert (whole == simulated(exact, tmp_path)).all()
    short = simulated(built, tmp_path, "--stream-length", "1")
    assert (short != whole).any()
    early = simulated(built, tmp_path, "--stream-length", "32", "--tolerance", "1")
    assert (early != whole).any()


def test_decided_sums_from_the_command_line(tmp_path, capsys):
    """A margin in hardware: the Verilog follows it, at run time and as it was compiled."""
    built = compiled(
        tmp_path, "--engine", "stochastic", "--margin", "2", "--first-length", "2",
        "--cores", "2", "--stream-lanes", "4", "--weight-bits", "6",
    )  # fmt: skip
    artefact = Artefact.open(built)
    assert [s["margin"] for s in artefact.report["streams"]] == [2, 2]
    assert "Margin" in (built / "report.html").read_text()
    data, means = built.parent / "in.npz", {}
    for margin in ("0", "", "8", "-1"):
        options = ("--margin", margin) if margin else ()
        capsys.readouterr()
        assert run("evaluate", built, "-i", data, *options, "--no-rtl", "--json", "-q") == 0
        streams = json.loads(capsys.readouterr().out)["streams"].values()
        means[margin] = sum(s["mean"] for s in streams)
    assert 2 == means["0"] < means[""] < means["8"] < means["-1"] == 64
    assert "--margin -1" in (built / "report.html").read_text()
    for options in ((), ("--margin", "1", "--tolerance", "0.1"), ("--margin", "-1")):
        capsys.readouterr()
        given = (*options, "--json", "-q", "--no-cocotb")
        assert run("verify", built, "-i", data, *given) == 0
        assert json.loads(capsys.readouterr().out)["status"] == "PASS"
    assert "--margin -1" in Artefact.open(built).report["verification"]["command"]


def test_a_margin_at_run_time_needs_hardware(built, tmp_path, capsys):
    data = built.parent / "in.npz"
    for command in (
        ("simulate", built, "-i", data, "-o", tmp_path / "x.npz"),
        ("evaluate", built, "-i", data),
        ("verify", built, "-i", data),
    ):
        capsys.readouterr()
        assert run(*command, "--margin", "1", "-q") == 2
        error = capsys.readouterr().err
        assert "no layer has a margin in hardware" in error
        assert "compile it with --margin" in error
        assert error.count("\n") == 1
    assert run("simulate", built, "-i", data, "-o", tmp_path / "x.npz", "--margin", "-1", "-q") == 0


def test_an_evaluation_counts_the_bits(built, capsys):
    capsys.readouterr()
    data = built.parent / "in.npz"
    options = ("--stream-length", "16", "--tolerance", "0.5", "--no-rtl", "--json", "-q")
    assert run("evaluate", built, "-i", data, *options) == 0
    streams = json.loads(capsys.readouterr().out)["streams"]
    assert set(streams) == {"lif1", "lif2"}
    for s in streams.values():
        assert s["length"] == 16
        assert 8 <= s["mean"] < 16


def test_the_verilog_follows(built, capsys):
    """One simulator; the words before the first sample set the length."""
    capsys.readouterr()
    data = built.parent / "in.npz"
    options = ("--stream-length", "4", "--tolerance", "0.1", "--no-stalls", "--json", "-q")
    assert run("verify", built, "-i", data, *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "PASS"
    assert found["mismatches"] == 0
    command = Artefact.open(built).report["verification"]["command"]
    assert "--stream-length 4 --tolerance 0.1" in command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stream-length", "0"), "stream_length: must be a power of two in 1..65536, not 0"),
        (("--stream-length", "100"), "must be a power of two in 1..65536, not 100"),
        (("--stream-length", "4096"), "longer than the source of every stochastic layer"),
    ],
)
def test_wrong_lengths_are_one_line(built, tmp_path, capsys, options, message):
    data = built.parent / "in.npz"
    for command in (
        ("simulate", built, "-i", data, "-o", tmp_path / "x.npz"),
        ("evaluate", built, "-i", data),
        ("verify", built, "-i", data),
        ("compile", small_model(tmp_path / "m.nir"), "-o", tmp_path / "b", "--engine",
         "stochastic", "--calibration", data),
    ):  # fmt: skip
        capsys.readouterr()
        assert run(*command, *options, "-q") == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "analog"), "must be event or stochastic or crossbar or ssm, not 'analog'"),
        (("--generator", "dice"), "generator: must be sobol or lfsr, not 'dice'"),
        (("--generators", "5"), "generators: must be a power of two in 1..16, not 5"),
        (("--tolerance", "-2"), "tolerance: must be a number of at least 0, not -2.0"),
        (("--margin", "256"), "margin: must be in 0..255, not 256"),
        (("--first-length", "3"), "first_length: must be a power of two in 2..65536, not 3"),
        (("--stream-lanes", "3", "--engine", "stochastic", "--cores", "2"),
         "stream_lanes must be a power of two"),
        (("--stream-lanes", "0"), "stream_lanes must be a whole number from 1, not 0"),
        (("--engine", "stochastic", "--generator", "lfsr", "--weight-bits", "2"),
         "an LFSR has 3 bits or more"),
        (("--engine", "stochastic", "--cores", "1"),
         "cores: 2 needed, 1 available; by kind: 1 stochastic (lif1); 1 stochastic (lif2); use "
         "more cores (--cores 2)"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(tmp_path, capsys, options, message):
    model = small_model(tmp_path / "m.nir")
    assert run("compile", model, "-o", tmp_path / "b", "-q", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "b").exists()


def test_event_driven_artefacts_have_no_length_to_set(tmp_path, capsys):
    built = compiled(tmp_path)
    capsys.readouterr()
    data = small_input(tmp_path / "in.npz")
    assert run("evaluate", built, "-i", data, "--stream-length", "8", "-q") == 2
    assert "no layer is stochastic" in capsys.readouterr().err


def test_settings_by_layer_come_from_the_file(tmp_path):
    path = tmp_path / "nervure.toml"
    path.write_text(
        "cores = 2\nstream_lanes = 8\ntolerance = 0.5\n[engine]\nlif1 = 'stochastic'\n"
        "[stream_length]\n'*' = 16\n"
    )
    settings = load_settings(path)
    assert settings.quantisation.engine == {"lif1": "stochastic"}
    assert settings.quantisation.stream_length == {"*": 16}
    assert settings.target.stream_lanes == 8
    path.write_text("stream_lenght = 16\n")
    with pytest.raises(UserError, match="did you mean 'stream_length'"):
        load_settings(path)
