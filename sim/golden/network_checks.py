"""Refusals of the golden network: widths, fields and tables that the equations do not define."""

import numpy as np

from hdl.params.neuron import Emit, Reset, sends_changes, sends_value
from mapping.program import Population, Program

__all__ = ["check_fields"]


def check_fields(program: Program) -> None:
    """Refuse widths and fields for which the equations are not defined or exceed 64 bits."""
    formats = program.formats
    for width, low, high in (
        ("membrane_bits", 2, 32),
        ("current_bits", 0, 32),
        ("decay_bits", 1, 16),
        ("payload_bits", 0, 32),
        ("table_bits", 0, 12),
    ):
        if not low <= getattr(formats, width) <= high:
            raise ValueError(f"{width} must be in {low}..{high}, not {getattr(formats, width)}")
    half = 1 << (formats.membrane_bits - 1)
    ranges = {
        "membrane_decay": (0, 2 << formats.decay_bits),
        "current_decay": (0, 2 << formats.decay_bits),
        "bias": (-half, half),
        "threshold": (-half, half),
        "reset_value": (-half, half),
        "shift": (0, 16),
        "value_shift": (0, 32),
        "reset": (0, 3),
        "emit": (0, max(Emit) + 1),
    }
    level = 1
    for p in program.populations:
        if p.level < level:
            raise ValueError(f"{p.name}: populations must stand in ascending level, from 1")
        level = p.level
        for name, (low, end) in ranges.items():
            values = np.asarray(p.fields[name])
            if values.shape != (p.size,):
                raise ValueError(f"{p.name}: {name} must have {p.size} entries")
            if p.size and not (low <= values.min() and values.max() < end):
                raise ValueError(f"{p.name}: {name} must be in {low}..{end - 1}")
        emit = p.fields["emit"]
        if not np.isin(emit, list(Emit)).all():
            raise ValueError(f"{p.name}: emit must be one of {', '.join(map(str, map(int, Emit)))}")
        if not formats.payload_bits and sends_value(emit).any():
            raise ValueError(f"{p.name}: emits values, but payload_bits is 0")
        changes = sends_changes(emit)
        if changes.any() and (formats.payload_bits < 3 or p.fields["threshold"][changes].min() < 0):
            raise ValueError(f"{p.name}: changes need payload_bits >= 3, threshold >= 0")
        _check_table(p, program)
        _check_winners(p)
    if not formats.payload_bits and any(i.graded for i in program.inputs):
        raise ValueError("an input is graded, but payload_bits is 0")


def _check_winners(p: Population) -> None:
    if p.winners is None:
        return
    f = p.fields
    resets = f["emit"] == Emit.SPIKE
    if p.size % p.winners.group or sends_changes(f["emit"]).any() or len(np.unique(f["emit"])) > 1:
        raise ValueError(f"{p.name}: winners need whole groups that emit alike, and no changes")
    if ((f["reset"] == Reset.SET) | (f["reset_value"] != 0))[resets].any():
        raise ValueError(f"{p.name}: spikes of winners must leave the membrane as it is")


def _check_table(p: Population, program: Program) -> None:
    emit = p.fields["emit"]
    reads = np.isin(emit, (Emit.TABLE, Emit.TABLE_DELTA))
    if not reads.any():
        return
    table, bits = p.arrays.get("table"), program.formats.table_bits
    if not bits or table is None or table.shape != (1 << bits,):
        raise ValueError(f"{p.name}: emits by a table, which must have 2**table_bits entries")
    top = 1 << (program.formats.payload_bits - 1 - int((emit == Emit.TABLE_DELTA).any()))
    if not -top <= table.min() <= table.max() < top:
        raise ValueError(f"{p.name}: table must be in {-top}..{top - 1}")
