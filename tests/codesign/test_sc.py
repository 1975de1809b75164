"""`nervure sc`: the list is whole, what it emits runs, its study agrees with published figures."""

import inspect
import json
import os
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import hdl.params.sc
from codesign.cli import main
from codesign.sc.emit import emit_unit
from codesign.sc.study import progressive, study
from codesign.sc.units import find_unit, units
from hdl.params.errors import UserError
from hdl.params.sc.unit import UnitParams
from tests.kit import FULL


def test_every_unit_is_listed():
    """Each XParams that is a unit's has a row."""
    found = set()
    for module in pkgutil.iter_modules(hdl.params.sc.__path__):
        inside = vars(import_module(f"hdl.params.sc.{module.name}")).values()
        found |= {
            (module.name, c.__name__.removesuffix("Params"))
            for c in inside
            if inspect.isclass(c) and issubclass(c, UnitParams) and c is not UnitParams
            and c.__module__ == f"hdl.params.sc.{module.name}" and not c.__name__.startswith("_")
        }  # fmt: skip
    assert {(u.module, u.cls) for u in units()} == found


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_every_unit_is_emitted(unit, tmp_path):
    """Verilog with the ports that the parameters name, and vectors of the twin."""
    params = unit.make()
    files = emit_unit(unit, params, tmp_path / "out", length=70)
    top = unit.name.replace("-", "_")
    assert {"README.md", f"rtl/{top}.v", "tb/vectors.json", "tb/test_unit.py"} <= set(files)
    vectors = json.loads((tmp_path / "out/tb/vectors.json").read_text())
    verilog = (tmp_path / f"out/rtl/{top}.v").read_text()
    for port in vectors["ports"]:
        assert f" {port['name']};" in verilog
        for run in vectors["runs"]:
            assert len(run[f"{port['direction']}puts"][port["name"]]) == 70
    assert unit.summary


@pytest.mark.cocotb
@pytest.mark.slow
@pytest.mark.parametrize("name", ["umul", "multiply"][: 1 + FULL])
def test_emitted_testbench_passes_and_can_fail(name, tmp_path):
    out = tmp_path / "out"
    assert main(["sc", "emit", name, "-o", str(out), "-q", "--length", "64"]) == 0
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COCOTB", "PYTEST"))}

    def run():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
        return subprocess.run(command, cwd=out / "tb", env=environment, capture_output=True)

    done = run()
    assert done.returncode == 0, done.stdout.decode()[-2000:]
    if name == "multiply":
        path = out / "tb" / "vectors.json"
        vectors = json.loads(path.read_text())
        vectors["runs"][2]["outputs"]["y"][5] ^= 1
        path.write_text(json.dumps(vectors))
        assert run().returncode == 1


def test_emit_is_deterministic_and_replaces_only_its_own(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["sc", "emit", "sng", "-o", str(out), "-q"]
    assert main(arguments) == 0
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert main(arguments) == 0
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    assert main(["sc", "emit", "sng", "-o", str(tmp_path / "mine"), "-q"]) == 2
    assert "was not written by nervure" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["umult"], "umult: there is no such unit; did you mean umul?"),
        (["lfsr", "-p", "width=40"], "lfsr: width must be in 3..32, not 40"),
        (["lfsr", "-p", "wide=4"], "lfsr: there is no parameter wide; it has width, seed"),
        (["lfsr", "-p", "width=x"], "lfsr: width must be a whole number, not 'x'"),
        (["lfsr", "-p", "width"], "--param must be NAME=VALUE, not 'width'"),
        (["lfsr", "-p", "invert=maybe"], "lfsr: invert must be true or false, not 'maybe'"),
        (["pbit", "-p", "table.x=1"], "pbit: table has no x; it has"),
        (["lfsr", "--length", "0"], "--length must be in 1..65536, not 0: an empty stream"),
        (
            ["product", "-p", "source_a=sobol:2", "-p", "source_b=sobol:2"],
            "source_a (sobol:2) and source_b (sobol:2) are correlated",
        ),
    ],
)
def test_wrong_input(arguments, message, tmp_path, capsys):
    assert main(["sc", "emit", *arguments, "-o", str(tmp_path / "out"), "-q"]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_study_agrees_with_published_figures():
    """RMS of an 8-bit AND: i.i.d. .0207, rotated LFSR .0120, Sobol .0023; shared LFSR .1."""
    rows = {s.scheme: s for s in study(lengths=(64, 256, 1024), operands=400)}
    at = {name: s.rms[1] for name, s in rows.items()}
    assert at["iid"] == pytest.approx(0.0207, rel=0.1)
    assert at["rotated-lfsr"] == pytest.approx(0.0120, rel=0.1)
    assert at["sobol"] == pytest.approx(0.0023, rel=0.1)
    assert at["vdc-counter"] == pytest.approx(0.0044, rel=0.1)
    assert at["shared-lfsr"] == pytest.approx(0.105, rel=0.1)
    assert at["umul"] == pytest.approx(0.0024, rel=0.3)
    assert rows["iid"].exponent == pytest.approx(-0.5, abs=0.1)
    assert rows["sobol"].exponent < -0.8


def test_reading_early_agrees_with_published_figures():
    rows = {row["source"]: row["rms"] for row in progressive()}
    for source, published in {
        "lfsr:seed=1": (0.398, 0.256, 0.182, 0.108, 0.030, 0.0002),
        "vdc": (0.070, 0.034, 0.016, 0.007, 0.003, 0.0),
    }.items():
        assert rows[source] == pytest.approx(published, rel=0.06, abs=0.0006)


@pytest.mark.parametrize(
    ("schemes", "lengths", "message"),
    [
        (["sobol"], [0], "length must be at least 8, not 0: an empty stream says nothing"),
        (["sobol"], [100], "length must be a power of two in 8..65536, not 100"),
        (["nothing"], [64], "nothing: there is no such scheme; there are shared-lfsr"),
        (["sobol:1 x foo"], [64], "no generator 'foo'"),
    ],
)
def test_wrong_study(schemes, lengths, message):
    with pytest.raises(UserError, match=message):
        study(schemes, lengths)


def test_study_page(tmp_path, capsys):
    page = tmp_path / "study.html"
    assert main(["sc", "study", "-q", "-s", "sobol", "-s", "iid", "-l", "16", "-l", "64",
                 "-o", str(page), "--json"]) == 0  # fmt: skip
    printed = json.loads(capsys.readouterr().out)
    assert [s["scheme"] for s in printed["products"]] == ["sobol", "iid"]
    text = page.read_text()
    assert "Error against stream length" in text
    assert text.count("<polyline") >= 6
    assert [p.name for p in tmp_path.iterdir()] == ["study.html"]


def test_list(capsys):
    assert main(["sc", "list", "--json"]) == 0
    assert {row["unit"] for row in json.loads(capsys.readouterr().out)} == {u.name for u in units()}
    assert main(["sc", "list", "umul", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["name"] for p in found["parameters"]] == ["width", "encoding", "dimension"]
    with pytest.raises(UserError):
        find_unit("nothing")
