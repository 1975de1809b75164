import numpy as np
import pytest

from codesign.explore import explore as engine
from codesign.explore.front import front
from codesign.explore.outcome import Outcome
from codesign.explore.plan import Constraint, Plan
from codesign.explore.propose import Proposer, _apart
from codesign.explore.space import HARDWARE, derive
from codesign.explore.trial import Point, run_trial
from tests.codesign.kit_explore import OBJECTIVES, SETTINGS, files, searched


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NERVURE_CACHE", str(tmp_path / "cache"))


def network(choice):
    return {k: v for k, v in choice.items() if k.partition(".")[0] not in HARDWARE}


def test_proposals_are_hardware_that_extends_the_front(tmp_path):
    plan = Plan(objectives=OBJECTIVES, engines=("event",))
    model, data = files(tmp_path)
    graph, stimulus, calibration, settings = engine._read(model, data, SETTINGS, plan)
    space = derive(graph, stimulus, calibration, settings, plan)
    task, _ = engine._task(model, data, settings, plan, space)
    told = list(searched(tmp_path, "out", trials=6, sweep=False, engines=("event",)).outcomes)
    known = front(told, OBJECTIVES)
    limit = Constraint("lut", False, 3000.0)
    proposer = Proposer(task, space, OBJECTIVES, [limit])
    genomes = proposer.proposals(told, 1, 5)
    assert 1 <= len(genomes) <= 5
    made = []
    for genome in genomes:
        choice = space.choice(genome)
        assert network(choice) == network(known[0].choice)
        found = run_trial(task, Point(space.settings(choice), choice.get("steps"), None))
        assert found["failed"] is None
        assert found["values"]["lut"] <= 1.1 * limit.bound  # by the sweep's formulas it is within
        made.append(Outcome(number=100 + len(made), choice=choice, values=found["values"]))
    assert any(o.number >= 100 for o in front([*told, *made], OBJECTIVES))
    others = proposer.proposals(told, 99, 5)
    assert network(known[0].choice) not in [network(space.choice(g)) for g in others]
    assert proposer.proposals(told, 99, 5) == []


def test_rows_are_chosen_far_apart():
    known = np.array([[0.0, 1.0]])
    loss = np.array([[0.0, 0.99], [1.0, 0.0], [0.5, 0.5], [0.99, 0.0]])
    assert _apart(loss, known, 2) == [1, 2]
    assert sorted(_apart(loss, known, 9)) == [0, 1, 2, 3]
    assert _apart(np.empty((0, 2)), known, 3) == []
