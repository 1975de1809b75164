"""The attention example from its torch file to the fabric: accuracy as printed, every bit alike."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.compile import compile_model
from codesign.settings import load_settings
from hdl.emit import emit_verilog
from hdl.params.sc.attention import AttentionParams
from mapping.importers.load import load_graph
from mapping.mapper import map_program
from mapping.quantise import quantise
from mapping.readout import decide
from mapping.reference import simulate
from sim.golden.network import Golden
from sim.quantisation import quantisation_loss
from sim.rtl import Rtl, Stalls
from sim.stimulus import quantise_inputs, read_stimulus
from tests.stalls import StallingFabric

FOLDER = Path(__file__).parent.parent / "examples" / "attention"
README = (FOLDER.parent / "README.md").read_text()


def load():
    """Graph, Program, stimulus and its integers."""
    settings = load_settings(FOLDER / "nervure.toml")
    graph = load_graph(FOLDER / "model.pt", settings.options)
    calibration = read_stimulus(FOLDER / "calibration.npz")
    program, reports = quantise(graph, calibration.inputs, settings.quantisation)
    assert all(w.exact for r in reports for w in r.weights)
    test = read_stimulus(FOLDER / "test.npz")
    return graph, program, test, quantise_inputs(program, test)


@pytest.fixture(scope="module")
def example():
    return load()


def with_seed(program, seed):
    """The Program with other draws of its attention head."""
    drawn = [
        replace(p, dendrites=replace(p.dendrites, seed=seed)) if p.dendrites else p
        for p in program.populations
    ]
    return replace(program, populations=tuple(drawn))


def right(outputs, test):
    return int((decide("last", outputs) == test.labels).sum())


def test_the_golden_model_answers_what_the_readme_says(example):
    _, program, test, inputs = example
    golden = Golden(program).run(inputs, test.lengths)
    printed = re.search(r"golden model, 4-bit weights \| [.0-9]+ \((\d+) of (\d+)\)", README)
    assert (right(golden.outputs, test), test.samples) == tuple(map(int, printed.groups()))
    assert right(golden.outputs, test) >= 0.93 * test.samples


def test_float_and_golden_model_are_alike_over_draws(example):
    """Mean accuracy over eight draws each; their difference has a deviation of .0035."""
    graph, program, test, inputs = example
    real, golden = [], []
    for seed in range(8):
        real.append(right(simulate(graph, test.inputs, keep=(), seed=seed).outputs, test))
        changed = Golden(with_seed(program, seed))
        golden.append(right(changed.run(inputs, test.lengths).outputs, test))
    assert len(set(golden)) > 1
    assert len(set(real)) > 1
    assert abs(np.mean(real) - np.mean(golden)) < 5 * 0.0035 * test.samples


def test_what_answers_without_the_attention_is_chance(example):
    """The last row sees the others only through the head: without queries it knows too little."""
    _, program, test, inputs = example
    deaf = tuple(
        replace(p, fields={**p.fields, "threshold": p.fields["threshold"] * 0 + (1 << 16) - 1})
        if p.name.endswith("query.lif")
        else p
        for p in program.populations
    )
    golden = Golden(replace(program, populations=deaf)).run(inputs, test.lengths)
    assert golden.events["blocks.0.attention"].sum() == 0
    assert right(golden.outputs, test) < 0.5 * test.samples


def test_the_loss_is_told_as_accuracy_not_as_equal_values(example):
    graph, program, test, inputs = example
    part = replace(
        test, inputs=test.inputs[:60], lengths=test.lengths[:60], labels=test.labels[:60]
    )
    outputs = Golden(program).run(inputs[:60], test.lengths[:60]).outputs
    loss = quantisation_loss(program, graph, part, outputs)
    assert loss.relative_error is None
    assert loss.spike_agreement is None
    assert 0.8 < loss.float_agreement < 1
    assert "those of two float runs" in str(loss)
    assert "(random draws), accuracy" in str(loss)


@pytest.mark.parametrize(("cores", "lanes"), [(2, 1), (4, 4)])
def test_every_mesh_gives_goldens_bits(example, cores, lanes, tmp_path):
    _, program, test, inputs = example
    settings = load_settings(FOLDER / "nervure.toml", {"cores": cores, "lanes": lanes})
    mapped = map_program(program, settings.target)
    hardware = StallingFabric(mapped.mesh, mapped.host, mapped.images)
    for file, text in emit_verilog(hardware, "nervure").items():
        (tmp_path / file).write_text(text)
    chosen = np.linspace(0, test.samples - 1, 8).astype(int)
    inputs, lengths = inputs[chosen], test.lengths[chosen]
    golden = Golden(program).run(inputs, lengths)
    assert golden.events["blocks.0.attention"].all()
    rtl = Rtl(mapped, sorted(tmp_path.iterdir()), optimise=False)
    stalls = Stalls(on_input=0.3, on_output=0.3, seed=cores)
    found = rtl.run(inputs, lengths, probe=True, stalls=stalls)
    assert found.errors == ()
    np.testing.assert_array_equal(found.outputs, golden.outputs)
    for population, state in golden.final.items():
        np.testing.assert_array_equal(found.final[population]["membrane"], state.membrane)


def test_an_artefact_keeps_its_torch_file(tmp_path):
    artefact = compile_model(
        FOLDER / "model.pt", tmp_path / "made", load_settings(FOLDER / "nervure.toml")
    )
    assert artefact.manifest["model"] == "model.pt"
    assert (artefact.directory / "model.pt").read_bytes() == (FOLDER / "model.pt").read_bytes()
    heads = [p.dendrites for p in artefact.program.populations if p.dendrites]
    expected = AttentionParams(tokens=8, dim=24, causal=True, score_gain=3, value_gain=2)
    assert heads == [expected]
    assert [n.dendrites for n in artefact.graph.layers if n.dendrites] == heads
    assert "an attention head" in (artefact.directory / "report.html").read_text()
