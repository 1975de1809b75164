"""Layers on crossbars: the conversion, and the conductances and factors that stand for weights.

Equations: hdl/params/crossbar/dendrites.py. Weights are integers, their exponents applied, and the
input sum is in the same units. A "logical" array has on its last axis the `neurons * width` columns
of the places of a block; where these stand on the bit lines a column map says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hdl.params.crossbar.array import MOST_CELLS
from hdl.params.crossbar.dendrites import FACTOR_BITS, Crossbar
from hdl.params.errors import UserError
from hdl.params.sc.attention import AttentionParams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.dendrites import crossbar_sources, sends_values
from mapping.network import added_up
from mapping.program import Program, Projection

__all__ = ["Targets", "crossbar_population", "factors", "layer_weights", "targets"]

MOST_VALUE_BITS = 12
MOST_FRACTION = 24
MOST_BANKS = 1 << 16


def crossbar_population(program: Program, name: str, crossbar: Crossbar) -> Program:
    """The Program with these dendrites in a population, which has no `arrays` yet.

    `crossbar.value_bits` is set to what its sources send. Parallel projections into it are added
    up, their rows filled with weights of 0. UserError for a layer that a crossbar can't hold.
    """
    p = program.population(name)
    into = [q for q in program.projections if q.target == name]
    if isinstance(p.dendrites, AttentionParams | Diagonal | Gate) or p.winners is not None:
        what = "an attention head" if p.kind == "Attention" else f"a layer of kind {p.kind}"
        raise UserError(f"engine: {name} is {what}, which has a core of its own; leave it out")
    if p.kind == "Delay":
        raise UserError(f"engine: {name} only repeats its source a step later; leave it out")
    if not into:
        raise UserError(
            f"engine: no connection feeds {name}, so there are no weights for a crossbar; "
            "leave it out"
        )
    bits = 0
    for q in into:
        if sends_values(program, q.source):
            bits = program.formats.payload_bits
            if bits > MOST_VALUE_BITS:
                raise UserError(
                    f"{name}: {q.source} sends values of {bits} bits, a crossbar takes "
                    f"{MOST_VALUE_BITS}; use fewer (--payload-bits {MOST_VALUE_BITS})"
                )
    crossbar = replace(crossbar, value_bits=bits)
    program = added_up(program, name)
    sources = crossbar_sources(program, name)
    banks = crossbar.blocks(p.size), crossbar.tiles(sources)
    cells = banks[0] * banks[1] * crossbar.rows * crossbar.columns
    if cells > MOST_CELLS or max(banks) > MOST_BANKS:
        raise UserError(
            f"{name}: {sources} inputs and {p.size} neurons take {banks[0]} x {banks[1]} banks, "
            f"{cells} devices, {MOST_CELLS} available; use fewer pairs (--pairs), a larger array "
            "(--array) or the event engine for it"
        )
    projections, stored = [], 0
    for q in program.projections:
        if q.target == name:
            stored += int(np.count_nonzero(q.weights))
            q = _filled(q, p.size)
        projections.append(q)
    notes = program.notes
    if 2 * stored < sources * p.size:
        notes += (
            {
                "node": name,
                "change": f"{sources * p.size - stored} weights of 0 take devices beside "
                f"{stored} others",
                "effect": "every row of a crossbar is full: a convolution or sparse layer takes as "
                "many devices as a dense one",
            },
        )
    populations = tuple(
        replace(o, dendrites=crossbar, arrays={}) if o.name == name else o
        for o in program.populations
    )
    return replace(program, populations=populations, projections=tuple(projections), notes=notes)


def _dense(q: Projection, size: int) -> np.ndarray:
    """Weights [sources, size], without the exponent."""
    rows = len(q.indptr) - 1
    matrix = np.zeros((rows, size), np.int64)
    matrix[np.repeat(np.arange(rows), np.diff(q.indptr)), q.indices] = q.weights
    return matrix


def _filled(q: Projection, size: int) -> Projection:
    rows = len(q.indptr) - 1
    return replace(
        q,
        indptr=np.arange(rows + 1, dtype=np.int64) * size,
        indices=np.tile(np.arange(size, dtype=np.int64), rows),
        weights=_dense(q, size).reshape(-1),
    )


def layer_weights(program: Program, name: str) -> np.ndarray:
    """Weights of a crossbar population, exponents applied: int64 [sources, size]."""
    size = program.population(name).size
    into = [q for q in program.projections if q.target == name]
    return np.concatenate([_dense(q, size) << q.exponent for q in into])


def _crossbar(program: Program, name: str) -> Crossbar:
    crossbar = program.population(name).dendrites
    if not isinstance(crossbar, Crossbar):
        raise TypeError(f"{name} must be a crossbar population")
    return crossbar


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """What devices should be, for a population's weights.

    values : [blocks, tiles, rows, logical columns], conductances (int64, a device's full scale is
        2**(cell_bits - 1)), or with `sampling` the probabilities that a read finds a 1 (float).
        0 in rows without a source and at places without a neuron.
    scale : float [blocks, tiles], weight units of one unit of conductance (or of one count).
    """

    values: np.ndarray
    scale: np.ndarray


def targets(program: Program, name: str) -> Targets:
    """What stands for the weights of a crossbar population.

    Sampling "none": the largest |weight| of a bank is `devices` conductances of full scale, other
    weights in proportion, rounded, dealt out evenly to the devices of their sign. "binary": with a
    the largest |weight| of the layer, P(+1) = (1 + w / a) / 2. "ternary": P(+1) = max(w / a, 0) and
    P(-1) = max(-w / a, 0) in columns of their own.
    """
    c = _crossbar(program, name)
    weights = layer_weights(program, name)
    sources, size = weights.shape
    blocks, tiles = c.blocks(size), c.tiles(sources)

    def placed(values: np.ndarray) -> np.ndarray:
        """[sources, size] as [blocks, tiles, rows, neurons]."""
        whole = np.zeros((tiles * c.rows, blocks * c.neurons), values.dtype)
        whole[:sources, :size] = values
        return whole.reshape(tiles, c.rows, blocks, c.neurons).transpose(2, 0, 1, 3)

    if c.sampling != "none":
        a = int(np.abs(weights).max(initial=0)) or 1
        if c.sampling == "binary":
            values = placed((1 + weights / a) / 2)
        else:
            both = placed(np.maximum(weights / a, 0)), placed(np.maximum(-weights / a, 0))
            values = np.stack(both, axis=-1)
        shape = (blocks, tiles, c.rows, c.neurons * c.width)
        return Targets(values=values.reshape(shape), scale=np.full(shape[:2], float(a)))
    w = placed(weights)
    size_of = np.abs(w)
    most = size_of.max(axis=(2, 3))
    full = c.devices << (c.cell_bits - 1)
    over = np.maximum(most, 1)[:, :, None, None]
    total = (2 * size_of * full + over) // (2 * over)
    k = np.arange(c.devices)
    share = total[..., None] // c.devices + (k < total[..., None] % c.devices)
    values = np.stack([share * (w > 0)[..., None], share * (w < 0)[..., None]], axis=-1)
    return Targets(
        values=values.reshape(blocks, tiles, c.rows, c.neurons * c.width), scale=most / full
    )


def factors(
    program: Program, name: str, wanted: Targets, gain: float = 1 << 16, headroom: int = 2
) -> tuple[np.ndarray, int]:
    """(`factor` int64 [blocks, tiles, neurons], `fraction`) that give input sums in weight units.

    gain : of the converters, code = charge * gain / 2**16; with `sampling` codes are counts and it
        doesn't count. headroom : bits of a factor's 16 that are left for a compensation of drift,
        which makes factors larger. The fraction is the largest one, up to 24, that leaves them.
        Places without a neuron have 0. UserError if a code is worth more than a factor can say.
    """
    c = _crossbar(program, name)
    worth = wanted.scale if c.sampling != "none" else wanted.scale * (1 << 16) / gain
    most, room = float(worth.max()), (1 << FACTOR_BITS - headroom) - 1
    fraction = next((f for f in range(MOST_FRACTION, 0, -1) if round(most * 2**f) <= room), 0)
    if not fraction:
        raise UserError(
            f"{name}: one step of its converters is worth {most:g} weight units, "
            f"{room / 2:g} can be told; use more ADC bits (--adc-bits) or fewer weight bits "
            "(--weight-bits)"
        )
    size = program.population(name).size
    there = np.arange(c.blocks(size) * c.neurons).reshape(-1, 1, c.neurons) < size
    return np.rint(worth * 2.0**fraction).astype(np.int64)[:, :, None] * there, fraction
