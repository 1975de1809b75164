"""A plain float64 reading of a .nir file: forward Euler, `>`, reset in the same step.

It knows nothing of the toolchain, so it can stand as a witness for what a model should answer.
Edges that close a cycle deliver the value of the step before.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import nir
import numpy as np

Values = np.ndarray
CARRIERS = ("LI", "LIF", "CubaLIF")


@dataclass
class Run:
    """What one simulation gave; every array has the samples first."""

    outputs: Values
    """[samples, steps, outputs]: spikes of a spiking output node, values of an LI."""
    decision: Values
    spikes: dict[str, float] = field(default_factory=dict)
    """Spikes a sample, by node."""
    operations: dict[str, float] = field(default_factory=dict)
    """Synaptic operations a sample, by node: nonzero weights met by a nonzero input."""

    def accuracy(self, labels: Values) -> float:
        return float((self.decision == labels).mean())


def order(graph: nir.NIRGraph) -> tuple[list[str], set[tuple[str, str]]]:
    """Nodes in feed-forward order from the input, and the edges that close a cycle."""
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        after[source].append(target)
    done: list[str] = []
    open_nodes: set[str] = set()
    back: set[tuple[str, str]] = set()

    def visit(name: str) -> None:
        open_nodes.add(name)
        for target in after[name]:
            if target in open_nodes:
                back.add((name, target))
            elif target not in done:
                visit(target)
        open_nodes.discard(name)
        done.append(name)

    visit(next(n for n, node in graph.nodes.items() if isinstance(node, nir.Input)))
    return done[::-1], back


def simulate(model: Path, x: Values, lengths: Values | None = None) -> Run:
    """Run every sample of `x` [samples, steps, inputs] through the model at `model`.

    `dt`, `reset` and `readout` come from the nervure.toml beside the model. Steps past a sample's
    length neither count nor decide.
    """
    options = tomllib.loads((model.parent / "nervure.toml").read_text())
    dt, reset, readout = options["dt"], options["reset"], options["readout"]
    graph = nir.read(model)
    names, _ = order(graph)
    samples, steps, _ = x.shape
    lengths = np.full(samples, steps) if lengths is None else np.asarray(lengths)
    before = {n: [s for s, t in graph.edges if t == n] for n in names}
    shape = {n: tuple(np.ravel(graph.nodes[n].output_type["output"])) for n in names}
    out = {n: np.zeros((samples, *shape[n])) for n in names}
    v = {n: out[n] + getattr(graph.nodes[n], "v_leak", 0.0) for n in names}
    current = {n: np.zeros_like(out[n]) for n in names}
    spikes = {n: 0.0 for n in names if hasattr(graph.nodes[n], "v_threshold")}
    operations = {n: 0.0 for n in names if hasattr(graph.nodes[n], "weight")}
    sink = next(n for n in names if isinstance(graph.nodes[n], nir.Output))
    outputs = np.zeros((samples, steps, *shape[sink]))

    for t in range(steps):
        live = t < lengths
        for name in names:
            node = graph.nodes[name]
            kind = type(node).__name__
            u = x[:, t].astype(float) if kind == "Input" else sum(out[s] for s in before[name])
            if kind in ("Linear", "Affine"):
                w = node.weight.astype(float)
                operations[name] += ((u[live] != 0) @ (w != 0).T.astype(float)).sum()
                u = u @ w.T + (node.bias if kind == "Affine" else 0.0)
            elif kind in CARRIERS:
                tau = node.tau_mem if kind == "CubaLIF" else node.tau
                if kind == "CubaLIF":
                    u = current[name] = current[name] + dt / node.tau_syn * (
                        node.w_in * u - current[name]
                    )
                u = v[name] = v[name] + dt / tau * (node.v_leak - v[name] + node.r * u)
                if name in spikes:
                    z = (u > node.v_threshold).astype(float)
                    down = u - node.v_threshold if reset == "subtract" else node.v_reset
                    v[name] = np.where(z > 0, down, u)
                    spikes[name] += z[live].sum()
                    u = z
            elif kind not in ("Input", "Output"):
                raise TypeError(f"{model.name}: node {name} is a {kind}, which is not known here")
            out[name] = u
        outputs[live, t] = out[sink][live]

    last = outputs[np.arange(samples), lengths - 1]
    score = outputs.sum(1) if readout == "count" else last
    return Run(
        outputs,
        score.argmax(1),
        {n: s / samples for n, s in spikes.items()},
        {n: s / samples for n, s in operations.items()},
    )


def table(name: str, model: Path, run: Run, labels: Values) -> str:
    """The figures of a run, as rows of a Markdown table."""
    graph = nir.read(model)
    layers = {n: graph.nodes[n].weight for n in run.operations}
    density = ", ".join(f"{n} {np.mean(w == 0):.1%}" for n, w in layers.items())
    total = sum(w.size for w in layers.values())
    zeros = sum(int((w == 0).sum()) for w in layers.values())
    right = int((run.decision == labels).sum())
    by_node = ", ".join(f"{n} {s:.1f}" for n, s in run.spikes.items())
    operations = ", ".join(f"{n} {s:.0f}" for n, s in run.operations.items())
    rows = [
        ("accuracy", f"{run.accuracy(labels):.4f} ({right} of {len(labels)})"),
        ("spikes per sample", f"{sum(run.spikes.values()):.1f} ({by_node})"),
        ("synaptic operations per sample", f"{sum(run.operations.values()):.0f} ({operations})"),
        ("weights that are zero", f"{zeros / total:.1%} ({density})"),
    ]
    head = [f"| {name} | float64, from the .nir alone |", "|---|---|"]
    return "\n".join(head + [f"| {label} | {value} |" for label, value in rows])
