"""Where the trials of an exploration are kept: Optuna's journal in a file, or a database.

A finished trial is one record, written at once: its choice as parameters, its objectives as values,
its constraints, and the whole Outcome. So a process that is killed loses nothing that was finished,
several may write to one study, and tools for Optuna's studies can read it. Which trials come next
is not kept: it follows from the plan and what is finished (codesign/explore/study.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codesign.explore.outcome import OBJECTIVES, Outcome
from hdl.params.errors import UserError

__all__ = ["JOURNAL", "Store", "mended"]

JOURNAL = "study.log"
VERSION = 1
_IDENTITY, _OUTCOME, _STEP = "nervure", "outcome", "refined:"


class _Lock:
    """Optuna's lock of a journal by flock, which ends with the process that holds it."""

    def __init__(self, journal: Path) -> None:
        self.path, self.held = journal.with_name(journal.name + ".lock"), -1

    def acquire(self) -> bool:
        self.held = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.held, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self.held)
        self.held = -1


def mended(path: Path) -> str | None:
    """Cuts off a last line that is half written, as a killed process leaves it, and says so.

    UserError if the file is damaged before its end.
    """
    lock = _Lock(path)
    lock.acquire()
    try:
        return _mend(path)
    finally:
        lock.release()


def _mend(path: Path) -> str | None:
    with path.open("rb+") as file:
        good = 0
        for number, line in enumerate(file, 1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError
                json.loads(line)
            except ValueError:
                if file.read(1):
                    raise UserError(
                        f"{path}: line {number} is damaged; keep the trials before it with "
                        f"`head -n {number - 1} {path} > whole && mv whole {path}`, or give "
                        "another -o"
                    ) from None
                file.truncate(good)
                return f"{path}: its last line was half written, and is cut off"
            good += len(line)
    return None


class Store:
    """The finished trials of one study.

    Parameters
    ----------
    where : a journal's Path, or the URL of a database. study : its name there. identity : what
    makes trials comparable: digests of the files, settings, and so on; UserError names what differs
    if the study is another's. objectives : of trials. space : values by parameter.
    """

    def __init__(
        self, where: Path | str, study: str, identity: Mapping[str, Any],
        objectives: Sequence[str], space: Mapping[str, Sequence[Any]],
    ) -> None:  # fmt: skip
        import optuna
        from optuna.distributions import CategoricalDistribution

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.where, self.objectives = where, tuple(objectives)
        self.known = {
            name: CategoricalDistribution([_scalar(v) for v in values])
            for name, values in space.items()
        }
        self.found: dict[int, Outcome] = {}
        self.read = 0
        self.warning = mended(where) if isinstance(where, Path) and where.exists() else None
        directions: list[Any] = [
            "maximize" if OBJECTIVES[n].maximise else "minimize" for n in objectives
        ]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                storage = self._storage()
                if study not in (s.study_name for s in storage.get_all_studies()):
                    optuna.create_study(
                        storage=storage, study_name=study, directions=directions,
                        load_if_exists=True,
                    )  # fmt: skip
                self.study = optuna.load_study(storage=storage, study_name=study)
            found = self.study.user_attrs.get(_IDENTITY)
            if found is None and not self.study.get_trials(deepcopy=False):
                self.study.set_user_attr(_IDENTITY, {"version": VERSION, **identity})
                found = self.study.user_attrs[_IDENTITY]
        except UserError:
            raise
        except Exception as error:
            raise self._unreadable(error) from None
        self._compare(found, {"version": VERSION, **identity})

    def _storage(self) -> Any:
        from optuna.storages import JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend

        if isinstance(self.where, Path):
            backend = JournalFileBackend(str(self.where), lock_obj=_Lock(self.where))  # type: ignore
            return JournalStorage(backend)
        if self.where.startswith("sqlite:///"):
            return RDBStorage(self.where, engine_kwargs={"connect_args": {"timeout": 60}})
        return RDBStorage(self.where)

    def _unreadable(self, error: Exception) -> UserError:
        text = (str(error).splitlines() or [""])[0] or type(error).__name__
        return UserError(
            f"{self.where}: can't be used as a study ({text}); it is damaged or another's: remove "
            "it, or give another -o or --storage"
        )

    def _compare(self, found: Any, wanted: dict[str, Any]) -> None:
        plain = json.loads(json.dumps(wanted))
        if not isinstance(found, dict):
            raise self._unreadable(ValueError("it was not made by nervure explore"))
        other = [name for name in plain if found.get(name) != plain[name]]
        if other:
            raise UserError(
                f"{self.where}: holds an exploration with another {', '.join(other)}; give another "
                "-o (or --storage), or remove it"
            )

    def outcomes(self) -> dict[int, Outcome]:
        """All finished trials by number; of two with the same number the first."""
        try:
            for trial in self.study.get_trials(deepcopy=False)[self.read :]:
                if not trial.state.is_finished():
                    raise ValueError("it has a trial that is not finished")
                outcome = Outcome.from_json(json.loads(trial.user_attrs[_OUTCOME]))
                self.found.setdefault(outcome.number, outcome)
                self.read += 1
        except Exception as error:
            raise self._unreadable(error) from None
        return self.found

    def add(self, outcome: Outcome) -> None:
        """Keeps a finished trial."""
        import optuna
        from optuna.trial import TrialState, create_trial

        good = outcome.failed is None
        params = {name: _scalar(value) for name, value in outcome.choice.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE if good else TrialState.FAIL,
                    values=[outcome.values[n] for n in self.objectives] if good else None,
                    params=params,
                    distributions={name: self.known[name] for name in params},
                    user_attrs={_OUTCOME: json.dumps(outcome.to_json())},
                    constraints=dict(outcome.broken) if good else None,
                )
            )

    def steps(self) -> dict[int, dict[str, Any]]:
        """What is known of designs beyond their trial, by number."""
        return {
            int(name.removeprefix(_STEP)): value
            for name, value in self.study.user_attrs.items()
            if name.startswith(_STEP)
        }

    def add_step(self, number: int, known: Mapping[str, Any]) -> None:
        """Keeps what is known of a design beyond its trial, in place of what was."""
        self.study.set_user_attr(f"{_STEP}{number}", dict(known))


def _scalar(value: Any) -> Any:
    """What Optuna takes as a choice."""
    return value if value is None or isinstance(value, bool | int | float | str) else (
        json.dumps(value, sort_keys=True))  # fmt: skip
