"""`nervure device` and crossbars in `compile` refuse what they can't use: one line, exit code 2."""

import numpy as np
import pytest

from tests.codesign.kit_layers import MINE
from tests.codesign.small import listing, run, small_model


def _matrix(made):
    def given(folder):
        path = folder / "w.npy"
        made(path)
        return ["device", "program", path]

    return given


def _words(*words):
    """Words about a matrix that is fine."""

    def given(folder):
        np.save(folder / "w.npy", np.eye(3))
        return ["device", *words[:1], folder / "w.npy", *words[1:]]

    return given


def _plot(*words):
    return lambda folder: ["device", "plot", *words]


def _table(text):
    def given(folder):
        (folder / "mine.toml").write_text(text)
        return ["device", "plot", "mine", "-o", folder / "out.html", "--device-table",
                folder / "mine.toml"]  # fmt: skip

    return given


def _compile(*words):
    def given(folder):
        model = small_model(folder / "m.nir")
        return ["compile", model, "-o", folder / "out", "--engine", "crossbar", *words]

    return given


def _truncated(path):
    np.savez(path.with_suffix(".npz"), weights=np.eye(40))
    path.with_suffix(".npz").replace(path)
    path.write_bytes(path.read_bytes()[:-300])


BAD = {
    "no matrix": (lambda f: ["device", "program", f / "none.npy"], "No such file"),
    "a folder": (lambda f: ["device", "program", f], "can't be read as .npy or .npz"),
    "text": (_matrix(lambda p: p.write_text("1 2 3")), "can't be read as .npy or .npz"),
    "empty file": (_matrix(lambda p: p.write_bytes(b"")), "can't be read as .npy or .npz"),
    "truncated": (_matrix(_truncated), "can't be read as .npy or .npz"),
    "objects": (_matrix(lambda p: np.save(p, np.array([[{}]]))), "can't be read"),
    "complex": (_matrix(lambda p: np.save(p, np.eye(2) * 1j)), "must be a matrix of numbers"),
    "a vector": (_matrix(lambda p: np.save(p, np.ones(4))), "not float64 (4,)"),
    "no weights": (_matrix(lambda p: np.save(p, np.ones((0, 4)))), "not float64 (0, 4)"),
    "not finite": (_matrix(lambda p: np.save(p, np.full((2, 2), np.inf))), "not finite"),
    "which array": (
        _matrix(lambda p: np.savez(p.open("wb"), a=np.eye(2), b=np.eye(2))), "holds a, b; name"),
    "device": (_words("program", "--device", "pmc"), "device 'pmc' is unknown; did you mean 'pcm'"),
    "tolerance": (_words("program", "--tolerance", "0.01"), "program_tolerance: 0.01 standard"),
    "no tolerance": (_words("program", "--tolerance", "nan"), "program_tolerance: must be"),
    "policy": (_words("program", "--policy", "hope"), "must be one of redraw, feedback"),
    "weight bits": (_words("program", "--weight-bits", "1"), "weight_bits: must be in 2..16"),
    "place": (_words("program", "-o", "/nowhere/x.npz"), "/nowhere does not exist"),
    "sampling": (_words("program", "--set", "sampling=binary"), "sampling: a matrix is programmed"),
    "set": (_words("program", "--set", "stuck"), "--set: must be SETTING=VALUE"),
    "unknown": (_words("program", "--set", "stuk=1"), "--set: unknown setting 'stuk'; known: "),
    "type": (_words("program", "--set", "stuck=all"), "stuck: must be a number in 0..1, not 'all'"),
    "array": (_words("program", "--set", "array_columns=1"), "use a larger array"),
    "plot device": (_plot("none", "-o", "x.html"), "device 'none' is unknown"),
    "plot place": (_plot("pcm", "-o", "/nowhere/x.html"), "/nowhere does not exist"),
    "plot folder": (_plot("pcm", "-o", "/tmp"), "/tmp: is a directory"),
    "plot bits": (_plot("pcm", "-o", "x.html", "-s", "cell_bits=7"), "cell_bits: must be"),
    "no table": (_plot("pcm", "-o", "x.html", "--device-table", "no.toml"), "no.toml"),
    "list": (lambda f: ["device", "list", "--device-table", "no.toml"], "no.toml"),
    "missing entry": (_table(MINE.replace("t_0 = 30.0\n", "")), "t_0 is missing"),
    "absurd entry": (_table(MINE.replace("g_max = 20.0", "g_max = -1")), "g_max must be a number"),
    "taken name": (_table(MINE.replace("[mine]", "[pcm]")), "Nervure has one so named"),
    "compile device": (_compile("--device", "pcn"), "did you mean 'pcm'"),
    "compile array": (_compile("--array", "64"), "--array: must be rows x columns, as 64x64"),
    "compile rows": (_compile("--array", "0x64"), "array_rows: must be a whole number in 1..1024"),
    "small array": (_compile("--array", "8x4", "--pairs", "4"), "array_columns: a weight takes 8"),
    "compile tolerance": (_compile("--program-tolerance", ".02"), "what a verify of pcm can tell"),
    "cores": (_compile("--cores", "1"), "cores: 2 needed"),
    "compile set": (_compile("--set", "stuk=1"), "unknown setting 'stuk'; did you mean 'stuck'?"),
    "compile table": (_compile("--device-table", "no.toml"), "no.toml"),
    "ideal draws": (_compile("--sampling", "binary", "--device", "ideal"), "have no noise"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_code_2_and_nothing_written(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, expect = BAD[case]
    words = made(tmp_path)
    before = listing(tmp_path)
    assert run(*words, *(["-q"] if "list" not in words else [])) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expect in captured.err
    assert listing(tmp_path) == before
