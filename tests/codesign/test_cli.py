"""The command line: what it prints and writes, and how it refuses what it can't use."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.codesign.small import HIDDEN, compiled, listing, run, small_input, small_model
from tests.mapping.nir_files import lif


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An artefact that tests don't change."""
    return compiled(tmp_path_factory.mktemp("cli"))


COMMANDS = (
    "inspect",
    "compile",
    "simulate",
    "verify",
    "evaluate",
    "synth",
    "report",
    "boards",
    "doctor",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    assert run(command, "--help") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert f"Example: nervure {command}" in words
    assert "--json" in words


def test_help_lists_the_commands(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("nervure ")


def test_starting_imports_nothing_heavy():
    code = (
        "import sys; from codesign.cli import main; main(['boards', '--json']); "
        "print([m for m in ('numpy','amaranth','numba','scipy','networkx','h5py','jinja2','cocotb')"
        " if m in sys.modules], file=sys.stderr)"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["boards"][0]["name"] == "ulx3s-25f"
    assert time.monotonic() - start < 20  # not a benchmark: only that nothing hangs


def test_inspect_as_table_and_json(tmp_path, capsys):
    model = small_model(tmp_path / "small.nir")
    assert run("inspect", model) == 0
    out = capsys.readouterr().out
    assert "into the connections" in out
    assert "input → fc1" in out
    assert run("inspect", model, "--json", "-q") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert {"nodes", "edges", "parameters", "density"} <= set(found)
    assert [n["status"] for n in found["nodes"] if n["name"] == "fc1"] == ["folded"]
    assert set(found["nodes"][0]) == {"name", "kind", "shape", "status", "reason"}
    assert [(layer["name"], layer["level"]) for layer in found["layers"]] == [
        ("lif1", 1), ("lif2", 2),
    ]  # fmt: skip
    assert found["layers"][0]["dt_over_tau"] == pytest.approx(0.1)
    assert found["mappable"] is True


def test_inspect_shows_what_does_not_map(tmp_path, capsys):
    model = small_model(tmp_path / "bad.nir", lif1=lif(HIDDEN, tau=np.full(HIDDEN, -1e-3)))
    assert run("inspect", model, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mappable"] is False
    assert [n["name"] for n in found["nodes"] if n["status"] == "unsupported"] == ["lif1"]


def test_compile_writes_the_artefact_and_says_so(tmp_path, capsys):
    model, data = small_model(tmp_path / "small.nir"), small_input(tmp_path / "in.npz")
    assert run("compile", model, "-o", tmp_path / "d", "--calibration", data, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["target"] == "ulx3s-85f"
    assert found["quantisation"][0]["node"] == "lif1"
    assert "generating Verilog" in captured.err
    names = {path.name for path in (tmp_path / "d").iterdir()}
    assert {
        "program.json", "arrays.npz", "rtl", "tb", "constraints", "report.json", "report.html",
        "nervure.json", "model.nir",
    } <= names  # fmt: skip
    assert run("compile", model, "-o", tmp_path / "d", "-q") == 0  # ours: replaced
    assert "Next: nervure verify" in capsys.readouterr().out


def test_same_input_same_bytes_and_no_paths(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        compiled(tmp_path / name)
    one, two = (listing(tmp_path / name / "built") for name in ("one", "two"))
    assert one == two
    assert not [name for name, data in one.items() if data and str(tmp_path).encode() in data]


def test_settings_beside_the_model_are_taken(tmp_path, capsys):
    model = small_model(tmp_path / "small.nir")
    small_input(tmp_path / "in.npz")
    (tmp_path / "nervure.toml").write_text('weight_bits = 3\ncalibration = "in.npz"\n')
    assert run("compile", model, "-o", tmp_path / "d", "--json", "--dt", "2e-4") == 0
    captured = capsys.readouterr()
    assert "nervure.toml (beside the model" in captured.err
    found = json.loads(captured.out)
    assert found["made"]["calibration"]["file"] == "in.npz"
    assert found["quantisation"][0]["weights"][0]["bits"] == 3
    command = found["made"]["commands"]["compile"]
    assert "--calibration in.npz --dt 0.0002 --weight-bits 3" in command


@pytest.mark.parametrize("backend", ["golden", "float"])
def test_simulate(built, tmp_path, capsys, backend):
    out = tmp_path / "out.npz"
    data = built.parent / "in.npz"
    assert run("simulate", built, "-i", data, "-o", out, "--backend", backend, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["samples"], found["steps"], found["outputs"]) == (5, 12, 3)
    arrays = np.load(out)
    assert arrays["spikes"].shape == (5, 12, 3)
    assert arrays["decision"].shape == (5,)
    assert np.mean(arrays["decision"] == arrays["labels"]) == found["accuracy"]


def test_report_and_doctor(built, capsys):
    assert run("report", built, "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["report"].endswith("report.html")
    assert run("doctor", "--json") in (0, 3)
    assert {"ok", "checks"} == set(json.loads(capsys.readouterr().out))
