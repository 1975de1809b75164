"""The range of a layer's converters: the largest charge that its inputs make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hdl.params.crossbar.array import GAIN_BITS
from hdl.params.crossbar.dendrites import Crossbar

if TYPE_CHECKING:
    from mapping.program import Program

__all__ = ["charges", "converter_gain", "inputs_of"]

#: A converter's range beyond the largest charge that was seen.
HEADROOM = 1.1
#: Steps of a stimulus that a range is taken from.
MOST_STEPS = 4096


def charges(crossbar: Crossbar, levels: np.ndarray, values: np.ndarray) -> float:
    """The largest charge of a bank's columns for inputs [steps, sources], without noise."""
    blocks, tiles, rows, _ = levels.shape
    whole = np.zeros((len(values), tiles * rows), np.int64)
    whole[:, : values.shape[1]] = values
    most = 0.0
    for sign in (1, -1) if crossbar.value_bits else (1,):
        size = np.maximum(sign * whole, 0)
        serial = crossbar.input == "serial" and crossbar.value_bits
        for k in range(crossbar.value_bits if serial else 1):
            drive = (size >> k & 1 if serial else size).astype(np.float32)
            for t in range(tiles):
                part = drive[:, t * rows : (t + 1) * rows]
                if part.any():
                    for b in range(blocks):
                        most = max(most, float((part @ levels[b, t].astype(np.float32)).max()))
    return most


def inputs_of(
    program: Program, sources: Sequence[str], events: np.ndarray, lengths: Any
) -> np.ndarray:
    """What inputs and populations of these names send, [steps, neurons], in some steps of a
    stimulus that have events."""
    from codesign.activity import chunks, observed
    from sim.golden.network import Golden

    wide, places = observed(program)
    part = next(chunks(program, *events.shape[:2]))
    sent = Golden(wide).run(events[part], None if lengths is None else lengths[part]).outputs
    first, given = 0, {}
    for i in program.inputs:
        given[i.name] = events[part][..., first : first + i.size]
        first += i.size
    parts = [given[s] if s in given else sent[..., places[s]] for s in sources]
    values = np.concatenate(parts, -1)
    values = values.reshape(-1, values.shape[-1])
    used = values[values.any(1)]
    return used[:: max(1, len(used) // MOST_STEPS)]


def converter_gain(crossbar: Crossbar, levels: np.ndarray, values: np.ndarray) -> int:
    """Gain, in units of 2**-16 codes, at which the largest charge of these inputs, and a device of
    g_max, just fit."""
    most = HEADROOM * charges(crossbar, levels, values) if len(values) else 0.0
    most = max(most, float(1 << (crossbar.cell_bits - 1)))
    return min(max(int(((1 << crossbar.adc_bits) - 1 << 16) / most), 1), (1 << GAIN_BITS) - 1)
