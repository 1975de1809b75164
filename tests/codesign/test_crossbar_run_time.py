"""One build on crossbars at several ages, compensations and noise seeds: RTL and command line."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from codesign.artefact import Artefact
from codesign.crossbar.age import aged
from codesign.runtime import RunTime
from codesign.simulate import read_input
from sim.golden.network import Golden
from sim.rtl import Rtl
from sim.stimulus import quantise_inputs
from tests.codesign.small import compiled, run

MONTH, DAY = 2592000.0, 86400.0


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small network on crossbars, that tests don't change but for its report."""
    return compiled(
        tmp_path_factory.mktemp("aged"), "--engine", "crossbar", "--array", "8x8", "--device-seed",
        "4", "--set", "converters=2", "--weight-bits", "4",
    )  # fmt: skip


def test_one_build_answers_at_every_age(built):
    """The RTL, built once, against golden: ages, compensations, seeds, and back."""
    artefact = Artefact.open(built)
    stimulus = read_input(artefact, built.parent / "in.npz")
    events = quantise_inputs(artefact.program, stimulus)
    rtl = Rtl(artefact.mapped, artefact.sources, optimise=False)
    seen = []
    for run_time in (
        RunTime(),
        RunTime(age=DAY, noise_seed=3),
        RunTime(age=DAY, compensation="column", noise_seed=3),
        RunTime(age=MONTH, compensation="global"),
        RunTime(noise_seed=9),
        RunTime(),
    ):
        program = artefact.at(run_time).program
        golden = Golden(program).run(events, stimulus.lengths)
        rtl.mapped = replace(artefact.mapped, program=program)
        found = rtl.run(events, stimulus.lengths, probe=True)
        assert found.errors == ()
        np.testing.assert_array_equal(found.outputs, golden.outputs, str(run_time))
        for name, state in golden.final.items():
            np.testing.assert_array_equal(found.final[name]["membrane"], state.membrane)
        seen.append(np.concatenate([s.membrane for s in golden.final.values()], axis=1))
    assert all((a != b).any() for a, b in pairwise(seen))
    assert (seen[0] == seen[-1]).all()


def test_run_time_choices_on_the_command_line(built, tmp_path, capsys):
    data, out = built.parent / "in.npz", tmp_path / "out.npz"
    artefact = Artefact.open(built)
    stimulus = read_input(artefact, data)
    events = quantise_inputs(artefact.program, stimulus)
    given = ("--age", "86400", "--compensation", "column", "--noise-seed", "3")
    assert run("simulate", built, "-i", data, "-o", out, "-q", *given) == 0
    program = aged(artefact.program, artefact.settings.crossbar, DAY, "column", 3)
    with np.load(out) as arrays:
        spikes = arrays["spikes"]
    assert (spikes == Golden(program).run(events, stimulus.lengths).outputs).all()
    capsys.readouterr()
    assert run("evaluate", built, "-i", data, "--no-rtl", "--json", "-q", *given) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["age"], found["compensation"], found["noise_seed"]) == (DAY, "column", 3)
    page = (built / "report.html").read_text()
    assert "1 day after programming" in page
    assert "noise seed 3" in page
    assert "--age 86400.0 --compensation column --noise-seed 3" in page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--age", "-1"), "age: must be a number of seconds from 0, not -1.0"),
        (("--age", "1d"), "--age"),
        (("--compensation", "column"), "give an age too"),
        (("--age", "1", "--compensation", "best"), "must be one of none, global, column"),
        (("--noise-seed", "-3"), "noise_seed: must be in 0.."),
    ],
)
def test_wrong_choices_are_one_line(built, tmp_path, capsys, given, message):
    data = built.parent / "in.npz"
    for command in (
        ("simulate", built, "-i", data, "-o", tmp_path / "x.npz"),
        ("evaluate", built, "-i", data),
        ("verify", built, "-i", data),
    ):
        capsys.readouterr()
        assert run(*command, *given, "-q") == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
