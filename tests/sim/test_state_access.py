"""What neurons and dendrites remember: where it stands in a fabric, read, written, compared."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from hdl.params.noc import ConfigOp, Memory
from mapping.mapped import Mapped, Target
from mapping.mapper import map_program
from sim.export import export_testbench
from sim.golden.network import Golden
from sim.mismatch import by_cause, differences
from sim.protocol import encode, replies
from sim.rtl import RtlResult
from sim.states import (
    States,
    checked_start,
    fields,
    keys,
    probe_runs,
    read_states,
    start_words,
    state_bits,
    state_replies,
)
from sim.words import cores, select
from tests.kit import random_program
from tests.kit_states import gated_program, random_values, s4d_program
from tests.sim.test_export import kinds, load_compare

#: Program, target.
CASES = {
    "lif": (lambda: random_program(1, (6, 9, 5)), {"cores": 3, "lanes": 4}),
    "cuba": (lambda: random_program(2, (6, 7, 5), cuba=True), {"cores": 2, "lanes": 2}),
    "s4d": (
        lambda: s4d_program(3, order=6, stochastic=True, changes=True),
        {"cores": 5, "state_lanes": 4},
    ),
    "s4d real": (lambda: s4d_program(4, order=3, width=3, real=True), {"state_lanes": 2}),
    "s5": (lambda: gated_program(5, states=3, stochastic=True), {}),
    "s5 changes": (
        lambda: gated_program(6, states=5, changes=True, shared=True),
        {"cores": 8, "lanes": 4, "update_lanes": 2},
    ),
}


def mapped_of(name: str) -> Mapped:
    make, target = CASES[name]
    return map_program(make(), Target(**target))


def random_states_of(mapped: Mapped, samples: int, seed: int) -> States:
    """Any numbers that fit."""
    rng = np.random.default_rng(seed)
    found: States = {}
    for p in mapped.program.populations:
        found[p.name] = {}
        for name, key in keys(mapped.program, p).items():
            half = 0 if name == "draws" else (1 << key.bits) >> 1
            low, high = (1 if name == "draws" else -half), (1 << key.bits) - half
            found[p.name][name] = rng.integers(low, high, (samples, *key.shape))
    return found


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read(name):
    """Every number has bits of its own, and all bits of the states are counted."""
    mapped = mapped_of(name)
    states = random_states_of(mapped, 3, seed=1)
    items = {tile: state_replies(mapped, tile, states, 3) for tile, _ in cores(mapped)}
    for population, own in read_states(mapped, items, 3).items():
        for key, value in own.items():
            assert np.array_equal(value, states[population][key]), (population, key)
    used = 0
    for tile, core in cores(mapped):
        bits = np.zeros((core.state_items, core.probe_bits), np.int64)
        for f in fields(mapped, tile):
            bits[f.items, f.shift : f.shift + f.bits] += 1
        assert bits.max() == 1
        used += bits.sum()
        runs = [items for where, _, items in probe_runs(mapped) if where == tile]
        assert np.array_equal(np.concatenate(runs), np.flatnonzero(bits.any(axis=1)))
    assert used == state_bits(mapped.program)


def test_items_are_those_of_the_contract():
    """Orders that don't fill their words, pairs, and what is held behind the states."""
    mapped = map_program(
        s4d_program(1, order=5, width=3, layers=1, changes=True), Target(state_lanes=2)
    )
    tile, core = next((t, c) for t, c in cores(mapped) if c.dendrites is not None)
    states = random_states_of(mapped, 1, seed=2)
    item = state_replies(mapped, tile, states, 1)[0]
    chunk, d = mapped.mesh.flit.chunk_bits, core.dendrites.diagonal
    words = [sum(int(v) << k * chunk for k, v in enumerate(row)) for row in item]
    own = states["ssm0"]
    for n, slot in enumerate(mapped.slots["ssm0"][1].tolist()):
        for i in range(5):
            re, im = own["states"][0, n * 5 + i].tolist()
            both = re % (1 << d.state_bits) | im % (1 << d.state_bits) << d.state_bits
            assert words[core.slots + (slot * 3 + i // 2) * 2 + i % 2] == both
        assert words[core.slots + 3 * 6 + slot] == own["held"][0, n] % (1 << d.value_bits)
        neuron = [own[k][0, n] for k in ("membrane", "current", "sent")]
        bits = (core.membrane_bits, core.current_bits, core.sent_bits)
        assert words[slot] == sum(
            int(v) % (1 << b) << sum(bits[:k])
            for k, (v, b) in enumerate(zip(neuron, bits, strict=True))
        )


def test_words_of_a_start(tmp_path):
    """Clear, an empty step, all items of all runs, then the sample."""
    mapped = mapped_of("cuba")
    mapped = replace(mapped, program=replace(mapped.program, projections=()))
    states = random_states_of(mapped, 2, seed=3)
    writes = start_words(mapped, states, 2)
    events = np.zeros((2, 3, mapped.program.input_size), np.int64)
    words = encode(mapped, events, start=states).reshape(2, -1)
    plain = encode(mapped, events).reshape(2, -1)
    step = words[:, 1] >> np.uint64(mapped.host.body_bits)
    assert step.tolist() == [1, 1]
    assert np.array_equal(np.delete(words, np.s_[1 : 2 + writes.shape[1]], axis=1), plain)
    assert np.array_equal(words[:, 2 : 2 + writes.shape[1]], writes)
    assert replies(mapped, 3, start=True) == replies(mapped, 3) + 1
    bodies = writes[0] & np.uint64((1 << mapped.mesh.flit.body_bits) - 1)
    _, core, items = probe_runs(mapped)[0]
    assert bodies[0] == select(Memory.STATE, int(items[0]))
    chunks = -(-core.probe_bits // mapped.mesh.flit.chunk_bits)
    ops = bodies[1 : 1 + chunks] & np.uint64(3)
    assert ops.tolist() == [ConfigOp.SHIFT] * (chunks - 1) + [ConfigOp.COMMIT]


@pytest.mark.parametrize("name", ["cuba", "s4d", "s5", "s5 changes"])
def test_each_difference_is_named(name):
    """One number of a key of a population is wrong: signal, neuron, both values."""
    mapped = mapped_of(name)
    program, rng = mapped.program, np.random.default_rng(4)
    inputs = rng.integers(0, 2, (2, 4, program.input_size))
    golden = Golden(program).run(inputs)
    right = golden.snapshot()
    seen = set()
    for p in program.populations:
        for key, (shape, bits) in keys(program, p).items():
            if not bits:
                continue
            index = tuple(int(rng.integers(n)) for n in shape)
            wrong = {n: {k: v.copy() for k, v in own.items()} for n, own in right.items()}
            wrong[p.name][key][1][index] += 1
            result = RtlResult(outputs=golden.outputs, cycles=np.zeros(2), final=wrong)
            (found,) = differences(mapped, golden, result, np.array([4, 4]))
            assert (found.sample, found.population, found.bits) == (1, p.name, bits)
            assert found.found == found.expected + 1 == right[p.name][key][1][index] + 1
            where = "" if shape == (p.size,) else "".join(f"[{i}]" for i in index)
            assert found.signal == key + where
            if shape == (p.size,) or key == "held":
                assert found.neuron == index[0]
            else:  # a state of these neurons
                d = p.dendrites
                first = index[0] // d.order * d.neurons
                assert found.neuron == first
            assert f", {found.signal}: expected 0x" in str(found)
            assert by_cause(mapped, (found,)) == (found,)
            seen.add(key)
    extra = {"s4d": {"states", "draws", "held", "sent"}, "s5": {"states", "draws"}}
    extra["s5 changes"] = {"states", "held", "sent"}
    assert seen >= {"membrane"} | extra.get(name, {"current"})


def test_causes_come_first():
    mapped = mapped_of("s4d")
    program = mapped.program
    inputs = random_values(5, program, 1, 6)
    golden = Golden(program).run(inputs)
    wrong = {n: {k: v + 1 for k, v in own.items()} for n, own in golden.snapshot().items()}
    result = RtlResult(outputs=golden.outputs + 1, cycles=np.zeros(1), final=wrong)
    found = by_cause(mapped, tuple(differences(mapped, golden, result, np.array([6]))))
    signals = [m.signal.split("[")[0] for m in found if m.population == "ssm0"]
    assert list(dict.fromkeys(signals)) == [
        "held", "draws", "states", "current", "membrane", "sent",
    ]  # fmt: skip


def test_the_exported_testbench_names_states(tmp_path):
    """A wrong bit of any state reply: one line, with its population and signal."""
    mapped = mapped_of("s5 changes")
    export_testbench(mapped, tmp_path, None, samples=1)
    tb = load_compare(tmp_path)
    words, samples = tb.read_hex("expected.hex"), tb.LAYOUT["samples"]
    assert tb.compare(words, words, samples) == []
    seen = []
    for place in kinds(tb, words)[1]:
        for bit in (0, 8):
            wrong = [w ^ (i == place) << bit for i, w in enumerate(words)]
            (text,) = tb.compare(words, wrong, samples)
            seen.append(text)
    for what in (
        "neuron gate[3] (slot 3): membrane expected",
        "ssm: states[4][1] expected",
        "ssm: held[9] expected",
        "gate: held[4][1] expected",
        "words differ in bits that mean nothing",
    ):
        assert any(what in text for text in seen), (what, seen)


def test_states_that_do_not_fit_are_refused():
    mapped = mapped_of("s5 changes")
    program = mapped.program
    states = random_states_of(mapped, 2, seed=6)
    checked = checked_start(program, states, 2)
    assert all(
        np.array_equal(checked[p][k], v) for p, own in states.items() for k, v in own.items()
    )
    gate = states["gate"]
    for wrong, message in (
        ({"held": gate["held"][:1]}, "gate: held to start from must be integers of shape"),
        ({"held": gate["held"] * 0.5}, "gate: held to start from must be integers of shape"),
        ({"held": gate["held"] * 0 + 64}, r"gate: held to start from must be in -64\.\.63"),
        ({"draws": gate["held"]}, "gate: a state to start from has "),
    ):
        with pytest.raises(UserError, match=message):
            checked_start(program, states | {"gate": gate | wrong}, 2)
    with pytest.raises(UserError, match="a state to start from names other, which there isn't"):
        checked_start(program, states | {"other": gate}, 2)
    recurrent = random_program(1, (3, 4, 2), emit=Emit.SPIKE)
    with pytest.raises(UserError, match="arrives a step later; a state holds no events on their"):
        checked_start(recurrent, {}, 1)
