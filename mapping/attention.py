"""Stochastic spiking attention in floating point, and what is wrong with a Graph's heads.

The statistical reference of hdl/params/sc/attention.py: the same Bernoulli decisions with the
probabilities min(1, 2**score_gain * score / dim) and min(1, 2**value_gain * value / n), not
rounded, and draws of numpy's generator instead of shift registers. As in hardware, the draws start
again with each sample, so what a sample gives does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hdl.params.sc.attention import PORTS, AttentionParams
from mapping.graph import Graph, Layer, Product

__all__ = ["Head", "attention_problems"]

#: Scores that are held at once.
BLOCK = 1 << 22


class Head:
    """One attention head while it runs; make a new one for each run from step 0.

    seed : of the draws; the head's own seed tells heads apart.
    """

    ports = PORTS

    def __init__(self, params: AttentionParams, seed: int = 0) -> None:
        self.params = params
        self.rng = np.random.default_rng([seed, params.seed])
        tokens = params.tokens
        self.visible = np.tri(tokens) if params.causal else np.ones((tokens, tokens))

    def step(self, ports: Mapping[str, np.ndarray]) -> np.ndarray:
        """The answers of one step, float 0 or 1 [samples, size]; spikes in the same form."""
        p = self.params
        score_draw = self.rng.random((p.tokens, p.tokens)) * p.dim * 2.0**-p.score_gain
        value_draw = self.rng.random((p.tokens, p.dim)) * 2.0**-p.value_gain
        value_draw *= self.visible.sum(1)[:, None]
        query, key, value = (ports[name].reshape(-1, p.tokens, p.dim) for name in PORTS)
        out = np.empty(query.shape)
        size = max(1, BLOCK // p.tokens**2)
        for first in range(0, len(out), size):
            part = slice(first, first + size)
            scores = query[part] @ key[part].swapaxes(1, 2)
            chosen = (score_draw < scores) * self.visible
            out[part] = value_draw < chosen @ value[part]
        return out.reshape(-1, p.size)


def attention_problems(graph: Graph) -> list[str]:
    """One line for every broken rule of an attention head; matrices have fitting shapes."""
    problems = []
    spiking = {i.name: True for i in graph.inputs} | {p.name: p.spiking for p in graph.layers}
    for p in graph.layers:
        into = [c for c in graph.connections if c.target == p.name]
        if not isinstance(p.dendrites, AttentionParams):
            problems += [
                f"{p.name}: a connection names port {c.port!r}, which only attention heads and "
                "gates have"
                for c in into
                if c.port and not isinstance(p.dendrites, Product)
            ]
            continue
        if p.size != p.dendrites.size:
            problems.append(f"{p.name}: size must be tokens * dim = {p.dendrites.size}")
        ports = sorted(c.port for c in into)
        if ports != sorted(PORTS):
            problems.append(
                f"{p.name}: needs one connection into each of {', '.join(PORTS)}, not {ports}"
            )
        if not _answers(p):
            problems.append(
                f"{p.name}: an attention head's neurons must spike where the answer is 1 and "
                "keep no state"
            )
        for c in into:
            if not spiking[c.source]:
                problems.append(f"{p.name}: its {c.port} {c.source} sends values; it takes spikes")
            if c.matrix.shape[0] == c.matrix.shape[1] and (c.matrix != _eye(c)).nnz:
                problems.append(f"{p.name}: its {c.port} must be one to one with weight 1")
    return problems


def _answers(layer: Layer) -> bool:
    """Whether a layer just spikes where its input is 1."""
    still = not (layer.membrane_decay.any() or layer.bias.any() or layer.has_current)
    between = ((layer.threshold >= 0) & (layer.threshold < 1)).all()
    plain = layer.compare == ">" and layer.reset != "delayed"
    return bool(layer.spiking and still and between and plain)


def _eye(connection):  # type: ignore[no-untyped-def]
    from scipy.sparse import eye_array

    return eye_array(connection.matrix.shape[0], format="csr")
