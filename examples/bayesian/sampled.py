"""What a network of sampled weights answers, from its .nir file alone, in float64.

Each weight W of a layer with the largest |W| a is the mean of a * b; b is drawn anew for every
input event, from exact probabilities:

binary : b is +1 with p = (1 + W / a) / 2, else -1.
ternary : b is the difference of two bits, of p = max(W / a, 0) and p = max(-W / a, 0).

Each p is clipped to P_MIN .. 1 - P_MIN. `spread` is the standard deviation of the error that
programming left in each p, drawn once for all events. Neurons: forward Euler, a spike where
v > threshold, which is subtracted in the same step; the answer is the spikes of each output. It
knows nothing of the toolchain.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np

DT = 1e-3
P_MIN = 0.01


class Layer:
    """A Linear and the LIF after it."""

    def __init__(self, linear: nir.Linear, lif: nir.LIF, sampling: str, spread: float, rng):
        w = np.asarray(linear.weight, dtype=np.float64).T
        self.a = np.abs(w).max()
        mu = w / self.a
        sides = {"binary": [(1 + mu) / 2], "ternary": [np.maximum(mu, 0), np.maximum(-mu, 0)]}
        self.sampling = sampling
        self.p = [
            np.clip(p + spread * rng.standard_normal(p.shape), P_MIN, 1 - P_MIN).astype(np.float32)
            for p in sides[sampling]
        ]
        self.leak, self.gain, self.threshold = DT / lif.tau, DT / lif.tau * lif.r, lif.v_threshold

    def clear(self, samples: int) -> None:
        self.v = np.zeros((samples, self.p[0].shape[1]))

    def currents(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Input sums [samples, outputs] of spikes [samples, inputs], from fresh weights."""
        total = np.zeros((len(x), self.p[0].shape[1]))
        for j in range(x.shape[1]):
            driven = np.flatnonzero(x[:, j])
            bits = [rng.random((len(driven), p.shape[1]), np.float32) < p[j] for p in self.p]
            if self.sampling == "binary":
                total[driven] += 2.0 * bits[0] - 1
            else:
                total[driven] += 1.0 * bits[0] - bits[1]
        return self.a * total

    def step(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.v += self.gain * self.currents(x, rng) - self.leak * self.v
        spikes = self.v > self.threshold
        self.v -= spikes * self.threshold
        return spikes


def ensemble(
    model: Path,
    events: np.ndarray,
    members: int,
    *,
    seed: int = 0,
    sampling: str = "binary",
    spread: float = 0.0,
) -> tuple[np.ndarray, float]:
    """Output spike counts int64 [members, samples, outputs], and a sample's mean spikes.

    events : 0 and 1, [samples, steps, inputs]; all members see the same ones. All members share
    the programming errors, which are those of the seed.
    """
    nodes = nir.read(model).nodes
    kinds = [[n for n in nodes.values() if type(n).__name__ == kind] for kind in ("Linear", "LIF")]
    rng = np.random.default_rng(seed)
    layers = [Layer(*pair, sampling, spread, rng) for pair in zip(*kinds, strict=True)]
    counts = np.zeros((members, len(events), layers[-1].p[0].shape[1]), np.int64)
    spikes = 0
    for member in range(members):
        for layer in layers:
            layer.clear(len(events))
        for t in range(events.shape[1]):
            x = events[:, t]
            for layer in layers:
                x = layer.step(x, rng)
                spikes += int(x.sum())
            counts[member] += x
    return counts, spikes / (members * len(events))
