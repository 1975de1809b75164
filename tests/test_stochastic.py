"""Fabrics with stochastic cores and attention heads, Verilated, against golden."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.params.sc.attention import AttentionParams
from mapping.mapper import map_program
from mapping.readout import decide
from mapping.streams import with_run_time
from sim.golden.network import Golden
from sim.rtl import Rtl, Stalls
from sim.stimulus import quantise_inputs, real_outputs
from tests.kit import FULL, random_events
from tests.kit_fabric import build, garbage
from tests.kit_stochastic import head_program, stochastic_program
from tests.test_examples import load

STALLS = (None, Stalls(on_input=0.4, on_output=0.6, seed=5))

#: Seed, sizes, options of the Program, and the mesh.
PROGRAMS = [
    (21, (7, 9, 4), {"weight_bits": 4}, {"cores": 3, "lanes": 2, "stream_lanes": 4}),
    (5, (7, (9, 6), 4), {"graded": True, "weight_bits": 3}, {"cores": 4, "lanes": 4}),
    (49, (20, 11, 5), {"weight_bits": 2}, {"cores": 2, "lanes": 1, "stream_lanes": 4}),
    (49, (5, (3, 8), 6, 3), {"graded": True, "cuba": True}, {"cores": 5, "stream_lanes": 16}),
][: 3 + FULL]

#: Stream length, tolerance, margin. The last two differ in the margin alone.
RUN_TIME = (
    (4, None, None),
    (None, 0.2, 0),
    (2, -1, None),
    (None, -1, 7),
    (None, -1, -1),
    (None, -1, 0),
)


def agree(built, program, inputs, lengths, stalls, load=False):
    """Outputs and all final states of the RTL are golden's."""
    golden = Golden(program).run(inputs, lengths)
    result = built.rtl.run(inputs, lengths, probe=True, stalls=stalls, load=load)
    assert result.errors == ()
    np.testing.assert_array_equal(result.outputs, golden.outputs)
    for name, state in golden.final.items():
        np.testing.assert_array_equal(result.final[name]["membrane"], state.membrane, name)
        if program.formats.current_bits:
            np.testing.assert_array_equal(result.final[name]["current"], state.current, name)
    return golden


@pytest.mark.parametrize(("seed", "sizes", "options", "target"), PROGRAMS, ids=str)
def test_stochastic_fabrics(seed, sizes, options, target, tmp_path):
    program = stochastic_program(seed, sizes, **options)
    built = build(program, tmp_path, **target)
    inputs = random_events(seed, program, 4, 8, rate=0.4)
    lengths = np.array([8, 1, 8, 5])
    for stalls in STALLS:
        built.check(inputs, lengths=lengths, stalls=stalls, where=f"{seed}")
    bits = []
    for change in RUN_TIME:
        changed = with_run_time(program, *change)
        built.rtl.mapped = replace(built.mapped, program=changed)
        golden = agree(built, changed, inputs, lengths, STALLS[1])
        bits.append(sum(int(used.sum()) for used in golden.stream_bits.values()))
    assert bits[-1] < bits[-2], "no sum was decided early"


def test_memories_are_loaded_through_the_host(tmp_path):
    program = stochastic_program(14, (7, 9, 4))
    built = build(program, tmp_path, contents=lambda m: garbage(m, 3), cores=3, stream_lanes=4)
    built.check(random_events(14, program, 3, 6, rate=0.4), load=True, stalls=STALLS[1])


@pytest.mark.parametrize(
    ("head", "own"),
    [
        (AttentionParams(tokens=3, dim=4, seed=2), True),
        (AttentionParams(tokens=5, dim=2, causal=True, score_gain=1, value_gain=2), False),
    ],
    ids=str,
)
def test_attention_fabrics(head, own, tmp_path):
    program = head_program(head, 1, own)
    built = build(program, tmp_path, cores=4, lanes=2)
    inputs = random_events(1, program, 3, 9, rate=0.6)
    for stalls in STALLS:
        golden = agree(built, program, inputs, np.array([9, 2, 9]), stalls, load=stalls is None)
        assert golden.events["head"].any()


def decided(program, test):
    outputs = Golden(program).run(quantise_inputs(program, test), test.lengths).outputs
    return decide(program.readout, real_outputs(program, outputs), test.lengths)


def test_digits_by_streams(tmp_path):
    """Streams of 4 bits decide like exact sums within a point; 8 bits are the full period.

    With a margin of one last place 2.2 bits decide like exact sums within half a point.
    """
    _, exact, test = load("digits")
    event_driven = (decided(exact, test) == test.labels).mean()
    settings, early, _ = load("digits", engine="stochastic", cores=2, margin=1, first_length=4)
    program = with_run_time(early, margin=-1)
    streams = [p.dendrites for p in program.populations]
    assert [1 << s.log2_length for s in streams] == [8, 8]
    assert (decided(program, test) == decided(exact, test)).all()
    accuracy = {
        length: (decided(with_run_time(program, length), test) == test.labels).mean()
        for length in (1, 2, 4)
    }
    assert (decided(early, test) == test.labels).mean() >= event_driven - 0.005
    used = Golden(early).run(quantise_inputs(early, test), test.lengths).stream_bits.values()
    sums = test.lengths.sum() * sum(p.size for p in early.populations)
    assert 2 < sum(bits.sum() for bits in used) / sums < 2.5
    assert abs(accuracy[4] - event_driven) <= 0.01
    assert abs(accuracy[2] - event_driven) <= 0.02
    assert accuracy[1] < event_driven - 0.1
    mapped = map_program(early, settings.target)
    fabric = Fabric(mapped.mesh, mapped.host, mapped.images)
    for name, text in emit_verilog(fabric, "nervure").items():
        (tmp_path / name).write_text(text)
    rtl = Rtl(mapped, sorted(tmp_path.iterdir()), optimise=False)
    chosen = np.linspace(0, test.samples - 1, 8).astype(int)
    inputs, lengths = quantise_inputs(program, test)[chosen], test.lengths[chosen]
    for changed in (with_run_time(program, 4), program, early):
        rtl.mapped = replace(mapped, program=changed)
        golden = Golden(changed).run(inputs, lengths)
        found = rtl.run(inputs, lengths, probe=True, stalls=STALLS[1])
        assert found.errors == ()
        np.testing.assert_array_equal(found.outputs, golden.outputs)
        for name, state in golden.final.items():
            np.testing.assert_array_equal(found.final[name]["membrane"], state.membrane)
