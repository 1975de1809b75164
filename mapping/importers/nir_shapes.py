"""How many values enter and leave each NIR node, inferred along the edges where not stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mapping.importers.nir_file import RawModel, RawNode
from mapping.importers.nir_nodes import KINDS, broadcast

__all__ = ["MAX_SIZE", "Extent", "infer"]

MAX_SIZE = 1 << 24
"""Most values of one node."""


@dataclass(eq=False)
class Extent:
    """`shape_in`, `shape_out`: None while unknown. `through`: both are the same."""

    shape_in: tuple[int, ...] | None
    shape_out: tuple[int, ...] | None
    through: bool = False

    @property
    def size_in(self) -> int | None:
        """Values that enter."""
        return None if self.shape_in is None else math.prod(self.shape_in)

    @property
    def size_out(self) -> int | None:
        """Values that leave."""
        return None if self.shape_out is None else math.prod(self.shape_out)


def _own(node: RawNode) -> Extent:
    """What the node's own parameters say."""
    values = node.values
    if node.kind in ("Affine", "Linear"):
        *batch, out, inside = values["weight"].shape
        return Extent((*batch, inside), (*batch, out))
    if node.kind in ("Input", "Output", "Flatten"):
        stored = values.get("input_type" if node.kind == "Flatten" else "shape")
        shape = None if stored is None else tuple(int(n) for n in stored.reshape(-1))
    else:
        shape = broadcast(values)
        if shape is not None and math.prod(shape) == 1:
            shape = None
    return Extent(shape, shape, through=True)


def infer(model: RawModel, good: Sequence[str]) -> dict[str, Extent]:
    """Extents of the nodes in `good`; what cannot be known or does not fit becomes a problem."""
    nodes = {name: model.nodes[name] for name in good}
    extents = {name: _own(node) for name, node in nodes.items()}
    stated = {name for name, e in extents.items() if e.shape_in is not None}
    edges = [(a, b) for a, b in model.edges if a in nodes and b in nodes]
    _propagate(extents, edges)
    for name in good:
        node, extent = nodes[name], extents[name]
        if extent.shape_in is None:
            if KINDS[node.kind].role == "neuron" or node.kind == "Scale":
                extent.shape_in = extent.shape_out = (1,)
            else:
                model.problems.append(
                    f"{node.label}: its shape is neither stored nor implied by its neighbours; "
                    "store it"
                )
        elif name not in stated and node.kind in ("Input", "Output", "Flatten"):
            if not node.nested and node.kind != "Flatten":
                shape = list(extent.shape_in)
                model.note(name, f"shape was missing: {shape}", "taken from the next node")
        elif name not in stated:
            model.note(
                name, "one value of each parameter", f"holds for all {extent.size_in} values"
            )
        size = max(extent.size_in or 0, extent.size_out or 0)
        if size > MAX_SIZE:
            model.problems.append(f"{node.label}: has {size} values, at most {MAX_SIZE} are mapped")
    for a, b in edges:
        left, right = extents[a], extents[b]
        if left.size_out is None or right.size_in is None:
            continue
        if left.size_out != right.size_in:
            model.problems.append(
                f"edge '{a}' -> '{b}': '{a}' gives {left.size_out} values {left.shape_out}, "
                f"'{b}' takes {right.size_in} {right.shape_in}; make them equal"
            )
        elif left.shape_out != right.shape_in and nodes[b].kind != "Flatten":
            model.note(
                b,
                f"takes {right.shape_in} where '{a}' gives {left.shape_out}",
                "values are taken in row-major order",
            )
    return extents


def _propagate(extents: dict[str, Extent], edges: list[tuple[str, str]]) -> None:
    """Carry known shapes along the edges, forward before backward, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for forward in (True, False):
            for a, b in edges:
                left, right = extents[a], extents[b]
                if forward and right.shape_in is None and left.shape_out is not None:
                    right.shape_in = right.shape_out = left.shape_out
                    changed = True
                elif not forward and left.shape_out is None and right.shape_in is not None:
                    left.shape_in = left.shape_out = right.shape_in
                    changed = True
            if changed and forward:
                break
