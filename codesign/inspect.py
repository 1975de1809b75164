"""What is in a model file, and how its nodes look as hardware would run them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapping.graph import Options
from mapping.importers.inspection import Inspection
from mapping.importers.load import inspect_file, load_graph

__all__ = ["ModelInspection", "inspect_model"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelInspection:
    """A model file.

    found : nodes, edges, parameters, problems. layers : per neuron layer {"name", "kind",
    "size", "level", "synapses", "density", "dt_over_tau", "recurrent"}, empty while problems keep
    the model from being read. dt_over_tau is 1 - the smallest decay factor. dt : seconds in a step;
    None: the file gives decays a step.
    """

    found: Inspection
    layers: tuple[dict[str, Any], ...] = ()
    dt: float | None = None

    @property
    def mappable(self) -> bool:
        """Whether `compile` would read it."""
        return not self.found.problems

    def to_json(self) -> dict[str, Any]:
        """Plain data; "nodes", "edges", "parameters" and "density" stay stable."""
        found = self.found
        return {
            "name": found.name,
            "nodes": [dict(node) for node in found.nodes],
            "edges": [list(edge) for edge in found.edges],
            "parameters": found.parameters,
            "density": found.density,
            "mappable": self.mappable,
            "problems": list(found.problems),
            "layers": [dict(layer) for layer in self.layers],
            "dt": self.dt,
            "notes": [dict(note) for note in found.notes],
        }


def inspect_model(path: Path | str, options: Options | None = None) -> ModelInspection:
    """Every node with its status; UserError only if the file is no model at all."""
    options = options or Options()
    found = inspect_file(path, options)
    if found.problems:
        return ModelInspection(found=found)
    graph = load_graph(path, options)
    rows = []
    for layer in graph.layers:
        into = [c for c in graph.connections if c.target == layer.name]
        full = sum(c.matrix.shape[0] * c.matrix.shape[1] for c in into)
        stored = sum(int(c.matrix.count_nonzero()) for c in into)
        decays = [layer.membrane_decay] + ([layer.current_decay] if layer.has_current else [])
        leaky = layer.spiking or layer.membrane_decay.any()
        rows.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "size": layer.size,
                "level": layer.level,
                "synapses": stored,
                "density": stored / full if full else 1.0,
                "dt_over_tau": float(1 - min(d.min() for d in decays)) if leaky else None,
                "recurrent": any(c.delay > 0 for c in into),
            }
        )
    return ModelInspection(found=found, layers=tuple(rows), dt=graph.options.dt)
