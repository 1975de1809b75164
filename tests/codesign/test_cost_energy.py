"""Energy: sums by hand, what falls with sparsity and what does not, and the RTL's toggles."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from codesign.boards import boards
from codesign.compile import emit_rtl
from codesign.cost.cycles import activity, cycles
from codesign.cost.energy import FIGURES, STATIC_MW, energy, moved, operations
from hdl.params.sc.attention import AttentionParams
from mapping.mapped import Target
from mapping.mapper import map_program
from sim.rtl import Rtl
from tests.bench.designs import lif_network
from tests.codesign.test_cost_cycles import crossed, plain
from tests.kit import random_events
from tests.kit_states import gated_program, random_values, s4d_program
from tests.kit_stochastic import head_program, stochastic_program
from tests.kit_toggles import toggles


def spent(mapped, events, ff=1000, mhz=100.0):
    done = activity(mapped.program, events)
    took = cycles(mapped, done)
    return energy(mapped, done, took, ff=ff, mhz=mhz), took, operations(mapped, done, took)


def test_every_board_has_a_static_power_and_every_figure_a_source():
    for found in boards().values():
        assert STATIC_MW[found.device] > 0
    for figure in FIGURES.values():
        assert figure.pj > 0
        assert figure.source
    found, _, _ = spent(plain(), np.ones((1, 2, 3), int))
    assert set(found.sources) == {*FIGURES, "static"}
    assert "assumed" in found.sources["static"]


def test_one_layer_by_hand():
    """3 inputs, 5 neurons, a lane; 2 steps, of which the first has 2 events."""
    mapped = plain(3, 5)
    core = next(c for c in mapped.mesh.cores if c is not None)
    events = np.zeros((1, 2, 3), int)
    events[0, 0, :2] = 1
    found, took, bits = spent(mapped, events)
    words = 2 * 5
    assert bits["synapses"] == {
        "memory": words * (core.entry_bits + 2 * core.acc_bits),
        "logic": words * core.acc_bits,
        "multiply": 0,
    }
    updates = 3 * 5  # the clear is one
    stored = 2 * core.state_bits + core.record_bits + 2 * core.acc_bits + 2
    assert bits["neurons"]["memory"] == updates * stored
    alive = 0.5  # decay 0: what the first step left is gone after the second
    digits = (3 * core.shared["membrane_decay"] ^ core.shared["membrane_decay"]).bit_count()
    assert digits == 0
    assert bits["neurons"]["logic"] == updates * alive * 6 * core.membrane_bits
    assert bits["network"]["hop"] == 0
    clock, static = 1000 * took.per_sample * 0.05e-6, 230e-3 * took.per_sample / 100
    assert found.parts["clock"] == pytest.approx(clock)
    assert found.parts["static"] == pytest.approx(static)
    assert found.uj == pytest.approx(sum(found.parts.values()))
    assert found.dynamic_uj == pytest.approx(found.uj - clock - static)


def test_better_known_area_and_cycles_move_clock_and_static_power_only():
    mapped, events = plain(3, 5), np.ones((1, 4, 3), int)
    one, took, _ = spent(mapped, events, ff=1000, mhz=50.0)
    other, _, _ = spent(mapped, events, ff=1700, mhz=80.0)
    n = took.per_sample
    assert moved(one.uj, (1000, n, 50.0), (1700, n, 80.0)) == pytest.approx(other.uj)
    assert moved(one.uj, (1000, n, 50.0), (1000, n, 50.0)) == pytest.approx(one.uj)


def test_synapses_and_flits_fall_with_sparsity_and_memories_of_neurons_do_not():
    program = lif_network((32, 24, 8), 4)
    mapped = map_program(program, Target(cores=2, lanes=4))
    events = random_events(1, program, 4, 8, rate=0.6)
    keep = np.random.default_rng(2).random(events.shape)
    parts = [spent(mapped, events * (keep >= share)) for share in (0.0, 0.5, 1.0)]
    full, half, none = (p[0].parts for p in parts)
    assert full["synapses"] > 1.5 * half["synapses"]
    assert full["network"] > 1.5 * half["network"]
    assert none["synapses"] == none["network"] == 0
    memory = [p[2]["neurons"]["memory"] for p in parts]
    assert memory[2] > 0.8 * memory[0]
    assert parts[2][2]["neurons"]["logic"] < 0.05 * parts[0][2]["neurons"]["logic"]


@pytest.mark.parametrize(
    ("part", "program", "target"),
    [
        ("streams", stochastic_program(49, (20, 11, 5), weight_bits=2), {"cores": 2}),
        ("devices", crossed(), {"cores": 1}),
        ("attention", head_program(AttentionParams(tokens=3, dim=4, seed=2), 1, True),
         {"cores": 4}),
        ("states", s4d_program(2, order=5, width=4), {}),
        ("states", gated_program(6, states=3, width=3), {}),
    ],
    ids=["streams", "devices", "attention", "states", "gates"],
)  # fmt: skip
def test_every_kind_of_core_has_its_part(part, program, target):
    mapped = map_program(program, Target(**target))
    inputs = (random_values if part == "states" else random_events)(3, program, 3, 6)
    found, _, _ = spent(mapped, inputs)
    assert found.parts[part] > 0
    assert all(uj >= 0 for uj in found.parts.values())
    silent, _, _ = spent(mapped, np.zeros_like(inputs))
    if part == "states":  # recurrences work in every step
        assert silent.parts[part] > 0.8 * found.parts[part]
    else:
        assert silent.parts[part] < found.parts[part]


def test_toggles_of_a_waveform_by_hand(tmp_path):
    path = tmp_path / "a.vcd"
    path.write_text(
        "$var wire 1 ! a $end\n$var wire 4 # b $end\n$enddefinitions $end\n"
        "#0\n0!\nb0000 #\n#1\n1!\nb0101 #\n#2\n0!\nb0110 #\n#3\nbxxxx #\n#4\nb1111 #\n1!\n"
    )
    assert toggles(path) == 3 + 2 + 2


def test_counted_operations_have_the_shape_of_the_toggles(tmp_path):
    """Toggles are a sum of what is counted: fitted on every other sparsity, the rest foretold."""
    program = lif_network((24, 20, 6), 4)
    mapped = map_program(program, Target(lanes=4, update_lanes=1))
    emit_rtl(mapped, tmp_path)
    rtl = Rtl(mapped, sorted(tmp_path.glob("nervure*")), optimise=False, trace=True)
    events = random_events(4, program, 3, 10, rate=0.5)
    keep = np.random.default_rng(5).random(events.shape)
    counted, toggled = [], []
    for share in (0.0, 0.15, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0):
        given = events * (keep >= share)
        _, took, bits = spent(mapped, given)
        found = rtl.run(given, waveform=tmp_path / "wave.vcd")
        np.testing.assert_allclose(took.each[1:], found.cycles[1:], rtol=0.01)
        arriving = SimpleNamespace(**bits["synapses"])
        counted.append(
            [arriving.logic + arriving.memory, bits["neurons"]["logic"], took.per_sample]
        )
        toggled.append(toggles(tmp_path / "wave.vcd"))
    table, wanted = np.array(counted), np.array(toggled, float)
    fit = np.linalg.lstsq(table[::2], wanted[::2], rcond=None)[0]
    error = table @ fit / wanted - 1
    assert np.abs(error[1::2]).max() < 0.1, error
    # More events, more toggles, and cycles alone don't tell how many.
    assert wanted[0] > 3 * wanted[-1]
    alone = np.linalg.lstsq(table[::2, 2:], wanted[::2], rcond=None)[0]
    assert np.abs((table[:, 2:] @ alone / wanted - 1)[1::2]).max() > 1.5 * np.abs(error[1::2]).max()
