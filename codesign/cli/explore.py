"""`nervure explore`: from a model and a data set to a front of verified designs."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.console import Json, Quiet, Terminal
from codesign.cli.design import Config, Model, settings_for
from hdl.params.errors import CheckFailed

if TYPE_CHECKING:
    from codesign.explore.exploration import Exploration
    from codesign.explore.outcome import Outcome

__all__ = ["register"]

#: Designs of the front that the terminal shows while the search goes on, and at its end.
SHOWN, LISTED = 8, 20
#: Seconds between two pages while the search goes on.
PAGE = 20.0


def _row(outcome: Outcome, names: list[str]) -> list[Any]:
    marks = {"estimate": "estimated", "synthesis": "placed", "verified": "PASS"}
    chosen = " ".join(f"{k}={v}" for k, v in outcome.choice.items() if v is not None)
    return [outcome.number, *(_amount(name, outcome.values.get(name)) for name in names),
            marks[outcome.fidelity], chosen]  # fmt: skip


def _amount(name: str, value: float | None) -> Any:
    return f"{value:.1%}" if value is not None and name in ("accuracy", "coverage") else value


def front_table(title: str, found: Exploration, most: int) -> Any:
    """A table of the front, the best in the first objective first."""
    from codesign.cli.tables import table
    from codesign.explore.outcome import OBJECTIVES

    first = OBJECTIVES[found.objectives[0]]
    rows = sorted(found.front, key=lambda o: o.values[first.name], reverse=first.maximise)
    names = list(dict.fromkeys([*found.objectives, "fmax_mhz", "bram"]))
    heads = [f"{OBJECTIVES[n].title} {OBJECTIVES[n].unit}".strip() for n in names]
    more = f"; {len(rows) - most} more in designs.csv" if len(rows) > most else ""
    return table(title + more, ["design", *heads, "numbers", "choices"],
                 [_row(o, names) for o in rows[:most]], "r" * (1 + len(names)))  # fmt: skip


def explore(
    model: Model,
    dataset: Annotated[
        Path, typer.Option("--dataset", "-d", help="Labelled input (.npz).", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Folder to write, or to go on with.", show_default=False),
    ],
    target: Annotated[str | None, typer.Option(help="Board; see nervure boards.")] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="accuracy, nll, coverage, set_size, lut, ff, bram, dsp, fmax_mhz, cycles,"
            " latency_us, energy_uj; once for each."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option("--constraint", "-c", help="As accuracy>=0.93.")
    ] = None,
    fit: Annotated[bool, typer.Option(help="Designs must fit the board.")] = True,
    trials: Annotated[int | None, typer.Option(help="Designs to estimate.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Time for everything, synthesis included.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0: this one.")] = 0,
    dask: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="URL of a database that several runs may share.")
    ] = None,
    synth: Annotated[int, typer.Option(help="Most designs of the front to synthesise.")] = 10,
    verify: Annotated[
        int | None, typer.Option(help="Most of these to verify; all end points if not given.")
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Engines that layers may have; once for each.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="Values to search: lanes=2,4,8, weight_bits=2..8, lanes=1..32*2."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="SETTING=VALUE that is not searched; once for each."),
    ] = None,
    by_layer: Annotated[
        list[str] | None, typer.Option(help="Settings to search for each layer on its own.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    sampler: Annotated[str, typer.Option(help="nsga2 or tpe.")] = "nsga2",
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search designs: the Pareto front over accuracy, area, latency and energy.

    Estimates many, synthesises the front, verifies its end points.
    An interrupted run goes on: give the same command again.

    Example: nervure explore digits.nir --dataset test.npz -o found --minutes 15 --workers 2
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.explore.explore import explore as run
        from codesign.explore.plan import Plan, varied
        from codesign.explore.write import write
        from codesign.settings import assigned

        fixed = assigned(settings)
        given: dict[str, Any] = {} if target is None else {"board": target}
        chosen = settings_for(terminal, model, config, {**given, **fixed})
        usual = Plan()
        plan = Plan(
            objectives=tuple(objective or usual.objectives), constraints=tuple(constraint or ()),
            fit=fit, trials=trials, seconds=None if minutes is None else 60 * minutes, seed=seed,
            workers=workers, dask=dask, storage=storage, sampler=sampler, synth=synth,
            verify=verify, samples=samples, engines=tuple(engine) if engine else None,
            vary=varied(vary), fix=fixed, by_layer=tuple(by_layer or usual.by_layer),
        )  # fmt: skip
        line = shlex.join(["nervure", *sys.argv[1:]])
        state: dict[str, Any] = {"written": time.monotonic()}

        def told(found: Exploration) -> None:
            """The front so far, on the terminal and now and then as a page."""
            state["found"] = found
            if found.front:
                work.below(front_table(found.line(), found, SHOWN))
            if time.monotonic() - state["written"] > PAGE:
                write(found, out, line)
                state["written"] = time.monotonic()

        try:
            found = run(model, dataset, chosen, plan, out, work, told)
        except CheckFailed:  # the page shows what was tried
            if "found" in state:
                write(state["found"], out, line)
            raise
        record = write(found, out, line)
    terminal.result(record)
    if not json:
        title = f"Front: {len(found.front)} designs of {len(found.outcomes)}"
        terminal.show(front_table(title, found, LISTED))
        terminal.show("", f"Wrote {out / 'explore.html'}, designs.csv and explore.json")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(explore)
