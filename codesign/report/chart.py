"""Curves over an axis, linear or logarithmic, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from codesign.report.svg import drawing, element, text, titled

__all__ = ["COLOURS", "Axis", "Curve", "chart", "decades", "marks"]

LEFT, TOP, RIGHT = 64, 14, 190
#: One for each curve, light and dark pages alike.
COLOURS = ("#0f8a96", "#c4622d", "#7a56c2", "#3d8b40", "#c23b6e", "#8a7a1f", "#4573c4", "#6b7780")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis: its name, the values that are marked, first and last of which are its ends."""

    name: str
    marks: Sequence[float]
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value, 0..1 from end to end; values outside are at the ends."""
        first, last = self._scaled(self.marks[0]), self._scaled(self.marks[-1])
        inside = min(max(value, self.marks[0]), self.marks[-1])
        return (self._scaled(inside) - first) / max(last - first, 1e-12)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve: a line with dots at its points; `dots` or `line` may be left out, and curves of one
    name share a colour. `dashed`: a law that others are held against.

    spread : of each point, the half height of a band around it. peak : its name stands over its
    highest point, not at its end.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = True
    line: bool = True
    dashed: bool = False
    spread: Sequence[float] | None = None
    peak: bool = False


def decades(low: float, high: float) -> list[float]:
    """Powers of ten around a range."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**k for k in range(first, max(last, first + 1) + 1)]


def marks(most: float, count: int = 6) -> list[float]:
    """At most so many round steps from 0 to at least `most`, which is positive."""
    step = 10.0 ** math.floor(math.log10(most / count))
    step *= next(k for k in (1, 2, 2.5, 5, 10) if most / (step * k) <= count)
    return [float(f"{k * step:.6g}") for k in range(math.ceil(most / step - 1e-9) + 1)]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in places)


def _number(value: float, log: bool = False) -> str:
    shown = f"{value:.0e}" if log and value >= 1e4 else f"{value:g}"
    return shown.replace("e+0", "e").replace("e-0", "e-")


def chart(
    curves: Sequence[Curve], x: Axis, y: Axis, label: str, *, wide: int = 600, tall: int = 330
) -> str:
    """A drawing of curves, named at their right ends; `label` says what it shows."""

    def at(a: float, b: float) -> tuple[float, float]:
        return LEFT + x.at(a) * wide, TOP + (1 - y.at(b)) * tall

    parts = []
    for mark in y.marks:
        height = at(x.marks[0], mark)[1]
        parts.append(element("line", x1=LEFT, x2=LEFT + wide, y1=height, y2=height, class_="zero"))
        parts.append(text(LEFT - 8, height + 4, _number(mark, y.log), "dim", "end"))
    for mark in x.marks:
        place = at(mark, y.marks[0])[0]
        parts.append(text(place, TOP + tall + 18, _number(mark, x.log), "dim", "middle"))
    parts.append(text(LEFT + wide, TOP + tall + 36, x.name, "dim", "end"))
    parts.append(text(LEFT, TOP + tall + 36, y.name, "dim"))
    placed: list[float] = []
    names = dict.fromkeys(curve.name for curve in curves if not curve.dashed)
    number = {name: k for k, name in enumerate(names)}
    named = set()
    for curve in sorted(curves, key=lambda curve: -y.at(curve.y[-1])):
        places = [at(a, b) for a, b in zip(curve.x, curve.y, strict=True)]
        end = max(places[-1][1] + 4, placed[-1] + 16 if placed else 0)
        if curve.dashed:
            parts.append(
                element("polyline", points=_points(places), fill="none", stroke="currentColor",
                        stroke_opacity=0.4, stroke_dasharray="3 5")
            )  # fmt: skip
            parts.append(text(LEFT + wide - 4, places[-1][1] - 6, curve.name, "dim", "end"))
            continue
        colour = COLOURS[number[curve.name] % len(COLOURS)]
        drawn = ""
        if curve.spread is not None:
            above = [at(a, b + s) for a, b, s in zip(curve.x, curve.y, curve.spread, strict=True)]
            below = [at(a, b - s) for a, b, s in zip(curve.x, curve.y, curve.spread, strict=True)]
            drawn = element(
                "polygon", points=_points([*above, *reversed(below)]), fill=colour,
                fill_opacity=0.15,
            )  # fmt: skip
        if curve.line:
            drawn += element("polyline", points=_points(places), fill="none", stroke=colour,
                             stroke_width=2 if curve.dots else 1.2)  # fmt: skip
        if curve.dots:
            drawn += "".join(element("circle", cx=a, cy=b, r=3, fill=colour) for a, b in places)
        words = ""
        if curve.name not in named:
            named.add(curve.name)
            if curve.peak:
                top = min(places, key=lambda place: place[1])
                words = element("text", curve.name, x=top[0], y=top[1] - 8, fill=colour,
                                text_anchor="middle")  # fmt: skip
            else:
                placed.append(end)
                words = element("text", curve.name, x=LEFT + wide + 12, y=end, fill=colour)
        few = zip(curve.x, curve.y, strict=True) if len(curve.x) <= 20 else ()
        shown = ", ".join(f"{a:g}: {b:.3g}" for a, b in few)
        parts.append(titled(drawn + words, f"{curve.name} ({shown})" if shown else curve.name))
    return drawing(LEFT + wide + RIGHT, TOP + tall + 44, "".join(parts), label)
