"""A layout as hardware: parameters of every core, the flit, contents of all memories."""

from __future__ import annotations

from typing import Any

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.host import HostParams
from hdl.params.neuron import (
    FIELDS,
    CoreParams,
    Emit,
    Range,
    bits_for,
    sends_changes,
    sends_value,
)
from hdl.params.noc import FlitParams, Memory, MeshParams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.banks import Banks
from mapping.images import (
    Rows,
    acc_bits,
    check_fields,
    record_image,
    split_fields,
    synapse_images,
    table_image,
)
from mapping.layout import Core, Layout
from mapping.mapped import Images, Mapped, Target
from mapping.network import Network
from mapping.program import Population, Program
from mapping.schedule import Schedule
from mapping.states import States
from mapping.stats import map_notes, map_stats
from mapping.tables import route_tables

__all__ = ["assemble"]

#: Cycles that an automatic `update_lanes` allows a core's update, lanes permitting.
UPDATE_CYCLES = 40


def _update_lanes(target: Target, slots: int) -> int:
    if target.update_lanes is not None:
        return target.update_lanes
    lanes = 1
    while lanes < target.lanes and slots // lanes > UPDATE_CYCLES:
        lanes *= 2
    return lanes


def _tables(populations: list[Population]) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """The distinct tables of a core's ranges, and the number of each range's (0 without one)."""
    distinct: dict[bytes, tuple[int, np.ndarray]] = {}
    numbers = []
    for p in populations:
        number = 0
        if np.isin(p.fields["emit"], (Emit.TABLE, Emit.TABLE_DELTA)).any():
            table = p.arrays["table"]
            number, _ = distinct.setdefault(table.tobytes(), (len(distinct), table))
        numbers.append(number)
    return [table for _, table in distinct.values()], tuple(numbers) if distinct else ()


def _core_params(
    program: Program,
    network: Network,
    core: Core,
    fields: dict[str, np.ndarray],
    target: Target,
    value_bits: int,
) -> tuple[CoreParams, list[np.ndarray]]:
    """The parameters of one core, and its tables."""
    formats = program.formats
    winners = program.populations[int(network.population[core.neurons[0]])].winners
    single = winners is not None or not isinstance(core.rows, Rows)
    update_lanes = 1 if single else _update_lanes(target, core.slots)
    ranges = []
    parts = []  # neurons of each range
    owners = []  # population of each range
    level = network.level[core.neurons]
    population = network.population[core.neurons]
    for number in np.unique(level):
        for one in np.unique(population[level == number]):
            inside = np.flatnonzero(population == one)
            first, end = int(core.slot[inside[0]]), int(core.slot[inside[-1]]) + 1
            parts.append(inside)
            owners.append(program.populations[int(one)])
            ranges.append(
                Range(
                    level=int(number) - 1, first=first // update_lanes, end=-(-end // update_lanes)
                )
            )
    synapses: dict[str, Any]
    if isinstance(core.rows, Rows):
        graded = network.graded[core.source]
        payload = formats.payload_bits if graded.any() else 0
        most = np.where(graded, (1 << max(payload - 1, 0)) - 1, 1)
        least = np.where(graded, -(1 << max(payload - 1, 0)), 0)
        bits = acc_bits(core.synapses, core.slots, most, least)
        synapses = {
            "lanes": target.lanes,
            "index": core.rows.index,
            "synapse_words": max(core.rows.words, 1),
            "row_words": core.rows.row_words,
            "weight_bits": core.rows.weight_bits,
            "exponent_bits": core.rows.exponent_bits,
            "payload_bits": payload,
        }
    else:
        bits = core.rows.acc_bits
        synapses = {"dendrites": core.rows.params}
    if bits > 40:
        name = program.populations[int(network.population[core.neurons[0]])].name
        fewer = "weight bits (--weight-bits)"
        if isinstance(core.rows, Banks):
            fewer = "ADC bits (--adc-bits)"
        elif isinstance(core.rows, States):
            fewer = "state bits (--state-bits)"
        raise UserError(
            f"core of {name}: accumulators need {bits} bits, 40 available; "
            f"use fewer {fewer} or smaller payloads (--payload-bits)"
        )
    shared = split_fields(fields, parts)
    if not formats.current_bits:
        shared["current_decay"] = 0
    tables, numbers = _tables(owners)
    params = CoreParams(
        slots=core.slots,
        update_lanes=update_lanes,
        levels=network.depth,
        ranges=tuple(ranges),
        axons=core.axons,
        emission_bits=formats.payload_bits if sends_value(fields["emit"]).any() else 0,
        value_bits=value_bits,
        membrane_bits=formats.membrane_bits,
        current_bits=formats.current_bits,
        decay_bits=formats.decay_bits,
        acc_bits=bits,
        shared=shared,
        changes=bool(sends_changes(fields["emit"]).any()),
        table_bits=formats.table_bits if tables else 0,
        tables=numbers,
        winners=winners,
        **synapses,
    )
    if wrong := check_fields(params, fields):
        population = program.populations[int(network.population[core.neurons[0]])].name
        raise UserError(f"field {wrong} of {population} or its neighbours does not fit its width")
    return params, tables


