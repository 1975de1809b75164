"""The spike raster of one input: a panel per population, time to the right."""

from __future__ import annotations

from typing import Any

from codesign.report.svg import drawing, element, text, titled

__all__ = ["raster"]

LEFT, RIGHT, WIDE, TOP, GAP = 104, 68, 700, 6, 14


def raster(found: dict[str, Any]) -> str:
    """Spikes as short strokes; outputs that are values as lines."""
    steps = max(found["steps"], 1)
    pitch = WIDE / steps
    y: float = TOP
    shapes = []
    for row in found["rows"]:
        if "values" in row:
            tall, content = 110.0, _traces(row, y, 110.0, pitch)
        else:
            shown = -(-row["size"] // row["every"])
            tall = min(190.0, max(22.0, shown * (11.0 if shown <= 16 else 2.2)))
            content = _spikes(row, y, tall, shown, pitch)
        frame = element("rect", x=LEFT, y=y, width=WIDE, height=tall, class_="frame")
        name = row["name"] if len(row["name"]) <= 13 else row["name"][:12] + "…"
        words = text(LEFT - 12, y + min(tall / 2 - 1, 40), name, "strong", "end")
        words += text(LEFT - 12, y + min(tall / 2 - 1, 40) + 15, f"{row['size']:,} {row['role']}",
                      "dim", "end")  # fmt: skip
        shapes.append(titled(frame + content + words, f"{row['name']}: {row['size']} neurons"))
        y += tall + GAP
    shapes.append(_axis(steps, y - GAP, pitch))
    return drawing(LEFT + WIDE + RIGHT, y + 26, "".join(shapes), "Spikes of one input")


def _spikes(row: dict[str, Any], y: float, tall: float, shown: int, pitch: float) -> str:
    each = tall / max(shown, 1)
    stroke, wide = max(each * 0.8, 0.9), min(pitch * 0.72, 14.0)
    marks, count = [], 0
    for step, line in enumerate(row["spikes"]):
        for neuron in map(int, line.split()):
            middle = y + (neuron + 0.5) * each
            left = LEFT + step * pitch + (pitch - wide) / 2
            marks.append(f"M{left:.1f} {middle:.1f}h{wide:.1f}")
            count += 1
    path = element("path", d="".join(marks), class_=f"spikes {row['role']}", stroke_width=stroke)
    some = f"{count:,}" if row["every"] == 1 else f"{count:,}+"
    words = text(LEFT + WIDE + 10, y + tall / 2 - 1, some, "label")
    words += text(LEFT + WIDE + 10, y + tall / 2 + 14, "events", "dim")
    return (path if marks else "") + words


def _traces(row: dict[str, Any], y: float, tall: float, pitch: float) -> str:
    traces = row["values"]
    low = min((min(t, default=0.0) for t in traces), default=0.0)
    high = max((max(t, default=0.0) for t in traces), default=1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    span = (high - low) or 1.0

    def level(value: float) -> float:
        return y + 6 + (high - value) / span * (tall - 12)

    lines = element("line", x1=LEFT, x2=LEFT + WIDE, y1=level(0.0), y2=level(0.0), class_="zero")
    last = max(range(len(traces)), key=lambda i: traces[i][-1] if traces[i] else low, default=0)
    for number, trace in enumerate(traces):
        points = " ".join(
            f"{LEFT + (step + 0.5) * pitch:.1f},{level(v):.1f}" for step, v in enumerate(trace)
        )
        style = "trace best" if number == last else "trace"
        lines += titled(element("polyline", points=points, class_=style), f"output {number}")
    lines += text(LEFT + WIDE + 10, y + 12, f"{high:.3g}", "dim")
    lines += text(LEFT + WIDE + 10, y + tall - 3, f"{low:.3g}", "dim")
    return lines + text(LEFT + WIDE + 10, y + tall / 2 + 4, f"best: {last}", "label")


def _axis(steps: int, y: float, pitch: float) -> str:
    stride = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200) if steps / s <= 16 or s == 200)
    marks = [
        text(LEFT + (step + 0.5) * pitch, y + 16, step, "dim", "middle")
        for step in range(0, steps, stride)
    ]
    return "".join(marks) + text(LEFT + WIDE + 10, y + 16, "step", "dim")
