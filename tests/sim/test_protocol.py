import dataclasses

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.mapper import Target, map_program
from sim.expected import canonical, expected
from sim.protocol import decode, encode, encode_batch, replies
from tests.kit import random_events, random_program
from tests.mapping.fabric import Fabric, unpack


@pytest.fixture(scope="module")
def case():
    program = random_program(0, (7, 9, 8, 4), emit=Emit.SPIKE)
    mapped = map_program(program, Target(cores=3, lanes=2))
    return mapped, random_events(0, program, 3, 6)


def answer(mapped, words):
    return np.array(Fabric(mapped).run(words), dtype=np.uint64)


def mark_word(mapped):
    return np.uint64(1 << mapped.host.body_bits)


def test_a_word_per_tick_and_flit(case):
    mapped, events = case
    words = encode(mapped, events[0])
    parts = [unpack(int(w), mapped.host.body_bits) for w in words]
    steps = [body for body, op in parts if op == 1]
    masks = mapped.schedule.masks(6).tolist()
    assert steps == [1 << mapped.host.levels, *masks, 0]
    flits = [len(mapped.input_routes[i]) for _, i in np.argwhere(events[0])]
    late = [len(mapped.delayed_routes[i]) for _, i in np.argwhere(events[0][:-1])]
    assert len(parts) - len(steps) == sum(flits) + sum(late)


def test_flits_of_a_step_stand_before_its_tick(case):
    mapped, events = case
    flit = mapped.mesh.flit
    tick, seen = -1, []
    for word in encode(mapped, events[0], clear=False):
        body, op = unpack(int(word), mapped.host.body_bits)
        if op == 1:
            tick += 1
            continue
        value, tag, kind, rows, columns, rest = unpack(
            body, flit.value_bits, flit.body_bits - flit.value_bits, 1, flit.rows_bits,
            flit.columns_bits,
        )  # fmt: skip
        assert kind == rest == 0
        assert value == (1 if flit.value_bits else 0)
        seen.append((tick + 1, (tag, rows, columns)))
    wanted = []
    for s, row in enumerate(events[0]):
        at = mapped.schedule.input_tick(s)
        wanted += [(at, r) for i in np.flatnonzero(row) for r in mapped.input_routes[i]]
        if s:
            before = np.flatnonzero(events[0][s - 1])
            wanted += [(at, r) for i in before for r in mapped.delayed_routes[i]]
    assert sorted(seen) == sorted(wanted)


def test_batches_are_samples_one_after_another(case):
    mapped, events = case
    words, offsets = encode_batch(mapped, events, probe=True)
    for i, sample in enumerate(events):
        one = encode(mapped, sample, probe=True)
        assert np.array_equal(words[offsets[i] : offsets[i + 1]], one)
    assert offsets[-1] == len(words)
    out = answer(mapped, words)
    assert (out >> np.uint64(mapped.host.body_bits)).sum() == 3 * replies(mapped, 6, probe=True)
    whole = decode(mapped, out, 6, probe=True)
    assert whole.errors == ()
    for i, sample in enumerate(events):
        single = decode(mapped, answer(mapped, encode(mapped, sample, probe=True)), 6, probe=True)
        assert np.array_equal(single.outputs[0], whole.outputs[i])
        for name, state in single.probes.items():
            for key, value in state.items():
                assert np.array_equal(value[0], whole.probes[name][key][i])


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("cuba", [False, True])
def test_expected_words_decode_to_what_they_were_made_of(graded, cuba):
    rng = np.random.default_rng(1)
    program = random_program(2, (7, 9, 8, (4, 3)), graded=graded, cuba=cuba)
    mapped = map_program(program, Target(cores=3, lanes=2))
    emit = np.concatenate([program.population(n).fields["emit"] for n in program.outputs])
    outputs = rng.integers(-100, 100, (3, 5, 7)) * rng.integers(0, 2, (3, 5, 7))
    outputs = np.where(emit == Emit.SPIKE, outputs != 0, outputs)
    probes = {
        p.name: {
            "membrane": rng.integers(-(1 << 15), 1 << 15, (3, p.size)),
            "current": rng.integers(-(1 << 15), 1 << 15, (3, p.size)) * cuba,
        }
        for p in program.populations
    }
    for clear in (True, False):
        words = expected(mapped, outputs, probes, clear=clear)
        decoded = decode(mapped, words, 5, clear=clear, probe=True)
        assert decoded.errors == ()
        assert np.array_equal(decoded.outputs, outputs)
        for name, state in probes.items():
            for key, value in state.items():
                assert np.array_equal(decoded.probes[name][key], value)
        assert np.array_equal(canonical(mapped, words), words)


