"""What a user wants to know of a mapping: occupancy, traffic, notes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hdl.params.neuron import CoreParams
from mapping.banks import Banks
from mapping.columns import Head
from mapping.connect import connectivity
from mapping.cut import km1
from mapping.images import Rows
from mapping.layout import Contents, Layout
from mapping.mapped import Target
from mapping.network import Network
from mapping.program import Program
from mapping.states import Gates, States
from mapping.tables import traffic_stats

__all__ = ["map_notes", "map_stats"]


def map_stats(
    program: Program,
    network: Network,
    layout: Layout,
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
                "acc_bits": made.acc_bits,
                "update_lanes": made.update_lanes,
                **_of_dendrites(c.rows),
                **_of_winners(made),
                "empty_rows": int(c.axons - len(np.unique(c.synapses.axon))),
                "slots_by_population": {
                    program.populations[i].name: int(sizes[i]) for i in np.flatnonzero(sizes)
                },
            }
        )
    core = np.empty(network.neurons, dtype=np.int32)
    for k, c in enumerate(layout.cores):
        core[c.neurons] = k
    loads, hops, flits = traffic_stats(layout.routing, spikes)
    return {
        "cores": cores,
        "links": loads,
        "mean_hops": hops,
        "flits_per_step": flits,
        "km1": km1(connectivity(network, spikes), core, len(layout.cores)),
        "routes": layout.routing.most_entries,
    }


def _of_winners(params: CoreParams) -> dict[str, Any]:
    w = params.winners
    return {} if w is None else {"dendrites": "winners", "winners": w.count, "group": w.group}


def _of_dendrites(rows: Contents) -> dict[str, Any]:
    if isinstance(rows, Head):
        return {"dendrites": "attention", "weight_bits": 1}
    if isinstance(rows, Rows):
        return {
            "dendrites": "events",
            "index": rows.index,
            "weight_bits": rows.weight_bits,
            "words_per_event": rows.words_per_event,
        }
    if isinstance(rows, Banks):
        array = rows.params.array
        return {
            "dendrites": "crossbar",
            "weight_bits": array.cell_bits,
            "blocks": array.blocks,
            "banks": array.banks,
            "rows": array.rows,
            "columns": array.columns,
            "cells": array.cells,
            "converters": array.converters * array.banks,
            "adc_bits": array.adc_bits,
            "sampling": rows.params.crossbar.sampling,
            "device": rows.params.crossbar.device,
        }
    if isinstance(rows, States | Gates):
        remembers = {
            "memory_bits": rows.state_bits,
            "multipliers": rows.params.multipliers,
            "update_cycles": rows.params.update_cycles(rows.slots),
        }
        if isinstance(rows, Gates):
            return {"dendrites": "gate", "weight_bits": 0, **remembers}
        d = rows.params.diagonal
        return {
            "dendrites": "states",
            "weight_bits": d.pole_bits + 1,
            "states": rows.states,
            "order": d.order,
            "complex": not d.real,
            "state_lanes": rows.params.lanes,
            "mix_bits": d.mix_bits if d.mixed else 0,
            **remembers,
        }
    streams = rows.params.streams
    return {
        "dendrites": "streams",
        "weight_bits": streams.weight_bits + 1,
        "columns": rows.params.columns,
        "stream_lanes": rows.params.lanes,
        "generator": streams.generator,
        "generators": streams.generators,
        "stream_length": 1 << streams.log2_length,
    }


def map_notes(target: Target, layout: Layout) -> tuple[dict[str, str], ...]:
    notes = []
    if len(layout.cores) < (target.cores or 1):
        notes.append(
            {
                "node": "mesh",
                "change": f"{len(layout.cores)} of {target.cores} cores are used",
                "effect": "the other tiles have a router and no core",
            }
        )
    return tuple(notes)
