"""What units cost: LUTs, flip-flops and clock rate of their examples on an ECP5, out of context."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codesign.sc.units import Unit
from codesign.synth.ooc import measure
from codesign.synth.yosys import VARIANTS

__all__ = ["cost", "markdown"]

#: Characters of a parameter that a table of the documentation shows.
LONGEST = 24


def cost(
    unit: Unit,
    parameters: dict[str, str] | None = None,
    *,
    seeds: int = 3,
    freq: float = 300.0,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Synthesise, place and route one unit (cached by its Verilog).

    Returns {"unit", "parameters", "comb", "ff", "bram", "dsp", "fmax_mhz" (None for a unit without
    clocked paths), "latency"}; `parameters` holds what differs from the defaults.
    """
    from hdl.emit import emit_verilog

    params = unit.make(parameters)
    top = unit.name.replace("-", "_")
    with tempfile.TemporaryDirectory(prefix="nervure-") as folder:
        for name, text in emit_verilog(unit.component(params), top).items():
            (Path(folder) / name).write_text(text)
        row = measure(
            sorted(Path(folder).glob("*.v")),
            top,
            freq=freq,
            seeds=seeds,
            variants=tuple(VARIANTS),
            progress=lambda stage: progress(f"{unit.name}: {stage}"),
        )
    shown = {
        p["name"]: getattr(params, p["name"])
        for p in unit.parameters()
        if getattr(params, p["name"]) != p["default"]
    }
    clocked = params.sequential and row["fmax_mhz"] > 0  # 0: no path between two flip-flops
    return {
        "unit": unit.name,
        "parameters": shown,
        "comb": row["comb"],
        "ff": row["ff"],
        "bram": row["bram"],
        "dsp": row["dsp"],
        "fmax_mhz": round(row["fmax_mhz"], 1) if clocked else None,
        "latency": params.latency,
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table for the documentation."""
    lines = [
        "| unit | parameters | COMB | FF | BRAM | DSP | MHz |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        texts = {name: str(value) for name, value in row["parameters"].items()}
        given = ", ".join(f"{k}={v if len(v) <= LONGEST else '...'}" for k, v in texts.items())
        rate = "–" if row["fmax_mhz"] is None else f"{row['fmax_mhz']:.0f}"
        cells = (row["unit"], given, row["comb"], row["ff"], row["bram"], row["dsp"], rate)
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)
