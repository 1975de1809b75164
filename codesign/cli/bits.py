"""`nervure bits`: the fewest bits that keep an accuracy or an SQNR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.console import Json, Quiet, Terminal
from codesign.cli.design import Config, Model, settings_for
from hdl.params.errors import UserError

__all__ = ["register"]


def bits(
    model: Model,
    dataset: Annotated[
        Path, typer.Option("--dataset", "-d", help="Labelled input (.npz).", show_default=False)
    ],
    points: Annotated[
        float | None, typer.Option(help="Most percentage points of accuracy that may be lost.")
    ] = None,
    sqnr: Annotated[float | None, typer.Option(help="Least SQNR of the outputs, dB.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Settings file to write (.toml).")
    ] = None,
    config: Config = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="SETTING=VALUE, as in a settings file; once for each."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search the fewest bits of weights, states, poles and values that keep a bound.

    Example: nervure bits model.pt --dataset test.npz --points 0.5 -o nervure.toml
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import write_text
        from codesign.bits import Bound, search_bits
        from codesign.cli.tables import table
        from codesign.settings import assigned
        from codesign.simulate import check_file

        bound = Bound(points=points, sqnr=sqnr)
        chosen = settings_for(terminal, model, config, assigned(settings))
        if out is not None:
            check_file(out)
            if out.exists():
                raise UserError(f"{out}: exists; give another -o, or remove it")
        accuracy, path = search_bits(model, dataset, chosen, bound, work)
        found = path[-1]
        if out is not None:
            lines = "".join(f"{name} = {value}\n" for name, value in found.widths.items())
            write_text(out, lines)
    result = {"accuracy_float": accuracy, "found": found.to_json(),
              "path": [trial.to_json() for trial in path]}  # fmt: skip
    terminal.result(result)
    if not json:
        rows = [
            [*trial.widths.values(), trial.bits,
             None if trial.accuracy is None else f"{trial.accuracy:.2%}", trial.sqnr_db]
            for trial in path
        ]  # fmt: skip
        names = [*found.widths, "memory bits", "accuracy", "SQNR dB"]
        title = "Widths" if accuracy is None else f"Widths; float model {accuracy:.2%}"
        terminal.show(table(title, names, rows, "r" * len(names)))
        if out is not None:
            terminal.show("", f"Wrote {out}. Next: nervure compile {model} --config {out} -o build")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(bits)
