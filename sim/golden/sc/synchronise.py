"""Synchronisers of two streams, from the equations in hdl/params/sc/synchronise.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.synchronise import (
    DesynchroniseParams,
    SkewSynchroniseParams,
    SynchroniseParams,
)
from sim.golden.sc.batch import rows
from sim.golden.sc.checked import checked

__all__ = ["DesynchroniseModel", "SkewSynchroniseModel", "SynchroniseModel"]


@njit(cache=True, nogil=True)
def _synchronise(a, b, length, depth, y_a, y_b):  # type: ignore[no-untyped-def]
    for run in range(a.shape[0]):
        s = 0
        for t in range(length):
            word, place = t >> 6, np.uint64(t & 63)
            bit_a = (a[run, word] >> place) & np.uint64(1)
            bit_b = (b[run, word] >> place) & np.uint64(1)
            if bit_a > bit_b:
                if s < 0:
                    bit_b = np.uint64(1)
                elif s < depth:
                    bit_a = np.uint64(0)
                s = min(s + 1, depth)
            elif bit_b > bit_a:
                if s > 0:
                    bit_a = np.uint64(1)
                elif s > -depth:
                    bit_b = np.uint64(0)
                s = max(s - 1, -depth)
            y_a[run, word] |= bit_a << place
            y_b[run, word] |= bit_b << place


class SynchroniseModel:
    """Golden twin of `hdl.sc.synchronise.Synchronise`."""

    def __init__(self, params: SynchroniseParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y_a", "y_b": words [..., words]} of the packed streams a and b."""
        batch, (a, b) = rows(a, b)
        y_a, y_b = np.zeros_like(a), np.zeros_like(b)
        _synchronise(a, b, length, self.params.depth, y_a, y_b)
        return {"y_a": y_a.reshape(*batch, -1), "y_b": y_b.reshape(*batch, -1)}


@njit(cache=True, nogil=True)
def _desynchronise(a, b, length, depth, y_a, y_b):  # type: ignore[no-untyped-def]
    pair = np.empty(2, np.uint64)
    for run in range(a.shape[0]):
        k = turn = 0
        for t in range(length):
            word, place = t >> 6, np.uint64(t & 63)
            pair[0] = (a[run, word] >> place) & np.uint64(1)
            pair[1] = (b[run, word] >> place) & np.uint64(1)
            if pair[0] == pair[1]:
                if pair[0] and k < depth:
                    pair[turn] = 0
                    k += 1
                elif not pair[0] and k > 0:
                    pair[turn] = 1
                    k -= 1
                    if k == 0:
                        turn = 1 - turn
            y_a[run, word] |= pair[0] << place
            y_b[run, word] |= pair[1] << place


class DesynchroniseModel:
    """Golden twin of `hdl.sc.synchronise.Desynchronise`."""

    def __init__(self, params: DesynchroniseParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y_a", "y_b": words [..., words]} of the packed streams a and b."""
        batch, (a, b) = rows(a, b)
        y_a, y_b = np.zeros_like(a), np.zeros_like(b)
        _desynchronise(a, b, length, self.params.depth, y_a, y_b)
        return {"y_a": y_a.reshape(*batch, -1), "y_b": y_b.reshape(*batch, -1)}


@njit(cache=True, nogil=True)
def _skew(a, b, length, depth, y):  # type: ignore[no-untyped-def]
    for run in range(a.shape[0]):
        k = 0
        for t in range(length):
            word, place = t >> 6, np.uint64(t & 63)
            bit_a = (a[run, word] >> place) & np.uint64(1)
            bit_b = (b[run, word] >> place) & np.uint64(1)
            if bit_a > bit_b and k < depth:
                bit_a = np.uint64(0)
                k += 1
            elif bit_b > bit_a and k > 0:
                bit_a = np.uint64(1)
                k -= 1
            y[run, word] |= bit_a << place


class SkewSynchroniseModel:
    """Golden twin of `hdl.sc.synchronise.SkewSynchronise`."""

    def __init__(self, params: SkewSynchroniseParams) -> None:
        self.params = params

    @checked
    def run(self, length: int, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """{"y": words [..., words]} of the packed streams a and b."""
        batch, (a, b) = rows(a, b)
        y = np.zeros_like(a)
        _skew(a, b, length, self.params.depth, y)
        return {"y": y.reshape(*batch, -1)}
