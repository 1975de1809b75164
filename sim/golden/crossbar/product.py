"""Input sums of crossbar populations, by the equations of hdl/params/crossbar/dendrites.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.crossbar.device import DeviceParams
from hdl.params.crossbar.noise import MOST_COLUMNS, state_of
from sim.golden.crossbar.array import age_cells, code_of, read_bank, whole_chunks
from sim.golden.crossbar.device import tables_of

__all__ = ["Part", "Plan", "input_sums", "plan"]

_NONE, _BINARY, _TERNARY = range(3)
_SAMPLING = {"none": _NONE, "binary": _BINARY, "ternary": _TERNARY}

#: Of a population: the integers of its Crossbar; `serial` 1 or 0; columns up to the last one that
#: a neuron has, alone and in whole chunks (stored are these); where its parts of a Plan begin.
LAYOUT = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("size", "sources", "blocks", "tiles", "rows", "used", "stored", "neurons", "width"),
            *("sampling", "serial", "value_bits", "cell_bits", "adc_bits", "converters"),
            *("fraction", "cell", "reference_at", "column_at", "factor_at", "converter", "state"),
        )
    ]
)


class Part(NamedTuple):
    """A population: its data as in hdl/params/crossbar/dendrites.py, neurons and sources."""

    crossbar: Crossbar
    arrays: dict[str, np.ndarray]
    size: int
    sources: int


class Plan(NamedTuple):
    """Populations for compiled code: flat arrays, one population behind the other.

    Members
    -------
    layout : LAYOUT [populations].
    h, s : int16 and uint8, what the devices conduct.
    reference : int16; zeros where nothing is sampled.
    column, factor, gain, offset : int64.
    states : uint64 [blocks, 2], generators after a clear.
    """

    layout: np.ndarray
    h: np.ndarray
    s: np.ndarray
    reference: np.ndarray
    column: np.ndarray
    factor: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    states: np.ndarray


def _conducted(c: Crossbar, arrays: dict[str, np.ndarray], states: np.ndarray) -> list[np.ndarray]:
    """h and s of all devices at the age that `arrays` name."""
    table = tuple(arrays["read_noise"].tolist())
    tables = tables_of(DeviceParams(cell_bits=c.cell_bits, read_noise=table))
    g_p, nu = (
        arrays[name].astype(np.int16).reshape(len(states), -1, c.columns)
        for name in ("conductance", "exponent")
    )
    shape = (*g_p.shape[:2], whole_chunks(c.columns))
    h, s, epoch = np.zeros(shape, np.int16), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    ages = arrays["age"].astype(np.int64)[None]
    for block, first in enumerate(states):
        age_cells(tables, first, g_p[block], nu[block], epoch[block], ages, h[block], s[block])
    return [h, s]


def plan(parts: Sequence[Part]) -> Plan:
    """Lay out populations, and age their devices."""
    layout = np.zeros(len(parts), LAYOUT)
    kinds = (np.int16, np.uint8, np.int16, np.int64, np.int64, np.int64, np.int64)
    flat: list[list[np.ndarray]] = [[np.zeros(0, kind)] for kind in kinds]
    firsts = [np.zeros((0, 2), np.uint64)]
    for row, (c, arrays, size, sources) in zip(layout, parts, strict=True):
        blocks, tiles = c.blocks(size), c.tiles(sources)
        states = np.array([state_of(c.seed, block) for block in range(blocks)], dtype=np.uint64)
        used = int(arrays["column"][:, : min(size, c.neurons) * c.width].max()) + 1
        stored = whole_chunks(used)
        integers = {
            **{name: getattr(c, name) for name in LAYOUT.names or () if hasattr(c, name)},
            **{"size": size, "sources": sources, "blocks": blocks, "tiles": tiles},
            **{"sampling": _SAMPLING[c.sampling], "serial": c.input == "serial"},
            **{"used": used, "stored": stored},
        }
        starts = [sum(len(a) for a in flat[k]) for k in (0, 2, 3, 4, 5)]
        names = ("cell", "reference_at", "column_at", "factor_at", "converter")
        integers |= dict(zip(names, starts, strict=True))
        integers["state"] = sum(len(f) for f in firsts)
        for name in LAYOUT.names or ():
            row[name] = integers[name]
        whole = (blocks, tiles, stored)
        reference = np.zeros(whole, np.int64)
        given = arrays.get("reference", reference)[..., :stored]
        reference[..., : given.shape[-1]] = given
        none = np.zeros(c.converters, np.int64)
        found = [a[..., :stored] for a in _conducted(c, arrays, states)]
        found += [reference, arrays["column"], arrays["factor"]]
        found += [arrays.get("gain", none), arrays.get("offset", none)]
        for piece, kind, gathered in zip(found, kinds, flat, strict=True):
            gathered.append(np.ascontiguousarray(piece, kind).reshape(-1))
        firsts.append(states)
    pieces = [np.concatenate(gathered) for gathered in flat]
    return Plan._make([layout, *pieces, np.concatenate(firsts)])


@njit(cache=True, nogil=True)
def _add_codes(p, q, tile, scale, driven, charge, total):
    """Convert all columns of all blocks of plan p's population q, add up what they mean."""
    span = q.neurons * q.width
    for block in range(q.blocks):
        columns = p.column[q.column_at + block * span : q.column_at + (block + 1) * span]
        at = q.factor_at + (block * q.tiles + tile) * q.neurons
        for n in range(min(q.neurons, q.size - block * q.neurons)):
            d = np.int64(-driven if q.sampling == _BINARY else 0)
            for i in range(q.width):
                c = columns[n * q.width + i]
                code = charge[block, c]
                if q.sampling == _NONE:
                    a = q.converter + c % q.converters
                    code = code_of(code, p.gain[a], p.offset[a], q.adc_bits)
                elif q.sampling == _BINARY:
                    code *= 2
                d += -code if i & 1 else code
            total[block * q.neurons + n] += scale * p.factor[at + n] * d


