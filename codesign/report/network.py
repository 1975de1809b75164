"""The network as a drawing: populations by level, projections between them."""

from __future__ import annotations

import math
from typing import Any

from codesign.report.svg import drawing, element, text, titled

__all__ = ["network"]

BOX, GAP, ROW, TOP = 128, 104, 92, 58


def network(model: dict[str, Any]) -> str:
    """Inputs on the left, a column per level, recurrent projections below."""
    columns: dict[int, list[dict[str, Any]]] = {}
    for item in model["inputs"]:
        kind = "real values" if item["graded"] else "spikes"
        columns.setdefault(0, []).append({**item, "kind": kind, "role": "input"})
    outputs = set(model.get("outputs", [])) or {model["populations"][-1]["name"]}
    for p in model["populations"]:
        role = "output" if p["name"] in outputs else "hidden"
        columns.setdefault(p["level"], []).append({**p, "role": role})
    tallest = max(len(column) for column in columns.values())
    order = {item["name"]: i for i, level in enumerate(sorted(columns)) for item in columns[level]}
    far = [p for p in model["projections"] if order[p["target"]] - order[p["source"]] > 1]
    top = TOP + (40 if any(not p["delay"] for p in far) else 0)
    back = [p for p in model["projections"] if p["delay"]]
    bottom = top + tallest * ROW
    height = bottom + (26 * len({(p["source"], p["target"]) for p in back}) + 14 if back else 0)
    places: dict[str, tuple[float, float, float]] = {}
    shapes = []
    for column, level in enumerate(sorted(columns)):
        members = columns[level]
        x = column * (BOX + GAP) + 2
        label = "input" if level == 0 else f"level {level}"
        shapes.append(text(x + BOX / 2, 18, label, "dim", "middle"))
        for row, item in enumerate(members):
            tall = min(68.0, 40 + 4 * math.log2(max(item["size"], 1)))
            y = top + ROW * (row + (tallest - len(members)) / 2) + (ROW - tall) / 2 - 20
            places[item["name"]] = (x, y, tall)
            shapes.append(_box(item, x, y, tall))
    width = len(columns) * (BOX + GAP) - GAP + 4
    edges = [_forward(p, places) for p in model["projections"] if not p["delay"]]
    edges += [_back(p, places, bottom + 26 * i) for i, p in enumerate(back)]
    return drawing(width, height, "".join(edges + shapes), "Network: populations and projections")


def _box(item: dict[str, Any], x: float, y: float, tall: float) -> str:
    middle, centre = y + tall / 2, x + BOX / 2
    shape = element("rect", x=x, y=y, width=BOX, height=tall, rx=5, class_=f"box {item['role']}")
    name = item["name"] if len(item["name"]) <= 17 else item["name"][:16] + "…"
    words = text(centre, middle - 4, name, "strong", "middle")
    words += text(centre, middle + 13, f"{item['size']:,} · {item['kind']}", "dim", "middle")
    return titled(shape + words, f"{item['name']}: {item['size']} {item['kind']}")


def _width(synapses: int) -> float:
    return 1 + 0.45 * math.log10(max(synapses, 1))


def _label(p: dict[str, Any]) -> tuple[str, str]:
    return f"{p['synapses']:,}", f"{p['weight_bits']} bit"


def _title(p: dict[str, Any]) -> str:
    late = f", {p['delay']} step later" if p["delay"] else ""
    return (
        f"{p['source']} to {p['target']}: {p['synapses']:,} synapses of "
        f"{p['weight_bits']} bits{late}"
    )


def _forward(p: dict[str, Any], places: dict[str, tuple[float, float, float]]) -> str:
    (x0, y0, h0), (x1, y1, h1) = places[p["source"]], places[p["target"]]
    a, b = (x0 + BOX, y0 + h0 / 2), (x1, y1 + h1 / 2)
    reach = (b[0] - a[0]) / 2
    skips = b[0] - a[0] > GAP + 1
    lift = -ROW * 0.85 if skips else 0.0
    curve = (
        f"M{a[0]:.1f} {a[1]:.1f}C{a[0] + reach:.1f} {a[1] + lift:.1f} "
        f"{b[0] - reach:.1f} {b[1] + lift:.1f} {b[0]:.1f} {b[1]:.1f}"
    )
    x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 0.75 * lift
    first, second = _label(p)
    content = element("path", d=curve, class_="edge", stroke_width=_width(p["synapses"]))
    content += text(x, y - 8, first, "label", "middle") + text(x, y + 15, second, "dim", "middle")
    return titled(content, _title(p))


def _back(p: dict[str, Any], places: dict[str, tuple[float, float, float]], y: float) -> str:
    (x0, y0, h0), (x1, y1, h1) = places[p["source"]], places[p["target"]]
    shift = 18 if p["source"] == p["target"] else 0
    a, b = x0 + BOX / 2 + shift, x1 + BOX / 2 - shift
    curve = (
        f"M{a:.1f} {y0 + h0:.1f}V{y - 18:.1f}Q{a:.1f} {y - 10:.1f} {a + _sign(b - a) * 8:.1f} "
        f"{y - 10:.1f}H{b - _sign(b - a) * 8:.1f}Q{b:.1f} {y - 10:.1f} {b:.1f} {y - 18:.1f}"
        f"V{y1 + h1:.1f}"
    )
    content = element("path", d=curve, class_="edge late", stroke_width=_width(p["synapses"]))
    words = f"{p['synapses']:,} · {p['weight_bits']} bit · {p['delay']} step later"
    return titled(content + text((a + b) / 2, y + 6, words, "dim", "middle"), _title(p))


def _sign(value: float) -> int:
    return 1 if value > 0 else -1
