"""Input samples as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdl.params.errors import UserError
from mapping.graph import Graph

__all__ = ["as_batch", "split"]


def split(graph: Graph, batch: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of each input."""
    known, start = {}, 0
    for entry in graph.inputs:
        known[entry.name] = batch[:, :, start : start + entry.size]
        start += entry.size
    return known


def as_batch(
    graph: Graph, inputs: np.ndarray | Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as one array, shorter samples padded with zeros, and the lengths."""
    width = sum(entry.size for entry in graph.inputs)
    if isinstance(inputs, np.ndarray):
        if inputs.ndim != 3:
            raise UserError(
                f"inputs must be [samples, steps, {width}] or a list of [steps, {width}], "
                f"not {list(inputs.shape)}"
            )
        batch, lengths = inputs, np.full(len(inputs), inputs.shape[1])
    else:
        samples = [np.asarray(sample) for sample in inputs]
        for i, sample in enumerate(samples):
            if sample.ndim != 2 or sample.shape[1] != width:
                raise UserError(
                    f"inputs: sample {i} must be [steps, {width}], not {list(sample.shape)}"
                )
        lengths = np.array([len(sample) for sample in samples], dtype=np.int64)
        kind = np.result_type(*samples) if samples else np.dtype(float)
        batch = np.zeros((len(samples), int(lengths.max(initial=0)), width), dtype=kind)
        for i, sample in enumerate(samples):
            batch[i, : len(sample)] = sample
    if batch.shape[2] != width:
        raise UserError(f"inputs have {batch.shape[2]} columns, the model takes {width}")
    if batch.dtype.kind not in "biuf":
        raise UserError(f"inputs must be numbers, not {batch.dtype}")
    if batch.dtype.kind == "f" and not np.isfinite(batch).all():
        sample, step, column = np.argwhere(~np.isfinite(batch))[0]
        raise UserError(
            f"inputs: sample {sample}, step {step}, column {column} is NaN or infinite; replace it"
        )
    return batch, lengths
