"""Operands of a unit as rows of one batch."""

from __future__ import annotations

import numpy as np

__all__ = ["rows"]


def rows(*operands: np.ndarray) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """The common batch axes of packed streams and words, and each operand as [runs, last axis].

    Batch axes, all but the last, are broadcast; streams become uint64, words int64.
    """
    arrays = [np.asarray(x) for x in operands]
    batch = np.broadcast_shapes(*(x.shape[:-1] for x in arrays))
    runs = int(np.prod(batch, dtype=np.int64))
    return batch, [
        np.ascontiguousarray(
            np.broadcast_to(x, (*batch, x.shape[-1])).reshape(runs, x.shape[-1]),
            dtype=np.uint64 if x.dtype == np.uint64 else np.int64,
        )
        for x in arrays
    ]
