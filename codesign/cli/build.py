"""`synth`, `report`, `boards`, `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.console import Json, Quiet, Terminal
from hdl.params.errors import UserError

__all__ = ["Directory", "register"]

EFFORTS = ("normal", "high")

Directory = Annotated[
    Path, typer.Argument(help="What nervure compile wrote.", show_default=False, metavar="DIR")
]


def synth(
    directory: Directory,
    target: Annotated[
        str | None, typer.Option(help="Board; the one it was compiled for if not given.")
    ] = None,
    bitstream: Annotated[bool, typer.Option("--bitstream", help="Write a bitstream.")] = False,
    freq: Annotated[float | None, typer.Option(help="Clock to aim at, MHz.")] = None,
    seed: Annotated[int, typer.Option(help="First placement seed.")] = 1,
    effort: Annotated[str, typer.Option(help="normal, or high: more variants, seeds.")] = "normal",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Synthesise, place and route: utilisation, Fmax, critical path, bitstream.

    Example: nervure synth build --target ulx3s-85f
    """
    if effort not in EFFORTS:
        raise UserError(f"effort must be one of {', '.join(EFFORTS)}, not {effort!r}")
    if freq is not None and not 0 < freq < 1000:
        raise UserError(f"freq must be a clock in MHz, not {freq:g}")
    if seed < 0:
        raise UserError(f"seed must be a whole number from 0, not {seed}")
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("loading")
        from codesign.artefact import Artefact
        from codesign.cli.results import synthesis
        from codesign.report import write_report
        from codesign.synth.design import synth_artefact
        from codesign.synth.result import DoesNotFit

        artefact = Artefact.open(directory)
        try:
            result = synth_artefact(
                artefact, target, bitstream=bitstream, freq=freq, seed=seed, effort=effort,
                progress=work,
            )  # fmt: skip
        except DoesNotFit as error:
            artefact.add_to_report(synthesis=error.result.to_json())
            write_report(artefact)
            raise
        found = result.to_json()
        if found["bitstream"]:
            found["bitstream"] = Path(found["bitstream"]).relative_to(directory).as_posix()
        found["cycles_per_step"] = artefact.report.get("cycles_per_step")
        artefact.add_to_report(synthesis=found)
        write_report(artefact)
    terminal.result(found)
    if not json:
        terminal.show(*synthesis(found, directory))


def report(directory: Directory, json: Json = False, quiet: Quiet = False) -> None:
    """Write report.html again from what is known so far.

    Example: nervure report build
    """
    terminal = Terminal(json=json, quiet=quiet)
    with terminal.work() as work:
        work("writing the report")
        from codesign.artefact import Artefact
        from codesign.report import write_report

        path = write_report(Artefact.open(directory))
    terminal.result({"report": str(path)})
    terminal.show(f"Wrote {path}")


def boards(json: Json = False) -> None:
    """List the boards that Nervure builds for.

    Example: nervure boards
    """
    from codesign.boards import boards as known

    found = list(known().values())
    terminal = Terminal(json=json)
    terminal.result({"boards": [board.to_json() for board in found]})
    if not json:
        from codesign.cli.tables import board_list

        terminal.show(*board_list(found))


def doctor(json: Json = False) -> None:
    """Look for every tool that Nervure runs; exit code 3 if one is missing.

    Example: nervure doctor
    """
    from codesign.doctor import doctor as check

    found = check()
    terminal = Terminal(json=json)
    ok = all(item.status != "missing" for item in found)
    terminal.result({"ok": ok, "checks": [item.to_json() for item in found]})
    if not json:
        from codesign.cli.tables import checks

        terminal.show(*checks(found))
    if not ok:
        raise typer.Exit(3)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (synth, report, boards, doctor):
        app.command()(command)
