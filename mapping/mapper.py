"""Program -> Mapped: partition, place, route, fill the memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from hdl.params.noc import check_fifo
from mapping.hardware import assemble
from mapping.kinds import kinds_of
from mapping.layout import fit
from mapping.mapped import Mapped, Target
from mapping.network import Network, flatten
from mapping.place import mesh_size
from mapping.program import Program
from mapping.schedule import Schedule

__all__ = ["Mapped", "Target", "map_program", "spikes_of"]

Activity = Mapping[str, Any]


def map_program(program: Program, target: Target, activity: Activity | None = None) -> Mapped:
    """Map a Program onto a mesh of cores.

    `activity`: for each input or population the expected events per step, a number or one per
    neuron; 1 where nothing is said. It weighs partition, placement and the expected link loads.
    Raises UserError, with what is short and what would help, if it does not fit.
    """
    _check_target(target)
    network = flatten(program)
    schedule = Schedule.fit(network.edges, network.depth, target.interval)
    spikes = spikes_of(program, network, activity)
    cores = target.cores or len(kinds_of(program))
    target = replace(target, cores=cores)
    width, height = mesh_size(cores, target.width, target.height)
    for name, size in (("width", width), ("height", height)):
        if not 1 <= size <= 32:
            raise UserError(f"mesh: {name} must be in 1..32, not {size}")
    if width * height < cores:
        raise UserError(
            f"mesh: {cores} cores need as many tiles, {width} x {height} available; "
            "use a larger mesh (--width, --height) or fewer cores (--cores)"
        )
    layout = fit(program, network, target, (width, height), spikes)
    return assemble(program, network, schedule, target, layout, spikes)


def _check_target(target: Target) -> None:
    if target.cores is not None and target.cores < 1:
        raise UserError(f"cores must be at least 1, not {target.cores}")
    if not 1 <= target.lanes <= 256 or target.lanes & (target.lanes - 1):
        raise UserError(f"lanes must be a power of two in 1..256, not {target.lanes}")
    if target.index not in ("auto", "none", "word", "lane"):
        raise UserError(f"index must be auto, none, word or lane, not {target.index}")
    for name, most in (("stream_lanes", 1024), ("state_lanes", 64)):
        lanes = getattr(target, name)
        if lanes is not None and (not 1 <= lanes <= most or lanes & (lanes - 1)):
            raise UserError(f"{name} must be a power of two in 1..{most}, not {lanes}")
    try:
        check_fifo(target.fifo)
    except ValueError as error:
        raise UserError(f"{error}; change --fifo") from None
    lanes = target.update_lanes
    if lanes is not None and (not 1 <= lanes <= target.lanes or lanes & (lanes - 1)):
        raise UserError(
            f"update_lanes must be a power of two up to lanes ({target.lanes}), not {lanes}"
        )


def spikes_of(program: Program, network: Network, activity: Activity | None) -> np.ndarray:
    """Expected events per step of each source."""
    spikes = np.ones(network.sources)
    if activity is None:
        return spikes
    for name, value in activity.items():
        if name not in network.first:
            raise UserError(f"activity of {name}: there is no such input or population")
        first = network.first[name]
        size = network.size[name]
        spikes[first : first + size] = value
    if network.inputs > program.input_size:
        spikes[program.input_size : network.inputs] = spikes[: program.input_size]
    return spikes