@njit(cache=True, nogil=True)
def input_sums(p, number, x, states, acc):
    """Input sums of a population for values x, int64 [sources], into acc [size].

    states : uint64 [blocks of all populations, 2], the generators; they advance.
    Returns the rows read, summed over blocks, and the codes converted.
    """
    q = p.layout[number]
    cells, place = q.rows * q.stored, q.value_bits
    total = np.zeros(q.blocks * q.neurons, np.int64)
    charge = np.zeros((q.blocks, q.used), np.int64)
    room = np.zeros(MOST_COLUMNS, np.uint16)
    driven = np.empty(q.rows, np.int64)
    steps = max(place, 1) if q.serial else max((1 << place) - 1, 1)
    rows = codes = 0
    for tile in range(q.tiles):
        values = x[tile * q.rows : min((tile + 1) * q.rows, q.sources)]
        for sign in (1, -1):
            if sign < 0 and place == 0:
                continue
            train = 0
            for k in range(steps):
                count = 0
                for r in range(len(values)):
                    magnitude = max(sign * values[r], 0)
                    driven[count] = r
                    count += (magnitude >> k) & 1 if q.serial else np.int64(magnitude > k)
                if count == 0:
                    if q.serial:
                        continue
                    break
                for block in range(q.blocks):
                    if q.serial or k == 0:
                        charge[block] = 0
                    bank = block * q.tiles + tile
                    at, near = q.cell + bank * cells, q.reference_at + bank * q.stored
                    read_bank(
                        states[q.state + block], driven[:count],
                        p.h[at : at + cells].reshape((q.rows, q.stored)),
                        p.s[at : at + cells].reshape((q.rows, q.stored)),
                        q.cell_bits, q.sampling != _NONE, p.reference[near : near + q.stored],
                        room, charge[block],
                    )  # fmt: skip
                rows += count * q.blocks
                train += count
                if q.serial:
                    _add_codes(p, q, tile, sign << k, count, charge, total)
                    codes += q.size * q.width
            if train and not q.serial:
                _add_codes(p, q, tile, sign, train, charge, total)
                codes += q.size * q.width
    half = np.int64(1) << (q.fraction - 1)
    for n in range(q.size):
        acc[n] = (total[n] + half) >> q.fraction
    return rows, codes
