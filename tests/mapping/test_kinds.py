"""Mappings of stochastic populations and attention heads, run on the plain fabric."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.noc import Memory
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams
from mapping.kinds import kinds_of
from mapping.mapper import Target, map_program
from mapping.streams import with_run_time
from sim.golden.network import Golden
from sim.protocol import decode, encode
from sim.words import control_words
from tests.kit import random_events, random_program
from tests.kit_stochastic import head_program, stochastic, stochastic_program
from tests.mapping.fabric import Fabric
from tests.mapping.test_mapper import check
from tests.mapping.test_partition import clustered


@pytest.mark.parametrize("stream_lanes", [4, None])
@pytest.mark.parametrize("cores", [4, 9])
@pytest.mark.parametrize("seed", range(8))
def test_every_mapping_computes_the_same(seed, cores, stream_lanes):
    options = {"graded": seed % 2 == 1, "cuba": seed % 3 == 0, "weight_bits": (1, 2, 4)[seed % 3]}
    program = stochastic_program(seed, (7, (9, 6), 4), **options)
    events = random_events(seed, program, 1, 5)
    check(program, events, Target(cores=cores, lanes=4, stream_lanes=stream_lanes))


@pytest.mark.parametrize("own", [False, True])
def test_heads(own):
    program = head_program(AttentionParams(tokens=3, dim=4, seed=2), 1, own)
    mapped = check(program, random_events(1, program, 2, 8, 0.6), Target(cores=4, lanes=2))
    where = mapped.slots["head"]
    assert len(set(where[0].tolist())) == 1
    assert where[1].tolist() == list(range(12))
    core = mapped.mesh.cores[where[0][0]]
    assert core.dendrites == program.population("head").dendrites
    shown = next(c for c in mapped.stats["cores"] if c["tile"] == where[0][0])
    assert shown["dendrites"] == "attention"
    assert shown["slots_by_population"] == {"head": 12}


def test_a_source_may_feed_several_ports():
    program = head_program(AttentionParams(tokens=2, dim=3), 5)
    program = replace(
        program,
        projections=tuple(
            replace(q, source="pop1_0") if q.port in ("key", "value") else q
            for q in program.projections
        ),
    )
    check(program, random_events(5, program, 2, 8, 0.6), Target(cores=3, lanes=2))


def test_populations_share_a_core_if_streams_and_level_agree():
    program = random_program(1, (8, (5, 7), (3, 4), 6), weight_bits=4, exponents=0)
    alike = {"source_bits": 3, "length": 3}
    kinds = kinds_of(stochastic(program, **alike))
    assert [kind.populations for kind in kinds] == [(0, 1), (2, 3), (4,)]
    kinds = kinds_of(stochastic(program, **alike, generators=2))
    assert [kind.populations for kind in kinds] == [(0,), (1,), (2,), (3,), (4,)]
    kinds = kinds_of(stochastic(program, ("pop1_1", "pop3_0"), **alike))
    assert [kind.populations for kind in kinds] == [(0, 2, 3), (1,), (4,)]


def test_cores_go_where_the_cycles_are():
    program = stochastic(random_program(1, (8, 60, 30, 4), skip=False), ("pop1_0",), length=4)
    mapped = map_program(program, Target(cores=6, lanes=4))
    kinds = [c["dendrites"] for c in mapped.stats["cores"]]
    assert kinds.count("streams") == 5
    assert kinds.count("events") == 1


def test_too_few_cores_name_the_kinds():
    program = stochastic(random_program(1, (8, 6, 5, 4)), ("pop1_0", "pop2_0"))
    with pytest.raises(UserError) as caught:
        map_program(program, Target(cores=2))
    assert str(caught.value) == (
        "cores: 3 needed, 2 available; by kind: 1 stochastic (pop1_0); 1 stochastic (pop2_0); "
        "1 event-driven (pop3_0); use more cores (--cores 3)"
    )
    with pytest.raises(UserError, match=r"cores: 4 needed, 3 available; by kind: 2 stochastic"):
        map_program(program, Target(cores=3, neurons=5, lanes=1))


def test_cores_that_are_not_given_are_one_of_each_kind():
    program = stochastic_program(1, (7, (9, 6), 4))
    mapped = map_program(program, Target())
    assert sum(core is not None for core in mapped.mesh.cores) == len(kinds_of(program)) > 1
    plain = map_program(random_program(1, (5, 6, 3)), Target())
    assert sum(core is not None for core in plain.mesh.cores) == 1


def test_a_head_is_not_split():
    program = head_program(AttentionParams(tokens=3, dim=4))
    with pytest.raises(UserError) as caught:
        map_program(program, Target(cores=9, lanes=1, neurons=11))
    assert str(caught.value).endswith(
        "12 neuron slots needed, 11 available (all for head); an attention head takes one core: "
        "allow more in it (--neurons)"
    )


def test_memory_limits_hold_for_each_kind():
    program = stochastic(random_program(2, (20, 40, 30, 4), skip=False), ("pop1_0",))
    wide = map_program(program, Target(cores=4, lanes=4))
    limit = int(max(c["synapse_bits"] for c in wide.stats["cores"]) * 0.8)
    tight = map_program(program, Target(cores=6, lanes=4, synapse_bits=limit))
    assert max(c["synapse_bits"] for c in tight.stats["cores"]) <= limit


def test_axons_count_where_events_cost_nothing():
    # Silent inputs: layer order costs nothing, but all its cores hear all 96.
    program = clustered()
    mapped = map_program(program, Target(cores=4, lanes=1, axons=30), {program.inputs[0].name: 0.0})
    assert max(c["axons"] for c in mapped.stats["cores"]) <= 30


def test_stream_lanes():
    program = stochastic(random_program(3, (20, 10, 4), skip=False), ("pop1_0",), generators=4)
    for lanes, columns in ((None, 32), (4, 32), (16, 32), (128, 128)):
        mapped = map_program(program, Target(cores=2, stream_lanes=lanes))
        core = next(c for c in mapped.mesh.cores if c.dendrites is not None)
        assert isinstance(core.dendrites, DenseParams)
        assert core.dendrites.columns == columns
        assert core.dendrites.lanes == lanes or lanes is None
        assert core.lanes == core.update_lanes == 1
    with pytest.raises(
        UserError, match="stream lanes must be at least the number of generators, 4, not 2"
    ):
        map_program(program, Target(cores=2, stream_lanes=2))
    with pytest.raises(UserError, match=r"stream_lanes must be a power of two in 1..1024, not 3"):
        map_program(program, Target(cores=2, stream_lanes=3))


def test_planes_of_many_lanes_are_whole_numbers():
    program = stochastic(random_program(4, (90, 6), recurrent=False, skip=False))
    for lanes in (64, 128):
        mapped = map_program(program, Target(stream_lanes=lanes))
        items = mapped.images[0][Memory.SYNAPSE]
        assert max(items) >= 1 << 62
        assert all(type(item) is int and item < 1 << lanes for item in items)
        check(program, random_events(4, program, 1, 3), Target(stream_lanes=lanes))


def test_control_words_change_length_and_tolerance():
    program = stochastic_program(3, (7, 9, 4), weight_bits=5)
    events = random_events(3, program, 2, 6)
    mapped = map_program(program, Target(cores=4, lanes=2, stream_lanes=4))
    assert len(control_words(mapped))
    for length, tolerance in ((2, None), (16, 0.1), (None, -1)):
        changed = with_run_time(program, length, tolerance)
        other = replace(mapped, program=changed)
        golden = Golden(changed).run(events)
        words = encode(other, events, control=True, probe=True)
        answer = np.array(Fabric(other).run(words), dtype=np.uint64)
        decoded = decode(other, answer, events.shape[1], probe=True)
        assert np.array_equal(decoded.outputs, golden.outputs)
        for name, state in golden.final.items():
            assert np.array_equal(decoded.probes[name]["membrane"], state.membrane)
    assert not len(control_words(map_program(random_program(3), Target())))
