"""One Verilated fabric and its host: resets, clears, loads and reads in the middle of things."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from hdl.params.host import ReplyOp
from hdl.params.neuron import Emit
from hdl.params.noc import ConfigOp, Memory
from sim import protocol
from sim.golden.network import Golden
from sim.rtl import Stalls
from sim.states import probe_runs, state_chunks, state_replies
from sim.verilated import StopOn
from sim.words import config_words, cores, select, split_marks, step_words, u64
from tests.kit import random_events, random_program
from tests.kit_fabric import Built, build, garbage

STEPS = 10
SEED = 80


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    """Two cores with currents, recurrent, two routes a slot; the memories are initialised."""
    program = random_program(SEED, (7, (9, 4), 6), cuba=True, emit=Emit.SPIKE, weight_bits=5)
    return build(program, tmp_path_factory.mktemp("fabric"), cores=2, lanes=2)


@pytest.fixture(scope="module")
def wild(built, tmp_path_factory) -> Built:
    """The same fabric, but its memories hold garbage."""
    return build(
        built.program,
        tmp_path_factory.mktemp("garbage"),
        contents=lambda mapped: garbage(mapped, 1),
        cores=2,
        lanes=2,
    )


def stop(built: Built, marks: int) -> StopOn:
    mark = 1 << built.mapped.host.body_bits
    return StopOn(mask=mark, value=mark, count=marks)


def answers(built: Built, model, words, marks: int, **options) -> np.ndarray:
    return model.stream(words.reshape(-1, 1), until=stop(built, marks), **options).words_out[:, 0]


def check_sample(built: Built, words: np.ndarray, inputs: np.ndarray, where: str) -> None:
    """`words` answer a probed sample of these inputs."""
    golden = Golden(built.program).run(inputs[None])
    answer = protocol.decode(built.mapped, words, len(inputs), probe=True)
    assert answer.errors == (), where
    np.testing.assert_array_equal(answer.outputs, golden.outputs, where)
    for name, state in golden.final.items():
        np.testing.assert_array_equal(answer.probes[name]["membrane"], state.membrane, where)
        np.testing.assert_array_equal(answer.probes[name]["current"], state.current, where)


def test_loaded_memories_equal_initialised_ones(wild):
    inputs = random_events(SEED, wild.program, 4, STEPS, rate=0.4)
    assert Golden(wild.program).run(inputs).outputs.any()
    for stalls in (None, Stalls(on_input=0.3, on_output=0.3, seed=2)):
        wild.check(inputs, load=True, stalls=stalls)


def test_the_second_load_wins(built):
    """Garbage is loaded over the right contents, then the right contents over the garbage."""
    inputs = random_events(SEED + 1, built.program, 1, STEPS)
    mapped = built.mapped
    wrong = replace(mapped, images=tuple(garbage(mapped, 2)))
    bad = protocol.load_words(wrong)
    with built.rtl.built.new() as model:
        model.reset()
        model.stream(bad.reshape(-1, 1), until=None)
        words = protocol.encode(mapped, inputs, load=True, probe=True)
        marks = protocol.replies(mapped, STEPS, probe=True)
        check_sample(built, answers(built, model, words, marks), inputs[0], "loaded again")


@pytest.mark.parametrize("seed", range(25))
def test_reset_in_mid_run(built, seed):
    """After a reset at any time a run gives what it gives after power-up."""
    draw = np.random.default_rng(seed)
    inputs = random_events(draw, built.program, 2, STEPS, rate=0.6)
    mapped = built.mapped
    with built.rtl.built.new() as model:
        model.reset()
        for _ in range(8):
            words = protocol.encode(mapped, inputs[:1], probe=True)
            heard = int(draw.integers(1, 60))  # output words; then it is cut off
            model.stream(words.reshape(-1, 1), until=heard, stall_out=0.5, seed=seed + 1)
            model.clock.tick(int(draw.integers(0, 30)))
            model.reset(int(draw.integers(1, 4)))
        words = protocol.encode(mapped, inputs[1:], probe=True)
        marks = protocol.replies(mapped, STEPS, probe=True)
        check_sample(built, answers(built, model, words, marks), inputs[1], f"seed {seed}")


@pytest.mark.parametrize("seed", range(25))
def test_clear_in_mid_run(built, seed):
    """A sample that begins with a clear forgets all that was before, wherever that ended."""
    draw = np.random.default_rng(100 + seed)
    inputs = random_events(draw, built.program, 2, STEPS, rate=0.6)
    mapped = built.mapped
    first = protocol.encode(mapped, inputs[:1])
    cut = first[: int(draw.integers(1, len(first)))]  # it may end with events that wait for a STEP
    steps = int(((cut >> u64(mapped.host.body_bits)) & u64(1)).sum())
    words = np.concatenate([cut, protocol.encode(mapped, inputs[1:], probe=True)])
    marks = protocol.replies(mapped, STEPS, probe=True)
    with built.rtl.built.new() as model:
        model.reset()
        got = answers(built, model, words, steps + marks, stall_in=0.2, stall_out=0.2, seed=seed)
    mark, before = split_marks(mapped, got)
    begin = int(np.flatnonzero(mark & (before == steps))[0])
    check_sample(built, got[begin:], inputs[1], f"seed {seed}, cut after {len(cut)} words")


def test_reads_of_all_tiles_at_once_while_the_cores_work(built):
    """READs sent right behind the STEP that starts the last update: the replies hold the state
    after it. One READ is outstanding in each tile, all before one MARK; stalls change nothing."""
    mapped = built.mapped
    inputs = random_events(SEED + 2, built.program, 1, STEPS, rate=0.6)
    golden = Golden(built.program).run(inputs)
    words = [protocol.encode(mapped, inputs)]
    words[0] = words[0][:-1]  # without the last STEP: the last update is still going on
    expected = []
    chunk = u64((1 << mapped.mesh.flit.chunk_bits) - 1)
    for tile, core in cores(mapped):
        items = next(run for where, _, run in probe_runs(mapped) if where == tile)
        bodies = [select(Memory.STATE, int(items[0])), ConfigOp.READ | len(items) << 2]
        words.append(config_words(mapped, tile, u64(bodies)))
        assert state_chunks(mapped, core) > 1
        replies = state_replies(mapped, tile, golden.snapshot(), 1)[0, items]
        expected.append([int(r) for r in replies.reshape(-1)])
    words.append(step_words(mapped, [0]))
    assert len(expected) == 2
    for stall in (0.0, 0.3, 0.9):
        with built.rtl.built.new() as model:
            model.reset()
            marks = protocol.replies(mapped, STEPS)
            got = answers(
                built, model, np.concatenate(words), marks, stall_out=stall, seed=int(stall * 10)
            )
        op = (got >> u64(mapped.host.body_bits)) & u64(1)
        assert op[-1] == ReplyOp.MARK
        flits = got[op == ReplyOp.RECV]
        kind = (flits >> u64(mapped.mesh.flit.body_bits)) & u64(1)
        seen = [int(r) for r in flits[kind == 1] & chunk]
        # Replies of two tiles are merged in any order, each tile's own order stays.
        assert sorted(seen) == sorted(chain(*expected)), stall
        for own in expected:
            rest = iter(seen)
            assert all(value in rest for value in own), stall
        assert (kind == 0).sum() == np.count_nonzero(golden.outputs), stall
