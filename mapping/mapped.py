"""What the mapper is asked for, and what it delivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.host import HostParams
from hdl.params.noc import Memory, MeshParams
from mapping.program import Program
from mapping.schedule import Schedule

__all__ = ["Images", "Mapped", "Route", "Target"]

#: Contents of a tile's memories; a memory of width 0 is left out.
Images = dict[Memory, list[int]]

#: Tag, rows, columns of an event's flit.
Route = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The hardware to map onto. None: no limit, or chosen automatically.

    Parameters
    ----------
    cores : cores to spread the network over (fewer are used if it has fewer neurons); one for each
        kind of core that the network needs if not given.
    lanes : synaptic operations per cycle of a core; a power of two.
    update_lanes : neurons updated per cycle; a power of two, at most `lanes`.
    neurons : most neuron slots of a core.
    synapse_bits : most bits of synapse memory of a core, headers and pointers counted.
    axons : most input rows of a core.
    routes : most route entries per slot.
    index : row encoding (hdl.params.neuron.CoreParams.index), "auto" for each core's smallest.
    width, height : the mesh; nearly square if not given.
    stream_lanes : products of bit-streams per cycle of a stochastic core, a power of two; 64, or
        fewer if its fan-in is smaller, if not given. Its neurons are updated one by one.
    state_lanes : states updated per cycle of a core with states, a power of two up to 64; fewer in
        a layer that has fewer states a neuron; 1 if not given.
    interval : ticks between steps; the shortest that is right if not given.
    fifo : events queued in front of each core, 0 or a power of two up to 512. Bits never depend on
        it; cycles do where a core is still in its update when others send to it.
    seed : of the searches for a partition and a placement.
    """

    cores: int | None = None
    lanes: int = 8
    update_lanes: int | None = None
    neurons: int | None = None
    synapse_bits: int | None = None
    axons: int | None = None
    routes: int | None = None
    index: str = "auto"
    width: int | None = None
    height: int | None = None
    stream_lanes: int | None = None
    state_lanes: int | None = None
    interval: int | None = None
    fifo: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Mapped:
    """A Program on a mesh: parameters of the hardware, contents of its memories, addresses.

    `images`: per tile, row by row; None where there is no core.
    `slots`: for each population the tile and the slot of each of its neurons.
    `input_routes`: for each input number the flits that one event of it takes.
    `delayed_routes`: the same for projections of delay 1: flits sent one step later; empty if
    no input has one.
    `stats`: "cores": per core a dict {tile, x, y, neurons, slots, axons, dendrites ("events",
    "streams", "attention", "crossbar", "states" or "gate"), weight_bits (of a conductance on a
    crossbar, of a pole's parts with states), synapse_bits (headers and pointers counted),
    empty_rows, slots_by_population; "events": index, words_per_event; "streams": columns,
    stream_lanes, generator, generators, stream_length; "crossbar": blocks, banks, rows and columns
    of a bank, cells, converters (of all banks), adc_bits, sampling, device; "states": states,
    order, complex, state_lanes, mix_bits (0 if states are neurons); "states" and "gate":
    memory_bits (what the dendrites remember), multipliers, update_cycles};
    "links": expected flits per step of each link "x,y>x,y" ("host" for the host);
    "km1": mean number of other cores that a spike must reach; "mean_hops": links per flit.
    `notes`: what a user should know, a list of {"node", "change", "effect"}.
    """

    program: Program
    mesh: MeshParams
    host: HostParams
    images: tuple[Images | None, ...]
    slots: dict[str, tuple[np.ndarray, np.ndarray]]
    input_routes: tuple[tuple[Route, ...], ...]
    schedule: Schedule
    delayed_routes: tuple[tuple[Route, ...], ...] = ()
    stats: dict[str, Any] = field(default_factory=dict)
    notes: tuple[dict[str, str], ...] = ()
