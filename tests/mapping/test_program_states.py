"""Rules and storage of Programs with states, gates, tables and changes of values."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hdl.params.neuron import Emit
from mapping.changes import adds_up, all_changes, any_changes, sends_values
from mapping.program import Input
from mapping.storage import digest, load, save
from mapping.validate import problems
from tests.kit import random_program
from tests.kit_ssm import ssm_program
from tests.kit_stochastic import stochastic
from tests.mapping.test_storage import change, edit, equal, fault, with_array

MIXED = ssm_program(2, mixed=True, real=False, order=3, emit=Emit.TABLE)
PAIRS = ssm_program(3, mixed=False, real=False, emit=Emit.RELU)
HELD = ssm_program(2, changes=True, mixed=True, real=False, order=3, emit=Emit.TABLE)


def layer(program, name, **values):
    populations = tuple(replace(p, **values) if p.name == name else p for p in program.populations)
    return replace(program, populations=populations)


def dendrites(program, name, **values):
    return layer(program, name, dendrites=replace(program.population(name).dendrites, **values))


def array(program, name, key, value):
    kept = {k: v for k, v in program.population(name).arrays.items() if k != key}
    return layer(program, name, arrays=kept if value is None else {**kept, key: value})


def field(program, name, key, value):
    p = program.population(name)
    return layer(program, name, fields=p.fields | {key: np.full(p.size, int(value))})


def between(program, source, target, **values):
    projections = tuple(
        replace(q, **values) if (q.source, q.target) == (source, target) else q
        for q in program.projections
    )
    return replace(program, projections=projections)


def without(program, source, target):
    kept = tuple(q for q in program.projections if (q.source, q.target) != (source, target))
    return replace(program, projections=kept)


@pytest.mark.parametrize(
    "program",
    [
        MIXED, PAIRS, HELD, ssm_program(4, (1, 1, 1), mixed=False, real=True, stochastic=True),
        ssm_program(5, (2, 2, 3), order=1, emit=Emit.TABLE, changes=True),
    ],
)  # fmt: skip
def test_what_is_saved_is_what_is_loaded(tmp_path, program):
    assert problems(program) == []
    save(program, tmp_path)
    again = load(tmp_path)
    assert equal(again, program)
    assert digest(again) == digest(program)


def test_every_number_of_the_states_counts_in_the_digest():
    for name, key in (("ssm", "pole"), ("ssm", "mix"), ("ssm", "gain"), ("ssm", "table")):
        value = MIXED.population(name).arrays[key].copy()
        value.flat[-1] = 0 if value.flat[-1] else 1
        assert digest(array(MIXED, name, key, value)) != digest(MIXED)


def test_programs_without_tables_name_none(tmp_path):
    save(random_program(1), tmp_path)
    document = json.loads((tmp_path / "program.json").read_text())
    assert "table_bits" not in document["formats"]
    assert all("table" not in p for p in document["populations"])
    save(MIXED, tmp_path)
    document = json.loads((tmp_path / "program.json").read_text())
    assert document["formats"]["table_bits"] == 5
    assert [p.get("table") for p in document["populations"]] == [None, True, None, None]


WHERE = ("populations", 1, "dendrites")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (change("held", 1, *WHERE), "populations[1]: dendrites: 'held' must be bool, not int"),
        (change("order", 3000, *WHERE), "dendrites: order must be in 1..1024, not 3000"),
        (change("mixed", False, *WHERE), "order must be 1 if states are neurons, not 3"),
        (change("lanes", 4, *WHERE), "populations[1]: dendrites: unknown key 'lanes'"),
        (change("order", 4, *WHERE), "arrays.npz: not of the sizes in program.json"),
        (change("real", True, *WHERE), "arrays.npz: not of the sizes in program.json"),
        (change("table_bits", 4, "formats"), "arrays.npz: not of the sizes in program.json"),
        (change("table_bits", -1, "formats"), "arrays.npz: not of the sizes in program.json"),
        (change("table_bits", True, "formats"), "formats: 'table_bits' must be int, not bool"),
        (change("table", None, "populations", 1), "unknown member 'population.1.array.table.npy'"),
        (change("table", True, "populations", 0), "'population.0.array.table.npy' is missing"),
        (change("table", 1, "populations", 1), "populations[1]: 'table' must be bool, not int"),
    ],
)
def test_a_wrong_document_is_named(tmp_path, act, message):
    save(MIXED, tmp_path)
    edit(tmp_path, act)
    assert message in fault(tmp_path)


def test_wrong_arrays_on_disk_are_named(tmp_path):
    save(MIXED, tmp_path)
    with_array(tmp_path, "population.1.array.gain", np.full(12, 9))
    assert "ssm: gain must be in 0..7" in fault(tmp_path)


ONE = 1 << MIXED.population("ssm").dendrites.pole_bits
POLE = MIXED.population("ssm").arrays["pole"]
ADDED = HELD.formats.decay_bits


def unstable(re, im):
    pole = POLE.copy()
    pole[7] = re, im
    return array(MIXED, "ssm", "pole", pole)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            unstable(0, -ONE),
            f"ssm: the pole of state 7, 0, {-ONE}, must be of magnitude below {ONE}",
        ),
        (unstable(ONE - 1, ONE // 2), f"must be of magnitude below {ONE}, that is 1"),
        (unstable(2 * ONE, 0), f"ssm: pole must be in {-ONE}..{ONE - 1}"),
        (
            array(MIXED, "ssm", "pole", POLE[:-1]),
            "ssm: pole must be int64 (12, 2), not int64 (11, 2)",
        ),
        (array(MIXED, "ssm", "pole", POLE * 1.0), "ssm: pole must be int64 (12, 2), not float64"),
        (array(MIXED, "ssm", "mix", None), "ssm: arrays must be pole, gain, mix, not"),
        (
            array(MIXED, "gate", "pole", POLE),
            "gate: has arrays, which only crossbars and states have",
        ),
        (
            array(MIXED, "enc", "pole", POLE),
            "enc: has arrays, which only crossbars and states have",
        ),
        (array(MIXED, "ssm", "table", None), "ssm: emitting by a table needs one in arrays"),
        (
            array(MIXED, "enc", "table", np.zeros(32, int)),
            "enc: has a table, but no neuron emits by it",
        ),
        (
            array(MIXED, "ssm", "table", np.zeros(16, int)),
            "ssm: table must have shape (32,), not (16,)",
        ),
        (
            array(MIXED, "ssm", "table", np.full(32, 128)),
            "ssm: table must be in -128..127, not 128..128",
        ),
        (
            array(HELD, "ssm", "table", np.full(32, -65)),
            "ssm: table must be in -64..63, not -65..-65",
        ),
        (
            replace(MIXED, formats=replace(MIXED.formats, table_bits=0)),
            "emitting by a table needs table_bits",
        ),
        (
            replace(MIXED, formats=replace(MIXED.formats, table_bits=13)),
            "formats: table_bits must be in 0..12",
        ),
        (
            replace(MIXED, formats=replace(MIXED.formats, payload_bits=0)),
            "enc: emitting values needs payload_bits",
        ),
        (
            replace(HELD, formats=replace(HELD.formats, payload_bits=2)),
            "needs payload_bits of at least 3",
        ),
        (
            field(MIXED, "enc", "emit", 7),
            "enc: emit must be one of 0, 1, 2, 3, 6, 10, 18, 22, 26, not 7",
        ),
        (
            field(HELD, "enc", "threshold", -1),
            "enc: threshold must be at least 0 where changes are sent",
        ),
        (without(MIXED, "enc", "ssm"), "ssm: it needs one projection, without a port, not none"),
        (
            between(MIXED, "enc", "ssm", port="left"),
            "ssm: it needs one projection, without a port, not 'left'",
        ),
        (
            between(MIXED, "enc", "ssm", exponent=1),
            "ssm: the projection from enc must be one to one, 4 weights of 1",
        ),
        (
            between(MIXED, "enc", "gate", weights=np.array([1, 1, 0, 1])),
            "gate: the projection from enc must be one to one",
        ),
        (
            without(MIXED, "ssm", "gate"),
            "gate: it needs one projection into each port, left, right, and no other, not 'left'",
        ),
        (between(MIXED, "ssm", "gate", port="key"), "left, right, and no other, not 'key', 'left'"),
        (
            between(MIXED, "gate", "out", port="left"),
            "out: the projection from gate names port 'left', which only",
        ),
        (
            dendrites(MIXED, "ssm", value_bits=7),
            "ssm: enc sends values of 8 bits, more than value_bits, 7",
        ),
        (
            dendrites(HELD, "gate", value_bits=6),
            "gate: enc sends values of 7 bits, more than value_bits, 6",
        ),
        (
            field(HELD, "enc", "emit", Emit.VALUE),
            "ssm: enc must send changes only, as ssm adds them up",
        ),
        (dendrites(HELD, "ssm", held=False), "ssm: enc sends changes, which nothing adds up"),
        (
            field(HELD, "out", "current_decay", 0),
            f"with current_decay {1 << ADDED} and membrane_decay 0",
        ),
        (field(HELD, "out", "membrane_decay", 1), "out: gate sends changes, which nothing adds up"),
        (
            replace(HELD, outputs=("gate",)),
            "outputs: gate sends changes, which readout 'last' can't read",
        ),
    ],
)
def test_broken_rules_are_named(program, message):
    found = problems(program)
    assert any(message in text for text in found), found


def test_pairs_of_neurons_are_of_even_number():
    program = ssm_program(3, (2, 3, 2), mixed=False, real=True)
    wrong = dendrites(program, "ssm", real=False)
    assert "ssm: size must be even where neurons are parts of a state, not 3" in problems(wrong)


def test_sums_of_changes_take_no_other_events():
    q = replace(HELD.projections[0], target="out")  # of the graded inputs
    q = replace(q, indices=np.minimum(q.indices, 1), indptr=np.zeros_like(q.indptr))
    q = replace(q, indices=q.indices[:0], weights=q.weights[:0])
    program = replace(HELD, projections=(*HELD.projections, q))
    assert problems(program) == ["out: in must send changes only, as out adds them up"]
    assert problems(replace(HELD, outputs=("gate",), readout="none")) == []


def test_streams_take_no_changes():
    program = stochastic(HELD, ("out",))
    found = problems(program)
    assert any("out: gate sends changes, which nothing adds up" in text for text in found)


def test_all_problems_come_at_once():
    program = dendrites(dendrites(HELD, "ssm", value_bits=6), "gate", value_bits=5)
    program = field(program, "out", "current_decay", 0)
    assert len(problems(program)) == 4


def test_who_sends_what():
    assert sends_values(MIXED, "in")
    assert sends_values(MIXED, "ssm")
    assert sends_values(HELD, "enc")
    assert not sends_values(MIXED, "out")
    assert any_changes(HELD, "enc")
    assert all_changes(HELD, "enc")
    assert not any_changes(MIXED, "enc")
    assert not all_changes(HELD, "in")
    assert adds_up(HELD, HELD.population("out"))
    assert not adds_up(HELD, HELD.population("ssm"))
    silent = field(HELD, "enc", "emit", Emit.NONE)
    assert all_changes(silent, "enc")
    assert not any_changes(silent, "enc")
    plain = replace(random_program(1), inputs=(Input(name="in0_0", size=12),))
    assert not sends_values(plain, "in0_0")
