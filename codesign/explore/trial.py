"""One trial: from settings to what the design answers and costs; a function that keeps nothing.

What it returns depends on the content of the files, the settings and the code alone, so it runs in
any process or machine that sees the files, and is kept in the cache by a key of all these. Answers
(accuracy and so on) are kept by the settings that change them: a design that differs in hardware
only is not run on the whole data set again.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.artefact import write_json
from codesign.explore.space import HARDWARE
from codesign.settings import Settings
from codesign.synth.cache import digest, root
from hdl.params.errors import CheckFailed, UserError

if TYPE_CHECKING:
    import numpy as np

    from codesign.compile import Quantised
    from codesign.cost.cycles import Activity
    from mapping.graph import Graph, Options
    from mapping.mapped import Mapped
    from sim.stimulus import Stimulus

__all__ = ["Answers", "Point", "Task", "code_version", "file_digest", "mapped_design", "run_trial"]

#: Folders whose sources decide what a trial finds.
CODE = ("hdl/params", "mapping", "sim/golden", "sim/device", "codesign/cost", "codesign/crossbar",
        "codesign/explore/trial.py", "codesign/explore/cost.py", "codesign/uncertainty.py",
        "codesign/activity.py", "codesign/compile.py", "codesign/simulate.py")  # fmt: skip
#: Values of all neurons that are kept of a run, to count cycles by, and samples of it: those that
#: a verification runs on the RTL too.
TIMED_VALUES, TIMED_SAMPLES = 1 << 22, 64


def file_digest(path: Path | str) -> str:
    """Of its content; UserError if it can't be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); workers need it too") from None


@lru_cache(maxsize=1)
def code_version() -> str:
    """Of the sources that a trial runs through."""
    top = Path(__file__).resolve().parents[2]
    state = hashlib.sha256()
    for name in CODE:
        place = top / name
        for path in sorted(p for p in place.rglob("*") if p.suffix in (".py", ".csv", ".json",
                           ".toml", ".npz")) if place.is_dir() else [place]:  # fmt: skip
            state.update(path.relative_to(top).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:32]


@dataclass(frozen=True)
class Task:
    """What all trials of an exploration share; small, so that it may be sent with each.

    model, dataset, calibration : files. digests : of these and of the device table, by name.
    base : flat settings. values : names of OBJECTIVES that are wanted. samples : of the data set,
    None: all.
    """

    model: str
    dataset: str
    calibration: str
    digests: Mapping[str, str]
    base: Mapping[str, Any]
    values: tuple[str, ...]
    samples: int | None = None

    @property
    def key(self) -> str:
        """Identity of all that decides, but the point."""
        base = {name: value for name, value in self.base.items() if name != "device_table"}
        text = json.dumps([base, sorted(self.digests.values()), sorted(self.values)], default=str,
                          sort_keys=True)  # fmt: skip
        return digest(text, self.samples)


@dataclass(frozen=True)
class Point:
    """A design: settings beside the task's, and what is no setting (codesign/explore/space.py)."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    members: int | None = None

    def key(self, task: Task) -> str:
        text = json.dumps(dict(self.settings), sort_keys=True)
        return digest(task.key, text, self.steps, self.members, code_version())


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network answers, whatever hardware it runs on.

    made : the network. values : by name of OBJECTIVES, over the whole data set. done : what it
    did with the samples that cycles and energy are counted for. members : runs of a sample.
    """

    made: Quantised
    values: dict[str, float]
    done: Activity
    members: int


@lru_cache(maxsize=2)
def _stimuli(dataset: str, calibration: str, digests: tuple) -> tuple[Stimulus, Stimulus]:
    from sim.stimulus import read_stimulus

    for path, wanted in digests:
        if file_digest(path) != wanted:
            raise UserError(f"{path}: changed since the exploration began; start it again")
    return read_stimulus(dataset), read_stimulus(calibration)


@lru_cache(maxsize=2)
def _graph(model: str, options: Options) -> Graph:
    from mapping.importers.load import load_graph

    return load_graph(model, options)


def _shown(task: Task, steps: int | None) -> tuple[Stimulus, Stimulus]:
    """The data set, cut as asked for, and the calibration data."""
    from codesign.evaluate import first_samples

    dataset, calibration = _stimuli(
        task.dataset, task.calibration, tuple(sorted(task.digests.items()))
    )
    return first_samples(dataset, task.samples, steps), calibration


