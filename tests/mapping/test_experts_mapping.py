"""Programs with winners and spread gates: rules, storage, and mappings on the plain fabric."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from hdl.params.ssm.gate import Gate
from hdl.params.winners import Winners
from mapping.kinds import kinds_of
from mapping.mapper import Target, map_program
from mapping.storage import digest, load, save
from mapping.validate import problems
from sim.golden.network import Golden
from tests.mapping.test_mapper import check
from tests.mapping.test_storage import change, edit, equal
from tests.test_experts import mixture

PROGRAM, INPUTS = mixture(seed=2, k=2, gate=1, experts=4, hidden=3)


def with_population(name, program=PROGRAM, **fields):
    changed = tuple(replace(p, **fields) if p.name == name else p for p in program.populations)
    return replace(program, populations=changed)


def grouped(groups, group, count):
    """A router of several groups, in which few weights make ties."""
    program, inputs = mixture(seed=4, experts=groups * group, hidden=1)
    rng = np.random.default_rng(groups)
    into = [
        replace(q, weights=rng.integers(-1, 2, len(q.weights))) if q.target == "moe0.router" else q
        for q in program.projections
    ]
    bias = {"bias": np.zeros(groups * group, np.int64)}
    router = program.population("moe0.router")
    program = replace(program, projections=tuple(into))
    winners = Winners(count=count, group=group)
    return with_population("moe0.router", program, winners=winners, fields=router.fields | bias), (
        inputs
    )


@pytest.mark.parametrize(("groups", "group", "count"), [(1, 1, 1), (3, 2, 1), (2, 3, 2), (4, 1, 1)])
def test_golden_lets_the_strongest_send(groups, group, count):
    program, inputs = grouped(groups, group, count)
    program = replace(program, outputs=("moe0.router",), readout="none")
    found = Golden(program).run(inputs, record_state=True)
    membranes = found.state["moe0.router"].membrane
    ties = 0
    for scores, sent in zip(
        membranes.reshape(-1, group), found.outputs.reshape(-1, group), strict=True
    ):
        rivals = sorted(range(group), key=lambda n: (-scores[n], n))[:count]
        assert sent.tolist() == [int(n in rivals) for n in range(group)]
        ties += len(set(scores.tolist())) < group
    assert ties or group == 1
    assert found.events["moe0.router"].sum() == found.outputs.sum()


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("cores", [3, 4, 6, 7, 12])
def test_every_mapping_computes_the_same(cores, lanes):
    mapped = check(PROGRAM, INPUTS[:1, :6], Target(cores=cores, lanes=lanes))
    tiles = [set(mapped.slots[f"moe0.experts.{e}.0"][0].tolist()) for e in range(4)]
    others = {
        int(tile)
        for name, (where, _) in mapped.slots.items()
        if "experts" not in name
        for tile in where
    }
    alone = all(not (mine & others) for mine in tiles) and len(set.union(*tiles)) >= 4
    assert alone == (cores >= len(kinds_of(PROGRAM))) == (cores >= 7)
    kinds = {c["dendrites"] for c in mapped.stats["cores"]}
    assert kinds == {"events", "winners", "gate"}


@pytest.mark.parametrize(("groups", "group", "count"), [(3, 2, 1), (2, 3, 2)])
def test_groups_and_stretches_are_not_cut(groups, group, count):
    program, inputs = grouped(groups, group, count)
    most = 4 * max(group, 5)
    mapped = check(program, inputs[:1, :5], Target(cores=18, neurons=most, lanes=2))
    for name, whole in (("moe0.router", group), ("moe0.copies", 5)):
        tiles = mapped.slots[name][0].reshape(-1, whole)
        assert (tiles == tiles[:, :1]).all()
    assert len(np.unique(mapped.slots["moe0.copies"][0])) > 1
    with pytest.raises(UserError, match="a stretch of its gate has 5 neurons, 4 slots available"):
        map_program(program, Target(cores=18, neurons=4, lanes=1))


def test_what_is_saved_is_what_is_loaded(tmp_path):
    assert problems(PROGRAM) == []
    save(PROGRAM, tmp_path)
    assert equal(load(tmp_path), PROGRAM)
    again = load(tmp_path).population("moe0.router")
    assert again.winners == Winners(count=2, group=4)
    assert load(tmp_path).population("moe0.experts.2.0").apart == "moe0.experts.2"
    assert digest(with_population("moe0.router", winners=None)) != digest(PROGRAM)
    assert digest(with_population("moe0.experts.1.0", apart="")) != digest(PROGRAM)


NUMBER = [p.name for p in PROGRAM.populations].index("moe0.router")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (change("count", 5, "populations", NUMBER, "winners"), "count must be in 1..4, not 5"),
        (change("group", True, "populations", NUMBER, "winners"), "'group' must be int, not"),
        (change("group", 3, "populations", NUMBER, "winners"), "a multiple of the winners' group"),
        (change("winners", 3, "populations", NUMBER), "'winners' must be dict, not int"),
        (change("apart", 3, "populations", NUMBER), "'apart' must be str, not int"),
        (change("held", True, "populations", NUMBER + 1, "dendrites"), "held must be False"),
        (change("stretch", 4, "populations", NUMBER + 1, "dendrites"), "as its gate spreads it"),
        (change("stretch", 7, "populations", NUMBER + 1, "dendrites"), "multiple of its gate's"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_named(tmp_path, act, message):
    save(PROGRAM, tmp_path)
    edit(tmp_path, act)
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert message in str(caught.value)


def test_rules_of_winners():
    router = PROGRAM.population("moe0.router")
    size = router.size
    for changes, message in (
        (
            {"dendrites": Gate(), "arrays": router.arrays},
            "winners are of exact sums; it must have no other dendrites",
        ),
        (
            {"fields": router.fields | {"emit": np.arange(size) % 2 + int(Emit.SPIKE)}},
            "winners must all emit in one way, and no changes",
        ),
        (
            {"fields": router.fields | {"emit": np.full(size, 1), "reset": np.zeros(size, int)}},
            "a spike of a winner must leave its membrane: subtract a reset_value of 0",
        ),
    ):
        found = problems(with_population("moe0.router", **{"arrays": {}, **changes}))
        assert any(message in text for text in found), (message, found)
