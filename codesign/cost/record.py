"""Parameters of a fabric as plain data, and back: what a cost model needs of a design.

An object is its fields that differ from their defaults and, under "is", its class. Of the draws of
stochastic rounding only their number is kept: no cost depends on them.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import CoreParams, Range
from hdl.params.noc import FlitParams, MeshParams
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams, Streams
from hdl.params.ssm.diagonal import Diagonal, DiagonalParams
from hdl.params.ssm.gate import Gate, GateParams
from hdl.params.winners import Winners

__all__ = ["from_data", "to_data"]

CLASSES = {
    c.__name__: c
    for c in (
        MeshParams, FlitParams, CoreParams, Range, DenseParams, Streams, DiagonalParams, Diagonal,
        GateParams, Gate, AttentionParams, CrossbarParams, Crossbar, Winners,
    )
}  # fmt: skip


def to_data(value: Any) -> Any:
    """Plain data of parameters; ints, strings and None stand for themselves."""
    if is_dataclass(value):
        data: dict[str, Any] = {"is": type(value).__name__}
        for f in fields(value):
            item = getattr(value, f.name)
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if item != default:
                data[f.name] = len(item) if f.name == "draws" else to_data(item)
        return data
    if isinstance(value, dict):
        return {key: to_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_data(item) for item in value]
    return value


def from_data(data: Any) -> Any:
    """The parameters again; ValueError or TypeError for what they don't accept."""
    if isinstance(data, list):
        return tuple(from_data(item) for item in data)
    if not isinstance(data, dict):
        return data
    if "is" not in data:
        return {key: from_data(item) for key, item in data.items()}
    if data["is"] not in CLASSES:
        raise ValueError(f"{data['is']!r} is no class of parameters")
    values = {key: from_data(item) for key, item in data.items() if key != "is"}
    if "draws" in values:
        values["draws"] = (0,) * values["draws"]
    return CLASSES[data["is"]](**values)
