"""Mixtures of experts with random weights: their tensors, and what they compute, in plain numpy."""

from __future__ import annotations

import numpy as np

__all__ = ["expert_tensors", "forward"]


def expert_tensors(
    seed: int = 0, *, inputs: int = 4, width: int = 5, hidden: int = 6, experts: int = 3,
    k: int = 1, gate: int | None = 0, mixtures: int = 1, biases: bool = True, ends: bool = True,
    residual: bool = True, outputs: int = 3,
) -> dict[str, np.ndarray]:  # fmt: skip
    """A Linear, mixtures named moe0, moe1, ..., a Linear (both with `ends`)."""
    rng = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        made[f"{name}.weight"] = rng.normal(0, 1.5 / np.sqrt(columns), (rows, columns))
        if biases:
            made[f"{name}.bias"] = rng.normal(0, 0.3, rows)

    if ends:
        linear("enc", width, inputs)
    width = width if ends else inputs
    for n in range(mixtures):
        linear(f"moe{n}.router", experts, width)
        for e in range(experts):
            linear(f"moe{n}.experts.{e}.0", hidden, width)
            linear(f"moe{n}.experts.{e}.2", width, hidden)
    if ends:
        linear("dec", outputs, width)
    made["config.k"] = np.array(k)
    made["config.residual"] = np.array(int(residual))
    if gate is not None:
        made["config.gate"] = np.array(gate)
    return {name: np.asarray(value, np.float32) for name, value in made.items()}


def forward(tensors: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """(answer [..., outputs], chosen experts [..., k] of each mixture) for x [..., inputs]."""
    t = {name: np.asarray(value, float) for name, value in tensors.items()}
    k, gate = int(t["config.k"]), int(t["config.gate"])
    chosen: list[np.ndarray] = []

    def linear(name: str, h: np.ndarray) -> np.ndarray:
        return h @ t[f"{name}.weight"].T + t.get(f"{name}.bias", 0.0)

    h = np.maximum(linear("enc", x), 0) if "enc.weight" in t else x
    for n in range(sum(name.endswith("router.weight") for name in t)):
        scores = linear(f"moe{n}.router", h)
        best = np.argsort(-scores, -1, kind="stable")[..., :k]
        out = h * t["config.residual"]
        for e in range(scores.shape[-1]):
            value = linear(
                f"moe{n}.experts.{e}.2", np.maximum(linear(f"moe{n}.experts.{e}.0", h), 0)
            )
            g = 1 / (1 + np.exp(-scores[..., e])) if gate == 1 else 1.0
            out = out + ((best == e).any(-1) * g)[..., None] * value
        chosen.append(best)
        h = out
    return (linear("dec", h) if "dec.weight" in t else h), chosen
