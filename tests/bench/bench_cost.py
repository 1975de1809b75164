"""The cost model: errors on designs outside the fit, and analytic points a second.

T8 (LUT, FF, block RAM, DSP, Fmax against real synthesis, codesign/cost/runs.jsonl) and T7 (sweep of
the digits example over lanes, cores, weight bits, pruning, row encodings).

Example: python tests/bench/bench_cost.py          (about 10 seconds)
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from rich.console import Console
from rich.table import Table

from codesign.cost.designs import build
from codesign.cost.fit import rows_of
from codesign.cost.model import default_model
from codesign.cost.runs import read_runs
from codesign.cost.sweep import Base, sweep

ROOT = Path(__file__).parents[2]
FIGURES = {"lut": "LUT", "ff": "FF", "bram": "BRAM", "dsp": "DSP", "fmax_mhz": "MHz"}


def errors(console: Console) -> None:
    """Tables of cross-validated and held-out errors."""
    model = default_model()
    table = Table(title=f"cross-validated, runs {dict(model.runs)}")
    for name in ("figure", "designs", "median %", "mean %", "worst %"):
        table.add_column(name, justify="right")
    for figure, row in model.errors["cross_validated"].items():
        table.add_row(FIGURES[figure], *(str(row[k]) for k in (
            "designs", "median_percent", "mean_percent", "worst_percent")))  # fmt: skip
    console.print(table)
    engines = ["all", *model.runs]
    table = Table(title="held out: median / worst error, % (designs)")
    table.add_column("figure")
    for engine in engines:
        table.add_column(engine, justify="right")
    for figure, row in model.errors["held_out"].items():
        cells = [row.get(e) for e in engines]
        table.add_row(FIGURES[figure], *(
            f"{c['median_percent']} / {c['worst_percent']} ({c['designs']})" if c else "-"
            for c in cells))  # fmt: skip
    console.print(table)
    table = Table(title="held out: estimated / measured")
    for name in ("design", *FIGURES.values()):
        table.add_column(name, justify="left" if name == "design" else "right")
    lines = [run for run in read_runs() if "result" in run and run["recipe"].get("held")]
    for line, (design, result) in zip(lines, rows_of(lines), strict=True):
        found, recipe = model.figures(design), line["recipe"]
        settings = " ".join(f"{k}={v}" for k, v in recipe.get("settings", {}).items())
        name = recipe["model"].removeprefix("examples/")
        table.add_row(f"{name} {settings if '/' in name else recipe['engine']}", *(
            f"{float(found[k]):.0f} / {result[k]:.0f}" if result.get(k) is not None else "-"
            for k in FIGURES))  # fmt: skip
    console.print(table)


def points(console: Console, count: int, seed: int) -> None:
    """Analytic points a second of processor time, one thread."""
    base = Base.of(build({"model": "examples/digits/digits.nir", "settings": {}}, ROOT))
    rng = np.random.default_rng(seed)
    chosen = {
        "lanes": 2.0 ** rng.integers(0, 6, count), "cores": rng.integers(1, 17, count),
        "weight_bits": rng.integers(2, 9, count), "kept": rng.uniform(0.05, 1, count),
        "index": rng.integers(0, 4, count),
    }  # fmt: skip
    sweep(base, {name: value[:10] for name, value in chosen.items()})
    start, wall = time.process_time(), time.perf_counter()
    found = sweep(base, chosen)
    spent, wall = time.process_time() - start, time.perf_counter() - wall
    least, most = found["lut"].min(), found["lut"].max()
    console.print(
        f"{count} points, seed {seed}: {count / spent:,.0f} a second of processor time "
        f"({count / wall:,.0f} by the clock), {least:.0f} to {most:.0f} LUT"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    console = Console()
    errors(console)
    points(console, arguments.points, arguments.seed)


if __name__ == "__main__":
    main()
