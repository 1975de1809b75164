"""The shipped examples on emulated PCM: golden accuracy, and RTL bit for bit, whatever the noise.

By default a few samples of one tiling each in RTL; all tilings, more samples and more seeds with
NERVURE_FULL=1.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.crossbar.age import aged
from codesign.crossbar.program import program_crossbars
from codesign.settings import load_settings
from codesign.simulate import class_scores
from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from mapping.importers.nir import load_nir
from mapping.mapper import map_program
from mapping.quantise import quantise
from sim.golden.network import Golden
from sim.rtl import Rtl, Stalls
from sim.stimulus import quantise_inputs, read_stimulus
from tests.kit import FULL

EXAMPLES = Path(__file__).parent.parent / "examples"
SAMPLES = 24 if FULL else 6
SEEDS = range(8) if FULL else range(3)

#: Example, settings, least accuracy of all test samples in the golden network.
CASES = [
    ("digits", {"array_rows": 40, "array_columns": 24, "pairs": 2}, 0.90),
    ("digits", {"array_rows": 64, "array_columns": 64}, 0.90),
    (
        "digits",
        {"array_rows": 13, "array_columns": 66, "correlated": True, "program_tolerance": 1.5},
        0.85,
    ),
    ("bayesian", {"sampling": "binary", "array_columns": 32, "cores": 2}, 0.92),
    ("bayesian", {"sampling": "ternary", "array_rows": 100}, 0.92),
]
BINARY = {"sampling": "binary"}
RTL = CASES if FULL else CASES[3:4]


def programmed(name, options):
    """Settings, Program and records of an example on crossbars."""
    folder = EXAMPLES / name
    settings = load_settings(folder / "nervure.toml", {"engine": "crossbar", **options})
    graph = load_nir(next(folder.glob("*.nir")), settings.options)
    data = read_stimulus(folder / "calibration.npz")
    program, _ = quantise(graph, data.inputs, settings.quantisation, lengths=data.lengths)
    events = quantise_inputs(program, data)
    program, records = program_crossbars(
        program, graph, settings.quantisation, settings.crossbar, events, data.lengths
    )
    return settings, program, records


def on_devices(name, options):
    """Settings, Program and test data of an example on crossbars."""
    settings, program, _ = programmed(name, options)
    return settings, program, read_stimulus(EXAMPLES / name / "test.npz")


def scores(program, test):
    events = quantise_inputs(program, test)
    outputs = Golden(program).run(events, test.lengths, threads=2).outputs
    return class_scores(program, outputs, test.lengths)


@pytest.mark.parametrize(("name", "options", "least"), CASES, ids=str)
def test_golden_accuracy(name, options, least):
    settings, program, test = on_devices(name, options)
    members = [scores(aged(program, settings.crossbar, noise_seed=seed), test) for seed in SEEDS]
    right = [(member.argmax(1) == test.labels).mean() for member in members]
    assert min(right) >= least, right
    assert any((a != members[0]).any() for a in members[1:]), "no noise"
    together = (np.sum(members, axis=0).argmax(1) == test.labels).mean()
    assert together >= min(right)


@pytest.mark.parametrize(("name", "options", "least"), RTL, ids=str)
def test_rtl_is_golden(name, options, least, tmp_path):
    """Outputs and final states, with seeds, ages and compensations that change at run time."""
    settings, program, test = on_devices(name, options)
    mapped = map_program(program, settings.target)
    fabric = Fabric(mapped.mesh, mapped.host, mapped.images)
    for file, text in emit_verilog(fabric, "nervure").items():
        (tmp_path / file).write_text(text)
    rtl = Rtl(mapped, sorted(tmp_path.iterdir()), optimise=FULL)
    chosen = np.linspace(0, test.samples - 1, SAMPLES).astype(int)
    inputs, lengths = quantise_inputs(program, test)[chosen], test.lengths[chosen]
    day = aged(program, settings.crossbar, 86400.0, "column")
    conditions = [program, *(aged(day, settings.crossbar, noise_seed=seed) for seed in SEEDS)]
    for changed in conditions:
        rtl.mapped = replace(mapped, program=changed)
        golden = Golden(changed).run(inputs, lengths)
        found = rtl.run(
            inputs, lengths, probe=True, stalls=Stalls(on_input=0.3, on_output=0.3, seed=2)
        )
        assert found.errors == ()
        np.testing.assert_array_equal(found.outputs, golden.outputs)
        for population, state in golden.final.items():
            np.testing.assert_array_equal(
                found.final[population]["membrane"], state.membrane, population
            )


def test_posterior_fidelity():
    """A tighter tolerance, verified by enough reads, brings probabilities nearer, for more pulses.

    The law in the middle of the range: tests/crossbar/test_crossbar_program_law.py.
    """
    fine, coarse = (
        programmed("bayesian", {"program_tolerance": t, "program_averages": 8, **BINARY})[2][0]
        for t in (0.25, 1.0)
    )
    assert 0.04 < fine.chance_error < 0.07
    assert 0.14 < coarse.chance_error < 0.21
    assert 5.5 < fine.pulses_per_device < 7.5
    assert 1.6 < coarse.pulses_per_device < 2.1
    assert fine.failed == coarse.failed == 0