_kept: dict[str, Answers] = {}


def answers(task: Task, settings: Settings, point: Point) -> Answers:
    """Quantises, and runs the golden model; the last few are kept."""
    kept = settings.flat().items()
    flat = {k: v for k, v in kept if k not in HARDWARE and k != "board"}
    text = json.dumps(flat, sort_keys=True)
    key = digest(task.key, text, point.steps, point.members, code_version())
    if key not in _kept:
        while len(_kept) >= 8:
            del _kept[next(iter(_kept))]
        _kept[key] = _answers(task, settings, point, key)
    return _kept[key]


def _answers(task: Task, settings: Settings, point: Point, key: str) -> Answers:
    from codesign.activity import observed
    from codesign.compile import quantise_model
    from codesign.cost.cycles import Activity
    from sim.golden.network import Golden
    from sim.stimulus import quantise_inputs

    stimulus, calibration = _shown(task, point.steps)
    made = quantise_model(
        task.model, settings, calibration, graph=_graph(task.model, settings.options)
    )
    program = made.program
    events = quantise_inputs(program, stimulus)
    place = _place("answers", key)
    values = _read(place)
    if values is None:
        values = _judged(task, settings, point, made, stimulus, events)
        _write(place, values)
    wide, _ = observed(program)
    size = max(1, stimulus.steps * max(wide.output_size, 1))
    few = max(1, min(TIMED_SAMPLES, TIMED_VALUES // size, stimulus.samples))
    events, lengths = events[:few], stimulus.lengths[:few]
    ran = Golden(wide).run(events, lengths, threads=1, record_state=True)
    return Answers(made, values, Activity.of(events, lengths, ran), point.members or 1)


def _judged(
    task: Task, settings: Settings, point: Point, made: Quantised, stimulus: Stimulus,
    events: np.ndarray,
) -> dict[str, float]:  # fmt: skip
    """Values of OBJECTIVES that the answers to the whole data set have."""
    from codesign.explore.judge import judge, wanted

    asked = wanted(task.values)
    return judge(made, settings, stimulus, events, point.members, asked) if asked else {}


def _place(kind: str, key: str) -> Path:
    return root() / "explore" / kind / key[:2] / f"{key}.json"


def _read(path: Path) -> Any:
    """None if it is not there, or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _write(path: Path, document: Any) -> None:
    """What can't be kept is found again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document)
    except OSError:
        pass


def mapped_design(task: Task, point: Point) -> tuple[Settings, Answers, Mapped]:
    """The design of a point, its cores as many as its network needs at least."""
    from codesign.activity import by_name
    from mapping.kinds import kinds_of
    from mapping.mapper import map_program

    settings = Settings().with_values(dict(task.base)).with_values(dict(point.settings))
    found = answers(task, settings, point)
    program, target = found.made.program, settings.target
    if target.cores is not None and target.cores < (least := len(kinds_of(program))):
        settings = replace(settings, target=replace(target, cores=least))
    mapped = map_program(program, settings.target, by_name(program, found.made.counted))
    return settings, found, mapped


def run_trial(task: Task, point: Point) -> dict[str, Any]:
    """{"settings", "values", "warnings", "failed", "seconds"}, plain data, of an Outcome.

    What the mapper, quantiser or board refuse is a failed trial with its reason; so is what breaks
    in one, which is not kept.
    """
    place = _place("trials", point.key(task))
    if (kept := _read(place)) is not None:
        return kept
    begun = time.perf_counter()
    found: dict[str, Any] = {"settings": {}, "values": {}, "warnings": [], "failed": None}
    keep = True
    try:
        from codesign.explore.cost import estimate

        settings, answered, mapped = mapped_design(task, point)
        costs, warnings = estimate(mapped, answered, settings)
        values = {**answered.values, **costs}
        for name in task.values:
            if not math.isfinite(values.get(name, math.nan)):
                raise UserError(f"{name}: is {values.get(name, 'not known')} of this design")
        found |= {"settings": settings.flat(), "values": values, "warnings": list(warnings)}
    except (UserError, CheckFailed) as error:
        found["failed"] = str(error)
    except Exception as error:
        found["failed"], keep = _broken(error), False
    found["seconds"] = round(time.perf_counter() - begun, 4)
    if keep:
        _write(place, found)
    return found


def _broken(error: Exception) -> str:
    """An error that nobody expected, with where it came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = ""
    if trace is not None:
        where = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{where}"
