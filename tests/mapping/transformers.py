"""Small transformer state_dicts for tests, and their meaning in plain loops over tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

NAMES = ("query", "key", "value", "out", "up", "down")


def tensors(
    draw: int = 0, /, *, tokens: int = 3, pixels: int = 4, dim: int = 5, head: int = 2,
    hidden: int = 6, classes: int = 3, blocks: int = 1, bias: bool = False, **config: Any,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Random weights on a grid of 1/8; gains of 8 make the attention certain."""
    rng = np.random.default_rng(draw)
    settings = {"tokens": tokens, "steps": 6, "causal": 0, "score_gain": 8, "value_gain": 8,
                "seed": 7, "reset": 1, "readout": 0, **config}  # fmt: skip
    made = {f"config.{name}": np.int64(value) for name, value in settings.items()}
    made["config.threshold"] = np.float32(1.0)

    def layer(name: str, outputs: int, inputs: int) -> None:
        made[f"{name}.weight"] = rng.integers(-4, 8, (outputs, inputs)).astype(np.float32) / 4
        made[f"{name}.beta"] = rng.choice([0.5, 0.75], outputs).astype(np.float32)
        if bias:
            made[f"{name}.bias"] = rng.integers(-2, 3, outputs).astype(np.float32) / 8

    layer("embed", dim, pixels)
    made["embed.position"] = rng.integers(-2, 6, (tokens, dim)).astype(np.float32) / 8
    for n in range(blocks):
        sizes = ((head, dim),) * 3 + ((dim, head), (hidden, dim), (dim, hidden))
        for name, (outputs, inputs) in zip(NAMES, sizes, strict=True):
            layer(f"blocks.{n}.{name}", outputs, inputs)
        made[f"blocks.{n}.out.residual"] = np.float32(0.5)
        made[f"blocks.{n}.down.residual"] = np.float32(1.0)
    layer("readout", classes, dim * (tokens if settings["readout"] == 0 else 1))
    return made


class Neurons:
    """LIF neurons of one layer and token, or integrators without a threshold."""

    def __init__(self, model: dict[str, np.ndarray], name: str, spiking: bool = True) -> None:
        self.beta = np.asarray(model[f"{name}.beta"], float)
        self.weight = model[f"{name}.weight"].astype(float)
        self.bias = np.asarray(model.get(f"{name}.bias", 0.0), float)
        self.threshold, self.reset = float(model["config.threshold"]), int(model["config.reset"])
        self.spiking = spiking
        self.v = np.zeros(len(self.weight))

    def step(self, x: np.ndarray, more: Any = 0.0) -> np.ndarray:
        late = self.threshold * (self.v > self.threshold) if self.spiking else 0.0
        self.v = self.beta * self.v + self.weight @ x + self.bias + more
        if not self.spiking:
            return self.v.copy()
        if self.reset == 2:
            self.v = self.v - late
        spikes = self.v > self.threshold
        if self.reset == 0:
            self.v = np.where(spikes, 0.0, self.v)
        elif self.reset == 1:
            self.v = self.v - self.threshold * spikes
        return spikes.astype(float)


def answers(model: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The read-out after each step [steps, classes] of one sample [steps, tokens * pixels].

    With both gains 8 and few dimensions every probability is 0 or 1.
    """
    tokens = int(model["config.tokens"])
    blocks = sum(key.endswith("out.residual") for key in model)
    rows = {"embed": [Neurons(model, "embed") for _ in range(tokens)]}
    for n in range(blocks):
        rows |= {
            f"blocks.{n}.{name}": [Neurons(model, f"blocks.{n}.{name}") for _ in range(tokens)]
            for name in NAMES
        }
    readout = Neurons(model, "readout", spiking=False)

    def apply(name: str, given: list, more: list | None = None) -> list:
        more = more or [0.0] * tokens
        return [rows[name][i].step(given[i], more[i]) for i in range(tokens)]

    found = []
    for frame in x.reshape(len(x), tokens, -1):
        h = apply("embed", list(frame), list(model["embed.position"].astype(float)))
        for n in range(blocks):
            at = f"blocks.{n}"
            q, k, v = (apply(f"{at}.{name}", h) for name in ("query", "key", "value"))
            a = []
            for i in range(tokens):
                seen = range(i + 1) if model["config.causal"] else range(tokens)
                chosen = [j for j in seen if q[i] @ k[j] > 0]
                a.append(np.array(sum((v[j] for j in chosen), np.zeros(len(v[0]))) > 0, float))
            residual = float(model[f"{at}.out.residual"])
            h = apply(f"{at}.out", a, [residual * s for s in h])
            residual = float(model[f"{at}.down.residual"])
            h = apply(f"{at}.down", apply(f"{at}.up", h), [residual * s for s in h])
        read = (np.concatenate(h), np.mean(h, axis=0), h[-1])[int(model["config.readout"])]
        found.append(readout.step(read))
    return np.array(found)
