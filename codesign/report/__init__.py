"""report.html: what an artefact is and what was measured on it, in one file without links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codesign.artefact import Artefact

__all__ = ["write_report"]


def write_report(artefact: Artefact) -> Path:
    """Writes report.html from report.json and the manifest; same input, same bytes."""
    from codesign.report.page import render

    path = artefact.directory / "report.html"
    beside = path.with_name(path.name + ".new")
    beside.write_text(render(artefact.manifest, artefact.report), encoding="utf-8")
    beside.replace(path)
    return path
