"""Fabrics with states, gates, tables and changes, Verilated, against golden."""

import os
from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.ssm.gate import OPERANDS
from mapping.program import Formats
from sim.golden.network import Golden
from sim.rtl import Stalls
from tests.kit_fabric import build, garbage
from tests.kit_states import gated_program, random_values, s4d_program
from tests.kit_stochastic import one_to_one

STALLS = Stalls(on_input=0.4, on_output=0.6, seed=5)
NARROW = Formats(membrane_bits=18, payload_bits=5, table_bits=4)


def same(found, wanted, where):
    """Dictionaries of dictionaries of arrays, `wanted` with what `found` may not have left out."""
    for name, states in wanted.items():
        for key, value in states.items():
            if key in found[name] or value.any():
                np.testing.assert_array_equal(found[name][key], value, f"{where} {name} {key}")


def squared(program):
    """Both sides of the gate from one source."""
    into = [one_to_one("left", "gate", program.population("gate").size, p) for p in OPERANDS]
    kept = [q for q in program.projections if q.target != "gate"]
    return replace(program, projections=(*kept, *into))


#: Program, and meshes of it that must all give golden's bits.
PROGRAMS = {
    "s4d": (
        s4d_program(2, order=5, width=4, stochastic=True, state_bits=10),
        [{}, {"cores": 4, "width": 4, "state_lanes": 4, "lanes": 4, "update_lanes": 2}],
    ),
    "s5": (
        squared(gated_program(6, states=3, width=3, real=True, formats=NARROW, pole_bits=9)),
        [{"cores": 4, "lanes": 2}],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_fabrics_compute_goldens_bits(name, tmp_path):
    """Outputs, and all that is remembered at the end of sequences of several lengths."""
    program, meshes = PROGRAMS[name]
    inputs = random_values(3, program, 4, 20)
    lengths = np.array([20, 1, 13, 20])
    for k, target in enumerate(meshes):
        built = build(program, tmp_path / str(k), **target)
        for stalls in (None, STALLS):
            built.check(inputs, lengths=lengths, stalls=stalls, where=f"{name} {target}")


@pytest.mark.parametrize(
    ("program", "target"),
    [
        (s4d_program(8, order=3, width=3, real=True, changes=True, stochastic=True), {"cores": 4}),
        (gated_program(9, states=2, changes=True), {"lanes": 4, "update_lanes": 4}),
    ],
    ids=["s4d", "s5"],
)
def test_a_sequence_goes_on_where_it_was_saved(program, target, tmp_path):
    """Cut into pieces, each restored into the cleared fabric, from its own states and golden's.

    Memories come through the host, over random contents. Layers send changes.
    """
    built = build(program, tmp_path, contents=lambda m: garbage(m, 3), state_lanes=2, **target)
    inputs = random_values(8, program, 3, 24)
    built.check(inputs, lengths=np.array([24, 11, 1]), load=True)
    whole = Golden(program).run(inputs)
    state, at, twin = None, 0, None
    for end in (7, 8, 24):
        part = inputs[:, at:end]
        golden = Golden(program).run(part, start=twin)
        twin = golden.snapshot()
        found = built.rtl.run(part, probe=True, start=state, stalls=STALLS, load=True)
        assert found.errors == ()
        np.testing.assert_array_equal(found.outputs, whole.outputs[:, at:end], f"{at}")
        np.testing.assert_array_equal(golden.outputs, whole.outputs[:, at:end], f"{at}")
        same(found.final, twin, f"{at}")
        state, at = found.final, end
    saved = Golden(program).run(inputs[:, :8]).snapshot()
    again = built.rtl.run(inputs[:, 8:], probe=True, start=saved, load=True)
    np.testing.assert_array_equal(again.outputs, whole.outputs[:, 8:])
    same(again.final, whole.snapshot(), "golden's state")
    name = next(name for name in saved if "held" in saved[name])
    wrong = saved | {name: {key: v for key, v in saved[name].items() if key != "held"}}
    for run in (built.rtl.run, Golden(program).run):
        with pytest.raises(UserError, match=f"{name}: a state to start from has .*held"):
            run(inputs, start=wrong)


def test_a_long_sequence_does_not_drift(tmp_path):
    """12,000 steps (100,000 with NERVURE_FULL) without a clear are golden's, which goes in pieces.

    A pole of magnitude 1 - 2**-12: it remembers some 4,000 steps.
    """
    program = s4d_program(10, inputs=1, width=2, order=2, layers=1, outputs=1, drive_shift=17)
    arrays = {key: a.copy() for key, a in program.population("ssm0").arrays.items()}
    arrays["pole"][0], arrays["gain"][0] = ((1 << 17) - 32, 40), 0
    program = replace(
        program,
        populations=tuple(
            replace(p, arrays=arrays) if p.dendrites else p for p in program.populations
        ),
    )
    built = build(program, tmp_path, state_lanes=2)
    steps, piece = 100_000 if os.environ.get("NERVURE_FULL") else 12_000, 1_000
    inputs = random_values(10, program, 1, steps)
    found = built.rtl.run(inputs, probe=True)
    assert found.errors == ()
    golden, state = Golden(program), None
    for at in range(0, steps, piece):
        result = golden.run(inputs[:, at : at + piece], start=state)
        state = result.snapshot()
        np.testing.assert_array_equal(found.outputs[:, at : at + piece], result.outputs, f"{at}")
    same(found.final, state, f"{steps} steps")
