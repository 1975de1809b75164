"""Small state-space models for tests: their tensors, and their meaning in plain loops."""

from __future__ import annotations

import cmath
import math
from pathlib import Path
from typing import Any

import numpy as np
from torch_files import save

from mapping.graph import Graph, Options
from mapping.importers.ssm import load_ssm
from mapping.reference import simulate


def s4d(
    draw: int = 0, /, *, inputs: int = 2, size: int = 3, order: int = 2, layers: int = 1,
    classes: int = 3, prefix: str = "",
) -> dict[str, np.ndarray]:  # fmt: skip
    """Random tensors with the names of examples/s4d.py, float32."""
    rng = np.random.default_rng(draw)
    made: dict[str, Any] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        made[f"{name}.weight"] = rng.normal(0, 1, (rows, columns)) / math.sqrt(columns)
        made[f"{name}.bias"] = rng.normal(0, 0.3, rows)

    linear("enc", size, inputs)
    for n in range(layers):
        made[f"l.{n}.logdt"] = rng.uniform(-3, 0, size)
        made[f"l.{n}.lre"] = rng.uniform(-2, 1, (size, order))
        made[f"l.{n}.im"] = rng.uniform(-4, 4, (size, order))
        made[f"l.{n}.C"] = rng.normal(0, 1, (size, order, 2))
        made[f"l.{n}.D"] = rng.normal(0, 1, size)
    for n in range(layers):
        linear(f"o.{n}", size, size)
    linear("dec", classes, size)
    return {prefix + name: value.astype(np.float32) for name, value in made.items()}


def run_s4d(model: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The answer at every step [steps, classes], number by number from the equations."""

    def linear(name: str, values: list[float]) -> list[float]:
        rows = zip(model[f"{name}.weight"].tolist(), model[f"{name}.bias"].tolist(), strict=True)
        return [sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in rows]

    layers = sum(name.endswith(".logdt") for name in model)
    states: dict[Any, complex] = {}
    answers = []
    for row in x.tolist():
        h = linear("enc", row)
        for n in range(layers):
            lre, im, c = (model[f"l.{n}.{k}"].tolist() for k in ("lre", "im", "C"))
            dts = [math.exp(v) for v in model[f"l.{n}.logdt"].tolist()]
            y = []
            for i, (u, dt, d) in enumerate(zip(h, dts, model[f"l.{n}.D"].tolist(), strict=True)):
                total = d * u
                for k, parts in enumerate(c[i]):
                    rate = complex(-math.exp(lre[i][k]), im[i][k])
                    a = cmath.exp(rate * dt)
                    state = states[n, i, k] = a * states.get((n, i, k), 0j) + (a - 1) / rate * u
                    total += 2 * (complex(*parts) * state).real
                y.append(max(total, 0.0))
            h = [p + q for p, q in zip(linear(f"o.{n}", y), h, strict=True)]
        answers.append(linear("dec", h))
    return np.array(answers)


def load(tmp_path: Path, tensors: dict[str, Any], **settings: Any) -> Graph:
    """The Graph of tensors that lie in a .npz file; settings as of load_ssm, or an Options'."""
    path = tmp_path / "model.npz"
    np.savez(path, **tensors)
    given = {k: settings.pop(k) for k in list(settings) if k in vars(Options())}
    return load_ssm(path, Options(**given), **settings)


def load_torch(tmp_path: Path, tensors: dict[str, Any], **settings: str) -> Graph:
    return load_ssm(save(tmp_path / "model.pt", tensors), **settings)


def answer(graph: Graph, x: np.ndarray) -> np.ndarray:
    """What the model says to one sample [steps, channels]: by the graph's readout."""
    values = simulate(graph, x[None]).outputs[0]
    return {"mean": values.mean(0), "last": values[-1], "none": values}[graph.readout or "none"]
