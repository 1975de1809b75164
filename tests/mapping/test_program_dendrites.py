"""Rules and storage of populations that sum their input as streams or as an attention head."""

import dataclasses
import json

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import FIELDS, Emit
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from mapping.program import Formats, Input, Population, Program
from mapping.storage import digest, load, save
from mapping.validate import problems
from tests.kit import random_program
from tests.kit_stochastic import one_to_one
from tests.mapping.test_storage import change, edit, equal, fault

HEAD = AttentionParams(tokens=2, dim=3, causal=True, seed=5)


def with_streams(program: Program, **values) -> Program:
    """The first population made stochastic."""
    first, *rest = program.populations
    streams = Streams(**{"weight_bits": 6, "source_bits": 6, "log2_length": 5, **values})
    first = dataclasses.replace(first, dendrites=streams)
    return dataclasses.replace(program, populations=(first, *rest))


def head_program(head: AttentionParams = HEAD, **changes) -> Program:
    """Three inputs that feed an attention head; `changes` of its projections by port."""
    size = head.size
    fields = {name: np.zeros(size, np.int64) for name in FIELDS}
    fields["emit"] += int(Emit.SPIKE)
    projections = {port: one_to_one(port, "head", size, port) for port in PORTS}
    for port, values in changes.items():
        projections[port] = dataclasses.replace(projections[port], **values)
    return Program(
        name="head",
        formats=Formats(),
        inputs=tuple(Input(name=port, size=size) for port in PORTS),
        populations=(
            Population(
                name="head", kind="Attention", size=size, level=1, fields=fields,
                membrane_scale=np.ones(size), dendrites=head,
            ),
        ),
        projections=tuple(projections.values()),
        outputs=("head",),
    )  # fmt: skip


@pytest.mark.parametrize(
    "program",
    [
        with_streams(random_program(1)),
        with_streams(random_program(2, graded=True), value_bits=7, tolerance=3),
        with_streams(random_program(3), generator="lfsr", generators=4, seed=9),
        with_streams(random_program(4), margin=0),
        head_program(),
    ],
)
def test_what_is_saved_is_what_is_loaded(tmp_path, program):
    save(program, tmp_path)
    assert equal(load(tmp_path), program)
    plain = tuple(dataclasses.replace(p, dendrites=None) for p in program.populations)
    bare = tuple(dataclasses.replace(q, port="") for q in program.projections)
    other = dataclasses.replace(program, populations=plain, projections=bare)
    assert digest(other) != digest(program)


def test_ordinary_programs_name_neither_dendrites_nor_ports(tmp_path):
    save(random_program(1), tmp_path)
    document = json.loads((tmp_path / "program.json").read_text())
    assert all("dendrites" not in p for p in document["populations"])
    assert all("port" not in q for q in document["projections"])


def test_a_margin_is_stored_where_there_is_one(tmp_path):
    save(with_streams(random_program(1)), tmp_path)
    edit(tmp_path, lambda document: document["populations"][0]["dendrites"].pop("margin", None))
    assert load(tmp_path).populations[0].dendrites.margin == -1
    for margin, stored in ((-1, None), (0, 0), (7, 7)):
        save(with_streams(random_program(1), margin=margin), tmp_path)
        document = json.loads((tmp_path / "program.json").read_text())
        assert document["populations"][0]["dendrites"].get("margin") == stored
        assert load(tmp_path).populations[0].dendrites.margin == margin


WHERE = ("populations", 0, "dendrites")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (change("dendrites", 3, *WHERE[:2]), "populations[0]: 'dendrites' must be dict, not int"),
        (
            change("kind", "tree", *WHERE),
            "populations[0]: dendrites: 'kind' must be one of streams, attention, crossbar, "
            "diagonal, gate, not 'tree'",
        ),
        (change("kind", None, *WHERE), "'kind' must be one of streams, attention, crossbar, diag"),
        (change("seed", None, *WHERE), "populations[0]: dendrites: 'seed' is missing"),
        (change("margin", 256, *WHERE), "dendrites: margin must be in -1..255, not 256"),
        (change("margin", "1", *WHERE), "'margin' must be int, not str"),
        (change("length", 3, *WHERE), "populations[0]: dendrites: unknown key 'length'"),
        (change("weight_bits", "6", *WHERE), "'weight_bits' must be int, not str"),
        (
            change("log2_length", 9, *WHERE),
            "populations[0]: dendrites: log2_length must be in 0..6, not 9",
        ),
        (
            change("generator", "dice", *WHERE),
            "dendrites: generator must be 'sobol' or 'lfsr', not 'dice'",
        ),
        (change("port", 3, "projections", 0), "projections[0]: 'port' must be str, not int"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_named(tmp_path, act, message):
    save(with_streams(random_program(1)), tmp_path)
    edit(tmp_path, act)
    assert message in fault(tmp_path)


def test_streams_must_hold_weights_and_values():
    program = with_streams(random_program(1), weight_bits=2, source_bits=2, log2_length=2)
    assert any(
        "pop1_0: weights from in0_0 reach" in text and "2**weight_bits of its streams, 4" in text
        for text in problems(program)
    )
    program = with_streams(random_program(1, graded=True), value_bits=5)
    assert (
        "pop1_0: in0_0 sends values of magnitudes up to 128, more than 2**value_bits of its "
        "streams, 32"
    ) in problems(program)


def test_parallel_projections_into_streams_are_refused(tmp_path):
    program = random_program(1, skip=False)
    twice = dataclasses.replace(program, projections=(*program.projections, program.projections[0]))
    assert not problems(twice)
    assert problems(with_streams(twice)) == [
        "pop1_0: in0_0 has several projections of delay 0 to it; add them up"
    ]
    with pytest.raises(UserError, match="add them up"):
        save(with_streams(twice), tmp_path)


def test_ports_belong_to_attention_heads():
    program = random_program(1)
    q = dataclasses.replace(program.projections[0], port="key")
    program = dataclasses.replace(program, projections=(q, *program.projections[1:]))
    assert problems(program) == [
        "pop1_0: the projection from in0_0 names port 'key', "
        "which only an attention head or a gate has"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": {"port": ""}}, "one projection into each port, query, key, value, and no other, "
                                "not '', 'query', 'value'"),
        ({"key": {"port": "query"}}, "not 'query', 'query', 'value'"),
        ({"key": {"weights": np.array([1, 1, 1, 1, 1, -1])}},
         "head: the projection from key must be one to one, 6 weights of 1"),
        ({"key": {"indices": np.arange(6)[::-1].copy()}}, "from key must be one to one"),
        ({"value": {"exponent": 1}}, "from value must be one to one"),
    ],
)  # fmt: skip
def test_wrong_heads_are_named(changes, message):
    assert not problems(head_program())
    assert any(message in text for text in problems(head_program(**changes)))


def test_a_head_has_the_size_of_its_population_and_takes_spikes():
    program = head_program()
    head = dataclasses.replace(program.populations[0], dendrites=AttentionParams(tokens=2, dim=2))
    wrong = dataclasses.replace(program, populations=(head,))
    assert problems(wrong) == [
        "head: size must be tokens * dim of its attention head, 4, not 6",
    ]
    graded = dataclasses.replace(program.inputs[1], graded=True)
    wrong = dataclasses.replace(
        program,
        formats=Formats(payload_bits=4),
        inputs=(program.inputs[0], graded, program.inputs[2]),
    )
    assert problems(wrong) == ["head: key sends values; an attention head takes spikes"]
