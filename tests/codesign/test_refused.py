"""The command line refuses what it can't use: one line, exit code 2, nothing written."""

import json
import shutil

import h5py
import numpy as np
import pytest

from codesign.cli import main
from tests.codesign.small import HIDDEN, INPUTS, compiled, listing, run, small_input, small_model
from tests.mapping.nir_files import chain, ends, lif, node, write


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An artefact that tests don't change."""
    return compiled(tmp_path_factory.mktemp("refused"))


def _missing(folder):
    return ["compile", folder / "none.nir"], "none.nir"


def _not_hdf5(folder):
    (folder / "text.nir").write_text("hello")
    return ["compile", folder / "text.nir"], "text.nir"


def _truncated(folder):
    model = small_model(folder / "cut.nir")
    model.write_bytes(model.read_bytes()[:-1500])
    return ["compile", model], "cut.nir"


def _nan(folder):
    weight = np.ones((HIDDEN, INPUTS))
    weight[2, 3] = np.nan
    return ["compile", small_model(folder / "m.nir", fc1=node("Linear", weight=weight))], "fc1"


def _tau(value):
    def made(folder):
        neurons = lif(HIDDEN, tau=np.full(HIDDEN, value))
        return ["compile", small_model(folder / "m.nir", lif1=neurons)], "lif1"

    return made


def _coarse(folder):
    slow = lif(3, tau=np.full(3, 1e-2))
    return ["compile", small_model(folder / "m.nir", lif2=slow), "--dt", "8e-4"], "--force"


def _unknown_kind(folder):
    return ["compile", small_model(folder / "m.nir", lif1=node("Delay", delay=np.ones(3)))], "lif1"


def _unknown_node(folder):
    nodes = {**ends(2, 2), "lif1": lif(2)}
    edges = [*chain("input", "lif1", "output"), ("lif1", "nobody")]
    return ["compile", write(folder / "m.nir", nodes, edges)], "'nobody'"


def _foreign_directory(folder):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("mine")
    return ["compile", small_model(folder / "m.nir")], "was not written by nervure"


def _file_in_the_way(folder):
    (folder / "out").write_text("mine")
    return ["compile", small_model(folder / "m.nir")], "not a directory"


def _unknown_board(folder):
    return ["compile", small_model(folder / "m.nir"), "--target", "ulx3s-85"], "did you mean"


def _calibration_width(folder):
    data = small_input(folder / "wide.npz", inputs=INPUTS + 1)
    return ["compile", small_model(folder / "m.nir"), "--calibration", data], "has 7"


def _option(*words, expect):
    def made(folder):
        return ["compile", small_model(folder / "m.nir"), *words], expect

    return made


def _toml(text, expect):
    def made(folder):
        (folder / "own.toml").write_text(text)
        return ["compile", small_model(folder / "m.nir"), "--config", folder / "own.toml"], expect

    return made


