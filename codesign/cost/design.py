"""A design as the cost models see it: groups of like cores, and the mesh around them.

All numbers may be arrays: then it is as many designs at once (codesign/cost/sweep.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codesign.cost.features import (
    ENGINES,
    Features,
    core_features,
    core_numbers,
    fabric_features,
    mesh_numbers,
)
from codesign.cost.memories import Memories
from codesign.cost.timing import fabric_paths, paths
from hdl.params.host import HostParams
from hdl.params.noc import MeshParams

__all__ = ["Design", "Group"]


@dataclass(frozen=True, eq=False)
class Group:
    """`count` cores of one engine with these numbers (codesign/cost/features.py)."""

    engine: str
    numbers: Mapping[str, Any]
    count: Any = 1.0
    place: str = ""

    @cached_property
    def costs(self) -> tuple[Features, Memories]:
        return core_features(self.engine, self.numbers)


@dataclass(frozen=True, eq=False)
class Design:
    """Groups of cores, the mesh's numbers, and whether a board's top is around the fabric."""

    groups: tuple[Group, ...]
    fabric: Mapping[str, Any]
    board: Any = True

    @classmethod
    def of(cls, mesh: MeshParams, host: HostParams | None = None, board: bool = True) -> Design:
        """The design of a mesh; like cores are one group."""
        host = host or HostParams(flit=mesh.flit, levels=mesh.levels)
        found: dict[tuple, list[Any]] = {}
        for tile, (core, entries) in enumerate(zip(mesh.cores, mesh.entries, strict=True)):
            if core is None:
                continue
            engine, numbers = (
                ENGINES[type(core.dendrites)],
                core_numbers(core, mesh.flit, entries, mesh.fifo),
            )
            key = engine, *numbers.values()
            found.setdefault(key, [engine, numbers, 0.0, f"tile {tile}"])[2] += 1.0
        return cls(tuple(Group(*row) for row in found.values()), mesh_numbers(mesh, host), board)

    @property
    def engines(self) -> tuple[str, ...]:
        return tuple(sorted({group.engine for group in self.groups}))

    @cached_property
    def features(self) -> Features:
        """Sums over the cores, and what stands once."""
        total = dict(fabric_features(self.fabric, self.board))
        for group in self.groups:
            for name, value in group.costs[0].items():
                total[name] = total.get(name, 0.0) + group.count * value
        return total

    @cached_property
    def bram(self) -> Any:
        """Block RAMs; the serial link of a board's top has a buffer of 512 words."""
        link = np.ceil(self.fabric["word_bits"] / 36) * self.board
        return link + sum(group.count * group.costs[1].bram for group in self.groups)

    @cached_property
    def dsp(self) -> Any:
        return sum(group.count * group.costs[1].dsp for group in self.groups)

    @cached_property
    def paths(self) -> list[tuple[Any, dict[str, Any]]]:
        """What the clock depends on: (whether there are such cores, their paths)."""
        found = [(np.asarray(g.count) > 0, paths(g.engine, g.numbers)) for g in self.groups]
        return [(np.asarray(True), fabric_paths(self.fabric, self.board)), *found]
