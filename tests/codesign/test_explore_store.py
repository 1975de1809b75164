import json
import subprocess
import sys

import pytest

from codesign.explore.outcome import Outcome
from codesign.explore.store import Store, mended
from hdl.params.errors import UserError

NAMES = ("accuracy", "lut")
IDENTITY = {"model": "abc", "seed": 0}
KINDS = ("journal", "sqlite")


def outcome(number, **changes):
    values = {"accuracy": 0.5, "lut": 10.0 * number, "cycles": 3.0}
    return Outcome(
        **{"number": number, "choice": {"lanes": number, "width": None, "w": [1, 2]},
           "values": values, "estimate": values, "warnings": ("far",), **changes}
    )  # fmt: skip


def opened(folder, kind="journal", **changes):
    where = folder / "study.log" if kind == "journal" else f"sqlite:///{folder}/study.db"
    space = {"lanes": range(9), "width": (None, 1), "w": ([1, 2], 3)}
    return Store(where, "nervure", {**IDENTITY, **changes}, NAMES, space)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_is_there_again(tmp_path, kind):
    store = opened(tmp_path, kind)
    assert (store.outcomes(), store.steps()) == ({}, {})
    given = [outcome(0), outcome(2, failed="does not fit", values={}, estimate={}),
             outcome(1, broken={"lut<=5": 1.0})]  # fmt: skip
    for one in given:
        store.add(one)
    store.add_step(1, {"values": {"lut": 12}, "seconds": 3.5})
    store.add_step(1, {"failed": "no"})
    again = opened(tmp_path, kind)
    assert list(again.outcomes().values()) == given
    assert again.steps() == {1: {"failed": "no"}}
    store.add(outcome(7))
    assert again.outcomes()[7] == outcome(7)


def test_optuna_reads_it(tmp_path):
    import optuna

    store = opened(tmp_path, "sqlite")
    store.add(outcome(0))
    store.add(outcome(1, broken={"lut<=5": 1.0}))
    study = optuna.load_study(study_name="nervure", storage=f"sqlite:///{tmp_path}/study.db")
    assert [t.values for t in study.trials] == [[0.5, 0.0], [0.5, 10.0]]
    assert study.trials[1].params == {"lanes": 1, "width": None, "w": "[1, 2]"}
    assert [t.number for t in study.best_trials] == [0]


@pytest.mark.parametrize("kind", KINDS)
def test_another_exploration_is_refused(tmp_path, kind):
    opened(tmp_path, kind)
    with pytest.raises(UserError) as error:
        opened(tmp_path, kind, model="other", samples=3)
    assert str(error.value).endswith(
        "holds an exploration with another model, samples; give another -o (or --storage), or "
        "remove it"
    )


def test_a_half_written_line_is_cut_off(tmp_path):
    store = opened(tmp_path)
    store.add(outcome(0))
    journal = tmp_path / "study.log"
    whole = journal.read_bytes()
    for torn in (b'{"op_code":4,"wor', b'{"op_code":4}', b"\x00\x00"):
        journal.write_bytes(whole + torn)
        again = opened(tmp_path)
        assert again.warning == f"{journal}: its last line was half written, and is cut off"
        assert journal.read_bytes() == whole
        assert list(again.outcomes()) == [0]
    again.add(outcome(1))
    assert sorted(opened(tmp_path).outcomes()) == [0, 1]
    assert mended(journal) is None


def test_a_damaged_journal_is_named_with_its_line(tmp_path):
    store = opened(tmp_path)
    for number in range(3):
        store.add(outcome(number))
    journal = tmp_path / "study.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:-2], b"rubbish\n", *lines[-2:]]))
    with pytest.raises(UserError) as error:
        opened(tmp_path)
    assert str(error.value).startswith(f"{journal}: line {len(lines) - 1} is damaged; keep the")
    command = str(error.value).split("`")[1]
    subprocess.run(command, shell=True, check=True)
    assert list(opened(tmp_path).outcomes()) == [0]


@pytest.mark.parametrize("text", ["[]\n", "{}\n", '{"op_code": 0}\n', "3\n"])
def test_other_json_is_no_journal(tmp_path, text):
    (tmp_path / "study.log").write_text(text)
    with pytest.raises(UserError, match="can't be used as a study"):
        opened(tmp_path)


def test_a_study_of_others_is_refused(tmp_path):
    import optuna

    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(
        storage=url, study_name="nervure", directions=["maximize", "minimize"]
    )
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 0), n_trials=1)
    with pytest.raises(UserError, match="it was not made by nervure explore"):
        opened(tmp_path, "sqlite")


def test_a_damaged_database_is_refused(tmp_path):
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError) as error:
        opened(tmp_path, "sqlite")
    assert "can't be used as a study" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path):
    store = opened(tmp_path)
    code = (
        "import os, signal\nfrom pathlib import Path\n"
        "from codesign.explore.store import _Lock\n"
        f"_Lock(Path({str(tmp_path / 'study.log')!r})).acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    store.add(outcome(0))
    assert list(opened(tmp_path).outcomes()) == [0]


def test_a_trial_is_one_line_of_the_journal(tmp_path):
    store = opened(tmp_path)
    before = (tmp_path / "study.log").read_bytes().count(b"\n")
    store.add(outcome(0))
    lines = (tmp_path / "study.log").read_bytes().splitlines()
    assert len(lines) == before + 1
    assert json.loads(lines[-1])["user_attrs"]["outcome"]
