"""The exported testbench: what it holds, what it says about differences, that it runs."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.mapped import Mapped, Target
from mapping.mapper import map_program
from sim import export
from sim.cocotb_run import run_testbench
from sim.expected import canonical
from sim.export import export_testbench, random_inputs
from sim.rtl import Rtl
from sim.stimulus import Stimulus
from sim.words import load_words
from tests.kit import random_events, random_program

SOURCES = ("Makefile", "README.md", "compare.py", "ports.vlt", "test_nervure.py", "test_runner.py")
VECTORS = ("expected.hex", "layout.json", "load.hex", "stimulus.hex")


def mapped_for(seed: int = 1, sizes=(6, 5, 3), cores: int = 1, lanes: int = 2, **options) -> Mapped:
    program = random_program(seed, sizes, **options)
    return map_program(program, Target(cores=cores, lanes=lanes))


def write_rtl(mapped: Mapped, folder: Path) -> list[Path]:
    (folder / "rtl").mkdir(parents=True)
    fabric = Fabric(mapped.mesh, mapped.host, mapped.images)
    for name, text in emit_verilog(fabric, "nervure").items():
        (folder / "rtl" / name).write_text(text)
    return sorted((folder / "rtl").iterdir())


def load_compare(folder: Path) -> ModuleType:
    """The testbench's own compare.py, with the layout beside it."""
    spec = importlib.util.spec_from_file_location("compare", folder / "tb" / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_same_arguments_same_bytes(tmp_path):
    mapped = mapped_for(cuba=True)
    folders = [export_testbench(mapped, tmp_path / name, None) for name in "ab"]
    first, second = ({p.name: p.read_bytes() for p in f.iterdir()} for f in folders)
    assert sorted(first) == sorted([*SOURCES, *VECTORS])
    assert first == second
    assert sum(len(data) for data in first.values()) < 100_000


def test_it_needs_nothing_of_ours_and_names_no_path(tmp_path):
    folder = export_testbench(mapped_for(), tmp_path, None)
    for path in folder.iterdir():
        text = path.read_text()
        assert str(tmp_path) not in text
        assert str(Path(__file__).resolve().parents[2]) not in text
        assert not re.search(r"^\s*(from|import) (hdl|mapping|sim|codesign|numpy)\b", text, re.M)


def test_the_stored_answer_is_that_of_the_verilog(tmp_path):
    """Lengths differ; the words, sent as they stand, give the words, as they stand."""
    mapped = mapped_for(3, cores=4, cuba=True)
    x = random_events(4, mapped.program, 3, 6)
    export_testbench(mapped, tmp_path, Stimulus(inputs=x, lengths=np.array([6, 1, 4])), samples=3)
    tb = load_compare(tmp_path)
    sent, expected = tb.read_hex("stimulus.hex"), tb.read_hex("expected.hex")
    samples = tb.LAYOUT["samples"]
    assert [s["steps"] for s in samples] == [6, 1, 4]
    rtl = Rtl(mapped, write_rtl(mapped, tmp_path), optimise=False)
    marks = sum(s["marks"] for s in samples)
    with rtl.built.new() as model:
        model.reset()
        stop = 1 << mapped.host.body_bits
        from sim.verilated import StopOn

        found = model.stream(sent, until=StopOn(mask=stop, value=stop, count=marks)).ints()
    assert canonical(mapped, np.array(found, np.uint64)).tolist() == expected
    assert tb.compare(expected, found, samples) == []
    assert tb.read_hex("load.hex") == load_words(mapped).tolist()


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> tuple[Mapped, ModuleType, list[int]]:
    mapped = mapped_for(8, (6, 5, 3), cores=2, cuba=True, emit=Emit.STATE)
    folder = tmp_path_factory.mktemp("vectors")
    export_testbench(mapped, folder, None, samples=2)
    tb = load_compare(folder)
    return mapped, tb, tb.read_hex("expected.hex")


def kinds(tb: ModuleType, words: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Places of MARKs, of state replies and of events."""
    marks = [i for i, w in enumerate(words) if w & tb.MARK]
    states = [i for i, w in enumerate(words) if not w & tb.MARK and w & tb.CONFIG]
    events = [i for i, w in enumerate(words) if not w & (tb.MARK | tb.CONFIG)]
    return marks, states, events


def test_a_wrong_output_is_named(vectors):
    mapped, tb, words = vectors
    place = kinds(tb, words)[2][4]
    wrong = [w ^ (4 if i == place else 0) for i, w in enumerate(words)]
    (text,) = tb.compare(words, wrong, tb.LAYOUT["samples"])
    # Three outputs a step, all of them always sent: the fifth event is output 1 of step 1.
    tile, slot = (int(part[1]) for part in mapped.slots["pop2_0"])
    y, x = divmod(tile, mapped.mesh.flit.width)
    start = f"sample 0, step 1, core ({x}, {y}), neuron pop2_0[1] (slot {slot}): output expected 0x"
    assert text.startswith(start)


def test_a_wrong_state_is_named_with_its_signal(vectors):
    _, tb, words = vectors
    place = kinds(tb, words)[1][0]
    wrong = [w ^ (4 if i == place else 0) for i, w in enumerate(words)]
    (text,) = tb.compare(words, wrong, tb.LAYOUT["samples"])
    assert re.fullmatch(
        r"sample 0, after step 19, core \(\d, \d\), neuron pop\d_0\[\d\] \(slot \d+\): "
        r"membrane expected 0x[0-9a-f]{4} \(-?\d+\), found 0x[0-9a-f]{4} \(-?\d+\)",
        text,
    )


def test_lost_doubled_and_late_words_are_named(vectors):
    _, tb, words = vectors
    marks, _, events = kinds(tb, words)
    samples = tb.LAYOUT["samples"]
    lost = words[: events[0]] + words[events[0] + 1 :]
    assert "found nothing" in tb.compare(words, lost, samples)[0]
    doubled = [*words[: events[0]], words[events[0]], *words[events[0] :]]
    assert "output came 2 times, expected 1" in tb.compare(words, doubled, samples)[0]
    late = [*lost]
    late.insert(marks[2], words[events[0]])  # behind the MARK that closed its tick
    assert len(tb.compare(words, late, samples)) >= 2
    short = words[: marks[-1]]
    assert re.match(r"\d+ MARKs came, expected \d+", tb.compare(words, short, samples)[0])


def test_long_samples_are_cut_and_many_left_out(tmp_path, monkeypatch):
    mapped = mapped_for()
    monkeypatch.setattr(export, "MOST_WORDS", 300)
    x = random_events(1, mapped.program, 6, 500)
    export_testbench(mapped, tmp_path, Stimulus(inputs=x, lengths=np.full(6, 500)), samples=6)
    tb = load_compare(tmp_path)
    (record,) = tb.LAYOUT["samples"]
    assert 1 <= record["steps"] < 500
    assert record["words"] == len(tb.read_hex("stimulus.hex")) <= 300


def test_random_inputs_reach_every_input():
    mapped = mapped_for(graded=True)
    x = random_inputs(mapped.program, 2, 5)
    assert x.shape == (2, 5, 6)
    assert (random_inputs(mapped_for().program, 2, 5)[:, 0] == 1).all()
    assert not x[:, -1].any()
    assert (random_inputs(mapped.program, 2, 5) == x).all()


def test_a_damaged_testbench_is_refused(tmp_path):
    mapped = mapped_for()
    export_testbench(mapped, tmp_path, None)
    (tmp_path / "tb" / "layout.json").unlink()
    with pytest.raises(UserError, match=r"tb/layout\.json is missing; compile it again"):
        run_testbench(tmp_path)


@pytest.mark.cocotb
def test_it_passes_on_a_mesh_and_fails_on_wrong_vectors(tmp_path):
    mapped = mapped_for(4, (9, (3, 5), 4), cores=4, graded=True, cuba=True)
    write_rtl(mapped, tmp_path)
    export_testbench(mapped, tmp_path, None, samples=2)
    found = run_testbench(tmp_path, seed=3)
    assert found.passed, found.failures
    assert (found.tests, found.failed) == (3, 0)

    path = tmp_path / "tb" / "expected.hex"
    lines = path.read_text().splitlines()
    place = next(
        i for i, w in enumerate(lines) if i > 5 and int(w, 16) < 1 << mapped.host.body_bits
    )
    lines[place] = f"{int(lines[place], 16) ^ 1:x}"
    path.write_text("\n".join(lines) + "\n")
    found = run_testbench(tmp_path, seed=4)
    assert not found.passed
    assert not found.built  # the Verilog is the same
    assert found.failed == 3
    assert "sample 0, step" in found.failures[0]


@pytest.mark.cocotb
def test_make_runs_it(tmp_path):
    mapped = mapped_for(5, (40, 30, 3), lanes=1)  # large enough for memory files
    sources = write_rtl(mapped, tmp_path)
    assert any(path.suffix == ".mem" for path in sources)
    export_testbench(mapped, tmp_path, None, samples=1)
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}"], cwd=tmp_path / "tb", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "TESTS=3 PASS=3 FAIL=0 SKIP=0" in done.stdout + done.stderr