def test_canonical_words_forget_order_and_cycles(case):
    mapped, events = case
    out = answer(mapped, encode(mapped, events))
    rng = np.random.default_rng(0)
    mark = out >= mark_word(mapped)
    segments = np.cumsum(mark) - mark
    shuffled = out[np.lexsort((rng.random(len(out)), mark, segments))]
    shuffled[shuffled >= mark_word(mapped)] += np.uint64(17)
    assert not np.array_equal(shuffled, out)
    assert np.array_equal(canonical(mapped, shuffled), canonical(mapped, out))


def test_cycles_are_those_of_the_marks(case):
    mapped, _ = case
    each = replies(mapped, 6)
    words = mark_word(mapped) + np.arange(2 * each, dtype=np.uint64)
    cycles = decode(mapped, words, 6).cycles
    ticks = mapped.schedule.ticks(6)
    assert cycles.shape == (2, 1 + ticks)
    assert cycles[0].tolist() == list(range(1, 2 + ticks))
    assert cycles[1].tolist() == list(range(each + 1, each + 2 + ticks))


def test_a_longer_or_shorter_answer_is_an_error(case):
    mapped, events = case
    out = answer(mapped, encode(mapped, events[0]))
    each = replies(mapped, 6)
    short = decode(mapped, out[:-1], 6)
    assert short.errors == (f"{each - 1} MARKs came, a multiple of {each} expected",)


def test_outputs_out_of_turn_are_errors(case):
    mapped, _ = case
    level = mapped.program.population(mapped.program.outputs[0]).level
    good = expected(mapped, np.eye(6, 4, dtype=int))
    first = int(np.flatnonzero(good < mark_word(mapped))[0])
    event = good[first : first + 1]
    twice = decode(mapped, np.insert(good, first, event), 6)
    assert twice.errors == ("sample 0, step 0: output 0 came 2 times",)
    early = decode(mapped, np.concatenate([good[:2], event, good[2:]]), 6)
    assert early.errors == ("sample 0, tick 0: output 0 is not due (value 1)",)
    assert level > 1
    unknown = event + np.uint64(9 << mapped.mesh.flit.value_bits)
    wrong = decode(mapped, np.insert(good, first, unknown), 6)
    assert wrong.errors == (f"sample 0, tick {level - 1}: output 9 is not due (value 1)",)


def test_a_state_that_does_not_come_is_an_error():
    program = random_program(1, (5, 4, 3), emit=Emit.STATE)
    mapped = map_program(program, Target(lanes=2))
    good = expected(mapped, np.zeros((2, 3), dtype=int))
    assert decode(mapped, good, 2).errors == ()
    event = int(np.flatnonzero(good < mark_word(mapped))[1])
    assert decode(mapped, np.delete(good, event), 2).errors == (
        "sample 0, step 0: output 1 did not come",
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda e: e[:, :, :-1], "stimulus must be [samples, steps, 7], not (3, 6, 6)"),
        (lambda e: e + 0.5, "stimulus must be integers, not float64"),
        (lambda e: e.astype(int) * 3, "stimulus of in0_0 must be in 0..1, not 0..3"),
    ],
)
def test_wrong_stimulus(case, change, text):
    mapped, events = case
    with pytest.raises(UserError) as error:
        encode(mapped, change(events))
    assert str(error.value) == text


def test_graded_stimulus_is_bounded_by_the_payload():
    program = random_program(1, (5, 4, 3), graded=True)
    mapped = map_program(program, Target(lanes=2))
    encode(mapped, np.full((1, 2, 5), -128))
    with pytest.raises(UserError) as error:
        encode(mapped, np.full((1, 2, 5), 128))
    assert str(error.value) == "stimulus of in0_0 must be in -128..127, not 128..128"


def test_loaded_memories_are_the_images(case):
    mapped, events = case
    fabric = Fabric(mapped, loaded=False)
    fabric.run(encode(mapped, events[:1, :0], load=True))
    for core, images in zip(fabric.cores, mapped.images, strict=True):
        assert core is None or core.images == images


def test_narrow_chunks_load_wide_items(case):
    mapped, events = case
    flit = dataclasses.replace(mapped.mesh.flit, config_bits=11)
    mesh = dataclasses.replace(mapped.mesh, flit=flit)
    host = dataclasses.replace(mapped.host, flit=flit)
    narrow = dataclasses.replace(mapped, mesh=mesh, host=host)
    words = encode(narrow, events, load=True, probe=True)
    out = np.array(Fabric(narrow, loaded=False).run(words), dtype=np.uint64)
    a = decode(narrow, out, 6, probe=True)
    b = decode(mapped, answer(mapped, encode(mapped, events, probe=True)), 6, probe=True)
    assert a.errors == ()
    assert np.array_equal(a.outputs, b.outputs)
    for name, state in a.probes.items():
        assert np.array_equal(state["membrane"], b.probes[name]["membrane"])
