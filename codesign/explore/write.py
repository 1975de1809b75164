"""What an exploration leaves on disk: explore.json, explore.html, designs.csv."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from codesign.artefact import write_json, write_text
from codesign.explore.exploration import Exploration
from codesign.explore.outcome import Outcome
from codesign.explore.page import designs_csv, render
from codesign.provenance import command
from codesign.settings import Settings

__all__ = ["rebuild", "record", "write"]


def rebuild(found: Exploration, outcome: Outcome) -> str | None:
    """The command line that makes a design; None for a trial that failed before it had settings."""
    if not outcome.settings:
        return None
    folder = f"design-{outcome.number}"
    settings = Settings().with_values(outcome.settings)
    line = command(found.model, settings, found.calibration, folder)
    if outcome.steps is not None:
        line += " && " + shlex.join(["nervure", "evaluate", folder, "--input", found.dataset,
                                     "--steps", str(outcome.steps)])  # fmt: skip
    return line


def record(found: Exploration, line: str) -> dict[str, Any]:
    """`Exploration.to_json` with the command `line` that was given, and of each outcome the
    "command" that makes it and the "directory" that it was built in, or None."""
    known = found.to_json()
    known["command"] = line
    for plain, outcome in zip(known["outcomes"], found.outcomes, strict=True):
        plain["command"] = rebuild(found, outcome)
        plain["directory"] = found.designs.get(outcome.number)
    return known


def write(found: Exploration, out: Path, line: str) -> dict[str, Any]:
    """Writes the three files; returns the record."""
    known = record(found, line)
    write_json(out / "explore.json", known)
    write_text(out / "explore.html", render(known))
    write_text(out / "designs.csv", designs_csv(known))
    return known
