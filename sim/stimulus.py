"""Stimulus and output files: .npz archives of plain arrays, checked before anything runs.

A stimulus file holds `events` or `spikes` (0 and 1) or `values` (real numbers), each
[steps, inputs] for one sample or [samples, steps, inputs], and may hold `labels` [samples] (the
right output of each sample) and `lengths` [samples] (steps that a sample has).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.program import Program
from sim.npz import read_npz, write_npz

__all__ = [
    "Stimulus",
    "quantise_inputs",
    "read_stimulus",
    "real_outputs",
    "write_outputs",
]

_KEYS = ("events", "spikes", "values")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stimulus:
    """What is shown to a model.

    Members
    -------
    inputs : [samples, steps, inputs], uint8 spikes (0, 1) or float64 real values.
    lengths : int64 [samples], steps of each sample; later steps are padding.
    labels : int64 [samples], the right output of each sample; None if unknown.
    source : where it came from, for messages.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray | None = None
    source: str = "stimulus"

    @property
    def samples(self) -> int:
        return len(self.inputs)

    @property
    def steps(self) -> int:
        return self.inputs.shape[1]


def read_stimulus(
    path: Path | str, *, inputs: int | None = None, outputs: int | None = None
) -> Stimulus:
    """The stimulus in a file; UserError with one line if it can't be used.

    Parameters
    ----------
    inputs : width that the model has; None accepts any.
    outputs : outputs that the model has, to check labels; None accepts any.
    """
    path = Path(path)
    arrays = read_npz(path, (*_KEYS, "labels", "lengths"))
    given = [key for key in _KEYS if key in arrays]
    if len(given) != 1:
        found = f"has {', '.join(sorted(arrays)) or 'no arrays'}" if not given else "has "
        raise UserError(
            f"{path}: needs exactly one of events, spikes or values, {found}{' and '.join(given)}"
        )
    key = given[0]
    data = arrays[key]
    if data.dtype.kind not in "biuf":
        raise UserError(f"{path}: {key} must hold numbers, not {data.dtype}")
    if data.ndim == 2:
        data = data[None]
    if data.ndim != 3:
        raise UserError(
            f"{path}: {key} must be [steps, inputs] or [samples, steps, inputs], "
            f"not {list(data.shape)}"
        )
    samples, steps, width = data.shape
    if inputs is not None and width != inputs:
        raise UserError(f"{path}: model has {inputs} inputs, file has {width}")
    if not samples or not steps:
        raise UserError(f"{path}: {key} is empty: {samples} samples of {steps} steps")
    if data.dtype.kind == "f" and not (finite := np.isfinite(data)).all():
        raise UserError(f"{path}: {key}{_first(~finite)} is not a finite number")
    if key == "values":
        data = np.ascontiguousarray(data, dtype=np.float64)
    else:
        if (wrong := (data != 0) & (data != 1)).any():
            raise UserError(
                f"{path}: {key} must be 0 or 1, {key}{_first(wrong)} is "
                f"{data[wrong][0]} (real numbers belong under the key 'values')"
            )
        data = np.ascontiguousarray(data, dtype=np.uint8)
    lengths = _integers(path, arrays, "lengths", samples)
    if lengths is None:
        lengths = np.full(samples, steps, np.int64)
    _within(path, "lengths", lengths, 1, steps, "steps")
    labels = _integers(path, arrays, "labels", samples)
    if labels is not None:
        last = np.iinfo(np.int64).max if outputs is None else outputs - 1
        _within(path, "labels", labels, 0, last, "outputs")
    return Stimulus(inputs=data, lengths=lengths, labels=labels, source=str(path))


