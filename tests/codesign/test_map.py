"""The command `map`: graphs, models and artefacts, dry and built; measured activity."""

import json
import shutil
import time

import numpy as np
import pytest

from codesign.activity import FLOOR, by_name, measured
from codesign.artefact import ACTIVITY, Artefact, mapping_digest
from hdl.params.errors import UserError
from mapping.graph_file import write_graph
from mapping.mapper import map_program
from sim.golden.network import Golden
from tests.bench.families import experts, sheet
from tests.codesign.small import HIDDEN, INPUTS, OUTPUTS, compiled, run, small_model

KEYS = {
    "source", "kind", "dry_run", "neurons", "inputs", "synapses", "cores", "width", "height", "km1",
    "naive_km1", "start", "hops", "traffic", "heaviest", "occupancy", "table_entries",
    "by_population", "seconds", "partition_seconds", "memory_bytes", "notes", "hardware",
    "comparison",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    compiled(folder, "--cores", "3", "--lanes", "2")
    write_graph(folder / "graph.npz", experts(1200, 12_000, experts=4))
    return folder


def result(capsys, *arguments):
    capsys.readouterr()
    code = run("map", *arguments, "--json", "-q")
    return code, json.loads(capsys.readouterr().out)


def test_a_graph_is_mapped_dry(folder, tmp_path, capsys):
    out = tmp_path / "m.npz"
    code, found = result(
        capsys, folder / "graph.npz", "--dry-run", "--cores", 9, "--neurons", 200, "-o", out
    )
    assert code == 0
    assert set(found) == KEYS
    assert (found["kind"], found["dry_run"], found["cores"]) == ("graph", True, 9)
    assert (found["width"], found["height"]) == (3, 3)
    assert found["occupancy"]["slots"]["max"] <= 200 == found["occupancy"]["slots"]["capacity"]
    assert set(found["hops"]) == {"event", "delivery"}
    assert set(found["traffic"]) == {"multicast", "unicast", "flits", "layer order"}
    assert {"partition", "placement", "routes"} <= set(found["seconds"])
    with np.load(out) as written:
        assert np.bincount(written["core"]).max() <= 200
        assert sorted(written["tile"].tolist()) == list(range(9))
    first = out.read_bytes()
    assert run("map", folder / "graph.npz", "--dry-run", "--cores", 9, "--neurons", 200, "-o", out,
               "-q") == 0  # fmt: skip
    assert out.read_bytes() == first


def test_a_model_is_mapped_dry_and_built(folder, capsys):
    model, data = folder / "small.nir", folder / "in.npz"
    options = (model, "--calibration", data, "--cores", 3, "--lanes", 2)
    for extra in ((), ("--dry-run",)):
        code, found = result(capsys, *options, *extra)
        assert code == 0
        assert set(found) == KEYS
        assert (found["kind"], found["neurons"], found["inputs"]) == (
            "model", HIDDEN + OUTPUTS, INPUTS,
        )  # fmt: skip
        assert bool(found["hardware"]) == (not extra)
        assert "mapped for the activity that in.npz causes" in found["notes"][0]
        assert [p["name"] for p in found["by_population"]] == ["lif1", "lif2"]


def test_an_artefact_is_mapped_as_it_was_built(folder, capsys):
    code, found = result(capsys, folder / "built")
    assert code == 0
    stats = Artefact.open(folder / "built").mapped.stats
    assert found["kind"] == "artefact"
    assert found["cores"] == len(stats["cores"])
    assert found["km1"] == pytest.approx(stats["km1"])
    assert found["occupancy"]["slots"]["max"] == max(c["slots"] for c in stats["cores"])
    mapped = Artefact.open(folder / "built").mapped
    assert found["hardware"]["host_word_bits"] == mapped.host.word_bits
    code, other = result(capsys, folder / "built", "--cores", 1)
    assert (code, other["cores"]) == (0, 1)


def test_people_see_tables_and_progress(folder, capsys):
    assert run("map", folder / "graph.npz", "--dry-run", "--cores", 4) == 0
    shown = capsys.readouterr()
    for text in ("km1", "heaviest link", "fan in", "received", "Time"):
        assert text in shown.out, text
    for stage in ("reading", "partition", "placement", "routes"):
        assert stage in shown.err, stage


def test_other_ways_stand_beside_ours(folder, capsys):
    code, found = result(capsys, folder / "graph.npz", "--dry-run", "--cores", 4, "--compare")
    assert code == 0
    rows = {row["method"]: row for row in found["comparison"]}
    assert list(rows) == [
        "layer order", "networkx (Kernighan-Lin)", "METIS as it is", "mt-KaHyPar", "nervure",
    ]  # fmt: skip
    for row in rows.values():
        assert (row["skipped"] is None) == (row["km1"] is not None), row
    assert rows["nervure"]["km1"] == found["km1"] <= rows["layer order"]["km1"]
    assert rows["layer order"]["km1"] == pytest.approx(found["naive_km1"])
    assert rows["METIS as it is"]["km1"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "has no weights that hardware could be made of; give --dry-run"),
        (("--dry-run", "--cores", 2, "--neurons", 100), "use more cores (--cores"),
        (("--dry-run", "--synapse-bits", 20), "allow more in a core (--synapse-bits"),
        (("--dry-run", "--axons", 2), "allow more in a core (--axons"),
        (("--dry-run", "--cores", 9, "--width", 2, "--height", 2), "use a larger mesh (--width"),
        (("--dry-run", "--cores", 0), "cores must be a whole number from 1"),
        (("--dry-run", "--set", "dt=0.1"), "setting 'dt' is of models; a graph has cores"),
        (("--dry-run", "--weight-bits", "ternary"), "a graph's synapses take a number of bits"),
        (("--dry-run", "-o", "/nowhere/m.npz"), "/nowhere does not exist; make it first"),
    ],
)
def test_what_can_not_be_done_is_one_line(folder, capsys, options, message):
    assert run("map", folder / "graph.npz", *options, "-q") == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out


