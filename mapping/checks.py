"""What is wrong with a Graph, its calibration data or its settings, before quantisation."""

from __future__ import annotations

import numpy as np

from hdl.params.errors import UserError
from mapping.activations import ACTIVATIONS, LAYERNORM
from mapping.attention import attention_problems
from mapping.graph import Graph
from mapping.recurrence import state_problems
from mapping.settings import BY_LAYER, Quantisation
from mapping.winners import winner_problems

__all__ = ["check", "check_calibration", "graph_problems"]

ARRAYS = ("membrane_decay", "current_decay", "bias", "threshold", "reset_value")


def graph_problems(graph: Graph) -> list[str]:
    """One line for every reason why the Graph can't become a Program."""
    problems = []
    levels = {i.name: 0 for i in graph.inputs}
    sizes = {i.name: i.size for i in graph.inputs} | {p.name: p.size for p in graph.layers}
    names = [i.name for i in graph.inputs] + [p.name for p in graph.layers]
    for name in sorted({n for n in names if names.count(n) > 1}):
        problems.append(f"{name}: the name is used twice; rename one of the nodes")
    for p in graph.layers:
        levels[p.name] = p.level
        if p.level < 1:
            problems.append(f"{p.name}: level must be at least 1, not {p.level}")
        for name in ARRAYS:
            value = np.asarray(getattr(p, name))
            if value.shape != (p.size,):
                problems.append(f"{p.name}: {name} must have shape ({p.size},), not {value.shape}")
            elif np.isnan(value).any() or (name != "threshold" and np.isinf(value).any()):
                problems.append(f"{p.name}: {name} holds NaN or infinity; mend the model file")
            elif name.endswith("decay") and not ((value >= 0) & (value <= 1)).all():
                bad = value[(value < 0) | (value > 1)][0]
                problems.append(
                    f"{p.name}: {name} {bad:g} is outside 0..1; choose a smaller dt or mend tau"
                )
        if p.reset not in ("set", "subtract", "delayed"):
            problems.append(f"{p.name}: unknown reset {p.reset!r}")
        if p.activation not in ("", LAYERNORM, *ACTIVATIONS):
            problems.append(
                f"{p.name}: unknown activation {p.activation!r}; "
                f"there are {', '.join(sorted((LAYERNORM, *ACTIVATIONS)))}"
            )
        elif p.activation and p.spiking:
            problems.append(f"{p.name}: spikes have no activation, not {p.activation!r}")
        if p.compare not in (">", ">="):
            problems.append(f"{p.name}: unknown compare {p.compare!r}")
    for c in graph.connections:
        name = c.node or f"{c.source}->{c.target}"
        missing = [end for end in (c.source, c.target) if end not in sizes]
        if missing or c.target not in {p.name for p in graph.layers}:
            problems.append(f"{name}: connects {c.source} to {c.target}, which is not a layer")
            continue
        shape = (sizes[c.target], sizes[c.source])
        if tuple(c.matrix.shape) != shape:
            problems.append(f"{name}: the matrix must be {shape}, not {tuple(c.matrix.shape)}")
        if not np.isfinite(c.matrix.data).all():
            problems.append(f"{name}: weights hold NaN or infinity; mend the model file")
        if c.delay < 0 or (c.delay == 0 and levels[c.source] >= levels[c.target]):
            problems.append(
                f"{name}: delay {c.delay} from level {levels[c.source]} to level "
                f"{levels[c.target]} can't be computed within a step; use a delay of 1"
            )
    if not problems:
        problems += attention_problems(graph) + state_problems(graph) + winner_problems(graph)
    for name in graph.outputs:
        if name not in {p.name for p in graph.layers}:
            problems.append(f"{name}: the output is not a layer")
    if not graph.layers:
        problems.append(f"{graph.name}: the model has no neurons or outputs to compute")
    return problems


def check(graph: Graph, settings: Quantisation) -> None:
    """Raise a UserError that names every problem."""
    problems = graph_problems(graph)
    if isinstance(settings.weight_bits, dict):
        known = {"*"} | {p.name for p in graph.layers}
        for c in graph.connections:
            known |= {c.node, f"{c.source}->{c.target}"}
        for key in settings.weight_bits:
            if key not in known:
                problems.append(
                    f"weight_bits: no connection or layer is called {key!r}; "
                    f"there are {', '.join(sorted(known - {''}))}"
                )
    layers = {"*"} | {p.name for p in graph.layers} | {c.node for c in graph.connections}
    for name in BY_LAYER:
        value = getattr(settings, name)
        for key in value if isinstance(value, dict) else ():
            if key not in layers:
                problems.append(
                    f"{name}: no layer or node is called {key!r}; "
                    f"there are {', '.join(sorted(layers - {''}))}"
                )
    if problems:
        raise UserError("; ".join(problems))


def check_calibration(
    graph: Graph, data: np.ndarray, lengths: np.ndarray | None, graded: bool | None
) -> None:
    """Raise a UserError if calibration data [samples, steps, inputs] does not suit the Graph."""
    width = sum(i.size for i in graph.inputs)
    if data.ndim != 3 or data.shape[2] != width or 0 in data.shape[:2]:
        raise UserError(
            f"calibration: the data must be [samples, steps, {width}], not {list(data.shape)}"
        )
    if not np.isfinite(data).all():
        raise UserError("calibration: the data holds NaN or infinity; mend the file")
    if graded is False and not np.isin(data, (0, 1)).all():
        raise UserError(
            "calibration: inputs are said to be spikes, but the data is not all 0 and 1; "
            "leave `graded` open or threshold the data"
        )
    if lengths is not None and (
        np.shape(lengths) != (len(data),) or np.min(lengths) < 0 or np.max(lengths) > data.shape[1]
    ):
        raise UserError(f"calibration: lengths must be {len(data)} numbers in 0..{data.shape[1]}")
