"""Program -> Mapped: partition, place, route, fill the memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from hdl.params.host import HostParams
from hdl.params.neuron import FIELDS, CoreParams, Emit, Range, bits_for
from hdl.params.noc import FlitParams, Memory, MeshParams
from mapping.images import (
    Rows,
    Synapses,
    acc_bits,
    build_images,
    check_fields,
    encode_rows,
    split_fields,
)
from mapping.mapped import Images, Mapped, Target
from mapping.network import Network, flatten
from mapping.partition import Limits, in_layer_order
from mapping.place import mesh_size, place
from mapping.program import Program
from mapping.refine import km1, reach, refine
from mapping.schedule import Schedule
from mapping.tables import Routing, route_sources, route_tables, traffic_stats

__all__ = ["Mapped", "Target", "map_program"]

Activity = Mapping[str, Any]

#: Cycles that an automatic `update_lanes` allows a core's update, lanes permitting.
UPDATE_CYCLES = 128


def map_program(program: Program, target: Target, activity: Activity | None = None) -> Mapped:
    """Map a Program onto a mesh of cores.

    `activity`: for each input or population the expected events per step, a number or one per
    neuron; 1 where nothing is said. It weighs partition, placement and the expected link loads.
    Raises UserError, with what is short and what would help, if it does not fit.
    """
    _check_target(target)
    network = flatten(program)
    schedule = Schedule.fit(network.edges, network.depth, target.interval)
    spikes = _spikes(program, network, activity)
    width, height = mesh_size(target.cores, target.width, target.height)
    if width * height < target.cores:
        raise UserError(
            f"mesh: {target.cores} cores need as many tiles, {width} x {height} available; "
            "use a larger mesh (--width, --height) or fewer cores (--cores)"
        )
    synapses: int | None = None
    for _ in range(8):
        core_of = _partition(program, network, target, spikes, synapses)
        layout = _lay_out(program, network, core_of, target, (width, height), spikes)
        short = [c for c in layout.cores if _over(c, target)]
        if not short:
            break
        worst = max(short, key=lambda c: c.rows.bits)
        if not target.synapse_bits or worst.rows.bits <= target.synapse_bits or target.cores == 1:
            raise UserError(_overflow(program, network, worst, target))
        held = len(worst.synapses.axon)
        synapses = min(synapses or held, held * target.synapse_bits // worst.rows.bits)
    else:
        raise UserError(_overflow(program, network, worst, target))
    return _assemble(program, network, schedule, target, layout, spikes)


def _check_target(target: Target) -> None:
    if target.cores < 1:
        raise UserError(f"cores must be at least 1, not {target.cores}")
    if not 1 <= target.lanes <= 256 or target.lanes & (target.lanes - 1):
        raise UserError(f"lanes must be a power of two in 1..256, not {target.lanes}")
    if target.index not in ("auto", "none", "word", "lane"):
        raise UserError(f"index must be auto, none, word or lane, not {target.index}")
    lanes = target.update_lanes
    if lanes is not None and (not 1 <= lanes <= target.lanes or lanes & (lanes - 1)):
        raise UserError(
            f"update_lanes must be a power of two up to lanes ({target.lanes}), not {lanes}"
        )


def _spikes(program: Program, network: Network, activity: Activity | None) -> np.ndarray:
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


def _partition(
    program: Program, network: Network, target: Target, spikes: np.ndarray, synapses: int | None
) -> np.ndarray:
    limits = Limits(
        cores=target.cores, lanes=target.lanes, neurons=target.neurons, synapses=synapses
    )
    return refine(network, in_layer_order(network, limits), limits, spikes, target.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Core:
    """One core before its parameters are fixed."""

    tile: int
    axons: int
    neurons: np.ndarray  #: neuron numbers, in slot order
    slot: np.ndarray  #: their slots
    slots: int
    synapses: Synapses
    source: np.ndarray  #: source number of each synapse
    rows: Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layout:
    width: int
    height: int
    tile_of: np.ndarray  #: tile of each neuron
    slot_of: np.ndarray  #: slot of each neuron
    cores: list[_Core]
    routing: Routing
    reached: np.ndarray  #: [sources, cores] whether a source reaches a core


def _slots(network: Network, members: np.ndarray, lanes: int) -> np.ndarray:
    """Slots of a core's neurons (ordered by level, population): populations start on a word."""
    population = network.population[members]
    starts = np.flatnonzero(np.r_[True, population[1:] != population[:-1]])
    sizes = np.diff(np.r_[starts, len(members)])
    padded = -(-sizes // lanes) * lanes
    begin = np.cumsum(padded) - padded
    return np.repeat(begin - starts, sizes) + np.arange(len(members))


def _lay_out(
    program: Program,
    network: Network,
    core_of: np.ndarray,
    target: Target,
    mesh: tuple[int, int],
    spikes: np.ndarray,
) -> _Layout:
    """Tiles, slots, tags and encoded rows of a partition."""
    width, height = mesh
    count = int(core_of.max()) + 1
    reached = reach(network, core_of, count)
    tile = place(_traffic(network, core_of, reached, spikes), width, height, target.seed)
    tile_of = tile[core_of]
    routing = route_sources(network, reached, tile, tile_of, width, height, target.routes)
    slot_of = np.zeros(network.neurons, dtype=np.int64)
    order = np.argsort(core_of[network.target].astype(np.int32), kind="stable")
    ends = np.searchsorted(core_of[network.target][order], np.arange(count + 1))
    cores = []
    for k in range(count):
        members = np.flatnonzero(core_of == k)
        members = members[np.argsort(network.level[members], kind="stable")]
        slot = _slots(network, members, target.lanes)
        slot_of[members] = slot
        slots = -(-(int(slot[-1]) + 1) // target.lanes) * target.lanes
        used = np.zeros(slots, dtype=bool)
        used[slot] = True
        mine = order[ends[k] : ends[k + 1]]
        s = Synapses(
            axon=routing.tag[network.source[mine]],
            slot=slot_of[network.target[mine]],
            weight=network.weight[mine],
            exponent=network.exponent[mine],
        )
        axons = max(routing.axons[tile[k]], 1)
        present = np.unique(network.projection[mine])
        bits = int(network.weight_bits[present].max(initial=1))
        cores.append(
            _Core(
                tile=int(tile[k]),
                axons=axons,
                neurons=members,
                slot=slot,
                slots=slots,
                synapses=s,
                source=network.source[mine],
                rows=encode_rows(s, axons, target.lanes, used, bits, target.index),
            )
        )
    return _Layout(
        width=width,
        height=height,
        tile_of=tile_of,
        slot_of=slot_of,
        cores=cores,
        routing=routing,
        reached=reached,
    )


def _traffic(
    network: Network, core_of: np.ndarray, reached: np.ndarray, spikes: np.ndarray
) -> np.ndarray:
    """Events per step between cores, the host last."""
    count = reached.shape[1]
    flow = np.zeros((count + 1, count + 1))
    weighted = reached * spikes[:, None]
    flow[-1, :count] = weighted[: network.inputs].sum(axis=0)
    np.add.at(flow[:, :count], core_of, weighted[network.inputs :])
    sent = np.where(network.output >= 0, spikes[network.inputs :], 0.0)
    flow[:count, -1] = np.bincount(core_of, weights=sent, minlength=count)
    return flow


def _over(core: _Core, target: Target) -> bool:
    return (
        (target.neurons is not None and core.slots > target.neurons)
        or (target.synapse_bits is not None and core.rows.bits > target.synapse_bits)
        or (target.axons is not None and core.axons > target.axons)
    )


def _overflow(program: Program, network: Network, core: _Core, target: Target) -> str:
    """What is short in a core, who takes most of it, what would help."""
    fan_in = np.bincount(network.population[core.neurons])
    if len(core.synapses.slot):
        fan_in = np.bincount(network.population[_owner(core)], minlength=len(fan_in))
    name = program.populations[int(fan_in.argmax())].name
    if target.synapse_bits is not None and core.rows.bits > target.synapse_bits:
        return (
            f"core at tile {core.tile}: {core.rows.bits} bits of synapse memory needed, "
            f"{target.synapse_bits} available (most for {name}); "
            "use more cores (--cores) or fewer weight bits (--weight-bits)"
        )
    if target.axons is not None and core.axons > target.axons:
        return (
            f"core at tile {core.tile}: {core.axons} axons needed, {target.axons} available "
            f"(most for {name}); use more cores (--cores) or prune inputs"
        )
    return (
        f"core at tile {core.tile}: {core.slots} neuron slots needed, {target.neurons} available "
        f"(most for {name}); use more cores (--cores) or fewer lanes (--lanes)"
    )


def _owner(core: _Core) -> np.ndarray:
    """Neuron number of each synapse of a core."""
    neuron = np.zeros(core.slots, dtype=np.int64)
    neuron[core.slot] = core.neurons
    return neuron[core.synapses.slot]


def _update_lanes(target: Target, slots: int) -> int:
    if target.update_lanes is not None:
        return target.update_lanes
    lanes = 1
    while lanes < target.lanes and slots // lanes > UPDATE_CYCLES:
        lanes *= 2
    return lanes


def _core_params(
    program: Program,
    network: Network,
    core: _Core,
    fields: dict[str, np.ndarray],
    target: Target,
    value_bits: int,
) -> CoreParams:
    """The parameters of one core."""
    formats = program.formats
    update_lanes = _update_lanes(target, core.slots)
    ranges = []
    level = network.level[core.neurons]
    for number in np.unique(level):
        inside = core.slot[level == number]
        first, end = int(inside[0]), int(inside[-1]) + 1
        ranges.append(
            Range(level=int(number) - 1, first=first // update_lanes, end=-(-end // update_lanes))
        )
    graded = network.graded[core.source]
    payload = formats.payload_bits if graded.any() else 0
    most = np.where(graded, (1 << max(payload - 1, 0)) - 1, 1)
    least = np.where(graded, -(1 << max(payload - 1, 0)), 0)
    bits = acc_bits(core.synapses, core.slots, most, least)
    if bits > 40:
        name = program.populations[int(network.population[core.neurons[0]])].name
        raise UserError(
            f"core of {name}: accumulators need {bits} bits, 40 available; "
            "use fewer weight bits (--weight-bits) or smaller payloads"
        )
    shared = split_fields(fields)
    if not formats.current_bits:
        shared["current_decay"] = 0
    params = CoreParams(
        slots=core.slots,
        lanes=target.lanes,
        update_lanes=update_lanes,
        levels=network.depth,
        ranges=tuple(ranges),
        axons=core.axons,
        index=core.rows.index,
        synapse_words=max(core.rows.words, 1),
        row_words=core.rows.row_words,
        weight_bits=core.rows.weight_bits,
        exponent_bits=core.rows.exponent_bits,
        payload_bits=payload,
        emission_bits=formats.payload_bits if (fields["emit"] == Emit.VALUE).any() else 0,
        value_bits=value_bits,
        membrane_bits=formats.membrane_bits,
        current_bits=formats.current_bits,
        decay_bits=formats.decay_bits,
        acc_bits=bits,
        shared=shared,
    )
    if wrong := check_fields(params, fields):
        population = program.populations[int(network.population[core.neurons[0]])].name
        raise UserError(f"field {wrong} of {population} or its neighbours does not fit its width")
    return params


def _assemble(
    program: Program,
    network: Network,
    schedule: Schedule,
    target: Target,
    layout: _Layout,
    spikes: np.ndarray,
) -> Mapped:
    tiles = layout.width * layout.height
    emit = np.concatenate([p.fields["emit"] for p in program.populations])
    value_bits = program.formats.payload_bits if network.graded.any() else 0
    if ((emit == Emit.STATE) & (network.output >= 0)).any():
        value_bits = max(value_bits, program.formats.membrane_bits)
    params: list[CoreParams | None] = [None] * tiles
    images: list[Images | None] = [None] * tiles
    whole = {
        name: np.concatenate([np.asarray(p.fields[name]) for p in program.populations]).astype(
            np.int64
        )
        for name in FIELDS
    }
    for core in layout.cores:
        fields = {name: whole[name][core.neurons] for name in FIELDS}
        made = _core_params(program, network, core, fields, target, value_bits)
        params[core.tile] = made
        images[core.tile] = build_images(made, core.rows, core.synapses, fields, core.slot)
    flit = _flit(layout, params, program, value_bits)
    entries, tables, inputs = route_tables(
        network, layout.routing, layout.tile_of, layout.slot_of, params, flit
    )
    for tile, table in enumerate(tables):
        if table is not None:
            image = images[tile]
            assert image is not None
            image[Memory.ROUTE] = table
    host = HostParams(flit=flit, levels=network.depth)
    if host.word_bits > 64:
        raise UserError(
            f"host words need {host.word_bits} bits, 64 available "
            f"({layout.width} x {layout.height} mesh, {network.depth} levels, flits of "
            f"{flit.flit_bits} bits); use a smaller mesh (--cores, --width, --height)"
        )
    mesh = MeshParams(flit=flit, levels=network.depth, cores=tuple(params), entries=entries)
    slots = {}
    for p in program.populations:
        first = network.first[p.name] - network.inputs
        inside = slice(first, first + p.size)
        slots[p.name] = layout.tile_of[inside].copy(), layout.slot_of[inside].copy()
    return Mapped(
        program=program,
        mesh=mesh,
        host=host,
        images=tuple(images),
        slots=slots,
        input_routes=inputs[: program.input_size],
        delayed_routes=inputs[program.input_size :],
        schedule=schedule,
        stats=_stats(program, network, layout, params, spikes),
        notes=_notes(target, layout),
    )


def _flit(
    layout: _Layout, params: list[CoreParams | None], program: Program, value_bits: int
) -> FlitParams:
    tags = max([*layout.routing.axons, program.output_size, 2])
    if bits_for(tags) > 24:
        raise UserError(f"{tags} axons or outputs need {bits_for(tags)} tag bits, 24 available")
    deepest = max(
        max(p.synapse_words * p.lanes, p.axons, p.slots * layout.routing.most_entries)
        for p in params
        if p is not None
    )
    for name, size in (("width", layout.width), ("height", layout.height)):
        if size > 32:
            raise UserError(f"mesh: {name} must be in 1..32, not {size}")
    config = max(18, 3 + bits_for(deepest))
    return FlitParams(
        width=layout.width,
        height=layout.height,
        tag_bits=bits_for(tags),
        value_bits=value_bits,
        config_bits=config,
    )


def _stats(
    program: Program,
    network: Network,
    layout: _Layout,
    params: list[CoreParams | None],
    spikes: np.ndarray,
) -> dict[str, Any]:
    cores = []
    for c in sorted(layout.cores, key=lambda c: c.tile):
        made = params[c.tile]
        assert made is not None
        sizes = np.bincount(network.population[c.neurons])
        cores.append(
            {
                "tile": c.tile,
                "x": c.tile % layout.width,
                "y": c.tile // layout.width,
                "neurons": len(c.neurons),
                "slots": c.slots,
                "axons": c.axons,
                "synapses": len(c.synapses.axon),
                "synapse_bits": c.rows.bits,
                "index": c.rows.index,
                "weight_bits": c.rows.weight_bits,
                "acc_bits": made.acc_bits,
                "update_lanes": made.update_lanes,
                "words_per_event": c.rows.words_per_event,
                "empty_rows": int(c.axons - len(np.unique(c.synapses.axon))),
                "slots_by_population": {
                    program.populations[i].name: int(sizes[i]) for i in np.flatnonzero(sizes)
                },
            }
        )
    home = np.full(network.sources, -1)
    for k, c in enumerate(layout.cores):
        home[network.inputs + c.neurons] = k
    loads, hops, flits = traffic_stats(network, layout.routing, layout.tile_of, spikes)
    return {
        "cores": cores,
        "links": loads,
        "mean_hops": hops,
        "flits_per_step": flits,
        "km1": km1(layout.reached, home, spikes),
        "routes": layout.routing.most_entries,
    }


def _notes(target: Target, layout: _Layout) -> tuple[dict[str, str], ...]:
    notes = []
    if len(layout.cores) < target.cores:
        notes.append(
            {
                "node": "mesh",
                "change": f"{len(layout.cores)} of {target.cores} cores are used",
                "effect": "the other tiles have a router and no core",
            }
        )
    return tuple(notes)
