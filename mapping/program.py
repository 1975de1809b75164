"""The Program: a quantised model in integers, the one thing that golden model and mapper share.

Time. A step computes populations in order of `level`. A projection with delay 0 delivers within
the step (source level < target level); one with delay 1 delivers to the next step (recurrence).
Input populations have level 0 and are given by the stimulus. All state starts at 0.

The integer equations of a neuron stand in `hdl/params/neuron.py`. How a population sums its input
is told by its `dendrites`:

- None: exactly, event by event, as these equations say.
- Streams: the sum over all its projections, of delay 0 and 1, is a dot product of bit-streams, by
  the equations of `hdl/params/sc/dense.py`. Inputs j count through the projections in the order of
  the Program, in each through the source's neurons. A source has one projection of each delay.
- Crossbar: the sum is read from banks of memristive devices, by the equations of
  `hdl/params/crossbar/dendrites.py`, which also tell what stands in `arrays`. Inputs j count as for
  streams. Every row of its projections is full, with weights of 0 too: they are what the devices
  were programmed to, and say nothing of what they are.
- AttentionParams: the sum is the answer A (0 or 1) of an attention head, by the equations of
  `hdl/params/sc/attention.py`; neuron token * dim + d gets A[token, d]. It has three projections,
  one for each `port`, "query", "key" and "value": neuron n of the source sets bit n of that array.
- Diagonal: the sum is read from a linear recurrence, by the equations of
  `hdl/params/ssm/diagonal.py`, which also tell what stands in `arrays`. It has one projection, one
  to one (row r has target r alone, weight 1, exponent 0): neuron n of the source feeds u[n].
- Gate: the sum is a product, by the equations of `hdl/params/ssm/gate.py`. It has one projection
  for each `port`, "left" and "right": neuron n of the source feeds that input n, one to one unless
  the gate spreads its inputs.

The rest of the neuron equations then follows. Of a population with `winners` only these send, by
the equations of `hdl/params/winners.py`; it sums exactly, has whole groups, and its neurons emit in
one way.

On disk: a directory with `program.json` (schema version, everything but arrays) and
`arrays.npz`; no pickles; same Program, same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import FIELDS, Emit, sends_value
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from hdl.params.winners import Winners

__all__ = ["VERSION", "Formats", "Input", "Population", "Program", "Projection"]

VERSION = 1
#: Bit of an Emit that is read from a table.
TABLED = 2 << 2


@dataclass(frozen=True, kw_only=True)
class Formats:
    """Widths that hold for the whole Program (meaning: hdl/params/neuron.py)."""

    membrane_bits: int = 16
    current_bits: int = 0
    decay_bits: int = 12
    payload_bits: int = 0
    table_bits: int = 0


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
    `payload_scale`: real value of one unit of an emitted value (1.0 for spikes), the largest over
    the neurons; see `emission_scale`.
    `node`: the model's node that it came from; `kind`: that node's kind ("LIF", "LI", ...).
    `apart`: populations of one such name share cores only with each other, if there are enough; "":
    with all others. `winners`: who sends, None: all.
    `dendrites`: how it sums its input (see the module); None: exactly. `arrays`: int64, the data of
    its devices or states; "table" [2**table_bits] what it emits, where its emission is read from a
    table (Emit.TABLE); empty otherwise.
    """

    name: str
    kind: str
    size: int
    level: int
    fields: dict[str, np.ndarray]
    membrane_scale: np.ndarray
    payload_scale: float = 1.0
    node: str = ""
    dendrites: Streams | AttentionParams | Crossbar | Diagonal | Gate | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    winners: Winners | None = None
    apart: str = ""

    def __post_init__(self) -> None:
        if set(self.fields) != set(FIELDS):
            raise ValueError(f"{self.name}: fields must be {FIELDS}, not {tuple(self.fields)}")

    @property
    def emission_scale(self) -> np.ndarray:
        """Real value of one unit of what each neuron emits, float [size].

        Values that aren't read from a table count in membrane units times 2**value_shift.
        """
        emit = self.fields["emit"]
        unit = np.where(emit == Emit.STATE, 1.0, 2.0 ** self.fields["value_shift"])
        plain = (emit == Emit.STATE) | (sends_value(emit) & ((emit & TABLED) == 0))
        return np.where(plain, self.membrane_scale * unit, self.payload_scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Synapses between two populations, by source neuron (compressed sparse rows).

    Row r, targets `indices[indptr[r]:indptr[r+1]]` (ascending, distinct), integers `weights`
    shifted left by `exponent`. `weight_bits` 1: weights are -1 and +1, rows are full.
    `port`: into an attention population "query", "key" or "value", one to one (row r has target r
    alone, weight 1, exponent 0) from spikes of as many neurons as it has; into a gate "left" or
    "right", weights of 1 as its equation says; "" otherwise.
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
    port: str = ""


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
