"""What neurons and their dendrites remember, as items of Memory.STATE: read, written, expected.

A population's state is a dictionary of int64 arrays: "membrane" and "current" [samples, size]; and
where they exist "sent" [samples, size], "states" [samples, states, parts], "draws" [samples,
states], "held" [samples, size] (of a gate [samples, size, 2]). Items travel in chunks: uint64
[samples, items, chunks].
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hdl.params.errors import UserError
from hdl.params.neuron import CoreParams, sends_changes
from hdl.params.noc import ConfigOp, Memory
from hdl.params.ssm.diagonal import Diagonal, DiagonalParams
from hdl.params.ssm.gate import OPERANDS, Gate, GateParams
from mapping.mapped import Mapped
from mapping.program import Population, Program
from sim.golden.network_memory import Start, check_restorable, restore
from sim.words import config_words, cores, select, signed, step_words, u64

__all__ = [
    "Field", "Key", "States", "checked_start", "chosen_states", "empty_states", "fields", "keys",
    "owner", "probe_runs", "probe_words", "read_states", "start_words", "state_bits",
    "state_chunks", "state_replies", "state_runs", "state_words",
]  # fmt: skip

#: Bits of a generator (hdl/params/ssm/diagonal.py).
DRAW_BITS = 32

#: Population to key to array.
States = dict[str, dict[str, np.ndarray]]


class Key(NamedTuple):
    """One key of a population's state: its shape for one sample, and bits of a number."""

    shape: tuple[int, ...]
    bits: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """The same bits of some items of a core, and which numbers of a population's state they are.

    `places` : in the state's array of one sample, flat; `items` are as many.
    """

    population: str
    key: str
    places: np.ndarray
    items: np.ndarray
    shift: int
    bits: int
    signed: bool = True


def keys(program: Program, p: Population) -> dict[str, Key]:
    """What a population's state consists of."""
    d, formats, found = p.dendrites, program.formats, {}
    if isinstance(d, Diagonal | Gate) and d.held:
        ports = (len(OPERANDS),) if isinstance(d, Gate) else ()
        found["held"] = Key((p.size, *ports), d.value_bits)
    if isinstance(d, Diagonal):
        found["states"] = Key((d.states(p.size), d.parts), d.state_bits)
        if d.stochastic:
            found["draws"] = Key((d.states(p.size),), DRAW_BITS)
    found["current"] = Key((p.size,), formats.current_bits)
    found["membrane"] = Key((p.size,), formats.membrane_bits)
    if sends_changes(p.fields["emit"]).any():
        found["sent"] = Key((p.size,), formats.payload_bits - 1)
    return found


def owner(p: Population, key: str, place: int) -> int:
    """The neuron (of two, the first) that a number of a population's state belongs to."""
    d = p.dendrites
    if isinstance(d, Diagonal) and key in ("states", "draws"):
        return place // (d.parts if key == "states" else 1) // d.order * d.neurons
    return place // len(OPERANDS) if isinstance(d, Gate) and key == "held" else place


def state_bits(program: Program) -> int:
    """Bits of all states."""
    return sum(
        math.prod(key.shape) * key.bits
        for p in program.populations
        for key in keys(program, p).values()
    )


def fields(mapped: Mapped, tile: int) -> list[Field]:
    """What the core of a tile remembers of the neurons that live there."""
    core, program = mapped.mesh.cores[tile], mapped.program
    assert core is not None
    found = []
    for name, (where, slot) in mapped.slots.items():
        n = np.flatnonzero(where == tile)
        own, at = keys(program, program.population(name)), core.membrane_bits
        parts = [
            ("membrane", n, slot[n], 0),
            ("current", n, slot[n], at),
            ("sent", n, slot[n], at + core.current_bits),
            *_behind(core, n, slot[n]),
        ]
        found += [
            Field(
                population=name, key=key, places=places, items=items, shift=shift,
                bits=own[key].bits, signed=key != "draws",
            )
            for key, places, items, shift in parts
            if len(n) and key in own and own[key].bits
        ]  # fmt: skip
    return found


