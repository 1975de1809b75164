"""verify: green on what was generated, and red with the right name on what was sabotaged."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.params.errors import ToolMissing, UserError
from hdl.params.neuron import Emit, Reset
from mapping.mapped import Mapped, Target
from mapping.mapper import map_program
from mapping.program import Formats
from sim import rtl as rtl_module
from sim import verify as verify_module
from sim.export import export_testbench
from sim.stimulus import Stimulus
from sim.verify import FAIL, NOT_RUN, PASS, verify
from tests.kit import random_events, random_program

STEPS = 8


def artefact(folder: Path, mapped: Mapped) -> list[Path]:
    """Writes rtl/ as `compile` does; the sources."""
    (folder / "rtl").mkdir(parents=True)
    for name, text in emit_verilog(
        Fabric(mapped.mesh, mapped.host, mapped.images), "nervure"
    ).items():
        (folder / "rtl" / name).write_text(text)
    return sorted((folder / "rtl").iterdir())


def stimulus_for(mapped: Mapped, samples: int = 3, steps: int = STEPS, seed: int = 2) -> Stimulus:
    """Real inputs whose integers are random events."""
    program = mapped.program
    x = random_events(seed, program, samples, steps, rate=0.4)
    if any(i.graded for i in program.inputs):
        x = x * np.concatenate([np.full(i.size, i.scale) for i in program.inputs])
    lengths = np.full(samples, steps)
    lengths[-1] = max(steps - 2, 1)
    return Stimulus(inputs=x, lengths=lengths)


@pytest.fixture(scope="module")
def small() -> Mapped:
    """One core, dense rows, inputs that only feed the first level: each weight has one target."""
    program = random_program(
        5, (6, 5, 3), skip=False, recurrent=False, exponents=0, emit=Emit.SPIKE,
        reset=Reset.SUBTRACT, formats=Formats(membrane_bits=20),
    )  # fmt: skip
    return map_program(program, Target(cores=1, lanes=4, update_lanes=1, index="none"))


@pytest.fixture
def built(tmp_path: Path, small: Mapped) -> tuple[Path, list[Path]]:
    return tmp_path, artefact(tmp_path, small)


def edit(path: Path, pattern: str, change: Callable[[re.Match[str]], str]) -> None:
    """Replaces the first match in a file."""
    text, count = re.subn(pattern, change, path.read_text(), count=1)
    assert count == 1, f"{pattern} does not occur in {path.name}"
    path.write_text(text)


def flip_weight(path: Path, mapped: Mapped, source: int, neuron: int, population: str) -> None:
    """Flips the sign bit of the weight from an input to a neuron, in the Verilog."""
    core = mapped.mesh.cores[0]
    axon = mapped.input_routes[source][0][0]
    group, lane = divmod(int(mapped.slots[population][1][neuron]), core.lanes)
    bit = 1 << (lane * core.entry_bits + core.weight_bits - 1)
    word = axon * core.groups + group

    def change(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2], 16) ^ bit:x};"

    edit(path, rf"(synapses *\[{word}\] = \d+'h)([0-9a-f]+);", change)


@pytest.mark.parametrize(
    ("sizes", "options", "cores", "lanes"),
    [
        ((12, 16, 10, 4), {}, 1, 4),
        ((3, 1, 2), {"cuba": True}, 1, 1),
        ((9, (3, 7), 5, 3), {"graded": True}, 4, 4),
    ],
    ids=["lif", "tiny-cuba", "graded-4-cores"],
)
def test_what_was_generated_agrees(sizes, options, cores, lanes, tmp_path):
    program = random_program(3, sizes, **options)
    mapped = map_program(program, Target(cores=cores, lanes=lanes))
    stimulus = stimulus_for(mapped)
    found = verify(mapped, artefact(tmp_path, mapped), stimulus, seed=4, cocotb=False)
    assert found.status == PASS, found
    assert found.mismatches == 0
    assert (found.samples, found.steps, found.seed) == (3, STEPS, 4)
    assert [s.status for s in found.stages] == [NOT_RUN, PASS, PASS, NOT_RUN]
    formats = program.formats
    state = sum(p.size for p in program.populations) * (
        formats.membrane_bits + formats.current_bits
    )
    width = {Emit.SPIKE: 1, Emit.VALUE: formats.payload_bits, Emit.STATE: formats.membrane_bits}
    outputs = sum(
        width[Emit(int(e))] for n in program.outputs for e in program.population(n).fields["emit"]
    )
    assert found.compared_bits == 2 * ((3 * STEPS - 2) * outputs + 3 * state)
    json = found.to_json()
    assert {"status", "mismatches", "compared_bits", "steps", "cores", "seed", "stages"} <= set(
        json
    )
    assert json["cores"] == sum(core is not None for core in mapped.mesh.cores)


def test_a_flipped_weight_bit_is_caught_and_named(built, small, tmp_path):
    folder, sources = built
    stimulus = stimulus_for(small)
    flip_weight(folder / "rtl" / "nervure.v", small, source=2, neuron=3, population="pop1_0")
    found = verify(
        small, sources, stimulus, cocotb=False, waveforms=tmp_path / "waves",
        replay="nervure verify DIR --input F", seed=9,
    )  # fmt: skip
    assert found.status == FAIL
    assert found.mismatches > 0
    first = found.first[0]
    # The input that the wrong weight multiplies must have come in that step, not before.
    active = np.flatnonzero(stimulus.inputs[first.sample, :, 2])
    assert (first.population, first.neuron, first.signal) == ("pop1_0", 3, "membrane")
    assert first.step == active[0]
    assert first.expected != first.found
    assert f"core (0, 0), neuron pop1_0[3] (slot {small.slots['pop1_0'][1][3]})" in str(first)
    assert re.search(r"membrane: expected 0x[0-9a-f]{5} \(-?\d+\), found 0x[0-9a-f]{5}", str(first))
    assert found.replay == (
        f"nervure verify DIR --input F --sample {first.sample} --steps {first.step + 1} --seed 9"
    )
    assert found.waveform is not None
    assert "$enddefinitions" in found.waveform.read_text()

    again = verify(
        small, sources, stimulus, cocotb=False, sample=first.sample, steps=first.step + 1, seed=9
    )
    assert again.first[0] == first


def test_a_swapped_comparison_is_caught(built, small):
    folder, sources = built
    edit(
        folder / "rtl" / "nervure.v",
        r"\$signed\(potential\) > ",
        lambda match: match[0].replace(">", "<"),
    )
    found = verify(small, sources, stimulus_for(small), cocotb=False)
    assert found.status == FAIL
    assert found.first[0].signal in ("membrane", "output")
    assert found.first[0].population == "pop1_0"


def test_a_flipped_bit_in_a_memory_file_is_caught(tmp_path):
    program = random_program(6, (20, 16, 2), skip=False, recurrent=False, emit=Emit.SPIKE)
    mapped = map_program(program, Target(cores=1, lanes=1, index="none"))
    sources = artefact(tmp_path, mapped)
    named = re.search(r'readmemh\("(\w+\.mem)", synapses', sources[0].read_text())
    assert named is not None
    memory = tmp_path / "rtl" / named[1]
    lines = memory.read_text().splitlines()
    core = mapped.mesh.cores[0]
    axon = mapped.input_routes[4][0][0]
    word = axon * core.groups + int(mapped.slots["pop1_0"][1][7])
    lines[word] = f"{int(lines[word], 16) ^ (1 << (core.weight_bits - 1)):x}"
    memory.write_text("\n".join(lines) + "\n")
    found = verify(mapped, sources, stimulus_for(mapped), cocotb=False, stalls=False)
    assert found.status == FAIL
    assert (found.first[0].population, found.first[0].neuron) == ("pop1_0", 7)


def test_a_fabric_that_hangs_is_a_mismatch(built, small):
    folder, sources = built
    edit(
        folder / "rtl" / "nervure.v",
        r"(?s)(\nmodule nervure\(.*?\.o__valid\()o__valid\)",
        lambda match: f"{match[1]})",
    )
    found = verify(small, sources, stimulus_for(small, 1, 2), cocotb=False, stalls=False)
    assert found.status == FAIL
    assert found.mismatches == 1
    assert found.compared_bits == 0
    assert found.first[0].signal == "protocol"
    assert "stalled at cycle" in str(found.first[0])
    assert found.first[0].step == 0


def test_a_missing_tool_is_not_run_with_its_reason(built, small, monkeypatch):
    def missing(*arguments, **options):
        raise ToolMissing("g++ was not found: apt install g++")

    monkeypatch.setattr(rtl_module.Verilated, "build", missing)
    found = verify(small, built[1], stimulus_for(small), cocotb=False)
    assert found.status == NOT_RUN
    assert found.mismatches == 0
    assert [s.reason for s in found.stages if s.name == "rtl"] == [
        "g++ was not found: apt install g++"
    ]


def test_random_input_is_used_without_a_stimulus(built, small):
    found = verify(small, built[1], None, steps=3, samples=2, cocotb=False, stalls=False)
    assert found.status == PASS
    assert (found.samples, found.steps) == (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 3}, "stimulus: there is no sample 3, it has 3 (from 0 on)"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"samples": 0}, "samples must be at least 1, not 0"),
    ],
)
def test_wrong_choices_are_refused(small, options, message):
    with pytest.raises(UserError) as error:
        verify(small, [], stimulus_for(small), **options)
    assert str(error.value) == message


def test_quantisation_loss_stands_beside_mismatches(monkeypatch, tmp_path):
    """The figures are those of the floating-point model and never count as mismatches."""
    from mapping.importers.nir import load_nir
    from mapping.quantise import quantise
    from mapping.reference import simulate
    from sim.golden.network import Golden
    from sim.quantisation import quantisation_loss
    from sim.stimulus import quantise_inputs, read_stimulus

    examples = Path(__file__).resolve().parents[2] / "examples" / "digits"
    from codesign.settings import load_settings

    settings = load_settings(examples / "nervure.toml")
    graph = load_nir(examples / "digits.nir", settings.options)
    stimulus = read_stimulus(examples / "test.npz")
    program, _ = quantise(graph, stimulus.inputs, settings.quantisation, lengths=stimulus.lengths)
    golden = Golden(program).run(quantise_inputs(program, stimulus), stimulus.lengths).outputs
    loss = quantisation_loss(program, graph, stimulus, golden)
    reference = simulate(graph, stimulus.inputs.astype(float)).outputs
    assert loss.spike_agreement == pytest.approx(((reference != 0) == (golden != 0)).mean())
    assert loss.accuracy_golden is not None
    assert loss.accuracy_golden > 0.9
    assert loss.decision_agreement is not None
    silent = quantisation_loss(program, graph, stimulus, np.zeros_like(golden))
    assert silent.spikes_golden == 0
    assert silent.accuracy_golden < 0.3


@pytest.mark.cocotb
def test_cocotb_runs_the_artefact_s_own_testbench(built, small):
    folder, sources = built
    stimulus = stimulus_for(small)
    export_testbench(small, folder, stimulus)
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    found = verify(small, sources, stimulus, directory=folder, stalls=False)
    assert found.status == PASS, found
    assert next(s for s in found.stages if s.name == "cocotb").reason == "3 tests passed"

    flip_weight(folder / "rtl" / "nervure.v", small, source=2, neuron=3, population="pop1_0")
    before[folder / "rtl" / "nervure.v"] = (folder / "rtl" / "nervure.v").read_bytes()
    found = verify(small, sources, stimulus, directory=folder, stalls=False)
    stage = next(s for s in found.stages if s.name == "cocotb")
    assert stage.status == FAIL
    assert "core (0, 0), neuron pop" in stage.reason
    assert {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()} == before


def test_only_the_whole_run_shows_it(built, small, monkeypatch):
    """A difference that does not come back is still reported, with what is known."""
    monkeypatch.setattr(verify_module, "locate", lambda *arguments: ())
    folder, sources = built
    flip_weight(folder / "rtl" / "nervure.v", small, source=2, neuron=3, population="pop1_0")
    found = verify(small, sources, stimulus_for(small), cocotb=False, stalls=False)
    assert "does not show when the sample is run by itself" in str(found.first[0])
    assert replace(found.first[0], text="").signal == "protocol"
