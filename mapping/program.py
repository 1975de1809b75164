"""The Program: a quantised model in integers, the one thing that golden model and mapper share.

Time. A step computes populations in order of `level`. A projection with delay 0 delivers within
the step (source level < target level); one with delay 1 delivers to the next step (recurrence).
Input populations have level 0 and are given by the stimulus. All state starts at 0.

The integer equations of a neuron stand in `hdl/params/neuron.py`.

On disk: a directory with `program.json` (schema version, everything but arrays) and
`arrays.npz`; no pickles; same Program, same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.neuron import FIELDS

__all__ = ["VERSION", "Formats", "Input", "Population", "Program", "Projection"]

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Formats:
    """Widths that hold for the whole Program (meaning: hdl/params/neuron.py)."""

    membrane_bits: int = 16
    current_bits: int = 0
    decay_bits: int = 12
    payload_bits: int = 0


@dataclass(frozen=True, kw_only=True)
class Input:
    """An input population. One unit of its integer value means `scale`; spikes have scale 1.

    `graded`: values are real numbers, quantised as sat(floor(x / scale + 1/2), payload_bits);
    otherwise events are spikes, 0 or 1.
    """

    name: str
    size: int
    graded: bool = False
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Neurons that are updated together.

    `fields`: for each name of hdl.params.neuron.FIELDS an int64 array [size].
    `membrane_scale`: float [size], real value of one unit of the membrane.
    `payload_scale`: real value of one unit of an emitted value (1.0 for spikes).
    `node`: the model's node that it came from; `kind`: that node's kind ("LIF", "LI", ...).
    """

    name: str
    kind: str
    size: int
    level: int
    fields: dict[str, np.ndarray]
    membrane_scale: np.ndarray
    payload_scale: float = 1.0
    node: str = ""

    def __post_init__(self) -> None:
        if set(self.fields) != set(FIELDS):
            raise ValueError(f"{self.name}: fields must be {FIELDS}, not {tuple(self.fields)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Synapses between two populations, by source neuron (compressed sparse rows).

    Row r, targets `indices[indptr[r]:indptr[r+1]]` (ascending, distinct), integers `weights`
    shifted left by `exponent`. `weight_bits` 1: weights are -1 and +1, rows are full.
    """

    source: str
    target: str
    indptr: np.ndarray  # int64 [source size + 1]
    indices: np.ndarray  # int64 [synapses]
    weights: np.ndarray  # int64 [synapses]
    weight_bits: int
    exponent: int = 0
    delay: int = 0
    node: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """A quantised model.

    `outputs`: names of populations whose emissions leave the chip, in order; output number i
    counts through their neurons in that order.
    `readout`: how a decision is read: "count" (most spikes), "last" (largest value at the last
    step), "max" (largest value over the steps), "mean" (largest mean value), "none";
    the lowest number wins a tie.
    `options`: the semantics that were chosen (dt, scheme, reset, ...), for the record.
    `notes`: what the compiler changed, a list of {"node", "change", "effect"}.
    """

    name: str
    formats: Formats
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]  # ascending level
    projections: tuple[Projection, ...]
    outputs: tuple[str, ...]
    readout: str = "count"
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[dict[str, str], ...] = ()

    @property
    def input_size(self) -> int:
        return sum(i.size for i in self.inputs)

    @property
    def output_size(self) -> int:
        return sum(self.population(name).size for name in self.outputs)

    def population(self, name: str) -> Population:
        """The population of that name; KeyError if there is none."""
        for p in self.populations:
            if p.name == name:
                return p
        raise KeyError(name)
