"""What a twin is given, checked against the ports of its parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from hdl.params.sc.unit import Port
from sim.golden.sc.packed import mask, words_for

__all__ = ["checked"]

Run = Callable[..., dict[str, np.ndarray]]


def checked(run: Run) -> Run:
    """Decorates `run(self, length, ...)` of a twin.

    Raises ValueError for an empty run, a number (a probability, say) outside its port's range, and
    a stream of another length; TypeError for what is no integer.
    """
    names = [n for n in inspect.signature(run).parameters if n not in ("self", "length")]

    @functools.wraps(run)
    def inner(self: Any, length: int, *values: Any, **inputs: Any) -> dict[str, np.ndarray]:
        inputs = dict(zip(names, values, strict=False)) | inputs
        if length < 1:
            raise ValueError(
                f"length must be at least 1, not {length}: an empty stream has no value"
            )
        for port in self.params.ports:
            if port.direction == "in" and inputs.get(port.name) is not None:
                _check(port, np.asarray(inputs[port.name]), length)
        return run(self, length, **inputs)

    return inner


def _check(port: Port, value: np.ndarray, length: int) -> None:
    if value.dtype.kind not in "biu":
        raise TypeError(f"{port.name} must be integers, not {value.dtype}")
    if port.kind == "bit":
        words = words_for(length)
        if value.dtype != np.uint64 or value.ndim < 1 or value.shape[-1] < words:
            raise ValueError(
                f"{port.name} must be a packed stream of {length} bits, uint64 [..., {words}], "
                f"not {value.dtype} {list(value.shape)}"
            )
        beyond = value[..., words:].any()
        if beyond or (value[..., words - 1] & ~mask(length)[-1]).any():
            raise ValueError(f"{port.name} has ones beyond its length of {length} bits")
    elif value.size:
        low, high = port.range
        for extreme in (value.min(), value.max()):
            if not low <= extreme <= high:
                raise ValueError(f"{port.name} must be in {low}..{high}, not {extreme}")
