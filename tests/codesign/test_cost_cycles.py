"""Cycles by the model against those that the RTL counts, on fabrics of every kind of core.

The fabrics are those of other tests, so that Verilator builds them once.
"""

from __future__ import annotations

import numpy as np
import pytest

from codesign.activity import measured
from codesign.cost.cycles import Activity, activity, cycles, expected_cycles, steady
from codesign.cost.ticks import CAUSES
from codesign.cost.wiring import wire
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.sc.attention import AttentionParams
from mapping.mapped import Target
from mapping.mapper import map_program
from mapping.program import Formats, Input, Program
from sim.golden.network import Golden
from tests.kit import FULL, random_events, random_program
from tests.kit_devices import on_crossbar
from tests.kit_fabric import all_to_all, build, population
from tests.kit_states import gated_program, random_values, s4d_program
from tests.kit_stochastic import head_program, stochastic_program
from tests.test_matrix import PROGRAMS
from tests.test_ssm import NARROW, squared


def crossed(seed=6):
    program = random_program(seed, (20, 22), weight_bits=5)
    crossbar = Crossbar(rows=8, columns=12, adc_bits=9, converters=12)
    return on_crossbar(program, ("pop1_0",), crossbar, seed)


#: Program, mesh, and the largest error of any sample's cycles.
DESIGNS = {
    "one core": (PROGRAMS["lif"], {"cores": 1, "lanes": 1, "seed": 101}, 0.0),
    "values": (PROGRAMS["graded"], {"cores": 2, "lanes": 4, "seed": 204}, 0.05),
    "currents": (PROGRAMS["cuba"], {"cores": 2, "lanes": 16, "seed": 216}, 0.03),
    "nine cores": (PROGRAMS["lif"], {"cores": 9, "lanes": 4, "seed": 904}, 0.04),
    "streams": (
        lambda: stochastic_program(49, (20, 11, 5), weight_bits=2),
        {"cores": 2, "lanes": 1, "stream_lanes": 4},
        0.05,
    ),
    "attention": (
        lambda: head_program(AttentionParams(tokens=3, dim=4, seed=2), 1, True),
        {"cores": 4, "lanes": 2},
        0.02,
    ),
    "crossbar": (crossed, {"cores": 1}, 0.05),
    "states": (
        lambda: s4d_program(2, order=5, width=4, stochastic=True, state_bits=10),
        {"cores": 4, "width": 4, "state_lanes": 4, "lanes": 4, "update_lanes": 2},
        0.02,
    ),
    "gate": (
        lambda: squared(
            gated_program(6, states=3, width=3, real=True, formats=NARROW, pole_bits=9)
        ),
        {"cores": 4, "lanes": 2},
        0.02,
    ),
}


#: Left out unless all are wanted.
MORE = () if FULL else ("currents", "nine cores")


@pytest.mark.parametrize("name", [name for name in DESIGNS if name not in MORE])
def test_the_model_counts_the_cycles_of_the_rtl(name, tmp_path):
    make, target, most = DESIGNS[name]
    program = make()
    built = build(program, tmp_path, **target)
    stimulus = random_values if name in ("states", "gate") else random_events
    inputs = stimulus(5, program, 4, 10)
    lengths = np.array([10, 1, 7, 10])
    found = built.rtl.run(inputs, lengths)
    assert found.errors == ()
    guess = cycles(built.mapped, activity(program, inputs, lengths))
    # The first sample that runs, the shortest, is the one whose clear ages the devices.
    compared = [0, 2, 3] if name == "crossbar" else [0, 1, 2, 3]
    error = guess.each[compared] / found.cycles[compared] - 1
    assert np.abs(error).max() <= most, f"{guess.each} by the model, {found.cycles} in the RTL"
    assert sum(guess.parts.values()) == pytest.approx(guess.per_sample)
    assert sum(guess.waits.values()) == pytest.approx(1)
    assert set(guess.parts) == set(CAUSES)


def plain(inputs=3, outputs=5, lanes=1):
    """One layer, all to all, that never fires."""
    formats = Formats(membrane_bits=16)
    out = population("out", outputs, 1, formats, threshold=1 << 14)
    weights = np.ones((inputs, outputs), np.int64)
    program = Program(
        name="plain",
        formats=formats,
        inputs=(Input(name="in", size=inputs),),
        populations=(out,),
        projections=(all_to_all("in", "out", weights),),
        outputs=("out",),
    )
    return map_program(program, Target(lanes=lanes, update_lanes=1, index="none"))


@pytest.mark.parametrize("outputs", [1, 2, 5, 64])
def test_a_tick_by_hand(outputs):
    """START 2, a search that finds the range and one that ends it, a cycle a neuron, a pipeline of
    5, then rest: scanned neurons and 2 searches, 2 cycles of the barrier (hdl/neuron/core.py)."""
    mapped = plain(3, outputs)
    quiet = activity(mapped.program, np.zeros((1, 4, 3), np.int64))
    found = cycles(mapped, quiet).per_tick[0]
    update = 2 + 1 + 1 + outputs + 5 + 1
    clear = max(update + 2, 7)
    assert found.tolist() == [clear] + [update + (outputs + 1) + 2 + 2] * 4
    # An event takes a cycle a word; words of several come one behind the other.
    busy = quiet.events.copy()
    busy[0, 1] = 1
    heard = cycles(mapped, activity(mapped.program, busy)).per_tick[0]
    words = 3 * outputs
    assert heard[1] == max(found[1], update + words + 4 + 2)  # taken from the update's end on
    assert (heard[[0, 2, 3, 4]] == found[[0, 2, 3, 4]]).all()


