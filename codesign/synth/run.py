"""From Verilog to utilisation, Fmax, critical path and bitstream on a board."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from codesign.boards import Board
from codesign.boards import board as find_board
from codesign.synth.nextpnr import Device, Placement, best, median_mhz, place_and_route
from codesign.synth.pack import pack
from codesign.synth.process import Progress, nextpnr_command, pack_command, quiet
from codesign.synth.result import DoesNotFit, SynthResult, overflows
from codesign.synth.yosys import Netlist, synthesise, yosys_version
from hdl.params.errors import CheckFailed, UserError

__all__ = ["synth"]

#: With a PLL, placement is told that the oscillator runs this many times as fast as it does:
#: nextpnr stops improving a path once it meets its constraint, and Fmax would only say so.
PRESSURE = 2.0

_EFFORTS = {"normal": ("nowidelut",), "high": ("nowidelut", "default")}


def _sources(given: Path | str | Sequence[Path | str]) -> tuple[list[Path], Path]:
    """The Verilog files, and the folder that holds the artefact (or the first file)."""
    if not isinstance(given, (Path, str)):
        files = [Path(path) for path in given]
        return files, files[0].parent if files else Path()
    path = Path(given)
    if path.is_file():
        return [path], path.parent
    for folder in (path / "rtl", path):
        files = sorted([*folder.glob("*.v"), *folder.glob("*.sv")])
        if files:
            return files, path
    if not path.exists():
        raise UserError(f"{path} does not exist; give the folder that `nervure compile` wrote")
    raise UserError(f"{path} holds no Verilog (rtl/*.v); run `nervure compile MODEL -o {path}`")


def _cycles_per_step(folder: Path) -> float | None:
    """The figure that the compiler left in report.json, if it did."""
    try:
        value = json.loads((folder / "report.json").read_text()).get("cycles_per_step")
    except (OSError, ValueError, AttributeError):
        return None
    return value if isinstance(value, (int, float)) else None


def _portless(netlist: Netlist, board: Board) -> list[str]:
    """Port bits of the top module that have no pin on the board."""
    return [
        bit
        for name, width, _ in netlist.ports
        for bit in ([name] if width == 1 else [f"{name}[{i}]" for i in range(width)])
        if bit not in board.pins and not (bit == name and f"{name}[0]" in board.pins)
    ]


def _pins_text(netlist: Netlist, board: Board, freq: float | None) -> str:
    """The pin file cut down to the ports that the design has, with the clock asked for."""
    bits = {
        bit
        for name, width, _ in netlist.ports
        for bit in ([name] if width == 1 else [f"{name}[{i}]" for i in range(width)])
    }
    lines = []
    for line in board.lpf.splitlines():
        port = re.match(r'\s*(?:LOCATE COMP|IOBUF PORT|FREQUENCY PORT)\s+"([^"]+)"', line)
        if port and port[1] not in bits:
            continue
        asked = board.clock_mhz * PRESSURE if "EHXPLLL" in netlist.cells else freq
        if asked and line.startswith("FREQUENCY"):
            line = f'FREQUENCY PORT "{board.clock_port}" {asked:g} MHZ;'
        lines.append(line)
    return "\n".join(lines) + "\n"


def _choose(rows: list[tuple[Netlist, list[Placement]]]) -> tuple[Netlist, list[Placement]]:
    """Fewest LUTs among the variants within 5 % of the best Fmax."""
    fastest = max(best(placements).fmax_mhz for _, placements in rows)
    near = [row for row in rows if best(row[1]).fmax_mhz >= 0.95 * fastest]
    return min(near, key=lambda row: best(row[1]).used("TRELLIS_COMB"))


def _timing_problem(placement: Placement, board: Board, netlist: Netlist) -> str | None:
    """The first clock that runs faster on the board than the design allows."""
    for clock, mhz in placement.fmax.items():
        need = placement.asked[clock] if "EHXPLLL" in netlist.cells else board.clock_mhz
        if mhz < need:
            words = f"; slowest path {placement.path.words}" if placement.path else ""
            return f"clock {clock} reaches {mhz:.1f} MHz but runs at {need:g} MHz{words}"
    return None


def synth(
    sources: Path | str | Sequence[Path | str],
    board: Board | str = "ulx3s-85f",
    *,
    top: str | None = None,
    bitstream: bool = False,
    svf: bool = False,
    freq: float | None = None,
    seed: int = 1,
    seeds: int = 1,
    effort: str = "normal",
    out_dir: Path | None = None,
    workers: int = 2,
    progress: Progress = quiet,
    fresh: bool = False,
) -> SynthResult:
    """Synthesise, place and route a design for a board; write a bitstream if asked.

    Parameters
    ----------
    sources:
        The folder that `nervure compile` wrote (its `rtl/*.v`), one Verilog file, or several.
    board:
        A board or its name.
    top:
        Top module; None takes the only one that no other instantiates.
    freq:
        Clock to aim at, MHz; None takes the board's clock with pins, its PLL clock without.
    seed, seeds:
        Placement seeds `seed`, `seed + 1`, ...: the best is kept, the median reported.
    effort:
        `high` also tries wide multiplexers and at least 3 seeds.
    out_dir:
        Where netlists, logs and the bitstream go; None means `synth` in the sources' folder.

    A top module with ports that have no pin on the board is measured out of context: no pins, no
    bitstream. Raises `DoesNotFit` (a `CheckFailed`) when a resource overflows, `CheckFailed` when
    a bitstream would miss its timing.
    """
    start = time.monotonic()
    target = find_board(board) if isinstance(board, str) else board
    if effort not in _EFFORTS:
        raise UserError(f"effort '{effort}' is unknown; use one of {', '.join(_EFFORTS)}")
    files, folder = _sources(sources)
    tools = [yosys_version(), nextpnr_command()[1]] + ([pack_command()[1]] if bitstream else [])
    out = out_dir or folder / "synth"
    netlists = synthesise(
        files, top, out, variants=_EFFORTS[effort], progress=progress, fresh=fresh
    )
    base = SynthResult(
        target=target.name,
        lut=netlists[0].lut,
        ff=netlists[0].ff,
        bram=netlists[0].bram,
        dsp=netlists[0].dsp,
        lutram=netlists[0].cells.get("TRELLIS_DPR16X4", 0),
        capacity=vars(target.capacity).copy(),
        fits=False,
        cycles_per_step=_cycles_per_step(folder),
        memories=netlists[0].memories,
        tools=tuple(tools),
        warnings=tuple(m.sentence() for m in netlists[0].memories if m.exploded),
        seconds=round(time.monotonic() - start, 2),
    )
    fitting = [netlist for netlist in netlists if not overflows(netlist, target)]
    if not fitting:
        text = "; ".join(overflows(netlists[0], target))
        raise DoesNotFit(f"{netlists[0].top} does not fit {target.name}: needs {text}", base)
    pinless = _portless(fitting[0], target)
    if pinless and bitstream:
        some = ", ".join(pinless[:4]) + (", ..." if len(pinless) > 4 else "")
        known = ", ".join(dict.fromkeys(name.split("[")[0] for name in target.pins))
        raise UserError(
            f"no bitstream: {len(pinless)} port bits of {fitting[0].top} have no pin on "
            f"{target.name} ({some}); give a top whose ports are among {known}"
        )
    device = Device(flag=target.nextpnr_flag, package=target.package, speed=target.speed_grade)
    count = max(seeds, 3 if effort == "high" else 1)
    rows = []
    for netlist in fitting:
        placements = place_and_route(
            netlist,
            device,
            out,
            lpf=None if pinless else _pins_text(netlist, target, freq),
            freq_mhz=freq or (target.pll_mhz if pinless else target.clock_mhz),
            seeds=range(seed, seed + count),
            workers=workers,
            out_of_context=bool(pinless),
            progress=progress,
            fresh=fresh,
        )
        if not pinless and "EHXPLLL" in netlist.cells:
            placements = [
                replace(p, asked={name: mhz / PRESSURE for name, mhz in p.asked.items()})
                for p in placements
            ]
        rows.append((netlist, placements))
    netlist, placements = _choose(rows)
    result = _filled(base, netlist, placements, out_of_context=bool(pinless))
    chosen = best(placements)
    if bitstream and chosen.config is not None:
        problem = _timing_problem(chosen, target, netlist)
        if problem:
            raise CheckFailed(f"no bitstream: {problem}; lower the clock or try effort high")
        bit = pack(chosen.config, out / f"{netlist.top}.bit", svf=svf, progress=progress)
        result = replace(result, bitstream=str(bit))
    return replace(result, seconds=round(time.monotonic() - start, 2))


def _filled(
    base: SynthResult, netlist: Netlist, placements: list[Placement], *, out_of_context: bool
) -> SynthResult:
    """The result with what placement found."""
    chosen = best(placements)
    clocks = {
        name: {"fmax_mhz": mhz, "asked_mhz": round(chosen.asked[name], 3)}
        for name, mhz in chosen.fmax.items()
    }
    return replace(
        base,
        fits=True,
        lut=chosen.used("TRELLIS_COMB"),
        ff=chosen.used("TRELLIS_FF"),
        bram=chosen.used("DP16KD"),
        dsp=chosen.used("MULT18X18D"),
        lutram=chosen.used("TRELLIS_RAMW"),
        memories=netlist.memories,
        variant=netlist.variant,
        seed=chosen.seed,
        fmax_mhz=chosen.fmax_mhz if chosen.fmax else None,
        fmax_median_mhz=round(median_mhz(placements), 2) if chosen.fmax else None,
        fmax_by_seed={item.seed: item.fmax_mhz for item in placements},
        clocks=clocks,
        critical_path=chosen.path.words if chosen.path else None,
        out_of_context=out_of_context,
    )