def _behind(core: CoreParams, n: np.ndarray, slot: np.ndarray) -> list[tuple]:
    """(key, places, items, shift) behind the slots (hdl/params/ssm), of neurons in these slots."""
    params, first = core.dendrites, core.slots
    if isinstance(params, GateParams):
        bits, ports = params.gate.value_bits, range(len(OPERANDS))
        return [("held", n * len(ports) + k, first + slot, k * bits) for k in ports]
    if not isinstance(params, DiagonalParams):
        return []
    d, of_neuron = params.diagonal, params.words * params.lanes
    whole, i = n % d.neurons == 0, np.arange(d.order)
    state = (n[whole, None] // d.neurons * d.order + i).reshape(-1)
    item = (first + slot[whole, None] // d.neurons * of_neuron + i).reshape(-1)
    return [
        *(("states", state * d.parts + k, item, k * d.state_bits) for k in range(d.parts)),
        ("draws", state, item, d.parts * d.state_bits),
        ("held", n, first + params.state_words(core.slots) * params.lanes + slot, 0),
    ]


def state_chunks(mapped: Mapped, core: CoreParams) -> int:
    """Chunks of an item."""
    return -(-core.probe_bits // mapped.mesh.flit.chunk_bits)


def probe_runs(mapped: Mapped) -> list[tuple[int, CoreParams, np.ndarray]]:
    """(tile, core, items) of each stretch of items in use: one READ reads it."""
    runs = []
    for tile, core in cores(mapped):
        items = np.unique(np.concatenate([f.items for f in fields(mapped, tile)]))
        gaps = np.flatnonzero(np.diff(items) > 1) + 1
        runs += [(tile, core, run) for run in np.split(items, gaps)]
    return runs


def state_words(mapped: Mapped) -> int:
    """Words that all states take, one way."""
    return sum(len(items) * state_chunks(mapped, core) for _, core, items in probe_runs(mapped))


def probe_words(mapped: Mapped) -> np.ndarray:
    """Reads of all states, run after run, a STEP after each."""
    parts = []
    for tile, _, items in probe_runs(mapped):
        bodies = [select(Memory.STATE, int(items[0])), ConfigOp.READ | len(items) << 2]
        parts += [config_words(mapped, tile, u64(bodies)), step_words(mapped, [0])]
    return np.concatenate(parts)


def state_replies(mapped: Mapped, tile: int, states: States, samples: int) -> np.ndarray:
    """Chunks of all items of a tile, uint64 [samples, items, chunks], 0 what is not in use."""
    core, chunk = mapped.mesh.cores[tile], mapped.mesh.flit.chunk_bits
    assert core is not None
    parts = np.zeros((samples, core.state_items, state_chunks(mapped, core)), np.uint64)
    for f in fields(mapped, tile):
        value = states[f.population][f.key].reshape(samples, -1)[:, f.places]
        whole = u64(value & ((1 << f.bits) - 1))
        for k in range(f.shift // chunk, (f.shift + f.bits - 1) // chunk + 1):
            at = f.shift - k * chunk
            part = whole << u64(at) if at >= 0 else whole >> u64(-at)
            parts[:, f.items, k] |= part & u64((1 << chunk) - 1)
    return parts


def state_runs(
    mapped: Mapped, states: States, samples: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(tile, items, their chunks) of each run of items."""
    tiles: dict[int, np.ndarray] = {}
    for tile, _, items in probe_runs(mapped):
        if tile not in tiles:
            tiles[tile] = state_replies(mapped, tile, states, samples)
        yield tile, items, tiles[tile][:, items]


def read_states(mapped: Mapped, parts: dict[int, np.ndarray], samples: int) -> States:
    """All states, from the chunks of all items of each tile."""
    chunk = mapped.mesh.flit.chunk_bits
    found = empty_states(mapped.program, samples)
    for tile, items in parts.items():
        for f in fields(mapped, tile):
            whole = np.zeros((samples, len(f.items)), np.uint64)
            for k in range(f.shift // chunk, (f.shift + f.bits - 1) // chunk + 1):
                at = f.shift - k * chunk
                part = items[:, f.items, k]
                whole |= part >> u64(at) if at >= 0 else part << u64(-at)
            whole &= u64((1 << f.bits) - 1)
            value = signed(whole, f.bits) if f.signed else whole.astype(np.int64)
            found[f.population][f.key].reshape(samples, -1)[:, f.places] = value
    return found


def empty_states(program: Program, samples: int) -> States:
    """All states 0."""
    return {
        p.name: {
            name: np.zeros((samples, *key.shape), np.int64)
            for name, key in keys(program, p).items()
        }
        for p in program.populations
    }


def checked_start(program: Program, start: Start, samples: int) -> States:
    """A copy of states to start from; UserError where golden refuses them."""
    check_restorable(program)
    found = empty_states(program, samples)
    if unknown := set(start) - set(found):
        raise UserError(f"a state to start from names {min(unknown)}, which there isn't")
    for p in program.populations:
        restore(p, program.formats, start, found[p.name])
    return found


def chosen_states(states: States, samples: np.ndarray) -> States:
    """Those of some samples."""
    return {
        name: {key: value[samples] for key, value in own.items()} for name, own in states.items()
    }


def start_words(mapped: Mapped, start: States, samples: int) -> np.ndarray:
    """Words [samples, words] that write all states, of a fabric at rest."""
    parts = [np.zeros((samples, 0), np.uint64)]
    for tile, items, chunks in state_runs(mapped, start, samples):
        bodies = chunks << u64(2) | u64(ConfigOp.SHIFT)
        bodies[:, :, -1] += u64(ConfigOp.COMMIT - ConfigOp.SHIFT)
        first = np.full((samples, 1), select(Memory.STATE, int(items[0])), np.uint64)
        parts.append(config_words(mapped, tile, np.hstack([first, bodies.reshape(samples, -1)])))
    return np.hstack(parts)
