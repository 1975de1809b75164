"""Host words: a stimulus as words to the fabric, its answers as outputs.

A sample is: clear; with a state to start from, STEP with mask 0, so that the clear is over, and
writes of that state; for each tick the input events of the step that starts there, then STEP with
the tick's mask; STEP with mask 0, whose MARK closes the last tick. With `probe`, then for each
run of items a read of these states and a STEP with mask 0 (replies don't name their tile; the
MARKs keep runs apart). Every STEP is answered by one MARK, so samples may follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.mapped import Mapped
from sim.states import (
    States,
    probe_runs,
    probe_words,
    read_states,
    start_words,
    state_chunks,
)
from sim.words import (
    control_words,
    event_body,
    flit_words,
    load_words,
    signed,
    split_marks,
    step_words,
    u64,
)

__all__ = [
    "Decoded",
    "decode",
    "encode",
    "encode_batch",
    "output_levels",
    "load_words",
    "replies",
]

#: Errors that are spelled out; the others are only counted.
SHOWN_ERRORS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """Answers of the fabric, one row per sample.

    outputs : int64 [samples, steps, outputs], 0 where nothing came.
    cycles : int64 [samples, 1 + ticks]: clear, writes of states and delivery of the first inputs,
        then from each tick's STEP until the fabric was at rest and the next STEP had come.
    probes : the states after each sample (sim/states.py); empty without `probe`.
    errors : what can't be: an output twice, at the wrong time, unknown, a MARK too few.
    """

    outputs: np.ndarray
    cycles: np.ndarray
    probes: States = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def _input_flits(mapped: Mapped, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(step, word) of the flits of one sample's events, in order of steps."""
    steps_of, words = [], []
    for routes, late in ((mapped.input_routes, 0), (mapped.delayed_routes, 1)):
        if not routes:
            continue
        step, number = np.nonzero(inputs[: len(inputs) - late])
        value = inputs[step, number]
        counts = np.array([len(r) for r in routes], dtype=np.int64)
        begin = np.cumsum(counts) - counts
        flat = [route for r in routes for route in r]
        if not flat:
            continue
        tag, rows, columns = (u64([r[i] for r in flat]) for i in range(3))
        times = counts[number]
        which = np.repeat(begin[number] - (np.cumsum(times) - times), times)
        which += np.arange(times.sum())
        body = event_body(mapped, tag[which], np.repeat(value, times))
        words.append(flit_words(mapped, body, rows[which], columns[which]))
        steps_of.append(np.repeat(step + late, times))
    if not words:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    step, word = np.concatenate(steps_of), np.concatenate(words)
    order = np.argsort(step, kind="stable")
    return step[order], word[order]


def _check_inputs(mapped: Mapped, inputs: np.ndarray) -> np.ndarray:
    program = mapped.program
    inputs = np.asarray(inputs)
    if inputs.ndim == 2:
        inputs = inputs[None]
    if inputs.ndim != 3 or inputs.shape[2] != program.input_size:
        raise UserError(
            f"stimulus must be [samples, steps, {program.input_size}], not {inputs.shape}"
        )
    if inputs.dtype.kind not in "biu":
        raise UserError(f"stimulus must be integers, not {inputs.dtype}")
    inputs = inputs.astype(np.int64, copy=False)
    first = 0
    half = 1 << max(program.formats.payload_bits - 1, 0)
    for i in program.inputs:
        part = inputs[:, :, first : first + i.size]
        low, high = (-half, half - 1) if i.graded else (0, 1)
        if part.size and (part.min() < low or part.max() > high):
            raise UserError(
                f"stimulus of {i.name} must be in {low}..{high}, not {part.min()}..{part.max()}"
            )
        first += i.size
    return inputs


def encode(mapped: Mapped, inputs: np.ndarray, **options: Any) -> np.ndarray:
    """The words of `encode_batch`, same options."""
    return encode_batch(mapped, inputs, **options)[0]


