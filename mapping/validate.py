"""What is wrong with a Program: every rule of mapping/program.py, checked at once."""

from __future__ import annotations

import math

import numpy as np

from hdl.params.neuron import FIELDS, Emit, sends_changes, sends_value
from mapping.changes import change_problems
from mapping.dendrites import dendrite_problems
from mapping.program import Population, Program, Projection

__all__ = ["problems"]

READOUTS = ("count", "last", "max", "mean", "none")
#: (name, least, most) of whole numbers; sizes are limited so that a bad file can't fill memory.
FORMATS = (
    ("membrane_bits", 2, 32),
    ("current_bits", 0, 32),
    ("decay_bits", 1, 16),
    ("payload_bits", 0, 18),
    ("table_bits", 0, 12),
)
MOST_NEURONS = 1 << 26
SIGNED = ("bias", "threshold", "reset_value")


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _positive(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _bounds(name: str, program: Program) -> tuple[int, int]:
    """Least and most value of a neuron field."""
    if name in SIGNED:
        top = 1 << (program.formats.membrane_bits - 1)
        return -top, top - 1
    if name.endswith("_decay"):
        return 0, (1 << (program.formats.decay_bits + 1)) - 1
    return 0, {"shift": 15, "value_shift": 31, "reset": 2, "emit": max(Emit)}[name]


def _array(name: str, value: object, dtype: type, shape: tuple[int, ...]) -> str | None:
    if not isinstance(value, np.ndarray):
        return f"{name} must be an array, not {type(value).__name__}"
    if value.dtype != dtype:
        return f"{name} must hold {np.dtype(dtype).name}, not {value.dtype}"
    if value.shape != shape:
        return f"{name} must have shape {shape}, not {value.shape}"
    return None


def _population(p: Population, program: Program) -> list[str]:
    found = []
    if not _whole(p.size, 1, MOST_NEURONS):
        return [f"size must be in 1..{MOST_NEURONS}, not {p.size!r}"]
    if not _whole(p.level, 0, MOST_NEURONS):
        found.append(f"level must be a number of at least 0, not {p.level!r}")
    if not _positive(p.payload_scale):
        found.append(f"payload_scale must be a positive number, not {p.payload_scale!r}")
    for name in FIELDS:
        value = p.fields[name]
        wrong = _array(name, value, np.int64, (p.size,))
        if wrong:
            found.append(wrong)
            continue
        low, high = _bounds(name, program)
        bad = value[(value < low) | (value > high)]
        if len(bad):
            found.append(f"{name} must be in {low}..{high}, not {bad[0]}")
    found += found or _emission(p, program)
    wrong = _array("membrane_scale", p.membrane_scale, np.float64, (p.size,))
    if wrong:
        found.append(wrong)
    elif not (np.isfinite(p.membrane_scale) & (p.membrane_scale > 0)).all():
        found.append("membrane_scale must be positive and finite")
    return found


def _emission(p: Population, program: Program) -> list[str]:
    """Problems of what neurons with legal fields emit."""
    emit, bits, found = p.fields["emit"], program.formats.payload_bits, []
    if not np.isin(emit, list(Emit)).all():
        wrong = emit[~np.isin(emit, list(Emit))][0]
        return [f"emit must be one of {', '.join(str(int(e)) for e in Emit)}, not {wrong}"]
    changes = sends_changes(emit)
    if sends_value(emit).any() and not bits:
        found.append("emitting values needs payload_bits in formats")
    elif changes.any() and bits < 3:
        found.append(f"emitting changes needs payload_bits of at least 3 in formats, not {bits}")
    if (negative := p.fields["threshold"][changes & (p.fields["threshold"] < 0)]).size:
        found.append(f"threshold must be at least 0 where changes are sent, not {negative[0]}")
    return found + _table(p, program, np.isin(emit, (Emit.TABLE, Emit.TABLE_DELTA)), changes)


def _table(p: Population, program: Program, reads: np.ndarray, changes: np.ndarray) -> list[str]:
    """Problems of the table that the neurons `reads` look their values up in."""
    if not reads.any():
        return ["has a table, but no neuron emits by it"] if "table" in p.arrays else []
    if not program.formats.table_bits:
        return ["emitting by a table needs table_bits in formats"]
    if "table" not in p.arrays:
        return ["emitting by a table needs one in arrays"]
    table, bits = p.arrays["table"], program.formats.payload_bits - int((reads & changes).any())
    top = 1 << max(bits - 1, 0)
    if wrong := _array("table", table, np.int64, (1 << program.formats.table_bits,)):
        return [wrong]
    if not -top <= table.min() <= table.max() < top:
        return [f"table must be in {-top}..{top - 1}, not {table.min()}..{table.max()}"]
    return []


def _synapses(p: Projection, sources: int, targets: int) -> list[str]:
    """Problems of a projection's arrays."""
    synapses = len(p.weights) if isinstance(p.weights, np.ndarray) and p.weights.ndim == 1 else 0
    wrong = [
        _array("indptr", p.indptr, np.int64, (sources + 1,)),
        _array("indices", p.indices, np.int64, (synapses,)),
        _array("weights", p.weights, np.int64, (synapses,)),
    ]
    found = [w for w in wrong if w]
    if found:
        return found
    if p.indptr[0] != 0 or p.indptr[-1] != synapses or (np.diff(p.indptr) < 0).any():
        return [f"indptr must rise from 0 to the number of synapses, {synapses}"]
    if synapses and (p.indices.min() < 0 or p.indices.max() >= targets):
        found.append(f"indices must be in 0..{targets - 1}")
    rises = np.diff(p.indices) > 0
    starts = p.indptr[1:-1]
    rises[starts[(starts > 0) & (starts < synapses)] - 1] = True
    if not rises.all():
        row = int(np.searchsorted(p.indptr, np.argmin(rises), side="right")) - 1
        found.append(f"indices of a row must ascend without repeats, those of row {row} do not")
    if p.weight_bits == 1:
        if not np.isin(p.weights, (-1, 1)).all():
            found.append("weights must be -1 or 1 where weight_bits is 1")
        if (np.diff(p.indptr) != targets).any():
            found.append("rows must be full where weight_bits is 1")
    elif _whole(p.weight_bits, 2, 16):
        top = 1 << (p.weight_bits - 1)
        bad = p.weights[(p.weights < -top) | (p.weights >= top)]
        if len(bad):
            found.append(
                f"weights must be in {-top}..{top - 1} ({p.weight_bits} bits), not {bad[0]}"
            )
    return found


def _projection(p: Projection, program: Program, ends: dict[str, tuple[int, int]]) -> list[str]:
    found = []
    for name, low, high in (("weight_bits", 1, 16), ("exponent", 0, 15), ("delay", 0, 1)):
        if not _whole(getattr(p, name), low, high):
            found.append(f"{name} must be in {low}..{high}, not {getattr(p, name)!r}")
    populations = {q.name: q for q in program.populations}
    if p.source not in ends:
        found.append(f"there is no input or population {p.source!r}")
    if p.target not in populations:
        found.append(f"there is no population {p.target!r}")
    if p.source not in ends or p.target not in populations:
        return found
    (sources, before), (targets, after) = ends[p.source], ends[p.target]
    if p.delay == 0 and not before < after:
        found.append(f"delay 0 needs a source level below the target's, not {before} and {after}")
    if p.delay == 1 and p.source in populations and not after <= before:
        found.append(
            f"delay 1 needs a target level not above the source's, not {after} and {before}"
        )
    if (
        p.source in populations
        and np.isin(populations[p.source].fields["emit"], (Emit.STATE,)).any()
    ):
        found.append(f"{p.source} emits its state, which only leaves the chip")
    return found + _synapses(p, sources, targets)


def problems(program: Program) -> list[str]:
    """One line for every broken rule; empty for a valid Program."""
    formats = program.formats
    found = [
        f"formats: {name} must be in {low}..{high}, not {getattr(formats, name)!r}"
        for name, low, high in FORMATS
        if not _whole(getattr(formats, name), low, high)
    ]
    if found:
        return found
    names = [i.name for i in program.inputs] + [p.name for p in program.populations]
    for name in sorted({n for n in names if names.count(n) > 1}):
        found.append(f"{name}: the name is used twice")
    for i in program.inputs:
        if not _whole(i.size, 1, MOST_NEURONS):
            found.append(f"{i.name}: size must be in 1..{MOST_NEURONS}, not {i.size!r}")
        if not _positive(i.scale):
            found.append(f"{i.name}: scale must be a positive number, not {i.scale!r}")
        if i.graded and not formats.payload_bits:
            found.append(f"{i.name}: a graded input needs payload_bits in formats")
    for p in program.populations:
        found += [f"{p.name}: {text}" for text in _population(p, program)]
    if found:
        return found
    levels = [p.level for p in program.populations]
    if levels != sorted(levels):
        found.append("populations: they must stand by ascending level")
    ends = {i.name: (i.size, 0) for i in program.inputs}
    ends |= {p.name: (p.size, p.level) for p in program.populations}
    for q in program.projections:
        texts = _projection(q, program, ends)
        found += [f"{q.source}->{q.target}: {text}" for text in texts]
    for name in program.outputs:
        if name not in {p.name for p in program.populations}:
            found.append(f"outputs: there is no population {name!r}")
    if len(set(program.outputs)) < len(program.outputs):
        found.append("outputs: a population is named twice")
    if program.readout not in READOUTS:
        found.append(f"readout: must be one of {', '.join(READOUTS)}, not {program.readout!r}")
    return found or dendrite_problems(program) + change_problems(program)