def test_wrong_files_are_named(folder, tmp_path, capsys):
    broken = tmp_path / "broken.npz"
    np.savez(broken, indptr=[0, 1], indices=[7])
    assert run("map", broken, "--dry-run", "-q") == 2
    assert "'indices' at 0 (source 0) is 7" in capsys.readouterr().err
    assert run("map", tmp_path / "none.nir", "-q") == 2
    assert run("map", tmp_path, "-q") == 2
    graph = folder / "graph.npz"
    before = graph.read_bytes()
    assert run("map", graph, "--dry-run", "-o", graph, "-q") == 2
    assert graph.read_bytes() == before


def test_twenty_thousand_neurons_take_seconds(tmp_path, capsys):
    path = tmp_path / "sheet.npz"
    write_graph(path, sheet(20_000, 40_000))
    begin = time.process_time()
    code, found = result(capsys, path, "--dry-run", "--cores", 64)
    assert code == 0
    assert found["km1"] < found["naive_km1"]
    assert time.process_time() - begin < 60  # a few seconds; more would be a mistake


def test_activity_is_what_the_golden_model_counts(folder):
    artefact = Artefact.open(folder / "built")
    program = artefact.compiled
    rng = np.random.default_rng(0)
    events = (rng.random((7, 11, INPUTS)) < 0.3).astype(np.uint8)
    lengths = np.array([11, 3, 11, 1, 11, 5, 11])
    counted = measured(program, events, lengths)
    assert counted.dtype == np.float32
    runs = Golden(program).run(events, lengths)
    first = INPUTS
    for p in program.populations:
        total = counted[first : first + p.size].sum() * lengths.sum()
        assert total == pytest.approx(runs.events[p.name].sum(), rel=1e-5)
        first += p.size
    inside = np.concatenate([e[:n] for e, n in zip(events, lengths, strict=True)])
    assert counted[:INPUTS] == pytest.approx(inside.mean(axis=0))
    silent = by_name(program, np.zeros_like(counted))
    assert set(silent) == {"input", "lif1", "lif2"}
    assert all((values == FLOOR).all() for values in silent.values())


def test_an_artefact_keeps_its_activity_and_maps_the_same_again(folder, tmp_path):
    built = folder / "built"
    artefact = Artefact.open(built)
    assert mapping_digest(artefact.mapped) == artefact.manifest["mapping"]
    activity = artefact.activity
    assert activity is not None
    assert max(values.max() for values in activity.values()) < 1
    again = compiled(tmp_path, "--cores", "3", "--lanes", "2")
    for name in (ACTIVITY, "nervure.json"):
        assert (again / name).read_bytes() == (built / name).read_bytes()
    notes = [note["change"] for note in artefact.report["mapping"]["notes"]]
    assert "mapped for the activity that in.npz causes" in notes


def test_an_artefact_without_activity_still_opens(folder, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(folder / "built", old)
    (old / ACTIVITY).unlink()
    artefact = Artefact.open(old)
    assert artefact.activity is None
    plain = map_program(artefact.compiled, artefact.settings.target)
    manifest = json.loads((old / "nervure.json").read_text())
    manifest["mapping"] = mapping_digest(plain)
    (old / "nervure.json").write_text(json.dumps(manifest))
    assert mapping_digest(Artefact.open(old).mapped) == mapping_digest(plain)


@pytest.mark.parametrize(
    "counted",
    [np.zeros(3, np.float32), np.full(INPUTS + HIDDEN + OUTPUTS, np.nan, np.float32),
     -np.ones(INPUTS + HIDDEN + OUTPUTS, np.float32), np.ones(INPUTS + HIDDEN + OUTPUTS)],
)  # fmt: skip
def test_a_damaged_activity_is_named(folder, tmp_path, counted):
    copy = tmp_path / "copy"
    shutil.copytree(folder / "built", copy)
    np.savez(copy / ACTIVITY, events_per_step=counted)
    with pytest.raises(UserError, match=r"activity.npz: damaged; compile it again"):
        _ = Artefact.open(copy).activity


def test_no_calibration_is_said(tmp_path, capsys):
    model = small_model(tmp_path / "small.nir")
    assert run("compile", model, "-o", tmp_path / "built", "-q", "--json") == 0
    notes = json.loads(capsys.readouterr().out)["mapping"]["notes"]
    assert notes[0]["change"] == (
        "mapped for the activity that random input (no calibration data) causes"
    )
