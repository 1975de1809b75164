import json
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import active_children

import numpy as np
import optuna
import pytest

from codesign.explore.explore import explore
from codesign.explore.front import Infeasible
from codesign.explore.outcome import Outcome
from codesign.explore.plan import Plan
from codesign.explore.store import JOURNAL
from hdl.params.errors import UserError
from tests.codesign.kit_explore import OBJECTIVES, QUICK, SETTINGS, content, files, searched

TRIALS = QUICK["trials"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No trial is known from elsewhere."""
    monkeypatch.setenv("NERVURE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The exploration that all others must equal: one process, no break."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NERVURE_CACHE", str(folder / "cache"))
        return searched(folder, "out")


def test_a_search_finds_a_front(alone, tmp_path):
    assert len(alone.outcomes) == TRIALS
    assert [o.number for o in alone.outcomes] == list(range(TRIALS))
    assert len({json.dumps(o.choice, sort_keys=True) for o in alone.outcomes}) == TRIALS
    assert len(alone.front) >= 3
    assert all(0 <= o.values["accuracy"] <= 1 and o.values["lut"] > 0 for o in alone.front)
    assert max(o.values["accuracy"] for o in alone.front) > 0.5
    assert all(o.fidelity == "estimate" and o.estimate == o.values for o in alone.outcomes)
    again = [Outcome.from_json(json.loads(json.dumps(o.to_json()))) for o in alone.outcomes]
    assert again == list(alone.outcomes)


def test_workers_change_nothing(alone, tmp_path):
    assert content(searched(tmp_path, "out", workers=2)) == content(alone)


def test_a_cluster_changes_nothing(alone, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        with pytest.raises(UserError, match="has no workers; start some"):
            searched(tmp_path, "out", dask=cluster.scheduler_address)
        cluster.scale(2)
        with cluster.get_client() as client:
            client.wait_for_workers(2)
        found = searched(tmp_path, "out", dask=cluster.scheduler_address)
    assert found.workers == 2
    assert content(found) == content(alone)


def test_a_killed_search_goes_on(alone, tmp_path):
    files(tmp_path)
    journal = tmp_path / "out" / JOURNAL
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.codesign.kit_explore", str(tmp_path), "out", str(TRIALS), "0"]
    )
    try:
        for _ in range(6000):
            if journal.exists() and journal.read_bytes().count(b'"outcome"') >= 11:
                break
            time.sleep(0.005)
            assert process.poll() is None, "it ended before it was killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = journal.read_bytes().count(b'"outcome"')
    assert 11 <= finished < TRIALS
    said = []
    found = searched(tmp_path, "out", progress=said.append)
    assert content(found) == content(alone)
    assert journal.read_bytes().count(b'"outcome"') == TRIALS  # none was lost, none done twice
    rest = searched(tmp_path, "out", trials=TRIALS + 2)
    assert content(rest)[:TRIALS] == content(alone)
    assert len(rest.outcomes) == TRIALS + 2


def test_two_processes_share_a_search(alone, tmp_path):
    files(tmp_path)
    both = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.codesign.kit_explore",
                str(tmp_path),
                "out",
                str(TRIALS),
                "0",
            ],
            env={**os.environ, "NERVURE_CACHE": str(tmp_path / f"cache{number}")},
        )
        for number in range(2)
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    assert content(searched(tmp_path, "out")) == content(alone)
    done = (tmp_path / "out" / JOURNAL).read_bytes().count(b'"outcome"')
    assert TRIALS <= done < 2 * TRIALS  # what both had in hand at once is done twice


def test_a_worker_killed_in_mid_trial_costs_nothing(alone, tmp_path):
    killed = []

    def hunt():
        journal = tmp_path / "out" / JOURNAL
        while not killed:
            children = [c for c in active_children() if "Spawn" in type(c).__name__]
            if children and journal.exists() and b'"outcome"' in journal.read_bytes():
                os.kill(children[0].pid, signal.SIGKILL)
                killed.append(children[0].pid)
            time.sleep(0.002)

    thread = threading.Thread(target=hunt, daemon=True)
    thread.start()
    found = searched(tmp_path, "out", workers=2)
    thread.join(5)
    assert killed
    assert content(found) == content(alone)


def test_another_database(alone, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    found = searched(tmp_path, "out", storage=url, trials=6)
    assert content(found) == content(alone)[:6]
    trials = optuna.load_study(study_name="nervure", storage=url).trials
    kept = {json.loads(t.user_attrs["outcome"])["number"]: t.values for t in trials}
    assert kept == {o.number: [o.values[n] for n in OBJECTIVES] for o in found.outcomes}


def test_another_seed_needs_another_folder(alone, tmp_path):
    searched(tmp_path, "out", trials=4)
    with pytest.raises(UserError, match="holds an exploration with another objectives, seed;"):
        searched(tmp_path, "out", seed=1, objectives=("accuracy", "ff"))


def test_a_damaged_journal_stops_the_search(tmp_path):
    searched(tmp_path, "out", trials=8)
    journal = tmp_path / "out" / JOURNAL
    journal.write_bytes(journal.read_bytes().replace(b"{", b"?", 1))
    with pytest.raises(UserError, match="line 1 is damaged"):
        searched(tmp_path, "out", trials=8)


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="was not written by nervure"):
        searched(tmp_path, "out")


def test_constraints_hold_on_the_front(tmp_path):
    found = searched(tmp_path, "out", constraints=("lut<=4500",), trials=12)
    assert found.front
    assert all(o.values["lut"] <= 4500 for o in found.front)
    wide = [o for o in found.outcomes if o.values["lut"] > 4500]
    assert wide
    assert all(o.broken == {"lut<=4500": pytest.approx(o.values["lut"] / 4500 - 1)} for o in wide)


def test_no_feasible_design_says_what_to_loosen(tmp_path):
    with pytest.raises(Infeasible) as error:
        searched(tmp_path, "out", trials=8, constraints=("lut<=200",))
    text = str(error.value)
    found = searched(tmp_path, "out", trials=8)
    least = min(o.values["lut"] for o in found.outcomes)
    assert text == f"no feasible design of 8: loosen lut<=200 to {least:g} " \
                   f"({100 * (least / 200 - 1):.3g} %)"  # fmt: skip
    loosened = searched(tmp_path, "out", trials=8, constraints=(f"lut<={least:g}",))
    assert [o.values["lut"] for o in loosened.front] == [least]


def test_the_front_is_the_best_of_a_space_that_is_searched_wholly(tmp_path):
    vary = {"weight_bits": (2, 4, 8), "lanes": (1, 4)}
    fix = {"cores": 1, "update_lanes": 1, "engine": "event", "prune": 0.0, "fifo": 0}
    for name, gone in (("width", None), ("steps", None)):
        vary[name] = (gone,)
    found = searched(tmp_path, "out", vary=vary, fix=fix, trials=100)
    assert len(found.outcomes) == 6
    assert {(o.choice["weight_bits"], o.choice["lanes"]) for o in found.outcomes} == {
        (bits, lanes) for bits in (2, 4, 8) for lanes in (1, 4)
    }


def test_samplers_differ_and_repeat(alone, tmp_path):
    first = searched(tmp_path, "out", sampler="tpe", trials=12)
    assert content(searched(tmp_path, "again", sampler="tpe", trials=12)) == content(first)
    assert content(first) != content(alone)[:12]


def test_a_time_ends_the_search(tmp_path):
    begun = time.monotonic()
    found = searched(tmp_path, "out", trials=None, seconds=1.0)
    assert time.monotonic() - begun < 20
    assert found.outcomes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"spikes": np.zeros((2, 5, 7), np.uint8), "labels": np.zeros(2, int)},
         "model has 6 inputs, file has 7"),
        ({"spikes": np.zeros((2, 5, 6), np.uint8)}, "has no labels to judge accuracy by"),
        ({"spikes": np.zeros((2, 5, 6), np.uint8), "labels": np.full(2, 3)}, "labels"),
    ],
)  # fmt: skip
def test_data_that_do_not_match_the_model(tmp_path, arrays, message):
    model, _ = files(tmp_path)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(UserError, match=message) as error:
        explore(model, tmp_path / "other.npz", SETTINGS, Plan(**QUICK), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": {"lane": (1, 2)}}, "vary: lane: unknown setting 'lane'; did you mean 'lanes'"),
        ({"vary": {"lanes": (0, 2)}}, "vary: lanes: lanes must be a whole number from 1, not 0"),
        ({"vary": {"weight_bits": (3, 40)}}, "weight_bits: must be 1..16"),
        ({"vary": {"steps": (13,)}}, "vary: steps must be in 1..12, not 13"),
        ({"vary": {"engine.lif9": ("event",)}}, "vary: engine.lif9: there is no layer 'lif9'"),
        ({"vary": {"lanes.lif1": (1,)}}, "vary: lanes.lif1: 'lanes' is not of a layer"),
        ({"vary": {"board": ("a", "b")}}, "vary: board can't be searched"),
        ({"vary": {"lanes": (2, 2)}}, "vary: lanes: a value is there twice"),
        ({"engines": ("magic",)}, "engines: must be of event, stochastic, crossbar, ssm"),
        ({"fix": {"lane": 2}}, "fix: unknown setting 'lane'"),
    ],
)  # fmt: skip
def test_values_that_can_not_be_are_refused_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(UserError) as error:
        searched(tmp_path, "out", **changes)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()
