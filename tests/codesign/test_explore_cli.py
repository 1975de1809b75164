import csv
import json
import re
import shlex

import pytest

from codesign.artefact import Artefact
from codesign.explore.outcome import OBJECTIVES
from codesign.explore.page import designs_csv, errors, render
from tests.codesign.kit_explore import files
from tests.codesign.small import run, small_input


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """(folder, what `--json` printed, exit code) of a small search by the command line."""
    folder = tmp_path_factory.mktemp("explored")
    model, data = files(folder)
    (folder / "nervure.toml").write_text('dt = 1e-4\nreadout = "count"\n')
    code = run(
        "explore", model, "-d", data, "-o", folder / "out", "--trials", "12", "--synth", "0",
        "--objective", "accuracy", "--objective", "lut", "--by-layer", "weight_bits", "-q",
        "--vary", "steps=6,none", "--vary", "weight_bits=2,4,8", "--vary", "lanes=1..4*2",
    )  # fmt: skip
    return folder, json.loads((folder / "out" / "explore.json").read_text()), code


def test_the_files_hold_every_trial(explored):
    folder, found, code = explored
    assert code == 0
    assert len(found["outcomes"]) == 12
    assert found["objectives"] == ["accuracy", "lut"]
    rows = list(csv.DictReader((folder / "out" / "designs.csv").open()))
    assert [int(row["design"]) for row in rows] == [o["number"] for o in found["outcomes"]]
    assert {int(r["design"]) for r in rows if r["front"] == "1"} == set(found["front"])
    for row, o in zip(rows, found["outcomes"], strict=True):
        assert float(row["lut"]) == o["values"]["lut"]
        assert row["command"] == o["command"]


def test_the_page_carries_its_data_and_no_link_elsewhere(explored):
    folder, found, _ = explored
    page = (folder / "out" / "explore.html").read_text()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    shown = json.loads(data)
    assert [o["number"] for o in shown["found"]["outcomes"]] == list(range(12))
    assert shown["found"]["front"] == found["front"]
    assert set(shown["titles"]) == set(OBJECTIVES)
    assert not re.search(r'(src|href)="https?:', page)


def test_a_command_rebuilds_its_design(explored, monkeypatch):
    folder, found, _ = explored
    monkeypatch.chdir(folder)
    (folder / "elsewhere").mkdir(exist_ok=True)
    small = next(o for o in found["outcomes"] if o["number"] == found["front"][0])
    first, *rest = small["command"].split(" && ")
    words = shlex.split(first)
    words[words.index("small.nir")] = str(folder / "small.nir")
    (folder / "nervure.toml").rename(folder / "elsewhere" / "nervure.toml")
    try:
        assert run(*words[1:], "-q") == 0
    finally:
        (folder / "elsewhere" / "nervure.toml").rename(folder / "nervure.toml")
    made = Artefact.open(folder / f"design-{small['number']}")
    assert made.manifest["settings"] == small["settings"]
    assert bool(rest) == (small["steps"] is not None)


def test_text_of_a_failure_cannot_leave_its_place(explored):
    _, found, _ = explored
    bad = "</script><script>alert(1)</script>"
    outcomes = [{**o, "failed": bad} if o["number"] == 3 else o for o in found["outcomes"]]
    page = render({**found, "outcomes": outcomes})
    assert bad not in page
    assert "alert(1)" in page
    rows = list(csv.DictReader(designs_csv({**found, "outcomes": outcomes}).splitlines()))
    assert rows[3]["failed"] == bad


def test_errors_are_of_what_was_measured():
    def outcome(fidelity, lut, guess):
        return {"fidelity": fidelity, "values": {"lut": lut}, "estimate": {"lut": guess}}

    found = {
        "outcomes": [
            outcome("estimate", 7, 7), outcome("synthesis", 110, 100), outcome("verified", 95, 100)
        ]
    }  # fmt: skip
    (row,) = errors(found)
    assert (row["name"], row["designs"]) == ("lut", 2)
    assert row["median"] == pytest.approx(0.075)
    assert row["worst"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("-c", "lut<=10"), 1, ["no feasible design", "lut<=10", "%"]),
        (("-c", "speed>=3"), 2, ["speed", "known"]),
        (("--objective", "price"), 2, ["price", "known"]),
        (("--vary", "lanes"), 2, ["vary"]),
        (("--vary", "colour=1,2"), 2, ["colour"]),
        (("--storage", "study.db"), 2, ["URL"]),
        (("--workers", "2", "--dask", "tcp://127.0.0.1:1"), 2, ["not both"]),
    ],
)
def test_wrong_plans_are_one_line(explored, tmp_path, capsys, options, code, words):
    folder, _, _ = explored
    model, data = files(folder)
    given = run("explore", model, "-d", data, "-o", tmp_path / "out", "--trials", "6", "--synth",
                "0", "-q", *options)  # fmt: skip
    text = capsys.readouterr().err
    assert given == code, text
    assert text.count("\n") == 1
    assert all(word in text for word in words)


def test_data_of_another_model_is_refused(explored, tmp_path, capsys):
    folder, _, _ = explored
    model, _ = files(folder)
    data = small_input(tmp_path / "other.npz", inputs=7)
    assert run("explore", model, "-d", data, "-o", tmp_path / "out", "-q") == 2
    text = capsys.readouterr().err
    assert "7" in text
    assert "6" in text
    assert not (tmp_path / "out").exists()
