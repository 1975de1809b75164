"""Decisions from a network's outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdl.params.errors import UserError

__all__ = ["READOUTS", "decide", "scores"]

READOUTS = ("count", "last", "max", "mean")


def decide(
    readout: str, outputs: np.ndarray, lengths: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """The winning output of each sample, int64 [samples]; the lowest index wins a tie.

    Parameters are those of `scores`.
    """
    return scores(readout, outputs, lengths).argmax(axis=1).astype(np.int64)


def scores(
    readout: str, outputs: np.ndarray, lengths: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """What outputs are compared by, [samples, outputs].

    readout: "count" (largest sum over the steps: most spikes), "last" (largest value at the last
        step), "max" (largest value at any step), "mean" (largest mean over the steps).
    outputs: [samples, steps, outputs], bool, integer or float.
    lengths: valid steps of each sample; only the first `length` steps count. None: all.
    """
    if readout not in READOUTS:
        raise UserError(f"readout must be one of {', '.join(READOUTS)}, not {readout!r}")
    values = np.asarray(outputs)
    if values.ndim != 3 or values.shape[1] < 1 or values.shape[2] < 1:
        raise UserError(f"outputs must be [samples, steps, outputs], not {values.shape}")
    samples, steps, _ = values.shape
    if values.dtype == np.bool_:
        values = values.astype(np.int64)
    given = np.full(samples, steps) if lengths is None else np.asarray(lengths)
    if given.shape != (samples,) or given.dtype.kind not in "iu":
        raise UserError(f"lengths must be {samples} integers, one a sample")
    if samples and not (given.min() >= 1 and given.max() <= steps):
        raise UserError(f"lengths must lie in 1..{steps}, not {given.min()}..{given.max()}")
    if readout == "last":
        return values[np.arange(samples), given - 1]
    valid = (np.arange(steps) < given[:, None])[:, :, None]
    if readout == "max":
        lowest = -np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).min
        return np.where(valid, values, lowest).max(axis=1)
    total = np.where(valid, values, 0).sum(axis=1)
    return total / given[:, None] if readout == "mean" else total
