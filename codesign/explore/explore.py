"""The search for designs: many estimates, some syntheses, a front of verified ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.artefact import check_output, write_json
from codesign.boards import board as find_board
from codesign.explore.exploration import Exploration
from codesign.explore.front import Infeasible
from codesign.explore.judge import wanted
from codesign.explore.plan import Constraint, Plan
from codesign.explore.refine import MEASURED, Refinement
from codesign.explore.space import Space, derive
from codesign.explore.store import JOURNAL, Store
from codesign.explore.study import Search
from codesign.explore.trial import Task, file_digest
from codesign.explore.workers import workers_for
from codesign.settings import Settings
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from codesign.boards import Board
    from mapping.graph import Graph
    from sim.stimulus import Stimulus

__all__ = ["MARKER", "explore"]

#: The file that makes an output folder an exploration's.
MARKER = "exploration.json"
#: Share of the time that the search has, if designs are to be synthesised.
SEARCH = 0.25


def _read(
    model: Path, dataset: Path, settings: Settings, plan: Plan
) -> tuple[Graph, Stimulus, Stimulus, Settings]:
    """Model, data set, calibration data (the data set if there are none) and settings that say so;
    UserError if they do not belong together."""
    from mapping.importers.load import load_graph
    from sim.stimulus import read_stimulus

    graph = load_graph(model, settings.options)
    inputs = sum(i.size for i in graph.inputs)
    sizes = {layer.name: layer.size for layer in graph.layers}
    outputs = sum(sizes[name] for name in graph.outputs)
    stimulus = read_stimulus(dataset, inputs=inputs, outputs=outputs)
    asked = wanted([*plan.objectives, *(c.name for c in plan.constraints)])
    if asked and stimulus.labels is None:
        raise UserError(
            f"{dataset}: has no labels to judge {asked[0]} by; give labelled data, or other "
            "objectives and constraints"
        )
    settings = replace(settings, calibration=settings.calibration or dataset)
    assert settings.calibration is not None
    calibration = read_stimulus(settings.calibration, inputs=inputs)
    return graph, stimulus, calibration, settings


def _fits(board: Board) -> tuple[Constraint, ...]:
    """That a design fits a board."""
    c = board.capacity
    return tuple(Constraint(n, False, getattr(c, n)) for n in ("lut", "ff", "bram", "dsp"))


def _task(
    model: Path, dataset: Path, settings: Settings, plan: Plan, space: Space
) -> tuple[Task, dict[str, Any]]:
    """What trials share, and what makes them comparable with those of another run."""
    assert settings.calibration is not None
    files = {"model": model, "data set": dataset, "calibration": settings.calibration}
    base = {**space.base, "device_table": None}
    if (table := settings.crossbar.device_table) is not None:
        files["device table"] = Path(table)
        base["device_table"] = str(Path(table).absolute())
    digests = {name: file_digest(path) for name, path in files.items()}
    names = (*plan.objectives, *(c.name for c in plan.constraints), *MEASURED, "cycles")
    task = Task(
        model=str(model.absolute()),
        dataset=str(dataset.absolute()),
        calibration=str(settings.calibration.absolute()),
        digests={str(path.absolute()): digests[name] for name, path in files.items()},
        base=base,
        values=tuple(dict.fromkeys(names)),
        samples=plan.samples,
    )
    identity = {
        **digests, "settings": space.base, "space": space.to_json(),
        "objectives": list(plan.objectives), "seed": plan.seed, "sampler": plan.sampler,
        "batch": plan.batch, "sweep": plan.sweep, "samples": plan.samples,
        "version": metadata.version("nervure"),
    }  # fmt: skip
    return task, identity


def explore(
    model: Path | str,
    dataset: Path | str,
    settings: Settings | None = None,
    plan: Plan | None = None,
    out: Path | str = "explored",
    progress: Callable[[str], None] = lambda text: None,
    told: Callable[[Exploration], None] = lambda found: None,
) -> Exploration:
    """Searches designs of a model for a data set; goes on if `out` holds the same exploration.

    dataset : labelled stimulus, or its file's name; also what calibrates, unless the settings name
    another. progress : called with a text; its `count`, if it has one, with trials done and all.
    told : called with what is known after each batch of trials and each round of syntheses.

    UserError for files that do not belong together, values that can't be, a store of another
    exploration or a damaged one. `Infeasible` (a CheckFailed) if no design keeps all constraints.
    """
    begun = time.monotonic()
    model, dataset, out = Path(model), Path(dataset), Path(out)
    settings, plan = settings or Settings(), plan or Plan()
    for name in ("board", "calibration", "device_table"):
        if name in plan.vary:
            raise UserError(f"vary: {name} can't be searched; explore once for each")
    progress(f"reading {model} and {dataset}")
    settings = settings.with_values(dict(plan.fix), "fix")
    graph, stimulus, calibration, settings = _read(model, dataset, settings, plan)
    board = find_board(settings.board)
    space = derive(graph, stimulus, calibration, settings, plan)
    task, identity = _task(model, dataset, settings, plan, space)
    check_output(out, MARKER)
    workers = workers_for(plan.workers, plan.dask)
    try:
        out.mkdir(exist_ok=True)
        if not (out / MARKER).exists():
            write_json(out / MARKER, {"model": model.name, "storage": plan.storage or JOURNAL})
        store = Store(
            plan.storage or out / JOURNAL, plan.study, identity, plan.objectives, space.to_json()
        )
        constraints = (*plan.constraints, *(_fits(board) if plan.fit else ()))
        search = Search(task, space, plan, constraints, store, workers)
        end = None if plan.seconds is None else begun + plan.seconds

        def state() -> Exploration:
            outcomes, ratios = rounds.outcomes()
            assert settings.calibration is not None
            return Exploration(
                model=model.name, dataset=dataset.name, calibration=settings.calibration.name,
                board=board.name, plan=plan, outcomes=tuple(outcomes.values()),
                designs=rounds.designs(), workers=workers.size,
                seconds=time.monotonic() - begun, ratios=ratios, space=space.to_json(),
                warnings=(store.warning,) if store.warning else (),
            )  # fmt: skip

        def tell() -> None:
            found = state()
            progress(found.line())
            if plan.most_trials is not None:
                getattr(progress, "count", lambda done, total: None)(
                    min(len(search.asked), plan.most_trials), plan.most_trials
                )
            told(found)

        rounds = Refinement(search, out, workers, end, progress, tell)
        if store.warning:
            progress(store.warning)
        share = SEARCH if plan.synth else 1.0
        progress(f"searching, the first {plan.batch} designs")
        _search(search, None if end is None else begun + share * (end - begun), tell)
        found = state()
        if not found.front:
            raise Infeasible.among(found.outcomes, constraints)
        if plan.synth:
            rounds.run()
            found = state()
            if not found.front:
                raise Infeasible.among(found.outcomes, constraints)
        return found
    finally:
        workers.close()


def _search(search: Search, end: float | None, tell: Callable[[], None]) -> None:
    """Batches until all trials are done, time is over, or no new design is left."""
    plan = search.plan
    while end is None or time.monotonic() < end:
        left = plan.batch
        if plan.most_trials is not None:
            left = min(left, plan.most_trials - len(search.asked))
        if left <= 0 or not search.batch(left):
            return
        tell()
