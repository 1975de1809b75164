"""Fabrics with crossbar cores, Verilated, against golden."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.crossbar.dendrites import Crossbar
from sim.rtl import Stalls
from tests.kit import random_events, random_program
from tests.kit_devices import crossbar_program, on_crossbar
from tests.kit_fabric import Built, build, garbage
from tests.kit_stochastic import stochastic

STALLS = (None, Stalls(on_input=0.4, on_output=0.6, seed=5))


def changed(program, seed):
    """The Program with other seeds, ages, factors, references and columns: all at run time."""
    rng = np.random.default_rng(seed)
    populations = []
    for p in program.populations:
        if isinstance(p.dendrites, Crossbar):
            arrays = p.arrays | {"age": rng.integers(0, [4000, 900, 400])}
            for name in ("factor", "reference"):
                if name in arrays:
                    arrays[name] = (arrays[name] * rng.uniform(0.8, 1.2)).astype(np.int64)
            arrays["column"] = rng.permuted(arrays["column"], axis=1)
            dendrites = replace(p.dendrites, seed=int(rng.integers(1 << 32)))
            p = replace(p, dendrites=dendrites, arrays=arrays)
        populations.append(p)
    return replace(program, populations=tuple(populations))


def at_run_time(built, program):
    """The same hardware, told of another Program."""
    built.rtl.mapped = replace(built.mapped, program=program)
    return Built(program, built.mapped, built.rtl)


def test_two_crossbars_of_values(tmp_path):
    """A recurrent network: trains and two pairs a weight, bit planes of ternary weights; stalls,
    lengths, and everything that may change at run time."""
    seed = 9
    program = crossbar_program(seed, (7, (9, 6), 4), graded=True, weight_bits=4)
    built = build(program, tmp_path, lanes=4)
    kinds = [p.dendrites for p in program.populations if p.dendrites]
    assert [(c.sampling, c.input, c.value_bits, c.devices) for c in kinds] == [
        ("none", "width", 8, 2), ("ternary", "serial", 8, 1)
    ]  # fmt: skip
    inputs = random_events(seed, program, 3, 6, rate=0.4)
    lengths = np.array([6, 1, 4])
    for stalls in STALLS:
        built.check(inputs, lengths=lengths, stalls=stalls, where=f"{seed}")
    for n in range(2):
        other = at_run_time(built, changed(program, [seed, n]))
        other.check(inputs, lengths=lengths, stalls=STALLS[1], where=f"{seed}, run time {n}")
    at_run_time(built, program).check(inputs, lengths=lengths, where=f"{seed}, as it was")


@pytest.mark.filterwarnings("ignore:Initial value:amaranth.hdl.SyntaxWarning")
def test_kinds_of_cores_side_by_side(tmp_path):
    """Events, streams, crossbars; memories come through the host, over random contents."""
    program = random_program(11, (9, (8, 7), 10, 4))
    crossbar = Crossbar(rows=13, columns=8, spares=1, sampling="binary", converters=3)
    program = on_crossbar(program, ("pop1_0",), crossbar, 11)
    program = stochastic(program, ("pop1_1",), length=4)
    built = build(program, tmp_path, contents=lambda m: garbage(m, 3), lanes=2)
    built.check(random_events(11, program, 3, 6, rate=0.5), load=True, stalls=STALLS[1])


@pytest.mark.parametrize("target", [{"cores": 1}, {"cores": 3, "width": 2}])
def test_cores_and_meshes_change_nothing(target, tmp_path):
    """All against one golden network, which knows no mapping: 8 tiles, 4 blocks."""
    program = random_program(6, (20, 22), weight_bits=5)
    crossbar = Crossbar(rows=8, columns=12, adc_bits=9, converters=12)
    program = on_crossbar(program, ("pop1_0",), crossbar, 6)
    assert program.population("pop1_0").arrays["factor"].shape == (4, 8, 6)
    built = build(program, tmp_path, **target)
    built.check(random_events(6, program, 3, 6, rate=0.3), stalls=STALLS[1])