def encode_batch(
    mapped: Mapped,
    inputs: np.ndarray,
    *,
    clear: bool = True,
    load: bool = False,
    control: bool = False,
    probe: bool = False,
    start: States | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Words (uint64) for a stimulus [steps, inputs] or [samples, steps, inputs].

    Returns also where each sample's words begin and end: int64 [samples + 1]. With `load`, the
    words that fill the memories stand first; with `control`, those that set stream length,
    tolerance and margin of stochastic cores to the Program's; both belong to the first sample.
    `start` : states that samples start from (sim/states.py, checked).
    """
    inputs = _check_inputs(mapped, inputs)
    steps = inputs.shape[1]
    schedule = mapped.schedule
    masks = step_words(mapped, np.append(schedule.masks(steps), np.uint64(0)))
    begin = [step_words(mapped, [0], clear=True)] if clear else []
    restore = np.zeros((len(inputs), 0), np.uint64)
    if start is not None:
        begin.append(step_words(mapped, [0]))
        restore = start_words(mapped, start, len(inputs))
    end = [probe_words(mapped)] if probe else []
    parts = [load_words(mapped)] if load else []
    parts += [control_words(mapped)] if control else []
    offsets = [0]
    size = sum(len(p) for p in parts)
    for sample, states in zip(inputs, restore, strict=True):
        step, flits = _input_flits(mapped, sample)
        before = np.searchsorted(step * schedule.interval, np.arange(len(masks)), side="right")
        words = np.empty(len(flits) + len(masks), dtype=np.uint64)
        at = np.arange(len(masks)) + before
        rest = np.ones(len(words), dtype=bool)
        rest[at] = False
        words[at], words[rest] = masks, flits
        pieces = [*begin, states, words, *end]
        parts += pieces
        size += sum(len(p) for p in pieces)
        offsets.append(size)
    return np.concatenate([np.zeros(0, np.uint64), *parts]), np.array(offsets, dtype=np.int64)


def replies(
    mapped: Mapped, steps: int, *, clear: bool = True, probe: bool = False, start: bool = False
) -> int:
    """MARKs that a sample of that many steps is answered with."""
    ticks = mapped.schedule.ticks(steps)
    return int(clear) + int(start) + ticks + 1 + len(probe_runs(mapped)) * probe


def output_levels(mapped: Mapped) -> tuple[np.ndarray, np.ndarray]:
    """Level and kind of emission of each output number."""
    program = mapped.program
    populations = [program.population(name) for name in program.outputs]
    if not populations:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    level = np.repeat([p.level for p in populations], [p.size for p in populations])
    return level, np.concatenate([p.fields["emit"] for p in populations])


def decode(
    mapped: Mapped,
    words: np.ndarray,
    steps: int,
    *,
    clear: bool = True,
    probe: bool = False,
    start: bool = False,
) -> Decoded:
    """The fabric's answers to `encode` of samples of `steps` steps, same options."""
    words = np.asarray(words, dtype=np.uint64)
    flit, schedule = mapped.mesh.flit, mapped.schedule
    ticks = schedule.ticks(steps)
    each = replies(mapped, steps, clear=clear, probe=probe, start=start)
    lead = int(clear) + int(start)  # MARKs before the first tick's
    mark, before = split_marks(mapped, words)
    marks = words[mark] & u64((1 << mapped.host.body_bits) - 1)
    samples = -(-len(marks) // each)
    errors: list[str] = []
    if len(marks) % each:
        errors.append(f"{len(marks)} MARKs came, a multiple of {each} expected")
    cycles = np.zeros(samples * each, dtype=np.int64)
    cycles[: len(marks)] = marks
    cycles = cycles.reshape(samples, each)[:, : lead + 1 + ticks]
    before_ticks = cycles[:, int(clear) : lead + 1].sum(axis=1, keepdims=True)
    cycles = np.hstack([before_ticks, cycles[:, lead + 1 :]])

    body = words & u64((1 << flit.body_bits) - 1)
    config = (words >> u64(flit.body_bits)) & u64(1) == 1
    event = np.flatnonzero(~mark & ~config)
    sample, tick = before[event] // each, before[event] % each - lead - 1
    tag = (body[event] >> u64(flit.value_bits)) & u64((1 << flit.tag_bits) - 1)
    number = tag.astype(np.int64)
    value = signed(body[event], flit.value_bits) if flit.value_bits else np.ones(len(event), int)
    level, emit = output_levels(mapped)
    size = len(level)
    known = (number < size) & (sample < samples)
    since = tick - (level[np.minimum(number, size - 1)] - 1 if size else 0)
    step = since // schedule.interval
    good = known & (since % schedule.interval == 0) & (step >= 0) & (step < steps)
    good &= (tick >= 0) & (tick < ticks)
    for i in np.flatnonzero(~good)[:SHOWN_ERRORS]:
        errors.append(
            f"sample {sample[i]}, tick {tick[i]}: output {number[i]} is not due (value {value[i]})"
        )
    outputs = np.zeros((samples, steps, size), dtype=np.int64)
    flat = (sample[good] * steps + step[good]) * max(size, 1) + number[good]
    times = np.bincount(flat, minlength=outputs.size)
    for i in np.flatnonzero(times > 1)[:SHOWN_ERRORS]:
        s, t, o = np.unravel_index(i, outputs.shape)
        errors.append(f"sample {s}, step {t}: output {o} came {times[i]} times")
    outputs.reshape(-1)[flat] = value[good]
    always = np.flatnonzero(emit == Emit.STATE)
    if len(always):
        missing = np.argwhere(times.reshape(outputs.shape)[:, :, always] == 0)
        for s, t, o in missing[:SHOWN_ERRORS]:
            errors.append(f"sample {s}, step {t}: output {always[o]} did not come")
    probes = {}
    if probe:
        chosen = np.flatnonzero(~mark & config)
        probes = _probes(mapped, body[chosen], before[chosen], each, samples, errors)
    elif config[~mark].any():
        errors.append("configuration replies came that nobody asked for")
    return Decoded(outputs=outputs, cycles=cycles, probes=probes, errors=tuple(errors))


def _probes(
    mapped: Mapped,
    body: np.ndarray,
    before: np.ndarray,
    each: int,
    samples: int,
    errors: list[str],
) -> States:
    """All states from the replies to `probe_words`."""
    runs = probe_runs(mapped)
    chunk = u64((1 << mapped.mesh.flit.chunk_bits) - 1)
    parts: dict[int, np.ndarray] = {}
    for k, (tile, core, items) in enumerate(runs):
        chunks = state_chunks(mapped, core)
        shape = samples, core.state_items, chunks
        state = parts.setdefault(tile, np.zeros(shape, np.uint64))
        turns = (np.arange(samples) + 1) * each - len(runs) + k
        starts, ends = np.searchsorted(before, turns), np.searchsorted(before, turns + 1)
        for sample, (first, end) in enumerate(zip(starts, ends, strict=True)):
            if end - first != len(items) * chunks:
                errors.append(
                    f"sample {sample}, tile {tile}: {end - first} replies came, "
                    f"{len(items) * chunks} expected"
                )
                continue
            state[sample, items] = (body[first:end] & chunk).reshape(-1, chunks)
    return read_states(mapped, parts, samples)
