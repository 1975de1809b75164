"""Read NIR models (.nir): checks, repairs, discretisation, folding into a Graph.

NIR gives differential equations and leaves open the step, the scheme, the reset rule and the delay
of recurrent edges; those come from `Options` and stand in the Graph. Every repair of a file and
every assumption is a note.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from mapping.graph import Graph, Options
from mapping.importers.inspection import Inspection
from mapping.importers.nir_build import build
from mapping.importers.nir_checks import DEFAULT_DT, check_options, check_structure, check_time
from mapping.importers.nir_file import RawModel, read_file
from mapping.importers.nir_nodes import KINDS, REASONS, check_values
from mapping.importers.nir_shapes import Extent, infer

__all__ = ["DEFAULT_DT", "inspect_nir", "load_nir"]


_SHAPES = ("Input", "Output", "Flatten")


@dataclass(eq=False)
class _Draft:
    model: RawModel
    extents: dict[str, Extent]
    dt: float
    reasons: dict[str, str]


def _examine(path: str | os.PathLike[str], options: Options) -> _Draft:
    """Read and check; every problem ends in `model.problems`."""
    model = read_file(path)
    dt = DEFAULT_DT if options.dt is None else options.dt
    wrong = check_options(options)
    model.problems += wrong
    reasons: dict[str, str] = {}
    for name, node in model.nodes.items():
        found = []
        if node.kind == "NIRGraph":
            continue
        if node.kind in REASONS:
            found = [f"is not supported: {REASONS[node.kind]}"]
        elif node.kind not in KINDS:
            found = ["is no kind that Nervure knows; replace it by NIR primitives"]
        else:
            found = node.problems + check_values(node.kind, node.values, node.datasets)
            if not found and not wrong:
                found = check_time(node.kind, node.values, options, dt)
            _default(model, name)
        if found:
            reasons[name] = "; ".join(found)
            model.problems += [f"{node.label}: {text}" for text in found]
    good = [n for n, node in model.nodes.items() if node.kind in KINDS and n not in reasons]
    extents = infer(model, good)
    for name in good:
        if "v_leak" in model.nodes[name].values and model.nodes[name].values["v_leak"].any():
            model.note(name, "starts at 0, not at v_leak", "Norse starts at v_leak")
    check_structure(model)
    if options.dt is None:
        model.note("", f"NIR stores no time step: dt = {DEFAULT_DT:g} s", "--dt sets another")
        for name, node in model.nodes.items():
            if node.kind in ("I", "IF"):
                model.note(
                    name,
                    f"integrates dt * r, here {DEFAULT_DT:g} * r, of its input a step",
                    "a model trained in unit steps needs --dt 1",
                )
    return _Draft(model, extents, dt, reasons)


def _default(model: RawModel, name: str) -> None:
    """Note the parameters that older writers leave out."""
    node = model.nodes[name]
    for key, value in KINDS[node.kind].optional:
        if key not in node.values and not np.isnan(value):
            model.note(name, f"'{key}' was missing: {value:g}", "as nir 1.0.8 reads older files")


def load_nir(path: str | os.PathLike[str], options: Options | None = None) -> Graph:
    """The model as a Graph; UserError with all problems of the file at once."""
    options = options or Options()
    draft = _examine(path, options)
    if draft.model.problems:
        raise UserError(_message(path, draft.model.problems))
    name = Path(path).stem
    try:
        graph = build(name, draft.model, draft.extents, options, draft.dt)
    except UserError as error:
        raise UserError(_message(path, [str(error)])) from None
    return graph


def inspect_nir(path: str | os.PathLike[str], options: Options | None = None) -> Inspection:
    """Every node with its status; UserError only if the file is no NIR graph at all."""
    options = options or Options()
    draft = _examine(path, options)
    model = draft.model
    problems = list(model.problems)
    records: dict[str, dict[str, Any]] = {}
    if not problems:
        try:
            graph = build(Path(path).stem, model, draft.extents, options, draft.dt)
            records = {record["name"]: record for record in graph.nodes}
            model.notes = list(graph.notes)
        except UserError as error:
            problems = [str(error)]
    for name, node in model.nodes.items():
        extent = draft.extents.get(name)
        status = (
            "mapped" if KINDS.get(node.kind) and KINDS[node.kind].role != "linear" else "folded"
        )
        records.setdefault(
            name,
            {
                "name": name,
                "kind": node.kind,
                "shape": list(extent.shape_out or ()) if extent else [],
                "status": "unsupported" if name in draft.reasons else status,
                "reason": draft.reasons.get(name, ""),
            },
        )
    weights = [node.values["weight"] for node in model.nodes.values() if "weight" in node.values]
    total = sum(w.size for w in weights)
    return Inspection(
        name=Path(path).stem,
        nodes=tuple(records[name] for name in model.nodes),
        edges=tuple(model.edges),
        parameters=sum(n.count for n in model.nodes.values() if n.kind not in _SHAPES),
        density=sum(int(np.count_nonzero(w)) for w in weights) / total if total else 1.0,
        problems=tuple(problems),
        notes=tuple(model.notes),
    )


def _message(path: str | os.PathLike[str], problems: list[str]) -> str:
    if len(problems) == 1:
        return f"{path}: {problems[0]}"
    return "\n  ".join([f"{path}: {len(problems)} problems", *problems])
