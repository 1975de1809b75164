"""Adders of streams, from the equations in hdl/params/sc/add.py."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numba import njit

from hdl.params.sc.add import MuxAddParams, OrAddParams, ParallelCountParams, ScaledAddParams
from sim.golden.sc.checked import checked
from sim.golden.sc.packed import pack, unpack

__all__ = ["MuxAddModel", "OrAddModel", "ParallelCountModel", "ScaledAddModel", "ones"]


def ones(streams: list[np.ndarray], length: int) -> np.ndarray:
    """How many of the packed streams are 1 in each cycle: int64 [..., length]."""
    total: np.ndarray = np.zeros(length, dtype=np.int64)
    for stream in streams:
        total = total + unpack(stream, length)
    return total


class MuxAddModel:
    """Golden twin of `hdl.sc.add.MuxAdd`: bitwise on words, one select stream after the other."""

    def __init__(self, params: MuxAddParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams x0, x1, ..., s0, s1, ..."""
        terms = [inputs[f"x{k}"] for k in range(self.params.inputs)]
        for k in range(self.params.selects):
            select = inputs[f"s{k}"]
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = [(zero & ~select) | (one & select) for zero, one in pairs]
        return {"y": terms[0]}


class OrAddModel:
    """Golden twin of `hdl.sc.add.OrAdd`."""

    def __init__(self, params: OrAddParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams x0, x1, ..."""
        return {"y": reduce(np.bitwise_or, (inputs[f"x{k}"] for k in range(self.params.inputs)))}


class ParallelCountModel:
    """Golden twin of `hdl.sc.add.ParallelCount`."""

    def __init__(self, params: ParallelCountParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """{"count": int64 [..., length]} of the packed streams x0, x1, ..."""
        p = self.params
        total = ones([inputs[f"x{k}"] for k in range(p.inputs)], length)
        if p.encoding == "unipolar":
            return {"count": np.cumsum(total, axis=-1) & ((1 << p.bits) - 1)}
        half = 1 << (p.bits - 1)
        count = np.cumsum(2 * total - p.inputs, axis=-1) + half
        return {"count": (count & ((1 << p.bits) - 1)) - half}


@njit(cache=True, nogil=True)
def _accumulate(amount, share, limit):  # type: ignore[no-untyped-def]
    y = np.zeros(amount.shape, dtype=np.uint8)
    for run in range(amount.shape[0]):
        acc = 0
        for t in range(amount.shape[1]):
            u = min(max(acc + amount[run, t], -limit), limit)
            y[run, t] = u >= share
            acc = u - share * y[run, t]
    return y


class ScaledAddModel:
    """Golden twin of `hdl.sc.add.ScaledAdd`."""

    def __init__(self, params: ScaledAddParams) -> None:
        self.params = params

    def add(self, total: np.ndarray) -> np.ndarray:
        """The output bits uint8 [..., length] for so many ones in each cycle, int64, the same."""
        p = self.params
        amount = total.reshape(-1, total.shape[-1]) * p.unit - p.offset
        return _accumulate(amount, p.scale * p.unit, p.limit).reshape(total.shape)

    @checked
    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams x0, x1, ..."""
        total = ones([inputs[f"x{k}"] for k in range(self.params.inputs)], length)
        return {"y": pack(self.add(total))}
