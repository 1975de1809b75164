"""Verilated fabrics of spiking neurons go on from a state that was read before."""

import numpy as np
import pytest

from hdl.params.neuron import Emit
from mapping.program import Program
from sim.golden.network import Golden
from sim.rtl import Stalls
from tests.kit import random_events, random_program
from tests.kit_fabric import build
from tests.kit_stochastic import stochastic

STEPS, SAMPLES = 14, 4


def lif() -> Program:
    return random_program(21, (7, (9, 6), 5), recurrent=False, skip=False, emit=Emit.SPIKE)


def cuba() -> Program:
    return random_program(
        22, (5, 8, 6), recurrent=False, skip=False, graded=True, cuba=True, emit=Emit.STATE
    )


def streams() -> Program:
    """Generators of bit-streams begin anew in each step: they are no state."""
    return stochastic(lif(), ("pop1_0", "pop2_0"), generator="lfsr", length=3)


@pytest.mark.parametrize(
    ("make", "target"),
    [
        (lif, {"cores": 3, "lanes": 4, "update_lanes": 4}),
        (cuba, {"cores": 2, "lanes": 2}),
        (streams, {"cores": 3}),
    ],
    ids=["lif", "cuba", "streams"],
)
def test_the_rest_of_a_run_is_that_of_the_whole_run(make, target, tmp_path):
    """Samples are cut at steps of their own; each goes on from its state in a fabric where others
    ran before, and a piece may be empty of steps."""
    program = make()
    built = build(program, tmp_path, **target)
    inputs = random_events(3, program, SAMPLES, STEPS, rate=0.4)
    golden = Golden(program).run(inputs)
    cuts = np.array([1, 5, 9, STEPS - 1])
    stalls = Stalls(on_input=0.3, on_output=0.3, seed=2)
    first = built.rtl.run(inputs, cuts, probe=True, stalls=stalls)
    rest = np.zeros_like(inputs)
    for sample, cut in enumerate(cuts):
        rest[sample, : STEPS - cut] = inputs[sample, cut:]
    for waits in (None, stalls):
        second = built.rtl.run(rest, STEPS - cuts, probe=True, start=first.final, stalls=waits)
        assert second.errors == first.errors == ()
        for sample, cut in enumerate(cuts):
            whole = golden.outputs[sample]
            assert whole[cut:].any()
            np.testing.assert_array_equal(first.outputs[sample, :cut], whole[:cut])
            np.testing.assert_array_equal(second.outputs[sample, : STEPS - cut], whole[cut:])
        for name, own in golden.snapshot().items():
            for key, value in own.items():
                np.testing.assert_array_equal(second.final[name][key], value, f"{name} {key}")
                assert value.any() or not (key == "membrane" or program.formats.current_bits)
    wrong = {name: own | {"membrane": own["membrane"] + 1} for name, own in first.final.items()}
    other = built.rtl.run(rest, STEPS - cuts, probe=True, start=wrong)
    assert any((other.final[n]["membrane"] != golden.final[n].membrane).any() for n in wrong)
