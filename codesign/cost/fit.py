"""Fits the cost model to the runs: `python -m codesign.cost.fit` writes model.json.

LUT and FF are sums of structural features (codesign/cost/features.py) with coefficients >= 0, by
least squares of relative errors; the clock's period is that of the slowest path
(codesign/cost/timing.py), by least squares of its logarithm. Both are drawn towards what is
expected from reading the RTL, by a ridge: that with the least error of a 10-fold cross-validation.
Block RAMs and multipliers are counted. Runs marked "held" are used for nothing but the errors that
are stored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from codesign.cost.design import Design
from codesign.cost.expected import EXPECTED
from codesign.cost.model import KINDS, MODEL, WATCHED, Model
from codesign.cost.record import from_data
from codesign.cost.runs import RUNS, read_runs
from codesign.cost.timing import EXPECTED as CLOCK

__all__ = ["cross_validated", "fit", "main", "rows_of", "split"]

Row = tuple[Design, dict[str, float]]
FOLDS = 10
RIDGES = tuple(10.0**e for e in np.arange(-3.5, 0.0, 0.5))


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


def _names(kind: str) -> list[str]:
    return sorted(CLOCK if kind == "fmax_mhz" else EXPECTED)


def _tables(rows: Sequence[Row], kind: str, size: np.ndarray) -> list[np.ndarray]:
    """Of each run a matrix [features] (LUT, FF) or [paths, features] (the clock; `size`: log2 of
    its LUTs / 1000)."""
    names = _names(kind)
    if kind != "fmax_mhz":
        return [np.array([[float(d.features.get(n, 0.0)) for n in names]]) for d, _ in rows]
    place = {name: k for k, name in enumerate(names)}
    found = []
    for (design, _), one in zip(rows, size, strict=True):
        lines = []
        for _, table in design.paths:
            for path, features in table.items():
                line = np.zeros(len(names))
                line[place[f"{path}.size"]] = float(features.get("size", 1.0)) * one
                for name, value in features.items():
                    if name != "size":
                        line[place[f"{path}.{name}"]] = float(value)
                lines.append(line)
        found.append(np.array(lines))
    return found


def _solve(tables: list[np.ndarray], y: np.ndarray, kind: str, ridge: float) -> np.ndarray:
    """Coefficients in the order of `_names`."""
    from scipy.optimize import least_squares, nnls

    if kind == "fmax_mhz":
        start, spread = np.array([CLOCK[name] for name in _names(kind)]).T
        goal, pull = np.log(1000 / y), np.sqrt(ridge) / spread

        def off(ns: np.ndarray) -> np.ndarray:
            return np.append(np.log([(t @ ns).max() for t in tables]) - goal, pull * (ns - start))

        def slope(ns: np.ndarray) -> np.ndarray:
            worst = np.array([t[(t @ ns).argmax()] for t in tables]).reshape(-1, len(ns))
            return np.vstack([worst / np.maximum(worst @ ns, 1e-9)[:, None], np.diag(pull)])

        return least_squares(off, start, slope, bounds=(0, np.inf)).x
    # A change of a coefficient by its own size costs the same, whatever it is of.
    start = np.array([EXPECTED[name][KINDS.index(kind)] for name in _names(kind)])
    used = start > 0
    relative = np.vstack(tables)[:, used] * start[used] / y[:, None]
    stacked = np.vstack([relative, np.sqrt(ridge) * np.eye(used.sum())])
    found, _ = nnls(stacked, np.concatenate([np.ones(len(y)), np.full(used.sum(), np.sqrt(ridge))]))
    coefficients = np.zeros(len(start))
    coefficients[used] = found * start[used]
    return coefficients


def _predict(tables: list[np.ndarray], coefficients: np.ndarray, kind: str) -> np.ndarray:
    found = np.array([(table @ coefficients).max() for table in tables])
    return 1000 / found if kind == "fmax_mhz" else found


def cross_validated(tables: list[np.ndarray], y: np.ndarray, kind: str, ridge: float) -> np.ndarray:
    """Relative errors of each run, predicted by a fit without its tenth of the runs."""
    errors = np.zeros(len(y))
    for fold in range(min(FOLDS, len(y))):
        out = np.arange(len(y)) % FOLDS == fold
        found = _solve([t for t, o in zip(tables, out, strict=True) if not o], y[~out], kind, ridge)
        some = [t for t, o in zip(tables, out, strict=True) if o]
        errors[out] = _predict(some, found, kind) / y[out] - 1
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
    lut = np.ones(len(rows))
    for kind in KINDS:
        there = np.array([bool(row[1].get(kind)) for row in rows])
        known = [row for row, here in zip(rows, there, strict=True) if here]
        y = np.array([r[kind] for _, r in known], dtype=float)
        tables = _tables(known, kind, np.log2(lut[there] / 1000))
        ridge = min(RIDGES, key=lambda r: np.abs(cross_validated(tables, y, kind, r)).mean())
        found = _solve(tables, y, kind, ridge)
        if kind == "lut":
            lut = _predict(tables, found, kind)
        coefficients[kind] = {
            name: float(f"{value:.6g}")
            for name, value in zip(_names(kind), found, strict=True)
            if value > 1e-6 or kind == "fmax_mhz"
        }
        errors = cross_validated(tables, y, kind, ridge)
        validation[kind] = _summary(errors) | {"ridge": float(f"{ridge:.3g}")}
    model = Model(
        coefficients=coefficients,
        ranges=_ranges(rows),
        runs=_counts(rows),
        errors={},
        digest=digest_of(runs),
        tools=tuple(sorted({tool for line in runs for tool in line.get("tools", ())})),
    )
    return replace(model, errors={"cross_validated": validation, "held_out": _errors(model, held)})


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
