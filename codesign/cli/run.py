"""`simulate`, `verify`, `evaluate`: what an artefact computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.build import Directory
from codesign.cli.console import Json, Quiet, Terminal

__all__ = ["register"]

Input = Annotated[
    Path, typer.Option("--input", "-i", help="Stimulus (.npz).", show_default=False)
]  # fmt: skip


def simulate(
    directory: Directory,
    input: Input,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="File to write (.npz).", show_default=False)
    ],
    backend: Annotated[
        str, typer.Option(help="golden (integers), rtl (Verilated) or float (the model).")
    ] = "golden",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a stimulus and write its outputs.

    Example: nervure simulate build --input test.npz -o out.npz --backend rtl
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.results import simulation
        from codesign.simulate import simulate as run

        done = run(Artefact.open(directory), input, out, backend=backend, progress=work)
    terminal.result(done.to_json())
    if not json:
        terminal.show(*simulation(done, out))


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (simulate,):
        app.command()(command)