BAD = {
    "missing file": _missing,
    "not HDF5": _not_hdf5,
    "truncated": _truncated,
    "NaN weight": _nan,
    "tau 0": _tau(0.0),
    "negative tau": _tau(-1e-3),
    "dt too coarse": _coarse,
    "unsupported node": _unknown_kind,
    "edge to nothing": _unknown_node,
    "foreign directory": _foreign_directory,
    "file in the way": _file_in_the_way,
    "unknown board": _unknown_board,
    "calibration width": _calibration_width,
    "neurons do not fit": _option("--neurons", "4", expect="4"),
    "synapses do not fit": _option("--synapse-bits", "64", expect="64"),
    "mesh too small": _option("--cores", "4", "--width", "1", "--height", "2", expect="cores"),
    "weight bits": _option("--weight-bits", "40", expect="weight_bits"),
    "scheme": _option("--scheme", "heun", expect="scheme must be one of"),
    "dt": _option("--dt", "-1", expect="dt must be"),
    "lanes": _option("--lanes", "3", expect="power of two"),
    "cores": _option("--cores", "0", expect="cores must be"),
    "no number": _option("--cores", "many", expect="--cores"),
    "no such option": _option("--weigth-bits", "4", expect="--weight-bits"),
    "unknown key": _toml("weight_bit = 4\n", "did you mean 'weight_bits'?"),
    "wrong type": _toml('cores = "four"\n', "cores must be a whole number"),
    "not TOML": _toml("weight_bits =\n", "not TOML"),
    "no such config": _option("--config", "none.toml", expect="none.toml"),
    "calibration missing": _toml('calibration = "none.npz"\n', "none.npz"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_input_is_one_line_code_2_and_nothing_written(case, tmp_path, capsys):
    words, expect = BAD[case](tmp_path)
    before = listing(tmp_path)
    assert run(*words, "-o", tmp_path / "out", "-q") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expect in captured.err
    assert "defect" not in captured.err
    assert listing(tmp_path) == before


def test_all_problems_at_once(tmp_path, capsys):
    model = small_model(
        tmp_path / "m.nir",
        lif1=lif(HIDDEN, tau=np.zeros(HIDDEN)),
        fc2=node("Linear", weight=np.full((3, HIDDEN), np.inf)),
    )
    assert run("compile", model, "-o", tmp_path / "out", "-q") == 2
    lines = capsys.readouterr().err.splitlines()
    assert "2 problems" in lines[0]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("words", "expect"),
    [
        (["simulate", "{built}", "-i", "{bad}", "-o", "{out}"], "6 inputs, file has 7"),
        (["simulate", "{built}", "-i", "none.npz", "-o", "{out}"], "no such file"),
        (["simulate", "{built}", "-i", "{bad}"], "--out"),
        (["simulate", "{built}", "-i", "{good}", "-o", "{out}", "--backend", "fpga"], "backend"),
        (["simulate", "{built}", "-i", "{good}", "-o", "/nowhere/out.npz"], "does not exist"),
        (["simulate", "{here}", "-i", "{good}", "-o", "{out}"], "not an artefact"),
        (["simulate", "none", "-i", "{good}", "-o", "{out}"], "no such directory"),
        (["evaluate", "{built}", "-i", "{good}", "--samples", "0"], "samples"),
        (["evaluate", "{built}", "-i", "{labels}"], "labels"),
        (["synth", "{built}", "--target", "zynq"], "board 'zynq' is unknown"),
        (["synth", "{built}", "--effort", "heroic"], "effort"),
        (["synth", "{built}", "--freq", "0"], "freq"),
        (["verify", "{built}", "-i", "{bad}"], "6 inputs, file has 7"),
        (["verify", "{built}", "-i", "{good}", "--sample", "5"], "there is no sample 5"),
        (["verify", "{built}", "--steps", "0"], "steps"),
        (["report", "{here}"], "not an artefact"),
        (["inspect", "none.nir"], "none.nir"),
        (["compile"], "model"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_words_are_one_line_and_code_2(built, tmp_path, capsys, words, expect):
    good = np.load(built.parent / "in.npz")
    np.savez(tmp_path / "labels.npz", spikes=good["spikes"], labels=np.full(5, 9))
    places = {
        "built": built, "here": tmp_path, "out": tmp_path / "o.npz",
        "good": built.parent / "in.npz", "bad": small_input(tmp_path / "bad.npz", inputs=7),
        "labels": tmp_path / "labels.npz",
    }  # fmt: skip
    before = listing(tmp_path), listing(built)
    quiet = ["-q"] if len(words) > 1 else []
    assert run(*[word.format(**places) for word in words], *quiet) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expect in captured.err.lower() or expect in captured.err
    assert (listing(tmp_path), listing(built)) == before


def test_json_errors_are_objects_too(capsys):
    assert run("inspect", "none.nir", "--json", "-q") == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["exit_code"] == 2
    assert captured.err == f"error: {found['error']}\n"


def test_a_damaged_artefact_is_refused(built, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    (copy / "nervure.json").write_text("{")
    assert run("report", copy, "-q") == 2
    assert "damaged" in capsys.readouterr().err
    shutil.copy(built / "nervure.json", copy)
    (copy / "program.json").write_text("[]")
    assert run("simulate", copy, "-i", built.parent / "in.npz", "-o", tmp_path / "o", "-q") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_defect_is_one_line_and_debug_shows_more(monkeypatch, capsys):
    import codesign.boards

    def broken():
        raise ZeroDivisionError("no boards\nat all")

    monkeypatch.setattr(codesign.boards, "boards", broken)
    assert main(["boards"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: no boards at all" in err
    assert "please report" in err
    assert err.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        main(["boards", "--debug"])


def test_hdf5_without_a_graph(tmp_path, capsys):
    with h5py.File(tmp_path / "empty.nir", "w"):
        pass
    assert run("inspect", tmp_path / "empty.nir", "-q") == 2
    assert capsys.readouterr().err.count("\n") == 1
