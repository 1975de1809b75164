"""Accuracy and calibration of layers on devices over their age, as drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.report.chart import Axis, Curve, chart, decades, marks

if TYPE_CHECKING:
    from codesign.artefact import Artefact
    from codesign.crossbar.evaluate import Condition
    from sim.stimulus import Stimulus

__all__ = ["device_section", "drift_charts"]

#: (key of a condition, title, name of its axis).
FIGURES = (("accuracy", "Accuracy", "accuracy"), ("ece", "Expected calibration error", "ECE"))


def device_section(
    artefact: Artefact,
    stimulus: Stimulus,
    found: Sequence[Condition],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """What report.json keeps of `nervure device evaluate` with these options.

    "mismatches" : over all runs, None if the RTL did not run.
    """
    source, rtl = Path(stimulus.source).name, found[0].mismatches is not None
    words = ["nervure device evaluate", artefact.manifest["name"], f"--input {source}"]
    for name, value in options.items():
        for one in value if isinstance(value, list) else () if value is None else (value,):
            words.append(f"--{name} {one.name if isinstance(one, Path) else one}")
    once = [c.mismatches or 0 for c in found if c.members == found[0].members]
    return {
        "source": source,
        "samples": stimulus.samples,
        "mismatches": sum(once) if rtl else None,
        "command": " ".join([*words, *(["--rtl"] if rtl else [])]),
        "conditions": [c.to_json() for c in found],
    }


def drift_charts(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """{"title", "drawing"} of accuracy and of calibration error over the age of the devices.

    found : of report.json, "device_evaluation". A curve for each compensation and ensemble; an age
    of 0 stands at the left end.
    """
    from markupsafe import Markup

    if not found:
        return []
    curves: dict[str, list[dict[str, Any]]] = {}
    several = len({c["members"] for c in found["conditions"]}) > 1
    for c in sorted(found["conditions"], key=lambda c: float(c["age"])):
        name = (
            f"{c['compensation']}, {c['members']} run{'s' * (c['members'] > 1)}"
            if several
            else c["compensation"]
        )
        curves.setdefault(name, []).append(c)
    ages = [c["age"] for c in found["conditions"] if c["age"] > 0] or [1.0]
    x = Axis(name="s after programming", marks=decades(min(ages), max(ages)), log=True)
    charts = []
    for key, title, axis in FIGURES:
        drawn = [
            Curve(name=name, x=[max(c["age"], x.marks[0]) for c in part], y=[c[key] for c in part])
            for name, part in curves.items()
        ]
        seen = [value for curve in drawn for value in curve.y]
        y = Axis(name=axis, marks=_upper(min(seen)) if key == "accuracy" else _lower(max(seen)))
        charts.append(
            {"title": title, "drawing": Markup(chart(drawn, x, y, title, wide=260, tall=190))}
        )
    return charts


def _upper(least: float) -> list[float]:
    """Marks up to 1 from a round share below `least`."""
    low = next(share for share in (0.9, 0.8, 0.5, 0.0) if share <= least)
    return [round(low + (1 - low) * k / 5, 2) for k in range(6)]


def _lower(most: float) -> list[float]:
    """Marks from 0 up."""
    return marks(max(most, 0.01), 5)
