"""explore.html and designs.csv: an exploration for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import Any

import numpy as np

from codesign.explore.outcome import CHECKED, OBJECTIVES

__all__ = ["designs_csv", "errors", "render"]


def errors(found: dict[str, Any]) -> list[dict[str, Any]]:
    """How far the cost model was off on the designs that were synthesised here: by objective the
    number of them, and the median and the worst of abs(measured / estimated - 1)."""
    rows = []
    measured = [o for o in found["outcomes"] if o["fidelity"] != "estimate"]
    for name in CHECKED:
        off = [
            abs(o["values"][name] / o["estimate"][name] - 1)
            for o in measured
            if o["estimate"].get(name) and name in o["values"]
        ]
        if off:
            rows.append(
                {"name": name, "title": OBJECTIVES[name].title, "designs": len(off),
                 "median": float(np.median(off)), "worst": max(off)}
            )  # fmt: skip
    return rows


def _failures(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Reasons of failed trials, the most frequent first."""
    reasons = Counter(o["failed"] for o in found["outcomes"] if o["failed"])
    rows = []
    for reason, count in reasons.most_common():
        trials = [str(o["number"]) for o in found["outcomes"] if o["failed"] == reason]
        shown = ", ".join(trials[:6]) + (", ..." if count > 6 else "")
        rows.append({"reason": reason, "count": count, "trials": shown})
    return rows


def render(found: dict[str, Any]) -> str:
    """The page of what explore.json holds."""
    from markupsafe import Markup

    from codesign.report.page import FOLDER, template

    outcomes = found["outcomes"]
    failed = sum(o["failed"] is not None for o in outcomes)
    keys = [
        {"label": "Tried", "value": len(outcomes),
         "note": f"{failed} failed, {sum(bool(o['broken']) for o in outcomes)} break a constraint"},
        {"label": "Front", "value": len(found["front"]), "note": "designs that no other beats"},
        {"label": "Placed and routed",
         "value": sum(o["fidelity"] != "estimate" for o in outcomes), "note": "by Yosys, nextpnr"},
        {"label": "Verified", "value": sum(o["fidelity"] == "verified" for o in outcomes),
         "note": "RTL equals golden, every bit"},
        {"label": "Took", "value": f"{found['seconds'] / 60:.1f} min",
         "note": f"{found['workers']} worker{'' if found['workers'] == 1 else 's'}"},
    ]  # fmt: skip
    titles = {
        o.name: {"title": o.title, "unit": o.unit, "maximise": o.maximise}
        for o in OBJECTIVES.values()
    }
    slim = {
        "objectives": found["objectives"],
        "front": found["front"],
        "outcomes": [{k: v for k, v in o.items() if k != "settings"} for o in outcomes],
    }
    data = json.dumps({"found": slim, "titles": titles}).replace("<", "\\u003c")
    return template("explore.html.j2").render(
        found=found,
        objectives=", ".join(OBJECTIVES[name].title for name in found["objectives"]),
        keys=keys,
        compared=errors(found),
        model_error=found.get("model_error"),
        failures=_failures(found),
        data=Markup(data),
        script=Markup((FOLDER / "explore.js").read_text(encoding="utf-8")),
    )


def designs_csv(found: dict[str, Any]) -> str:
    """All trials as a table: number, on the front or not, fidelity, choices, values, failures."""
    names = list(dict.fromkeys(name for o in found["outcomes"] for name in o["choice"]))
    values = [n for n in OBJECTIVES if any(n in o["values"] for o in found["outcomes"])]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["design", "front", "fidelity", *(f"choice:{n}" for n in names), *values,
         *(f"estimated:{n}" for n in values), "breaks", "failed", "command"]
    )  # fmt: skip
    front = set(found["front"])
    for o in found["outcomes"]:
        rows.writerow(
            [o["number"], int(o["number"] in front), o["fidelity"],
             *(_plain(o["choice"].get(n)) for n in names), *(o["values"].get(n) for n in values),
             *(o["estimate"].get(n) for n in values), "; ".join(o["broken"]), o["failed"] or "",
             o.get("command") or ""]
        )  # fmt: skip
    return text.getvalue()


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value
