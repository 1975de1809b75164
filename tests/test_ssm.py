"""Fabrics with states, gates, tables and changes, Verilated, against golden."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from mapping.program import Formats
from sim.golden.network import Golden
from sim.rtl import Stalls
from tests.kit_fabric import build, garbage
from tests.kit_states import gated_program, random_values, s4d_program

STALLS = Stalls(on_input=0.4, on_output=0.6, seed=5)
NARROW = Formats(membrane_bits=16, payload_bits=5, table_bits=4)


def same(found, wanted, where):
    """Dictionaries of dictionaries of arrays, `wanted` with what `found` may not have left out."""
    for name, states in wanted.items():
        for key, value in states.items():
            if key in found[name] or value.any():
                np.testing.assert_array_equal(found[name][key], value, f"{where} {name} {key}")


#: Program, and meshes of it that must all give golden's bits.
PROGRAMS = {
    "s4d": (lambda: s4d_program(1, order=6), [{}, {"cores": 4, "state_lanes": 2, "lanes": 2}]),
    "stochastic": (
        lambda: s4d_program(2, order=5, width=5, stochastic=True, layers=1),
        [{"cores": 4, "state_lanes": 4, "lanes": 4}],
    ),
    "real": (
        lambda: s4d_program(3, order=3, width=3, real=True, changes=True, state_bits=12),
        [{"cores": 5, "lanes": 1}],
    ),
    "s5": (
        lambda: gated_program(4, states=5, shared=False),
        [{}, {"cores": 7, "lanes": 2, "width": 7, "height": 1}],
    ),
    "s5 changes": (
        lambda: gated_program(5, states=3, changes=True, stochastic=True, shared=True),
        [{"cores": 4, "lanes": 4}],
    ),
    "s5 real": (
        lambda: gated_program(6, states=3, width=1, real=True, formats=NARROW, pole_bits=9),
        [{"cores": 3}],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_fabrics_compute_goldens_bits(name, tmp_path):
    """Outputs, and all that is remembered at the end of sequences of several lengths."""
    make, meshes = PROGRAMS[name]
    program = make()
    inputs = random_values(3, program, 4, 20)
    lengths = np.array([20, 1, 13, 20])
    for k, target in enumerate(meshes):
        built = build(program, tmp_path / str(k), **target)
        for stalls in (None, STALLS):
            built.check(inputs, lengths=lengths, stalls=stalls, where=f"{name} {target}")


def test_memories_are_loaded_through_the_host(tmp_path):
    program = gated_program(7, states=2, changes=True)
    built = build(program, tmp_path, contents=lambda m: garbage(m, 3), lanes=2)
    built.check(random_values(7, program, 3, 9), load=True, stalls=STALLS)


@pytest.mark.parametrize(
    "program",
    [
        s4d_program(8, order=3, width=3, layers=1, changes=True, stochastic=True),
        gated_program(9, states=2, width=3, changes=True),
    ],
    ids=["s4d", "s5"],
)
def test_a_sequence_goes_on_where_it_was_saved(program, tmp_path):
    """Cut into pieces, each restored into the cleared fabric: from golden's states and its own."""
    built = build(program, tmp_path, state_lanes=2)
    inputs = random_values(8, program, 3, 24)
    whole = Golden(program).run(inputs)
    state, at, twin = None, 0, None
    for end in (7, 8, 24):
        part = inputs[:, at:end]
        golden = Golden(program).run(part, start=twin)
        twin = golden.snapshot()
        found = built.rtl.run(part, probe=True, start=state, stalls=STALLS)
        assert found.errors == ()
        np.testing.assert_array_equal(found.outputs, whole.outputs[:, at:end], f"{at}")
        np.testing.assert_array_equal(golden.outputs, whole.outputs[:, at:end], f"{at}")
        same(found.final, twin, f"{at}")
        state, at = found.final, end
    again = built.rtl.run(
        inputs[:, 8:], probe=True, start=Golden(program).run(inputs[:, :8]).snapshot()
    )
    np.testing.assert_array_equal(again.outputs, whole.outputs[:, 8:])
    same(again.final, whole.snapshot(), "golden's state")


def test_states_of_other_programs_are_refused(tmp_path):
    program = s4d_program(8, order=3, width=3, layers=1)
    built = build(program, tmp_path)
    inputs = random_values(8, program, 1, 3)
    state = built.rtl.run(inputs, probe=True).final
    wrong = {name: dict(arrays) for name, arrays in state.items()}
    del wrong["ssm0"]["states"]
    for run in (built.rtl.run, Golden(program).run):
        with pytest.raises(UserError, match="states"):
            run(inputs, start=wrong)


def test_a_long_sequence_does_not_drift(tmp_path):
    """12,000 steps without a clear are golden's, run in pieces of 1,000; poles of 1 - 2**-12."""
    program = s4d_program(10, inputs=1, width=2, order=2, layers=1, outputs=1)
    p = program.population("ssm0")
    slow = p.arrays["pole"].copy()
    slow[0] = (1 << 17) - 32, 40
    populations = tuple(
        replace(q, arrays=q.arrays | {"pole": slow}) if q is p else q for q in program.populations
    )
    program = replace(program, populations=populations)
    built = build(program, tmp_path, state_lanes=2)
    steps, piece = 12_000, 1_000
    inputs = random_values(10, program, 1, steps)
    found = built.rtl.run(inputs, probe=True)
    assert found.errors == ()
    golden, state = Golden(program), None
    for at in range(0, steps, piece):
        result = golden.run(inputs[:, at : at + piece], start=state)
        state = result.snapshot()
        np.testing.assert_array_equal(found.outputs[:, at : at + piece], result.outputs, f"{at}")
    same(found.final, state, "12,000 steps")
