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
    bits_for,
    core_features,
    core_numbers,
    fabric_features,
    mesh_numbers,
)
from codesign.cost.memories import Memories
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
    def timing(self) -> Features:
        """What the clock depends on: the worst of the cores, and sizes."""
        found: Features = {
            "tiles": np.log2(self.fabric["width"] * self.fabric["height"]),
            "flit": self.fabric["flit_bits"] / 16.0,
        }
        for group in self.groups:
            n, there = group.numbers, np.asarray(group.count) > 0
            for name, value in _paths(group.engine, n, group.costs[1]).items():
                value = np.where(there, value, 0.0)
                found[name] = np.maximum(found.get(name, 0.0), value)
        found["bram"] = np.log2(1.0 + self.bram)
        found["dsp"] = np.log2(1.0 + self.dsp)
        return found


def _paths(engine: str, n: Mapping[str, Any], m: Memories) -> Features:
    """How long one core's paths are, in parts that add up in the logarithm of the period."""
    found: Features = {
        f"is {engine}": 1.0,
        "membrane": n["membrane_bits"] / 16.0,
        "current": n["current_bits"] / 16.0,
        "multiplied": np.maximum(n["membrane_multiplied"], n["current_multiplied"]),
        "terms": np.maximum(
            (1 - n["membrane_multiplied"]) * n["membrane_terms"],
            (1 - n["current_multiplied"]) * n["current_terms"],
        )
        / 4.0,
        "update lanes": np.log2(n["update_lanes"]),
        "words": bits_for(n["state_words"]) / 8.0,
        "ranges": n["ranges"] / 4.0,
        "entries": n["entries"] - 1.0,
        "values": n["values"],
        "shifted": n["shifted"],
        "changes": n["changes"],
        "late": n["resets_delayed"],
        "lut ram": np.log2(1.0 + m.lutram) / 8.0,
        "acc": n["acc_bits"] / 16.0,
    }
    if engine == "event":
        found |= {
            "lanes": np.log2(n["lanes"]),
            "by lane": n["by_lane"],
            "by word": n["by_word"],
            "deep": 1.0 * (n["groups"] > 32),
            "groups": bits_for(n["groups"]) / 4.0,
            "exponent": n["exponent_bits"],
            "payload": 1.0 * (n["payload_bits"] > 0),
            "dense rows": n["dense"] * n["group_digits"],
            "synapses": np.log2(1.0 + n["synapse_words"]) / 8.0,
        }
    elif engine == "stochastic":
        found |= {"streams": np.log2(n["streams"]), "stops": n["stoppable"],
                  "decides": n["decides"], "lfsr": n["lfsr"],
                  "stream values": 1.0 * (n["value_planes"] > 1)}  # fmt: skip
    elif engine == "ssm":
        found |= {"state lanes": np.log2(n["state_lanes"]), "state bits": n["part_bits"] / 16.0,
                  "complex": 1.0 - n["real"], "drawn": n["drawn"], "mixed": n["mixed"],
                  "held": n["held"]}  # fmt: skip
    elif engine == "attention":
        found |= {"dim": np.log2(n["dim"]), "tokens": np.log2(n["tokens"]),
                  "causal": n["causal"]}  # fmt: skip
    return found