def assemble(
    program: Program,
    network: Network,
    schedule: Schedule,
    target: Target,
    layout: Layout,
    spikes: np.ndarray,
) -> Mapped:
    tiles = layout.width * layout.height
    emit = np.concatenate([p.fields["emit"] for p in program.populations])
    value_bits = program.formats.payload_bits if network.graded.any() else 0
    if ((emit == Emit.STATE) & (network.output >= 0)).any():
        value_bits = max(value_bits, program.formats.membrane_bits)
    for p in program.populations:
        if isinstance(p.dendrites, Crossbar | Diagonal | Gate):
            value_bits = max(value_bits, p.dendrites.value_bits)
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
        made, emissions = _core_params(program, network, core, fields, target, value_bits)
        params[core.tile] = made
        if isinstance(core.rows, Rows):
            image = synapse_images(made, core.rows, core.synapses)
        else:
            image = core.rows.images(core.synapses, core.slots, core.axons)
        images[core.tile] = (
            image | record_image(made, fields, core.slot) | table_image(made, emissions)
        )
    flit = _flit(layout, params, program, value_bits)
    entries, tables, inputs = route_tables(
        network, layout.routing, layout.tile_of, layout.slot_of, params, flit
    )
    for tile, table in enumerate(tables):
        if table is not None:
            contents = images[tile]
            assert contents is not None
            contents[Memory.ROUTE] = table
    host = HostParams(flit=flit, levels=network.depth)
    if host.word_bits > 64:
        raise UserError(
            f"host words need {host.word_bits} bits, 64 available "
            f"({layout.width} x {layout.height} mesh, {network.depth} levels, flits of "
            f"{flit.flit_bits} bits); use a smaller mesh (--cores, --width, --height)"
        )
    mesh = MeshParams(
        flit=flit,
        levels=network.depth,
        cores=tuple(params),
        entries=entries,
        fifo=target.fifo,
    )
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
        stats=map_stats(program, network, layout, params, spikes),
        notes=map_notes(target, layout),
    )


def _flit(
    layout: Layout, params: list[CoreParams | None], program: Program, value_bits: int
) -> FlitParams:
    tags = max([*layout.routing.axons, program.output_size, 2])
    if bits_for(tags) > 24:
        raise UserError(f"{tags} axons or outputs need {bits_for(tags)} tag bits, 24 available")
    deepest = max(
        max(*(n for n, _ in p.items.values()), p.state_items, p.slots * layout.routing.most_entries)
        for p in params
        if p is not None
    )
    config = max(18, 3 + bits_for(deepest))
    return FlitParams(
        width=layout.width,
        height=layout.height,
        tag_bits=bits_for(tags),
        value_bits=value_bits,
        config_bits=config,
    )
