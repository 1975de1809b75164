"""A critical path of nextpnr, told in words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CriticalPath", "describe", "read_cell_kinds", "simple_name"]

_CUT = re.compile(
    r"_(?:TRELLIS_FF|TRELLIS_COMB|TRELLIS_DPR16X4|LUT4|CCU2C|PFUMX|L6MUX21|MULT18X18D|DP16KD|"
    r"ALU54B)_.*$"
)
_TAILS = re.compile(r"(?:\$\w+|\.\d+\.\d+|_(?:DI|CE|LSR|CLK|Q)(?:_\d+)?)$")


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """One register-to-register path: its ends, its length in ns and a sentence."""

    start: str
    end: str
    total_ns: float
    logic_ns: float
    routing_ns: float
    luts: int
    words: str


def simple_name(cell: str) -> str:
    """The design's own name inside a cell name made by Yosys: `core0.acc_TRELLIS_FF_Q_3_DI` gives
    `core0.acc`; a name that Yosys made up whole gives `unnamed logic`."""
    name = _CUT.sub("", cell)
    while (shorter := _TAILS.sub("", name)) != name and shorter:
        name = shorter
    return "unnamed logic" if not name or name.startswith(("$abc", "$auto")) else name


def read_cell_kinds(netlist: Path, top: str) -> dict[str, str]:
    """The cell types of a netlist by cell name."""
    cells = json.loads(netlist.read_text())["modules"][top]["cells"]
    return {name: cell["type"] for name, cell in cells.items()}


def _kind(cell: str, port: str, kinds: Mapping[str, str]) -> str:
    """What a cell of the placed design is; nextpnr splits carries and LUT RAM, keeping names."""
    name = cell
    while name and name not in kinds and "$" in name:
        name = name.rsplit("$", 1)[0]
    known = kinds.get(name, "")
    if known:
        return known
    if re.fullmatch(r"(DI|DO|AD|CE|OCE|WE|CS)[AB]\d*", port):
        return "DP16KD"
    return "LUT4"


def _end(cell: str, port: str, kinds: Mapping[str, str]) -> str:
    """An end of the path in words."""
    kind, name = _kind(cell, port, kinds), simple_name(cell)
    if kind in ("DP16KD", "PDPW16KD"):
        ports = (("DO", "output"), ("AD", "address"), ("DI", "data input"), ("WE", "write enable"))
        what = next((word for prefix, word in ports if port.startswith(prefix)), "enable")
        return f"block RAM {name} {what}"
    if kind.startswith(("MULT", "ALU54")):
        return f"multiplier {name}"
    if kind == "TRELLIS_DPR16X4":
        return f"LUT RAM {name}"
    if kind == "TRELLIS_FF":
        pins = (("CE", " clock enable"), ("LSR", " reset"))
        return f"register {name}" + next((w for p, w in pins if port == p), "")
    return name


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _through(steps: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> tuple[str, int]:
    """The logic between the ends in words, in order of appearance, and how many LUTs it has."""
    luts, carries, chains, muxes, others = 0, 0, 0, 0, []
    in_chain = False
    for step in steps:
        if step["type"] != "logic":
            continue
        cell, port = step["from"]["cell"], step["from"]["port"]
        kind = _kind(cell, port, kinds)
        if kind == "CCU2C":
            carries += 1
            chains += not in_chain
            in_chain = True
            continue
        in_chain = False
        if kind == "LUT4":
            luts += 1
        elif kind in ("PFUMX", "L6MUX21"):
            muxes += 1
        else:
            others.append(_end(cell, port, kinds))
    parts = [_plural(luts, "LUT")] if luts else []
    if chains:
        parts.append(f"{_plural(chains, 'adder')} ({_plural(carries, 'carry step')})")
    if muxes:
        parts.append(_plural(muxes, "wide multiplexer"))
    return ", ".join(parts + others), luts


def describe(path: Mapping[str, Any], kinds: Mapping[str, str]) -> CriticalPath:
    """Tell one entry of nextpnr's `critical_paths`."""
    steps = path["path"]
    routing = sum(step["delay"] for step in steps if step["type"] == "routing")
    total = sum(step["delay"] for step in steps)
    first, last = steps[0]["from"], steps[-1]["to"]
    start = _end(first["cell"], first["port"], kinds)
    end = _end(last["cell"], last["port"], kinds)
    through, luts = _through(steps, kinds)
    middle = f" through {through}" if through else ""
    words = (
        f"from {start}{middle} to {end}: {total:.1f} ns = "
        f"{total - routing:.1f} logic + {routing:.1f} routing"
    )
    return CriticalPath(
        start=start,
        end=end,
        total_ns=round(total, 3),
        logic_ns=round(total - routing, 3),
        routing_ns=round(routing, 3),
        luts=luts,
        words=words,
    )
