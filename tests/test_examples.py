"""The shipped examples: the same output bits on every mesh, with stalls on every stream.

By default a few combinations of cores and lanes and some samples of each; all of them with
NERVURE_FULL=1.
"""

from pathlib import Path

import numpy as np
import pytest

from codesign.compile import compile_model
from codesign.settings import load_settings
from hdl.emit import emit_verilog
from mapping.importers.nir import load_nir
from mapping.mapper import map_program
from mapping.quantise import quantise
from mapping.readout import decide
from sim.cocotb_run import run_testbench
from sim.golden.network import Golden
from sim.rtl import Rtl, Stalls
from sim.stimulus import quantise_inputs, read_stimulus, real_outputs
from tests.kit import FULL
from tests.stalls import StallingFabric

EXAMPLES = Path(__file__).parent.parent / "examples"
MODELS = ("digits", "vowels", "recurrent")
DEFAULT = [("digits", 2, 1), ("vowels", 1, 16), ("vowels", 4, 4), ("recurrent", 4, 16)]
COMBINATIONS = (
    [(m, c, n) for m in MODELS for c in (1, 2, 4, 9) for n in (1, 4, 16)] if FULL else DEFAULT
)
SAMPLES = 60 if FULL else 12

#: Least accuracy on all test samples of the quantised model (printed by its training script).
ACCURACY = {"digits": 0.94, "vowels": 0.95, "recurrent": 0.95}


def load(name, **overrides):
    """Settings, Program and integer stimulus of an example."""
    folder = EXAMPLES / name
    settings = load_settings(folder / "nervure.toml", overrides)
    graph = load_nir(next(folder.glob("*.nir")), settings.options)
    calibration = read_stimulus(folder / "calibration.npz")
    program, _ = quantise(
        graph, calibration.inputs, settings.quantisation, lengths=calibration.lengths
    )
    return settings, program, read_stimulus(folder / "test.npz")


@pytest.mark.parametrize("name", MODELS)
def test_accuracy_of_the_integers(name):
    _, program, test = load(name)
    outputs = Golden(program).run(quantise_inputs(program, test), test.lengths).outputs
    decision = decide(program.readout, real_outputs(program, outputs), test.lengths)
    assert (decision == test.labels).mean() >= ACCURACY[name]


@pytest.mark.parametrize(("name", "cores", "lanes"), COMBINATIONS)
def test_every_mesh_gives_goldens_bits(name, cores, lanes, tmp_path):
    settings, program, test = load(name, cores=cores, lanes=lanes)
    mapped = map_program(program, settings.target)
    hardware = StallingFabric(mapped.mesh, mapped.host, mapped.images)
    for file, text in emit_verilog(hardware, "nervure").items():
        (tmp_path / file).write_text(text)
    chosen = np.linspace(0, test.samples - 1, SAMPLES).astype(int)
    inputs, lengths = quantise_inputs(program, test)[chosen], test.lengths[chosen]
    golden = Golden(program).run(inputs, lengths)
    assert golden.outputs.any()
    rtl = Rtl(mapped, sorted(tmp_path.iterdir()), optimise=FULL)
    stalls = Stalls(on_input=0.3, on_output=0.3, seed=cores * 100 + lanes)
    found = rtl.run(inputs, lengths, probe=True, stalls=stalls)
    assert found.errors == ()
    np.testing.assert_array_equal(found.outputs, golden.outputs)
    for population, state in golden.final.items():
        np.testing.assert_array_equal(found.final[population]["membrane"], state.membrane)
        if program.formats.current_bits:
            np.testing.assert_array_equal(found.final[population]["current"], state.current)


@pytest.mark.cocotb
@pytest.mark.parametrize(("name", "cores"), [("recurrent", 2), ("vowels", 1)][: 1 + FULL])
def test_the_exported_testbench_passes(name, cores, tmp_path):
    folder = EXAMPLES / name
    artefact = compile_model(
        next(folder.glob("*.nir")),
        tmp_path / name,
        load_settings(folder / "nervure.toml", {"cores": cores}),
        calibration=folder / "calibration.npz",
    )
    result = run_testbench(artefact.directory, seed=7)
    assert result.passed, result.failures
    assert result.tests >= 2
