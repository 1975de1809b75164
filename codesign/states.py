"""What a network remembers, kept in a file from one run to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hdl.params.errors import UserError

if TYPE_CHECKING:
    from mapping.program import Program

__all__ = ["read_states", "write_states"]

States = dict[str, dict[str, np.ndarray]]

#: Arrays of a population (sim/golden/network_result.py).
KINDS = ("membrane", "current", "sent", "states", "draws", "held")


def write_states(path: Path, states: States) -> None:
    """Write the arrays of all populations, [samples, ...] each, under POPULATION:ARRAY (.npz)."""
    from sim.npz import write_npz

    write_npz(path, {f"{name}:{kind}": value
                     for name, own in states.items() for kind, value in own.items()})  # fmt: skip


def read_states(path: Path, program: Program) -> States:
    """States that `write_states` wrote for this Program; UserError if the file has none.

    Whether they fit in shape and range is checked where a run starts from them.
    """
    from sim.npz import read_npz

    names = [p.name for p in program.populations]
    found = read_npz(path, [f"{name}:{kind}" for name in names for kind in KINDS])
    if not found:
        raise UserError(
            f"{path}: holds no state of {program.name}; write one with nervure simulate --keep"
        )
    states: States = {}
    for name in names:
        own = {kind: found[f"{name}:{kind}"] for kind in KINDS if f"{name}:{kind}" in found}
        if own:
            states[name] = own
    return states
