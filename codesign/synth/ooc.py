"""Out-of-context measure of one Verilog module on an ECP5-85F, speed grade 6."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign.synth.nextpnr import Device, Placement, best, median_mhz, place_and_route
from codesign.synth.process import Progress, quiet
from codesign.synth.yosys import Netlist, synthesise

__all__ = ["measure"]


def measure(
    verilog: Path | str | Sequence[Path | str],
    top: str | None = None,
    *,
    freq: float = 150.0,
    seeds: int = 3,
    variants: Sequence[str] = ("nowidelut",),
    device: Device | None = None,
    out_dir: Path | None = None,
    workers: int = 2,
    progress: Progress = quiet,
    fresh: bool = False,
) -> dict[str, Any]:
    """Synthesise, place and route `top` without pins, seeds 1 to `seeds`, for each variant.

    Returns the row of the variant with the fewest COMB whose best Fmax is not more than 5 % under
    the best of all, with every variant's row under `variants`. A row holds `variant`, `comb`,
    `ff`, `bram`, `dsp`, `lutram` (16 x 4 cells), `fmax_mhz` (best), `fmax_median_mhz`,
    `fmax_by_seed`, `critical_path` (words, of the best seed), `memories` (one line each) and
    `exploded` (names of memories that became flip-flops).
    """
    sources = [verilog] if isinstance(verilog, (str, Path)) else list(verilog)
    with tempfile.TemporaryDirectory(prefix="nervure-") as scratch:
        out = out_dir or Path(scratch)
        netlists = synthesise(
            [Path(path) for path in sources],
            top,
            out,
            variants=variants,
            progress=progress,
            fresh=fresh,
        )
        rows = []
        for netlist in netlists:
            placements = place_and_route(
                netlist,
                device or Device(),
                out,
                freq_mhz=freq,
                seeds=range(1, seeds + 1),
                workers=workers,
                out_of_context=True,
                progress=progress,
                fresh=fresh,
            )
            rows.append(_row(netlist, placements))
    return {**choose(rows), "variants": rows}


def choose(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fewest COMB among the rows within 5 % of the best Fmax."""
    fastest = max(row["fmax_mhz"] for row in rows)
    near = [row for row in rows if row["fmax_mhz"] >= 0.95 * fastest]
    return min(near, key=lambda row: row["comb"])


def _row(netlist: Netlist, placements: Sequence[Placement]) -> dict[str, Any]:
    top = best(placements)
    return {
        "top": netlist.top,
        "variant": netlist.variant,
        "comb": top.used("TRELLIS_COMB"),
        "ff": top.used("TRELLIS_FF"),
        "bram": top.used("DP16KD"),
        "dsp": top.used("MULT18X18D"),
        "lutram": top.used("TRELLIS_RAMW"),
        "lut4": netlist.cells.get("LUT4", 0),
        "fmax_mhz": top.fmax_mhz,
        "fmax_median_mhz": round(median_mhz(placements), 2),
        "fmax_by_seed": {item.seed: item.fmax_mhz for item in placements},
        "critical_path": top.path.words if top.path else "no clocked path",
        "memories": [memory.sentence() for memory in netlist.memories],
        "exploded": [memory.name for memory in netlist.memories if memory.exploded],
    }