def quantise_inputs(program: Program, stimulus: Stimulus) -> np.ndarray:
    """Integer events [samples, steps, inputs] of a stimulus, for the golden model and the RTL.

    Graded inputs become sat(floor(x / scale + 1/2), payload_bits), spike inputs stay 0 or 1.
    uint8 if no input is graded, else int64. Several inputs stand side by side in order.
    """
    x = stimulus.inputs
    if x.shape[2] != program.input_size:
        raise UserError(
            f"{stimulus.source}: model has {program.input_size} inputs, file has {x.shape[2]}"
        )
    graded = any(i.graded for i in program.inputs)
    result = np.zeros(x.shape, np.int64 if graded else np.uint8)
    first = 0
    for i in program.inputs:
        part = x[..., first : first + i.size]
        if i.graded:
            half = 1 << (program.formats.payload_bits - 1)
            level = np.clip(np.floor(part / i.scale + 0.5), -half, half - 1)
            result[..., first : first + i.size] = level
        else:
            if (wrong := (part != 0) & (part != 1)).any():
                raise UserError(
                    f"{stimulus.source}: input {i.name} takes spikes, 0 or 1, "
                    f"values{_first(wrong, first)} is {part[wrong][0]}"
                )
            result[..., first : first + i.size] = part
        first += i.size
    return result


def real_outputs(program: Program, outputs: np.ndarray) -> np.ndarray:
    """float64 meaning of integer outputs [..., output_size]: units times their scale.

    A STATE output is worth membrane_scale, a VALUE output payload_scale, a spike 1.
    """
    scales = [np.zeros(0)]
    for name in program.outputs:
        p = program.population(name)
        emit = p.fields["emit"]
        scale = np.where(emit == Emit.STATE, p.membrane_scale, p.payload_scale)
        scales.append(np.where(emit == Emit.SPIKE, 1.0, scale))
    return outputs * np.concatenate(scales)


def write_outputs(
    path: Path | str,
    program: Program,
    outputs: np.ndarray,
    *,
    decision: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    lengths: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> None:
    """Write integer outputs [samples, steps, output_size] of a run as .npz.

    Keys: `spikes` uint8 (1 where an output sent anything but 0), `values` float64 (see
    `real_outputs`), `integers` int64 (the bits themselves), and `decision` [samples],
    `confidence`, `lengths`, `labels` if given. Same arrays, same bytes; an interrupted write
    leaves the old file.
    """
    arrays = {
        "spikes": (outputs != 0).astype(np.uint8),
        "values": real_outputs(program, outputs),
        "integers": np.asarray(outputs, np.int64),
    }
    for name, array, kind in (
        ("decision", decision, np.int64),
        ("confidence", confidence, np.float64),
        ("lengths", lengths, np.int64),
        ("labels", labels, np.int64),
    ):
        if array is not None:
            arrays[name] = np.asarray(array, kind)
    write_npz(path, arrays)


def _integers(
    path: Path, arrays: dict[str, np.ndarray], key: str, samples: int
) -> np.ndarray | None:
    """An optional array of one integer per sample."""
    if key not in arrays:
        return None
    data = np.atleast_1d(arrays[key])
    if data.dtype.kind not in "biuf" or (
        data.dtype.kind == "f" and not (np.isfinite(data) & (data == np.rint(data))).all()
    ):
        raise UserError(f"{path}: {key} must hold whole numbers")
    if data.shape != (samples,):
        raise UserError(
            f"{path}: {key} must be [{samples}], one per sample, not {list(data.shape)}"
        )
    return data.astype(np.int64)


def _within(path: Path, key: str, data: np.ndarray, low: int, high: int, what: str) -> None:
    if (wrong := (data < low) | (data > high)).any():
        limit = f"in {low}..{high}" if high < np.iinfo(np.int64).max else f"at least {low}"
        raise UserError(
            f"{path}: {key}{_first(wrong)} is {data[wrong][0]}, must be {limit} ({what})"
        )


def _first(mask: np.ndarray, offset: int = 0) -> str:
    """Index of the first True, as text; `offset` is added to its last number."""
    place = [int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape)]
    place[-1] += offset
    return str(place)
