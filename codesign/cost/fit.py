"""Fits the cost model to the runs: `python -m codesign.cost.fit` writes model.json.

LUT and FF are sums of structural features (codesign/cost/features.py) with coefficients >= 0, by
least squares of relative errors with a ridge; the logarithm of the clock period is a ridge
regression on what the paths depend on (`Design.timing`). The ridges are those with the least error
of a 10-fold cross-validation. Block RAMs and multipliers are counted. Runs marked "held" are used
for nothing but the errors that are stored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codesign.cost.design import Design
from codesign.cost.expected import EXPECTED
from codesign.cost.model import KINDS, MODEL, WATCHED, Model
from codesign.cost.record import from_data
from codesign.cost.runs import RUNS, read_runs

__all__ = ["cross_validated", "fit", "main", "rows_of", "split"]

Row = tuple[Design, dict[str, float]]
FOLDS = 10
RIDGES = {kind: tuple(10.0**e for e in np.arange(-4, 2.5, 0.5)) for kind in KINDS}


def rows_of(runs: Iterable[dict[str, Any]]) -> list[Row]:
    """The designs of the runs that have a result, and the result."""
    found = []
    for line in runs:
        if "result" in line:
            design = Design.of(from_data(line["mesh"]), board=line["recipe"].get("board", True))
            kept = {k: v for k, v in line["result"].items() if isinstance(v, int | float)}
            found.append((design, kept))
    return found


def split(runs: Sequence[dict[str, Any]]) -> tuple[list[Row], list[Row]]:
    """(for the fit, held out)."""
    kept = [line for line in runs if not line["recipe"].get("held")]
    held = [line for line in runs if line["recipe"].get("held")]
    return rows_of(kept), rows_of(held)


def _matrix(rows: Sequence[Row], kind: str, names: Sequence[str]) -> np.ndarray:
    tables = [row[0].timing if kind == "fmax_mhz" else row[0].features for row in rows]
    return np.array([[float(table.get(name, 0.0)) for name in names] for table in tables])


def _solve(
    x: np.ndarray, y: np.ndarray, kind: str, ridge: float, names: Sequence[str]
) -> np.ndarray:
    """Coefficients; for the clock the last one is the mean."""
    if kind == "fmax_mhz":
        goal = -np.log(y)
        centre, spread = x.mean(0), np.maximum(x.std(0), 1e-9)
        z = (x - centre) / spread
        slope = np.linalg.solve(z.T @ z + ridge * np.eye(z.shape[1]), z.T @ (goal - goal.mean()))
        slope = np.where(x.std(0) > 1e-9, slope / spread, 0.0)
        return np.append(slope, goal.mean() - centre @ slope)
    from scipy.optimize import nnls

    # A shift from what is expected costs as much as the share of a design that it moves.
    start = np.array([EXPECTED[name][KINDS.index(kind)] for name in names])
    relative = x / y[:, None]
    size = np.sqrt((relative**2).mean(0)) + 1e-9
    stacked = np.vstack([relative, np.sqrt(ridge) * np.diag(size)])
    found, _ = nnls(stacked, np.concatenate([np.ones(len(y)), np.sqrt(ridge) * size * start]))
    return found


def _predict(x: np.ndarray, coefficients: np.ndarray, kind: str) -> np.ndarray:
    if kind == "fmax_mhz":
        return np.exp(-(x @ coefficients[:-1] + coefficients[-1]))
    return x @ coefficients


def cross_validated(
    x: np.ndarray, y: np.ndarray, kind: str, ridge: float, names: Sequence[str]
) -> np.ndarray:
    """Relative errors of each run, predicted by a fit without its tenth of the runs."""
    errors = np.zeros(len(y))
    for fold in range(min(FOLDS, len(y))):
        out = np.arange(len(y)) % FOLDS == fold
        found = _solve(x[~out], y[~out], kind, ridge, names)
        errors[out] = _predict(x[out], found, kind) / y[out] - 1
    return errors


def _summary(errors: np.ndarray) -> dict[str, float]:
    size = np.abs(errors)
    return {
        "designs": len(size),
        "median_percent": round(float(100 * np.median(size)), 2),
        "mean_percent": round(float(100 * size.mean()), 2),
        "worst_percent": round(float(100 * size.max()), 2),
    }


def _errors(model: Model, rows: Sequence[Row]) -> dict[str, Any]:
    """Of each figure, over all designs and over those with an engine."""
    found: dict[str, Any] = {}
    for kind in (*KINDS, "bram", "dsp"):
        known = [(d, r) for d, r in rows if r.get(kind)]
        if not known:
            continue
        errors = np.array([model.figures(d)[kind] / r[kind] - 1 for d, r in known])
        found[kind] = {"all": _summary(errors)}
        for engine in sorted({e for d, _ in known for e in d.engines}):
            some = [engine in d.engines for d, _ in known]
            found[kind][engine] = _summary(errors[some])
    return found


def fit(runs: Sequence[dict[str, Any]]) -> Model:
    """The model of these runs, with its errors."""
    rows, held = split(runs)
    coefficients, validation = {}, {}
    for kind in KINDS:
        known = [row for row in rows if row[1].get(kind)]
        tables = [d.timing if kind == "fmax_mhz" else d.features for d, _ in known]
        names = sorted({name for table in tables for name in table})
        if kind != "fmax_mhz":
            names = sorted(EXPECTED)
        x, y = _matrix(known, kind, names), np.array([r[kind] for _, r in known], dtype=float)
        ridge = min(
            RIDGES[kind], key=lambda r: np.abs(cross_validated(x, y, kind, r, names)).mean()
        )
        found = _solve(x, y, kind, ridge, names)
        names = [*names, "one"] if kind == "fmax_mhz" else names
        coefficients[kind] = {
            name: float(f"{value:.6g}") for name, value in zip(names, found, strict=True) if value
        }
        validation[kind] = _summary(cross_validated(x, y, kind, ridge, names)) | {"ridge": ridge}
    model = Model(
        coefficients=coefficients,
        ranges=_ranges(rows),
        runs=_counts(rows),
        errors={},
        digest=digest_of(runs),
        tools=tuple(sorted({tool for line in runs for tool in line.get("tools", ())})),
    )
    errors = {"cross_validated": validation, "held_out": _errors(model, held)}
    return Model(**{**vars(model), "errors": errors})


def _ranges(rows: Sequence[Row]) -> dict[str, dict[str, tuple[float, float]]]:
    """Least and greatest value of each number of an engine's cores, and of the mesh."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for design, _ in rows:
        parts = [(g.engine, g.numbers) for g in design.groups] + [("mesh", design.fabric)]
        for part, numbers in parts:
            table = found.setdefault(part, {})
            for name in WATCHED:
                if name in numbers:
                    value = float(numbers[name])
                    low, high = table.get(name, (value, value))
                    table[name] = min(low, value), max(high, value)
    return found


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    engines = sorted({e for d, _ in rows for e in d.engines})
    return {engine: sum(engine in d.engines for d, _ in rows) for engine in engines}


def digest_of(runs: Sequence[dict[str, Any]]) -> str:
    """Of keys and results, in any order."""
    lines = sorted(json.dumps(line, sort_keys=True) for line in runs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def main(argv: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m codesign.cost.fit", description="Fit the cost model to the runs."
    )
    parser.add_argument("--runs", type=Path, default=RUNS, help="lines of codesign.cost.runs")
    parser.add_argument("--out", type=Path, default=MODEL, help="the model's file")
    args = parser.parse_args(None if argv is None else list(argv))
    model = fit(read_runs(args.runs))
    model.save(args.out)
    for what, figures in model.errors.items():
        for kind, row in figures.items():
            for engine, summary in row.items() if what == "held_out" else (("all", row),):
                print(what, kind, engine, json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
