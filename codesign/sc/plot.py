"""study.html: the error of products and of early reading, as plots on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign.report.page import template
from codesign.report.svg import drawing, element, text, titled
from codesign.sc.study import SCHEMES, Study
from hdl.params.errors import UserError

__all__ = ["write_study"]

LEFT, TOP, WIDE, TALL, RIGHT = 64, 14, 600, 330, 190
#: One for each curve, light and dark pages alike.
COLOURS = ("#0f8a96", "#c4622d", "#7a56c2", "#3d8b40", "#c23b6e", "#8a7a1f", "#4573c4", "#6b7780")

Curve = tuple[str, Sequence[float], Sequence[float]]  #: name, x, y


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**k for k in range(first, last + 1)]


def loglog(curves: Sequence[Curve], laws: bool, label: str, x_name: str) -> str:
    """Curves over lengths; with `laws`, dashed lines that fall with N**-.5 and N**-1."""
    xs = sorted({x for _, x_of, _ in curves for x in x_of})
    ys = [y for _, _, y_of in curves for y in y_of if y > 0]
    marks = _decades(min(ys), max(ys))
    low, high = math.log10(marks[0]), math.log10(marks[-1])
    left, right = math.log2(xs[0]), math.log2(xs[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log2(x) - left) / max(right - left, 1e-9)
        down = (high - math.log10(max(y, marks[0]))) / max(high - low, 1e-9)
        return LEFT + across * WIDE, TOP + down * TALL

    parts = []
    for mark in marks:
        _, y = at(xs[0], mark)
        parts.append(element("line", x1=LEFT, x2=LEFT + WIDE, y1=y, y2=y, class_="zero"))
        parts.append(text(LEFT - 8, y + 4, f"{mark:g}", "dim", "end"))
    for x in xs:
        across, _ = at(x, marks[0])
        parts.append(text(across, TOP + TALL + 18, int(x), "dim", "middle"))
    parts.append(text(LEFT + WIDE, TOP + TALL + 36, x_name, "dim", "end"))
    if laws:
        for power in (0.5, 1.0):
            start = max(y for _, _, y_of in curves for y in y_of[:1]) * (1 if power == 0.5 else 0.4)
            ends = [at(x, start * (x / xs[0]) ** -power) for x in (xs[0], xs[-1])]
            dashes = " ".join(f"{a:.1f},{b:.1f}" for a, b in ends)
            parts.append(element("polyline", points=dashes, fill="none", stroke="currentColor",
                                 stroke_opacity=0.4, stroke_dasharray="3 5"))  # fmt: skip
            name = "N^-.5" if power == 0.5 else "N^-1"
            parts.append(text(LEFT + WIDE - 4, ends[1][1] - 6, name, "dim", "end"))
    placed: list[float] = []
    order = sorted(range(len(curves)), key=lambda k: -curves[k][2][-1])
    for k in order:
        name, x_of, y_of = curves[k]
        colour = COLOURS[k % len(COLOURS)]
        points = [at(x, y) for x, y in zip(x_of, y_of, strict=True)]
        line = element("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in points),
                       fill="none", stroke=colour, stroke_width=2)  # fmt: skip
        dots = "".join(element("circle", cx=a, cy=b, r=3, fill=colour) for a, b in points)
        y = max(points[-1][1] + 4, placed[-1] + 16 if placed else 0)
        placed.append(y)
        words = element("text", name, x=LEFT + WIDE + 12, y=y, fill=colour)
        shown = ", ".join(f"{int(a)}: {b:.3g}" for a, b in zip(x_of, y_of, strict=True))
        parts.append(titled(line + dots + words, f"{name} ({shown})"))
    return drawing(LEFT + WIDE + RIGHT, TOP + TALL + 44, "".join(parts), label)


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
        products=loglog([(s.scheme, s.lengths, s.rms) for s in found], True,
                        "Error of a product over stream length", "stream length N"),
        early=loglog([(r["source"], r["cycles"], r["rms"]) for r in early], False,
                     "Error of a value read early", "cycles read T"),
        found=found, schemes=SCHEMES, operands=operands, bipolar=bipolar, seed=seed,
    )  # fmt: skip
    beside = path.with_name(path.name + ".new")
    beside.write_text(page, encoding="utf-8")
    beside.replace(path)
