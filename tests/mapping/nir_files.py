"""Write small .nir files for tests, valid or not, straight through h5py."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def node(kind: str, **values: Any) -> dict[str, Any]:
    """A node as its parameters and type."""
    return {"type": kind, **values}


def lif(size: int | tuple[int, ...] = 3, **changes: Any) -> dict[str, Any]:
    """A LIF of tau 1 ms, unit threshold, and the gain of snnTorch's at dt 1e-4."""
    one = np.ones(size)
    values = {"tau": 1e-3 * one, "r": 10 * one, "v_leak": 0 * one, "v_threshold": one}
    return node("LIF", **{**values, "v_reset": 0 * one, **changes})


def ends(inputs: int | Sequence[int], outputs: int | Sequence[int]) -> dict[str, dict[str, Any]]:
    """The nodes "input" and "output"."""
    return {
        "input": node("Input", shape=np.atleast_1d(inputs)),
        "output": node("Output", shape=np.atleast_1d(outputs)),
    }


def chain(*names: str) -> list[tuple[str, str]]:
    """Edges from each name to the next."""
    return list(itertools.pairwise(names))


def _put(group: h5py.Group, nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> None:
    group.create_dataset("type", data="NIRGraph", dtype=h5py.string_dtype())
    rows = np.array(edges, dtype=object).reshape(-1, 2)
    group.create_dataset("edges", data=rows, dtype=h5py.string_dtype())
    inner = group.create_group("nodes")
    for name, values in nodes.items():
        item = inner.create_group(name)
        if "nodes" in values:
            _put(item, values["nodes"], values["edges"])
            continue
        for key, value in values.items():
            if isinstance(value, str):
                item.create_dataset(key, data=value, dtype=h5py.string_dtype())
            else:
                item.create_dataset(key, data=value)


def write(path: Path, nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> Path:
    """Write a graph; a node with "nodes" and "edges" is a nested graph."""
    with h5py.File(path, "w") as file:
        file.create_dataset("version", data="1.0.8", dtype=h5py.string_dtype())
        _put(file.create_group("node"), nodes, edges)
    return path
