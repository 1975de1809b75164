"""study.html: the error of products and of early reading, as plots on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign.report.chart import Axis, Curve, chart, decades
from codesign.report.page import template
from codesign.sc.study import SCHEMES, Study
from hdl.params.errors import UserError

__all__ = ["write_study"]


def _marks(curves: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """Marks of both axes: all lengths, decades of errors."""
    errors = [y for curve in curves for y in curve.y if y > 0]
    return sorted({x for curve in curves for x in curve.x}), decades(min(errors), max(errors))


def _products(found: Sequence[Study]) -> str:
    """Errors over lengths, beside dashed lines that fall with N**-.5 and N**-1."""
    curves = [Curve(name=s.scheme, x=s.lengths, y=s.rms) for s in found]
    lengths, errors = _marks(curves)
    most = max(curve.y[0] for curve in curves)
    for name, power, start in (("N^-.5", 0.5, most), ("N^-1", 1.0, 0.4 * most)):
        law = [max(start * (x / lengths[0]) ** -power, errors[0]) for x in lengths]
        curves.append(Curve(name=name, x=lengths, y=law, dashed=True))
    return chart(
        curves,
        Axis(name="stream length N", marks=lengths, log=True),
        Axis(name="RMS error", marks=errors, log=True),
        "Error of a product over stream length",
    )


def _early(early: Sequence[dict[str, Any]]) -> str:
    curves = [Curve(name=r["source"], x=r["cycles"], y=r["rms"]) for r in early]
    cycles, errors = _marks(curves)
    return chart(
        curves,
        Axis(name="cycles read T", marks=cycles, log=True),
        Axis(name="RMS error", marks=errors, log=True),
        "Error of a value read early",
    )


def write_study(
    path: Path | str,
    found: Sequence[Study],
    early: Sequence[dict[str, Any]],
    *,
    operands: int,
    bipolar: bool,
    seed: int,
) -> None:
    """Writes the page beside `path`, then renames it."""
    path = Path(path)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"{path}: must be a file in a directory that exists; give another -o")
    page = template("study.html.j2").render(
        products=_products(found), early=_early(early), found=found, schemes=SCHEMES,
        operands=operands, bipolar=bipolar, seed=seed,
    )  # fmt: skip
    beside = path.with_name(path.name + ".new")
    beside.write_text(page, encoding="utf-8")
    beside.replace(path)
