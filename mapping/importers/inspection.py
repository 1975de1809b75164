"""What `inspect` shows of a model file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Inspection"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """What is in a model file, mappable or not.

    nodes: records as in `Graph.nodes`; shape is a list of ints, what leaves the node ([]: unknown).
    parameters: numbers that the file stores. density: share of weights that are not zero.
    problems: what keeps it from being loaded, empty if nothing does.
    """

    name: str
    nodes: tuple[dict[str, Any], ...]
    edges: tuple[tuple[str, str], ...]
    parameters: int
    density: float
    problems: tuple[str, ...] = ()
    notes: tuple[dict[str, str], ...] = field(default=())
