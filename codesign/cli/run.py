"""`simulate`, `verify`, `evaluate`: what an artefact computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.build import Directory
from codesign.cli.console import Json, Quiet, Terminal
from hdl.params.errors import CheckFailed

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


def evaluate(
    directory: Directory,
    input: Input,
    samples: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    no_rtl: Annotated[bool, typer.Option("--no-rtl", help="Do not run the RTL.")] = False,
    no_float: Annotated[bool, typer.Option("--no-float", help="Do not run the model.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy of float model, golden model and RTL on labelled data; activity and latency.

    Example: nervure evaluate build --input test.npz
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.results import evaluation
        from codesign.evaluate import evaluate as run
        from codesign.report import write_report

        artefact = Artefact.open(directory)
        found = run(
            artefact, input, samples=samples, rtl=not no_rtl, float=not no_float, progress=work
        )
        write_report(artefact)
    terminal.result(found.to_json())
    if not json:
        terminal.show(*evaluation(found))
    if not found.passed:
        raise CheckFailed(
            f"{directory}: RTL and golden model differ in {found.mismatches} output words; "
            f"find the first with: nervure verify {directory} --input {input}"
        )


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (simulate, evaluate):
        app.command()(command)
