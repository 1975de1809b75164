"""The mesh as a drawing: cores with their occupancy, links with the traffic to expect."""

from __future__ import annotations

import re
from typing import Any

from codesign.report.svg import drawing, element, group, text, titled

__all__ = ["mesh"]

TILE, GAP, MARGIN, HOST = 158, 48, 6, 78

_LINK = re.compile(r"(\d+),(\d+)>(\d+),(\d+)")


def mesh(mapping: dict[str, Any]) -> str:
    """Tiles of the mesh; row 0 is on top, the host stands at the left of the tile it feeds."""
    columns, rows = mapping["width"], mapping["height"]
    links = mapping.get("links", {})
    busiest = max(links.values(), default=1) or 1
    cores = {(core["x"], core["y"]): core for core in mapping["cores"]}
    largest = max((core["synapse_bits"] for core in cores.values()), default=1) or 1
    left = MARGIN + HOST + GAP
    shapes = []
    for y in range(rows):
        for x in range(columns):
            place = (left + x * (TILE + GAP), MARGIN + y * (TILE + GAP))
            shapes.append(_tile(cores.get((x, y)), x, y, place, largest))
    wires = [_wire(name, load, left, busiest) for name, load in sorted(links.items())]
    shapes.append(_host(links, left))
    width = left + columns * (TILE + GAP) - GAP + MARGIN
    height = MARGIN * 2 + rows * (TILE + GAP) - GAP
    return drawing(width, height, "".join([*wires, *shapes]), "Cores of the mesh and their links")


def _tile(
    core: dict[str, Any] | None, x: int, y: int, place: tuple[float, float], largest: int
) -> str:
    px, py = place
    if core is None:
        shape = element("rect", x=px, y=py, width=TILE, height=TILE, rx=6, class_="tile empty")
        words = text(px + TILE / 2, py + TILE / 2 + 4, "router only", "dim", "middle")
        return titled(shape + words, f"tile {x},{y}: a router without a core")
    shape = element("rect", x=px, y=py, width=TILE, height=TILE, rx=6, class_="tile")
    shape += text(px + 11, py + 21, f"core {x},{y}", "strong")
    index = f"{core['weight_bits']} bit"
    shape += text(px + TILE - 11, py + 21, index, "dim", "end")
    used, slots = core["neurons"], max(core["slots"], 1)
    kbit = core["synapse_bits"] / 1024
    shape += _meter(px + 11, py + 48, "neurons", f"{used} of {slots}", used / slots)
    crossbar = core.get("dendrites") == "crossbar"
    held = ("synapses", f"{kbit:.1f} kbit")
    if crossbar:
        held = ("devices", f"{core['cells']:,}")
    elif core.get("dendrites") == "states":
        held = ("states", f"{core['states']:,}")
    shape += _meter(px + 11, py + 85, *held, core["synapse_bits"] / largest)
    if crossbar:
        shape += _banks(core, px + 11, py + 112)
    shape += text(px + 11, py + TILE - 14, f"{core['axons']} input rows", "dim")
    names = ", ".join(f"{name} {count}" for name, count in core["slots_by_population"].items())
    title = (
        f"core {x},{y}: {used} neurons in {slots} slots ({names}); {core['axons']} input rows, "
        f"{core.get('synapses', 0)} synapses in {core['synapse_bits']} bits, "
        f"{_dendrites(core)}"
    )
    return titled(shape, title)


