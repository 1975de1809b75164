"""What every population sends: events per step for the mapper, a raster for the report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hdl.params.neuron import Emit

if TYPE_CHECKING:
    from mapping.program import Program

__all__ = ["by_name", "chunks", "measured", "observed", "raster"]

#: Values of all populations held at once.
CHUNK_VALUES = 1 << 23
#: Neurons and steps of a population that a raster keeps.
MOST_NEURONS, MOST_STEPS, MOST_TRACES = 320, 400, 16
#: Steps in which events are counted; what silent neurons count as, so that they have a place too.
COUNTED_STEPS, FLOOR = 4096, 1 / 64


def observed(program: Program) -> tuple[Program, dict[str, slice]]:
    """The Program with all populations as outputs, and where each stands in them."""
    places, first = {}, 0
    for p in program.populations:
        places[p.name] = slice(first, first + p.size)
        first += p.size
    return replace(program, outputs=tuple(places)), places


def chunks(program: Program, samples: int, steps: int) -> Iterator[slice]:
    """Samples in parts whose emissions of all neurons fit into memory well."""
    neurons = max(1, sum(p.size for p in program.populations))
    size = max(1, CHUNK_VALUES // max(1, steps * neurons))
    for first in range(0, samples, size):
        yield slice(first, min(first + size, samples))


def measured(program: Program, events: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """float32 [inputs + neurons]: events per step of the golden model, inputs first.

    Counted over the first samples, COUNTED_STEPS steps or one sample, of `events` [samples, steps,
    inputs], integers.
    """
    from sim.golden.network import Golden

    lengths = np.full(len(events), events.shape[1]) if lengths is None else lengths
    samples = max(1, int(np.searchsorted(np.cumsum(lengths), COUNTED_STEPS, side="right")))
    events, lengths = events[:samples], lengths[:samples]
    wide, _ = observed(program)
    golden, threads = Golden(wide), os.cpu_count() or 1
    inside = np.arange(events.shape[1]) < lengths[:, None]
    sent = np.count_nonzero(events[inside], axis=0)
    counts = np.zeros(wide.output_size, np.int64)
    for part in chunks(program, len(events), events.shape[1]):
        outputs = golden.run(events[part], lengths[part], threads=threads).outputs
        counts += np.count_nonzero(outputs, axis=(0, 1))
    return (np.concatenate([sent, counts]) / max(int(lengths.sum()), 1)).astype(np.float32)


def by_name(program: Program, counted: np.ndarray) -> dict[str, np.ndarray]:
    """What `measured` found, as the mapper takes it: silent ones count FLOOR events per step."""
    sizes = {i.name: i.size for i in program.inputs} | {p.name: p.size for p in program.populations}
    parts = np.split(np.maximum(counted, np.float32(FLOOR)), np.cumsum([*sizes.values()])[:-1])
    return dict(zip(sizes, parts, strict=True))


def raster(program: Program, events: np.ndarray, source: str) -> dict[str, Any]:
    """One sample [steps, inputs] and what each population sent, as the report draws it.

    {"source", "steps", "rows": [{"name", "role", "size", "every", "spikes" or "values"}]}: per
    step the numbers of the neurons that sent something, as text; of outputs that are values, a
    list per neuron. `every`: only each such neuron is kept.
    """
    from sim.golden.network import Golden

    steps = min(len(events), MOST_STEPS)
    wide, places = observed(program)
    sent = Golden(wide).run(events[None, :steps]).outputs[0]
    rows: list[dict[str, Any]] = []
    first = 0
    for i in program.inputs:
        rows.append(_row(i.name, "input", events[:steps, first : first + i.size]))
        first += i.size
    for p in program.populations:
        role = "output" if p.name in program.outputs else "hidden"
        values = sent[:, places[p.name]]
        if (p.fields["emit"] == Emit.STATE).all():
            kept = (values * p.membrane_scale)[:, :MOST_TRACES]
            traces = [[float(f"{x:.5g}") for x in neuron] for neuron in kept.T]
            rows.append({"name": p.name, "role": role, "size": p.size, "values": traces})
        else:
            rows.append(_row(p.name, role, values))
    return {"source": source, "steps": steps, "rows": rows}


def _row(name: str, role: str, values: np.ndarray) -> dict[str, Any]:
    every = -(-values.shape[1] // MOST_NEURONS)
    kept = values[:, ::every]
    spikes = [" ".join(map(str, np.flatnonzero(step).tolist())) for step in kept]
    return {"name": name, "role": role, "size": values.shape[1], "every": every, "spikes": spikes}
