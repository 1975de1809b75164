"""Mapping invariance: cores, lanes and stalls never change a bit of outputs or states.

By default some combinations that cover every number of cores and lanes, and every kind of
program; all of them with NERVURE_FULL=1.
"""

import os

import numpy as np
import pytest

from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.params.neuron import Emit
from mapping.mapped import Target
from mapping.mapper import map_program
from mapping.program import Program
from sim.golden.network import Golden
from sim.rtl import Rtl, Stalls
from tests.kit import random_events, random_program
from tests.stalls import StallingFabric

CORES = (1, 2, 4, 9)
LANES = (1, 4, 16)
STEPS = 12

#: Recurrent and skipping, so that pipelining, delays and relays all take part.
PROGRAMS = {
    "lif": lambda: random_program(11, (9, 20, 13, 5), emit=Emit.SPIKE),
    "cuba": lambda: random_program(12, (7, (9, 5), 11, 3), cuba=True, weight_bits=8),
    "graded": lambda: random_program(13, (8, 17, (4, 6), 3), graded=True, emit=Emit.STATE),
    "binary": lambda: random_program(34, (10, 19, 4), weight_bits=1, density=1.0),
    "tiny": lambda: random_program(15, (1, 2, 3, 1), cuba=True, graded=True),
}

DEFAULT = (
    ("lif", 1, 1),
    ("cuba", 1, 4),
    ("graded", 2, 4),
    ("tiny", 4, 1),
    ("binary", 4, 4),
    ("cuba", 2, 16),
    ("lif", 9, 4),
)
FULL = tuple((p, c, n) for p in PROGRAMS for c in CORES for n in LANES)
COMBINATIONS = FULL if os.environ.get("NERVURE_FULL") == "1" else DEFAULT


def check(
    program: Program, cores: int, lanes: int, folder, seed: int, fabric=Fabric, **choices
) -> None:
    """Runs the program on that fabric with random stalls; every bit must be golden's."""
    mapped = map_program(program, Target(cores=cores, lanes=lanes, seed=seed, **choices))
    hardware = fabric(mapped.mesh, mapped.host, mapped.images)
    for name, text in emit_verilog(hardware, "nervure").items():
        (folder / name).write_text(text)
    rtl = Rtl(mapped, sorted(folder.iterdir()), optimise=False)
    inputs = random_events(seed, program, 4, STEPS)
    lengths = np.array([STEPS, 1, 7, STEPS])
    golden = Golden(program).run(inputs, lengths)
    assert golden.outputs.any(), "the test is empty: no output"
    rng = np.random.default_rng(seed)
    for stalls in (
        None,
        Stalls(on_input=0.5, on_output=0.5, seed=int(rng.integers(1 << 30))),
        Stalls(on_input=0.05, on_output=0.95, seed=int(rng.integers(1 << 30))),
    ):
        result = rtl.run(inputs, lengths, probe=True, stalls=stalls)
        where = f"{cores} cores, {lanes} lanes, seed {seed}, {stalls}"
        assert result.errors == (), where
        np.testing.assert_array_equal(result.outputs, golden.outputs, where)
        for name, state in golden.final.items():
            np.testing.assert_array_equal(result.final[name]["membrane"], state.membrane, where)
            if program.formats.current_bits:
                np.testing.assert_array_equal(result.final[name]["current"], state.current, where)


@pytest.mark.parametrize(("kind", "cores", "lanes"), COMBINATIONS)
def test_no_mapping_changes_a_bit(kind, cores, lanes, tmp_path):
    check(PROGRAMS[kind](), cores, lanes, tmp_path, seed=cores * 100 + lanes)


@pytest.mark.parametrize(("kind", "cores", "lanes"), [("cuba", 4, 2), ("graded", 2, 4)])
def test_no_stall_inside_changes_a_bit(kind, cores, lanes, tmp_path):
    check(PROGRAMS[kind](), cores, lanes, tmp_path, seed=cores + lanes, fabric=StallingFabric)


@pytest.mark.parametrize(
    "choices",
    [{"index": "word"}, {"index": "lane", "update_lanes": 2}, {"index": "none", "interval": 5}],
    ids=["word", "lane", "none"],
)
def test_no_encoding_or_interval_changes_a_bit(choices, tmp_path):
    check(PROGRAMS["lif"](), 2, 4, tmp_path, seed=3, **choices)


def test_the_default_covers_every_value():
    for column, values in enumerate((PROGRAMS, CORES, LANES)):
        assert {row[column] for row in DEFAULT} == set(values)