def test_what_is_counted():
    mapped = plain(3, 6, lanes=2)
    events = np.zeros((2, 3, 3), np.int64)
    events[0, :, 0] = 1
    events[1, 0] = 1
    found = cycles(mapped, activity(mapped.program, events, np.array([3, 2])))
    assert found.counts["flits"] == found.counts["events"] == 3
    assert found.counts["words"] == 9
    assert found.counts["hops"] == found.counts["host_flits"] == 0
    assert found.counts["updates"] == 6 * (4 + 3) / 2  # the clear is one too
    assert found.per_sample == found.each.mean()
    assert found.per_step == pytest.approx(found.each.mean() / 2.5)
    assert found.longest == found.each.max()
    assert (found.per_tick[1, 3:] == 0).all()


def test_lengths_of_0_and_no_events_at_all():
    mapped = plain()
    found = cycles(mapped, activity(mapped.program, np.zeros((3, 5, 3), int), np.array([0, 5, 0])))
    assert found.each[0] == found.each[2] == found.per_tick[0, 0] > 0
    assert found.each[1] > 5 * found.each[0]


def test_more_of_what_costs_nothing_costs_nothing():
    """Fewer events never take longer, more lanes never do, and queues only add their stage."""
    program = PROGRAMS["lif"]()
    events = random_events(3, program, 3, 12)
    run = activity(program, events)
    least = activity(program, np.zeros_like(events))
    slow = cycles(map_program(program, Target(cores=1, lanes=1)), run)
    fast = cycles(map_program(program, Target(cores=1, lanes=4)), run)
    assert (fast.each < slow.each).all()
    for target in (Target(cores=1, lanes=1), Target(cores=4, lanes=2)):
        mapped = map_program(program, target)
        assert (cycles(mapped, least).each < cycles(mapped, run).each).all()


def test_paths_reach_whom_routes_name():
    """Every flit's ends are the cores of its rows and columns; links are those of a tree."""
    mapped = map_program(PROGRAMS["lif"](), Target(cores=9, lanes=2, seed=4))
    w = wire(mapped)
    flit = mapped.mesh.flit
    routes = [r for own in (*mapped.input_routes, *mapped.delayed_routes) for r in own]
    for number, (tag, rows, columns) in enumerate(routes):
        assert w.flits[0, number] == tag
        path = w.flits[1, number]
        ends = w.ends[0, w.paths[1, path] : w.paths[1, path + 1]]
        tiles = {y * flit.width + x for y in range(flit.height) for x in range(flit.width)
                 if rows >> (y + 1) & 1 and columns >> x & 1}  # fmt: skip
        assert set(w.tile[ends].tolist()) == tiles
        links = w.hops[2, w.paths[0, path] : w.paths[0, path + 1]].sum()
        far_x = max(t % flit.width for t in tiles)
        columns_used = {t % flit.width for t in tiles}
        far_y = max(t // flit.width for t in tiles)
        assert links == far_x + len(columns_used) * far_y


def test_activity_of_a_run_without_states():
    program = PROGRAMS["tiny"]()
    events = random_events(1, program, 2, 3)
    ran = Golden(program).run(events)
    assert (Activity.of(events, np.array([3, 3]), ran).alive == 1).all()


def test_steady_sources_send_at_their_rates():
    program = PROGRAMS["lif"]()
    rng = np.random.default_rng(1)
    size = program.input_size + sum(p.size for p in program.populations)
    rates = rng.random(size)
    done = steady(program, rates, 400)
    sent = np.concatenate([done.events[0], done.sent[0]], axis=1)
    assert set(np.unique(sent)) == {0, 1}
    np.testing.assert_allclose(sent.mean(axis=0), rates, atol=1 / 400 + 1e-9)
    # They send together no more than if each drew by itself.
    assert sent.sum(axis=1).std() <= 1.05 * np.sqrt((rates * (1 - rates)).sum())


@pytest.mark.parametrize("target", [{"cores": 1, "lanes": 2}, {"cores": 4, "lanes": 4}], ids=str)
def test_mean_rates_tell_most_of_the_cycles(target):
    program = random_program(21, (40, 60, 30, 10))
    events = random_events(2, program, 6, 16)
    mapped = map_program(program, Target(**target))
    exact = cycles(mapped, activity(program, events)).per_step
    found = expected_cycles(mapped, measured(program, events, None), 16).per_step
    assert found == pytest.approx(exact, rel=0.1)
    assert expected_cycles(mapped, np.zeros(140), 16).per_step < 0.8 * exact
