"""How far the sums of stochastic layers are from exact ones, measured on a stimulus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hdl.params.neuron import Emit, Reset
from hdl.params.sc.dense import Streams
from mapping.program import Population, Program
from mapping.streams import relative_tolerance
from sim.golden.network import Golden, State
from sim.golden.sc.dense import chosen, sums

__all__ = ["StreamError", "stream_errors"]

#: Steps of the stimulus that are measured at most, and values that are held at once.
MOST_STEPS, BLOCK = 4096, 1 << 22


@dataclass(frozen=True, kw_only=True)
class StreamError:
    """One stochastic layer.

    Members
    -------
    node : the layer. stream_length, generator, generators : of its streams.
    full_period : the longest stream; what it computes is exact with Sobol's numbers, unless that
        needs more than 2**16 bits.
    tolerance : of early termination, in largest products; None: never. margin : in last places of a
        stream, of neurons that spike; None: never.
    mean_length : mean bits of a stream that a sum took.
    rms_drive : root mean square of the exact weighted input of a step, in the layer's real units.
    rms_error : that of the difference between stochastic and exact input.
    relative_error : rms_error over rms_drive; None where there was no input.
    threshold_share : rms_error over the mean distance from 0 to the threshold; None for layers
        that do not spike.
    """

    node: str
    stream_length: int
    full_period: int
    generator: str
    generators: int
    tolerance: float | None
    margin: int | None
    mean_length: float
    rms_drive: float
    rms_error: float
    relative_error: float | None
    threshold_share: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _inputs(program: Program, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Of each projection into a population, in order: its delay and weights [sources, neurons]."""
    size = program.population(name).size
    for q in program.projections:
        if q.target == name:
            matrix = np.zeros((len(q.indptr) - 1, size), np.int64)
            rows = np.repeat(np.arange(len(matrix)), np.diff(q.indptr))
            matrix[rows, q.indices] = q.weights << q.exponent
            yield q.delay, matrix


def _distance(program: Program, p: Population, state: State) -> np.ndarray:
    """What the shifted inputs must exceed for a spike, given the state before an update."""
    f, widths = p.fields, program.formats
    half = 1 << (widths.decay_bits - 1)
    rest = ((state.membrane * f["membrane_decay"] + half) >> widths.decay_bits) + f["bias"]
    if widths.current_bits:
        rest += (state.current * f["current_decay"] + half) >> widths.decay_bits
    delayed = (f["reset"] == Reset.DELAYED) & (state.membrane > f["threshold"])
    return f["threshold"] - rest + f["reset_value"] * delayed


def _one(program: Program, p: Population, values: np.ndarray, weights: np.ndarray,
         distance: np.ndarray) -> StreamError:  # fmt: skip
    """`values` [steps, sources] are what one layer was sent, `weights` [sources, neurons],
    `distance` [steps, neurons] what its neurons lacked."""
    streams = p.dendrites
    assert isinstance(streams, Streams)
    spiking = p.fields["emit"] == Emit.SPIKE
    unit = p.membrane_scale * 2.0 ** p.fields["shift"]
    wrong = right = bits = 0.0
    size = max(1, BLOCK // max(weights.shape))
    for first in range(0, len(values), size):
        part = values[first : first + size]
        exact = part @ weights
        every, far = sums(streams, weights, part), distance[first : first + size]
        found, k = chosen(streams, every, far, p.fields["shift"], spiking)
        wrong += float((((found - exact) * unit) ** 2).sum())
        right += float(((exact * unit) ** 2).sum())
        bits += float((1 << k).sum())
    count = max(len(values) * p.size, 1)
    error, drive = float(np.sqrt(wrong / count)), float(np.sqrt(right / count))
    far = np.abs(p.fields["threshold"] * p.membrane_scale)[spiking]
    return StreamError(
        node=p.name,
        stream_length=1 << streams.log2_length,
        full_period=1 << streams.source_bits,
        generator=streams.generator,
        generators=streams.generators,
        tolerance=relative_tolerance(streams),
        margin=None if streams.margin < 0 else streams.margin,
        mean_length=bits / count,
        rms_drive=drive,
        rms_error=error,
        relative_error=error / drive if drive else None,
        threshold_share=error / float(far.mean()) if len(far) and far.any() else None,
    )


def stream_errors(
    program: Program, events: np.ndarray, lengths: np.ndarray | None = None
) -> list[StreamError]:
    """Every stochastic layer, given what the golden model sends it on events [samples, steps,
    inputs] (the first MOST_STEPS steps of them)."""
    layers = [p for p in program.populations if isinstance(p.dendrites, Streams)]
    if not layers:
        return []
    samples = max(1, min(len(events), MOST_STEPS // max(events.shape[1], 1)))
    events = np.asarray(events)[:samples, :MOST_STEPS]
    ends = np.full(samples, events.shape[1]) if lengths is None else np.asarray(lengths)[:samples]
    ends = np.minimum(ends, events.shape[1])
    everything = replace(program, outputs=tuple(p.name for p in program.populations))
    any_margin = any(isinstance(p.dendrites, Streams) and p.dendrites.margin >= 0 for p in layers)
    ran = Golden(everything).run(events, ends, record_state=any_margin)
    sent = ran.outputs
    valid = np.arange(events.shape[1]) < ends[:, None]
    emitted: dict[str, np.ndarray] = {}
    for whole, things in ((events, program.inputs), (sent, program.populations)):
        first = 0
        for thing in things:
            emitted[thing.name] = whole[..., first : first + thing.size].astype(np.int64)
            first += thing.size
    found = []
    for p in layers:
        sources = [q.source for q in program.projections if q.target == p.name]
        values, weights = [], []
        for name, (delay, matrix) in zip(sources, _inputs(program, p.name), strict=True):
            x = emitted[name]
            values.append(np.pad(x, ((0, 0), (delay, 0), (0, 0)))[:, : x.shape[1]][valid])
            weights.append(matrix)
        distance = np.zeros((len(values[0]), p.size), np.int64)  # where nobody asks for it
        if ran.state is not None:
            before = [np.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1][valid] for x in ran.state[p.name]]
            distance = _distance(program, p, State(*before))
        found.append(_one(program, p, np.concatenate(values, 1), np.concatenate(weights), distance))
    return found
