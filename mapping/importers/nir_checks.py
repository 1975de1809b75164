"""Checks of a NIR model that look past one parameter: options, time step, wiring."""

from __future__ import annotations

import math

import numpy as np

from mapping.fold import linear_cycles
from mapping.graph import Options
from mapping.importers.nir_file import RawModel
from mapping.importers.nir_nodes import KINDS

__all__ = ["DEFAULT_DT", "check_options", "check_structure", "check_time"]

DEFAULT_DT = 1e-4
"""Seconds in a step when nobody says otherwise: snnTorch's and the NIR paper's."""

_CHOICES = {
    "scheme": ("euler", "exponential"),
    "compare": (">", ">="),
    "reset": ("v_reset", "zero", "subtract", "delayed"),
}


def check_options(options: Options) -> list[str]:
    """What is wrong with the options."""
    found = [
        f"option {name}: must be one of {', '.join(allowed)}, not {getattr(options, name)!r}"
        for name, allowed in _CHOICES.items()
        if getattr(options, name) not in allowed
    ]
    dt = options.dt
    if dt is not None and not (
        isinstance(dt, (int, float)) and not isinstance(dt, bool) and math.isfinite(dt) and dt > 0
    ):
        found.append(f"option dt: must be a positive number of seconds, not {dt!r}")
    delay = options.recurrent_delay
    if not isinstance(delay, int) or isinstance(delay, bool) or delay < 1:
        found.append(f"option recurrent_delay: must be a whole number of steps >= 1, not {delay!r}")
    return found


def check_time(kind: str, values: dict[str, np.ndarray], options: Options, dt: float) -> list[str]:
    """Is the step short enough for the node's time constants?"""
    found = []
    for name in ("tau", "tau_syn", "tau_mem"):
        if name not in KINDS[kind].names:
            continue
        tau = float(values[name].min())
        ratio = dt / tau
        facts = f"dt / {name} is {ratio:.3g} (dt {dt:g} s, smallest {name} {tau:.3g} s)"
        fit = f"{10.0 ** math.floor(math.log10(tau / 2)):.0e}".replace("e-0", "e-")
        if ratio > 1 and options.scheme == "euler":
            found.append(
                f"{facts}, above 1: the euler decay would be negative; "
                f"use --dt {fit} or --scheme exponential"
            )
        elif ratio > 0.5 and not options.force:
            found.append(
                f"{facts}, above 0.5: too coarse for the equations; use --dt {fit}, "
                f"or --force if the model was trained with this dt"
            )
    return found


def check_structure(model: RawModel) -> None:
    """Append to the problems: edges to nothing, missing ends, loops without a neuron."""
    nodes, problems = model.nodes, model.problems
    for a, b in model.edges:
        for name in dict.fromkeys((a, b)):
            if name not in nodes:
                problems.append(
                    f"edge '{a}' -> '{b}': there is no node '{name}'; add it or remove the edge"
                )
    ends: dict[str, list[str]] = {"Input": [], "Output": []}
    for name, node in nodes.items():
        if node.kind in ends and not node.nested:
            ends[node.kind].append(name)
    for kind, names in ends.items():
        if not names:
            problems.append(f"the graph: has no {kind} node; add one and lead edges to it")
    targets = {b for _, b in model.edges}
    sources = {a for a, _ in model.edges}
    for name in ends["Input"]:
        if name in targets:
            problems.append(f"node '{name}' (Input): an edge leads into it; remove the edge")
    for name in ends["Output"]:
        if name in sources:
            problems.append(f"node '{name}' (Output): an edge leaves it; start it at its source")
        if name not in targets:
            problems.append(f"node '{name}' (Output): nothing leads to it; connect or remove it")
    through = {
        name
        for name, node in nodes.items()
        if node.nested or (node.kind in KINDS and KINDS[node.kind].role == "linear")
    }
    for loop in linear_cycles(through, model.edges):
        named = ", ".join(f"'{n}'" for n in loop)
        problems.append(f"nodes {named}: form a loop without a neuron; put a neuron on it")
