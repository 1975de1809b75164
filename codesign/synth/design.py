"""From an artefact to a board: the top around the fabric, then synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codesign.artefact import Artefact
from codesign.boards import Board
from codesign.boards import board as find_board
from codesign.synth.result import SynthResult
from codesign.synth.run import synth
from hdl.params.errors import UserError

__all__ = ["board_verilog", "synth_artefact"]

TOP = "board"


def board_verilog(mapped: Any, board: Board, mhz: float | None = None) -> str:
    """Verilog of the board's top: PLL, reset, serial link and an instance of the fabric."""
    from hdl.emit import emit_verilog
    from hdl.params.uart import UartParams
    from hdl.top import Ecp5Top

    mhz = mhz or board.pll_mhz
    try:
        uart = UartParams(word_bits=mapped.host.word_bits, clock_hz=round(mhz * 1e6))
        top = Ecp5Top(uart, in_mhz=board.clock_mhz)
        files = emit_verilog(top, TOP)
    except ValueError as error:
        raise UserError(f"clock of {mhz:g} MHz: {error}") from None
    return files[f"{TOP}.v"]


def synth_artefact(
    artefact: Artefact,
    board: Board | str | None = None,
    *,
    freq: float | None = None,
    **options: Any,
) -> SynthResult:
    """`codesign.synth.run.synth` of an artefact with its board top; the report is updated.

    freq : clock of the fabric in MHz, made by the board's PLL; None: the board's `pll_mhz`.
    """
    target = board or artefact.settings.board
    target = find_board(target) if isinstance(target, str) else target
    out: Path = options.pop("out_dir", None) or artefact.directory / "synth"
    out.mkdir(parents=True, exist_ok=True)
    top = out / f"{TOP}.v"
    top.write_text(board_verilog(artefact.mapped, target, freq))
    result = synth([*(f for f in artefact.sources if f.suffix == ".v"), top], target, top=TOP,
                   out_dir=out, **options)  # fmt: skip
    artefact.add_to_report(synthesis=result.to_json())
    return result