def _banks(core: dict[str, Any], x: float, y: float) -> str:
    """The banks of a crossbar core, as many as there is room for."""
    count = core["banks"]
    words = f"{count} bank{'' if count == 1 else 's'} of {core['rows']} × {core['columns']}"
    squares = (
        element("rect", x=x + 12 * k, y=y + 6, width=9, height=9, class_="bank")
        for k in range(min(count, (TILE - 22) // 12))
    )
    return text(x, y, words, "dim") + "".join(squares)


def _dendrites(core: dict[str, Any]) -> str:
    """How a core sums its input."""
    if core.get("dendrites") == "attention":
        return "an attention head"
    if core.get("dendrites") == "streams":
        return (
            f"{core['generator']} streams of {core['stream_length']} bits, "
            f"{core['stream_lanes']} lanes"
        )
    if core.get("dendrites") == "crossbar":
        return (
            f"{core['banks']} banks of {core['rows']} x {core['columns']} devices "
            f"({core['device']}), {core['converters']} converters of {core['adc_bits']} bits"
            + (f", {core['sampling']} weights drawn" if core["sampling"] != "none" else "")
        )
    if core.get("dendrites") == "gate":
        return "products of two inputs each"
    if core.get("dendrites") == "winners":
        return f"{core['winners']} of each {core['group']} send"
    if core.get("dendrites") == "states":
        kind = "complex" if core["complex"] else "real"
        lanes = f"{core['state_lanes']} a cycle" if core["state_lanes"] > 1 else "one a cycle"
        return f"{core['states']} {kind} states, {lanes}, poles of {core['weight_bits']} bits"
    return f"index {core['index']}, {core['words_per_event']:.2f} words per event"


def _meter(x: float, y: float, name: str, value: str, share: float) -> str:
    wide = TILE - 22
    words = text(x, y, name, "dim") + text(x + wide, y, value, None, "end")
    back = element("rect", x=x, y=y + 6, width=wide, height=6, rx=1.5, class_="track")
    front = element(
        "rect", x=x, y=y + 6, width=max(1.5, wide * min(share, 1)), height=6, rx=1.5, class_="fill"
    )
    return words + back + front


def _host(links: dict[str, float], left: float) -> str:
    """The host at the tile that its links name."""
    names = [name for name in links if "host" in name]
    row = int(re.findall(r"\d+", names[0])[1]) if names else 0
    y = MARGIN + row * (TILE + GAP) + TILE / 2 - 26
    shape = element("rect", x=MARGIN, y=y, width=HOST, height=52, rx=6, class_="tile host")
    return group(shape + text(MARGIN + HOST / 2, y + 31, "host", "strong", "middle"), "host")


def _wire(name: str, load: float, left: float, busiest: float) -> str:
    """One direction of a link, as wide as it is busy; the two directions lie side by side."""
    found = _LINK.fullmatch(name)
    if found:
        x0, y0, x1, y1 = map(int, found.groups())
    elif name.startswith("host>"):
        x1, y1 = map(int, re.findall(r"\d+", name))
        x0, y0 = x1 - 1, y1
    else:
        x0, y0 = map(int, re.findall(r"\d+", name))
        x1, y1 = x0 - 1, y0
    dx, dy = x1 - x0, y1 - y0
    cx = left + x0 * (TILE + GAP) + TILE / 2
    cy = MARGIN + y0 * (TILE + GAP) + TILE / 2
    reach = TILE / 2
    off = 9
    start = (cx + dx * reach - dy * off, cy + dy * reach + dx * off)
    end = (start[0] + dx * GAP, start[1] + dy * GAP)
    wide = 0.8 + 5.2 * load / busiest
    line = element(
        "line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], stroke_width=wide, class_="link"
    )
    tip = 5.0
    head = (
        f"M{end[0]:.1f} {end[1]:.1f}l{-dx * tip - dy * tip:.1f} {-dy * tip + dx * tip:.1f}"
        f"l{2 * dy * tip:.1f} {-2 * dx * tip:.1f}z"
    )
    words = ""
    if dx:
        middle = (start[0] + end[0]) / 2
        words = text(middle, start[1] + (17 if dx > 0 else -11), f"{load:.3g}", "dim", "middle")
    else:
        middle = (start[1] + end[1]) / 2 + 4
        anchor, aside = ("end", -8) if dy > 0 else ("start", 8)
        words = text(start[0] + aside, middle, f"{load:.3g}", "dim", anchor)
    return titled(
        line + element("path", d=head, class_="head") + words, f"{name}: {load:.4g} flits per step"
    )
