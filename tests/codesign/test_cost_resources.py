"""The cost model of LUT, FF, block RAM, DSP and Fmax against the recorded synthesis runs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from codesign.cost.design import Design
from codesign.cost.designs import build
from codesign.cost.fit import digest_of, fit, rows_of, split
from codesign.cost.memories import blocks, cells, kind
from codesign.cost.model import KINDS, Model, default_model
from codesign.cost.plan import plan
from codesign.cost.record import from_data, to_data
from codesign.cost.resources import resources
from codesign.cost.runs import key_of, main, read_runs
from hdl.params.errors import UserError
from hdl.params.host import HostParams
from hdl.params.noc import MeshParams

RUNS = read_runs()
DONE = [line for line in RUNS if "result" in line]
SMALL = {"model": "lif", "sizes": [12, 20, 5], "seed": 3}
#: Memories that Yosys turns into LUTs because nobody writes them, and what belongs to the top.
ROMS = ("relative", "buffer.storage")


def spoilt(line):
    """A run, its figures three times as large if it was held out of the fit."""
    if "result" not in line or not line["recipe"].get("held"):
        return line
    figures = {k: 3 * line["result"][k] for k in ("lut", "ff", "fmax_mhz") if line["result"][k]}
    return line | {"result": line["result"] | figures}


def small(**settings):
    return build(SMALL | {"settings": settings})


@pytest.mark.parametrize(
    ("depth", "bits", "parts", "count"),
    [
        (16384, 1, 1, 1), (16385, 1, 1, 2), (8192, 2, 1, 1), (4096, 4, 1, 1), (2048, 9, 1, 1),
        (1024, 18, 1, 1), (512, 36, 1, 1), (513, 36, 1, 2), (512, 37, 1, 2), (1, 1, 1, 1),
        (0, 8, 1, 0), (512, 0, 1, 0), (256, 5, 16, 4), (2857, 8, 16, 24),
    ],
)  # fmt: skip
def test_block_memories_have_the_shapes_of_the_data_sheet(depth, bits, parts, count):
    # Lattice FPGA-TN-02204: 16384 x 1 ... 512 x 36; parts have bytes of 9 bits of their own.
    assert blocks(depth, bits, parts) == count


@pytest.mark.parametrize(
    ("depth", "bits", "became"), [(1, 8, 0), (4, 1, 0), (16, 4, 1), (64, 8, 1), (512, 36, 2)]
)
def test_small_memories_stay_out_of_block_memory(depth, bits, became):
    assert kind(depth, bits) == became


def test_every_recorded_memory_became_what_the_rules_say():
    assert len(DONE) >= 40
    wrong = []
    for line in DONE:
        found: Counter = Counter()
        for name, depth, width, block, cell, _, count in line["result"]["memories"]:
            if not name.endswith(ROMS) and (block or cell):
                found[depth, width, block, cell] += count
        for group in Design.of(from_data(line["mesh"])).groups:
            for _, depth, bits, parts, count, became in group.costs[1].rows:
                if count and became:
                    block = int(blocks(depth, bits, parts)) if became == 2 else 0
                    cell = int(cells(depth, bits, parts)) if became == 1 else 0
                    shape = int(depth), int(bits * parts), block, cell
                    found[shape] -= int(count * group.count)
        if any(found.values()):
            wrong.append((line["recipe"], {shape: n for shape, n in found.items() if n}))
    assert len(wrong) <= 0.02 * len(DONE), wrong


@pytest.mark.parametrize("what", ["bram", "dsp"])
def test_block_memories_and_multipliers_are_counted(what):
    wrong = [
        (line["recipe"], line["result"][what], int(getattr(design, what)))
        for line, (design, _) in zip(DONE, rows_of(DONE), strict=True)
        if line["result"][what] != getattr(design, what)
    ]
    assert len(wrong) <= 0.03 * len(DONE), wrong


def test_the_shipped_model_is_the_fit_of_the_shipped_runs_that_were_not_held_out():
    shipped, refitted = default_model(), fit([spoilt(line) for line in RUNS])
    assert shipped.digest == digest_of(RUNS), "run python -m codesign.cost.fit"
    assert refitted.ranges == shipped.ranges
    for line, (design, _) in zip(DONE, rows_of(DONE), strict=True):
        ours, theirs = refitted.figures(design), shipped.figures(design)
        for figure in KINDS:
            assert ours[figure] == pytest.approx(theirs[figure], rel=1e-4), line["key"]


def test_errors_of_designs_outside_the_fit_are_small():
    held = split(RUNS)[1]
    assert len(held) >= 10
    model = default_model()
    errors = {
        figure: [abs(model.figures(d)[figure] / r[figure] - 1) for d, r in held if r.get(figure)]
        for figure in ("lut", "ff", "bram", "fmax_mhz")
    }
    assert np.median(errors["lut"]) < 0.06
    assert np.mean(errors["lut"]) < 0.10
    assert np.median(errors["ff"]) < 0.06
    assert np.median(errors["bram"]) < 0.02
    assert np.median(errors["fmax_mhz"]) < 0.15
    told = model.errors["held_out"]
    for figure, found in errors.items():
        assert told[figure]["all"]["median_percent"] == pytest.approx(
            100 * np.median(found), abs=0.01
        )
        assert told[figure]["all"]["worst_percent"] == pytest.approx(100 * max(found), abs=0.01)


def test_cross_validated_errors_meet_the_target():
    found = default_model().errors["cross_validated"]
    assert found["lut"]["mean_percent"] <= 6
    assert found["ff"]["mean_percent"] <= 3


@pytest.mark.parametrize("figure", ["lut", "ff"])
def test_more_of_anything_costs_more(figure):
    model = default_model()

    def cost(**settings):
        mapped = small(index="none", **settings)
        return model.figures(Design.of(mapped.mesh))[figure]

    by_lanes = [cost(lanes=lanes, update_lanes=1) for lanes in (1, 2, 4, 8, 16)]
    assert by_lanes == sorted(by_lanes)
    assert by_lanes[-1] > 1.15 * by_lanes[0]
    assert cost(lanes=4, update_lanes=4) > cost(lanes=4, update_lanes=1)
    assert cost(cores=2) > cost(cores=1)
    assert cost(membrane_bits=24) > cost(membrane_bits=12)


def test_an_estimate_is_whole_numbers_and_the_top_costs_something():
    mapped = small()
    found = resources(mapped.mesh, mapped.host)
    bare = resources(mapped.mesh, mapped.host, board=False)
    assert all(isinstance(v, int) for v in (found.lut, found.ff, found.bram, found.dsp))
    assert found.bram == bare.bram + 1
    assert 100 < found.lut - bare.lut < 800
    assert 100 < found.ff - bare.ff < 600
    assert 60 < found.fmax_mhz < 250


def test_a_mesh_costs_its_cores_and_more():
    one = small().mesh
    pair = MeshParams(
        flit=replace(one.flit, width=2), levels=one.levels, cores=one.cores * 2,
        entries=one.entries * 2,
    )  # fmt: skip
    host = HostParams(flit=pair.flit, levels=pair.levels)
    single = resources(one, HostParams(flit=one.flit, levels=one.levels), board=False)
    double = resources(pair, host, board=False)
    assert double.dsp == 2 * single.dsp
    assert double.bram == 2 * single.bram
    assert 1.6 * single.lut < double.lut < 2.6 * single.lut
    lonely = MeshParams(flit=pair.flit, levels=one.levels, cores=(*one.cores, None),
                        entries=(*one.entries, 1))  # fmt: skip
    assert resources(lonely, host, board=False).lut < double.lut


def test_warnings_name_what_lies_outside_the_fitted_range_and_by_how_much():
    mapped = small()
    assert resources(mapped.mesh, mapped.host).warnings == ()
    core = replace(mapped.mesh.cores[0], decay_bits=16)
    mesh = replace(mapped.mesh, cores=(core,))
    most = default_model().ranges["event"]["decay_bits"][1]
    [text] = resources(mesh, mapped.host).warnings
    assert text.startswith(
        f"event core at tile 0: decay_bits 16 lies outside the fitted 8..{most:g}"
    )
    assert f"(by {100 * (16 / most - 1):.0f} %)" in text
    few = replace(default_model(), runs={"event": 2})
    [text] = resources(mapped.mesh, mapped.host, model=few).warnings
    assert text == "event: only 2 runs in the fit of the cost model"


def test_measured_designs_correct_the_estimates_of_their_engines():
    model, mapped = default_model(), small()
    design = Design.of(mapped.mesh)
    guess = model.figures(design)
    measured = [(design, {"lut": 1.2 * guess["lut"], "fmax_mhz": 0.9 * guess["fmax_mhz"]})]
    once = model.corrected(measured).figures(design)
    often = model.corrected(measured * 9).figures(design)
    assert once["lut"] == pytest.approx(guess["lut"] * 1.2**0.5)
    assert often["lut"] == pytest.approx(guess["lut"] * 1.2**0.9)
    assert often["fmax_mhz"] == pytest.approx(guess["fmax_mhz"] * 0.9**0.9)
    assert once["ff"] == guess["ff"]
    assert once["bram"] == guess["bram"]
    other = Design.of(build({"model": "poles", "sizes": [6, 8, 3], "seed": 0}).mesh)
    assert model.corrected(measured).figures(other) == model.figures(other)
    again = model.corrected(measured).corrected(measured)
    assert again.figures(design)["lut"] == pytest.approx(once["lut"])  # not twice


def test_a_file_that_is_no_model_is_told(tmp_path):
    for text in (None, "", "[]", "{}", '{"ranges": {}}'):
        path = tmp_path / "model.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(UserError, match=r"no cost model .* run python -m codesign.cost.fit"):
            Model.load(path)
    default_model().save(path)
    assert Model.load(path) == default_model()


def test_parameters_survive_as_plain_data():
    for line in DONE[:40]:
        data = line["mesh"]
        assert to_data(from_data(json.loads(json.dumps(data)))) == data
    with pytest.raises(ValueError, match="'Nonsense' is no class of parameters"):
        from_data({"is": "Nonsense"})
    mesh = small(lanes=2, cores=2).mesh
    assert from_data(to_data(mesh)) == mesh


@pytest.mark.parametrize(
    ("recipe", "engines"),
    [
        (SMALL, ("event",)),
        (SMALL | {"settings": {"engine": "stochastic"}}, ("stochastic",)),
        (SMALL | {"settings": {"engine": "crossbar", "array_rows": 8, "array_columns": 8}},
         ("crossbar",)),
        ({"model": "poles", "sizes": [6, 8, 3], "seed": 0}, ("event", "ssm")),
        ({"model": "gate", "sizes": [6, 8, 3], "seed": 0}, ("event", "gate", "ssm")),
        ({"model": "attention", "sizes": [6, 3], "tokens": 3, "dim": 4, "seed": 0},
         ("attention", "event")),
    ],
)  # fmt: skip
def test_recipes_make_designs_of_their_engines(recipe, engines):
    assert Design.of(build(recipe).mesh).engines == engines


def test_the_plan_repeats_and_keeps_held_out_designs_apart():
    recipes = plan()
    assert recipes == plan()
    keys = [key_of(recipe) for recipe in recipes]
    assert len(set(keys)) == len(keys)
    held = [r for r in recipes if r.get("held")]
    kept = [r for r in recipes if not r.get("held")]
    assert len(kept) >= 100
    assert len(held) >= 20
    assert not any(r["model"].startswith("examples/") for r in kept)
    assert not {json.dumps({**r, "held": 0, "placed": 0}, sort_keys=True) for r in held} & {
        json.dumps({**r, "held": 0, "placed": 0}, sort_keys=True) for r in kept
    }
    for engine in ("event", "stochastic", "ssm", "attention", "crossbar"):
        assert any(r.get("engine") == engine for r in kept)


def test_a_line_that_was_cut_off_is_run_again(tmp_path, capsys):
    path = tmp_path / "runs.jsonl"
    first = key_of(plan()[0])
    path.write_text(json.dumps({"key": first}) + "\n" + '{"key": "half')
    assert [line["key"] for line in read_runs(path)] == [first]
    assert main(["--runs", str(path), "--list", "--only", "digits.nir"]) == 0
    assert all(line.startswith("left") for line in capsys.readouterr().out.splitlines())
    assert main(["--runs", str(path), "--most", "0"]) == 0
    assert read_runs(tmp_path / "none.jsonl") == []
