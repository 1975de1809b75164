"""Real synthesis runs that the cost model is fitted to: `python -m codesign.cost.runs`.

Every line of `runs.jsonl` is one design: its recipe (codesign/cost/designs.py), the parameters of
its fabric (codesign/cost/record.py), and what Yosys and nextpnr made of it with one placement seed,
counted as `nervure synth` counts; of its memories the name (digits left out), depth, width, block
RAMs, LUT RAM cells, flip-flops, and how many of them there are. A line is written as soon as its
run is done; designs that have a line are skipped, so the command can be stopped at any time and
started again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codesign.boards import Board
from codesign.boards import board as find_board
from codesign.cost.designs import build
from codesign.cost.plan import plan
from codesign.cost.record import to_data
from codesign.synth import cache
from codesign.synth.design import TOP, board_verilog
from codesign.synth.process import nextpnr_command, run_tool
from codesign.synth.result import SynthResult
from codesign.synth.run import synth
from codesign.synth.yosys import synthesise, yosys_version
from hdl.params.errors import CheckFailed, UserError

__all__ = ["RUNS", "key_of", "main", "read_runs", "run"]

RUNS = Path(__file__).with_name("runs.jsonl")
BOARD = "ulx3s-85f"


def key_of(recipe: dict[str, Any]) -> str:
    """What a recipe is known by."""
    return cache.digest(json.dumps(recipe, sort_keys=True))[:12]


def read_runs(path: Path = RUNS) -> list[dict[str, Any]]:
    """All complete lines; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line.strip()]


def run(recipe: dict[str, Any], root: Path = Path()) -> dict[str, Any]:
    """Map, emit and synthesise one design; its line. "error" stands for a design that can't be."""
    from codesign.compile import emit_rtl

    line: dict[str, Any] = {"key": key_of(recipe), "recipe": recipe}
    start = time.monotonic()
    try:
        mapped = build(recipe, root)
        target = find_board(BOARD)
        with tempfile.TemporaryDirectory(prefix="nervure-") as scratch:
            folder = Path(scratch)
            emit_rtl(mapped, folder)
            top = folder / f"{TOP}.v"
            top.write_text(board_verilog(mapped, target))
            sources, name = [folder / "nervure.v", top], TOP
            if not recipe.get("board", True):
                sources, name = sources[:1], "nervure"
            out = folder / "synth"
            if recipe.get("placed", True):
                result = synth(sources, target, top=name, out_dir=out, workers=1)
            else:
                result = _packed(sources, target, name, out)
    except (UserError, CheckFailed) as error:
        return {**line, "error": str(error)}
    memories = Counter(
        (re.sub(r"\d+", "#", m.name), m.depth, m.width, m.dp16kd, m.dpr16x4, m.ff)
        for m in result.memories
    )
    return {
        **line,
        "mesh": to_data(mapped.mesh),
        "result": {
            "lut": result.lut, "ff": result.ff, "bram": result.bram, "dsp": result.dsp,
            "lutram": result.lutram, "fmax_mhz": result.fmax_mhz, "path": result.critical_path,
            "memories": [[*memory, count] for memory, count in sorted(memories.items())],
        },
        "tools": list(result.tools),
        "seconds": round(time.monotonic() - start, 1),
    }  # fmt: skip


def _packed(sources: list[Path], board: Board, top: str, out: Path) -> SynthResult:
    """What `synth` finds, without placement and so without a clock: packing fixes all cells."""
    netlist = synthesise(sources, top, out)[0]
    command, version = nextpnr_command()
    argv = [*command, board.nextpnr_flag, "--package", board.package, "--speed",
            str(board.speed_grade), "--json", netlist.path.name, "--top", top, "--pack-only",
            "--report", "report.json"]  # fmt: skip
    run_tool("nextpnr", argv, cwd=out, log=out / "pack.log")
    used = json.loads((out / "report.json").read_text())["utilization"]
    count = {kind: value["used"] for kind, value in used.items()}
    return SynthResult(
        target=board.name,
        lut=count["TRELLIS_COMB"],
        ff=count["TRELLIS_FF"],
        bram=count["DP16KD"],
        dsp=count["MULT18X18D"],
        lutram=count["TRELLIS_RAMW"],
        capacity=vars(board.capacity).copy(),
        fits=True,
        memories=netlist.memories,
        tools=(yosys_version(), version),
    )


def _append(path: Path, line: dict[str, Any]) -> None:
    """One more line; a last line that was cut off is finished first."""
    with path.open("ab+") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                text = path.read_bytes()
                file.truncate(text.rfind(b"\n") + 1)
        file.write(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n")


def main(argv: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m codesign.cost.runs",
        description="Synthesise the designs of the cost model's plan that have no line yet.",
        epilog="Then fit: python -m codesign.cost.fit",
    )
    parser.add_argument("--runs", type=Path, default=RUNS, help="the file of lines")
    parser.add_argument("--root", type=Path, default=Path(), help="the folder above examples/")
    parser.add_argument("--most", type=int, default=None, help="stop after so many runs")
    parser.add_argument("--only", default="", help="only recipes whose text holds this")
    parser.add_argument("--again", type=Path, help="take the recipes of this file's lines instead")
    parser.add_argument("--list", action="store_true", help="print the plan and stop")
    args = parser.parse_args(None if argv is None else list(argv))
    source = [line["recipe"] for line in read_runs(args.again)] if args.again else plan()
    recipes = [r for r in source if args.only in json.dumps(r)]
    done = {line["key"] for line in read_runs(args.runs)}
    left = [r for r in recipes if key_of(r) not in done]
    print(f"{len(recipes)} designs, {len(left)} to run", file=sys.stderr)
    if args.list:
        for recipe in recipes:
            print("done" if key_of(recipe) in done else "left", json.dumps(recipe))
        return 0
    for number, recipe in enumerate(left[: args.most], 1):
        line = run(recipe, args.root)
        _append(args.runs, line)
        found = line.get("result") or {"error": line.get("error")}
        shown = {k: v for k, v in found.items() if k not in ("memories", "path")}
        took = f"{recipe['model']} {line.get('seconds')} s"
        print(f"{number}/{len(left)} {line['key']} {took} {shown}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
