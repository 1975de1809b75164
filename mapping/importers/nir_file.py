"""Read a .nir file (HDF5) without trusting it: raw nodes, edges, and every problem found.

`nir.read` asserts, infers and rejects; files of older writers and damaged files end in tracebacks
there. Here the file is walked link by link, sizes are checked before anything is read, nested
graphs are flattened ("outer.inner"), and whatever is wrong becomes a line in `problems`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hdl.params.errors import UserError
from mapping.importers.hdf5 import bounded_memory, damaged_heap
from mapping.importers.nir_nodes import KINDS

__all__ = ["MAX_BYTES", "RawModel", "RawNode", "natural", "read_file"]

MAX_BYTES = 1 << 30
"""Most bytes of parameters that a file may unpack to."""

MAX_EDGES = 1 << 20
MAX_DEPTH = 8


@dataclass(eq=False)
class RawNode:
    """A node as the file has it.

    `nested`: an Input or Output inside a nested graph. `count`: numbers that it stores.
    `problems`: what could not be read, without the node's name.
    """

    name: str
    kind: str
    datasets: dict[str, Any]
    nested: bool = False
    values: dict[str, np.ndarray] = field(default_factory=dict)
    count: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"node '{self.name}' ({self.kind})"


@dataclass(eq=False)
class RawModel:
    """Nodes in natural order of their names (HDF5 keeps no order), edges, problems, notes."""

    nodes: dict[str, RawNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)
    groups: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def note(self, node: str, change: str, effect: str) -> None:
        """Record a repair or an assumption."""
        self.notes.append({"node": node, "change": change, "effect": effect})


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which "10" comes after "2"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), p) if p[0] in "0123456789" else (1, 0, p) for p in parts)


def read_file(path: str | os.PathLike[str]) -> RawModel:
    """The file's nodes and edges; UserError if it is no readable NIR graph at all."""
    import h5py

    file = Path(path)
    if not file.exists():
        raise UserError(f"{path}: there is no such file; check the path")
    if not file.is_file():
        raise UserError(f"{path}: is a directory; name the .nir file in it")
    try:
        if not h5py.is_hdf5(file):
            with open(file, "rb"):
                pass
            raise UserError(f"{path}: is not a NIR file (no HDF5 inside); write it with nir.write")
        if (at := damaged_heap(file)) is not None:
            raise ValueError(f"its heap of strings at byte {at} does not add up")
        with bounded_memory(2 * MAX_BYTES + (1 << 29)), h5py.File(file, "r") as handle:
            return _read_root(str(path), handle)
    except PermissionError:
        raise UserError(f"{path}: may not be read; change its permissions") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        reason = str(error).strip("'\"").splitlines()[:1]
        raise UserError(
            f"{path}: the file is damaged ({reason[0] if reason else type(error).__name__}); "
            "copy or write it again"
        ) from None


def _read_root(path: str, handle: Any) -> RawModel:
    import h5py

    root = _child(handle, "node")
    if not isinstance(root, h5py.Group):
        raise UserError(f"{path}: is HDF5 but no NIR graph (no 'node' in it); use nir.write")
    kind = _text(_child(root, "type"))
    if kind != "NIRGraph":
        raise UserError(
            f"{path}: holds {'one ' + kind if kind else 'no typed node'}, not a graph; "
            "wrap it with nir.NIRGraph.from_list and write it again"
        )
    model = RawModel()
    _walk(model, root, "", 0)
    _splice(model)
    model.nodes = dict(sorted(model.nodes.items(), key=lambda item: natural(item[0])))
    _load(path, model)
    return model


def _child(group: Any, name: str) -> Any:
    """The member of that name, None if missing or a link that leaves the file."""
    import h5py

    if not isinstance(group, h5py.Group) or name not in group:
        return None
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    return group[name]


def _text(dataset: Any) -> str:
    """A scalar string dataset, "" if it is none."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.size != 1 or dataset.dtype.kind not in "OS":
        return ""
    value = dataset[()]
    value = value.ravel()[0] if isinstance(value, np.ndarray) else value
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)


def _walk(model: RawModel, graph: Any, prefix: str, depth: int) -> None:
    import h5py

    where = f"nested graph '{prefix[:-1]}'" if prefix else "the graph"
    nodes = _child(graph, "nodes")
    if not isinstance(nodes, h5py.Group) or not len(nodes):
        model.problems.append(f"{where}: has no nodes; export the model again")
        return
    ends: tuple[list[str], list[str]] = ([], [])
    for key in sorted(nodes, key=natural):
        name, item = prefix + key, _child(nodes, key)
        kind = _text(_child(item, "type"))
        if name in model.nodes:
            model.problems.append(f"node '{name}': two nodes have this name; rename one")
        elif not isinstance(item, h5py.Group) or not kind:
            model.problems.append(
                f"node '{name}': has no type; rename it without '/' and write the file again"
            )
        elif kind == "NIRGraph" and depth == MAX_DEPTH:
            model.problems.append(f"node '{name}' ({kind}): is nested too deeply; flatten it")
        elif kind == "NIRGraph":
            model.nodes[name] = RawNode(name, kind, {})
            _walk(model, item, name + ".", depth + 1)
        else:
            wanted = KINDS[kind].names if kind in KINDS else tuple(item)
            found = {key: _child(item, key) for key in wanted}
            arrays = {k: d for k, d in found.items() if isinstance(d, h5py.Dataset) and k != "type"}
            nested = bool(prefix) and kind in ("Input", "Output")
            model.nodes[name] = RawNode(name, kind, arrays, nested)
            if nested:
                ends[kind == "Output"].append(name)
    if prefix:
        model.groups[prefix[:-1]] = ends
    _edges(model, _child(graph, "edges"), prefix, where)


def _edges(model: RawModel, dataset: Any, prefix: str, where: str) -> None:
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.size == 0:
        return
    if dataset.ndim != 2 or dataset.shape[1] != 2 or dataset.dtype.kind not in "OS":
        model.problems.append(f"{where}: edges must be pairs of names; write the file again")
        return
    if len(dataset) > MAX_EDGES:
        model.problems.append(f"{where}: has {len(dataset)} edges, at most {MAX_EDGES} are read")
        return
    seen: set[tuple[str, str]] = set()
    for row in dataset[()]:
        a, b = (prefix + (e.decode("utf8", "replace") if isinstance(e, bytes) else e) for e in row)
        if (a, b) in seen:
            model.note(b, f"edge from '{a}' is listed twice", "counted once")
        else:
            model.edges.append((a, b))
        seen.add((a, b))


def _splice(model: RawModel) -> None:
    """Lead edges of a nested graph to the Input and from the Output inside it."""
    for name, (inputs, outputs) in model.groups.items():
        if len(inputs) != 1 or len(outputs) != 1:
            model.problems.append(
                f"node '{name}' (NIRGraph): has {len(inputs)} Inputs and {len(outputs)} Outputs; "
                "give a nested graph one of each"
            )
            continue
        model.edges = [
            (outputs[0] if a == name else a, inputs[0] if b == name else b) for a, b in model.edges
        ]
        model.note(name, "nested graph flattened", f"its nodes are named '{name}.*'")


def _load(path: str, model: RawModel) -> None:
    """Read the parameters, once their total size is known to be bearable."""
    sizes = {
        f"{node.name}/{key}": data.size * max(data.dtype.itemsize, 8)
        for node in model.nodes.values()
        if node.kind in KINDS
        for key, data in node.datasets.items()
        if data.dtype.kind in "biuf"
    }
    if sum(sizes.values()) > MAX_BYTES:
        big = max(sizes, key=lambda k: sizes[k])
        raise UserError(
            f"{path}: parameters take {sum(sizes.values()) / 2**30:.1f} GiB, at most "
            f"{MAX_BYTES / 2**30:g} GiB are read; the largest is '{big}': split the model"
        )
    for node in model.nodes.values():
        node.count = sum(d.size or 0 for d in node.datasets.values() if d.dtype.kind in "biuf")
        for key, data in node.datasets.items():
            if node.kind in KINDS and data.dtype.kind in "biuf" and data.shape is not None:
                node.values[key] = np.asarray(data[()], dtype=np.float64)
            elif node.kind in KINDS:
                node.problems.append(f"'{key}' holds no numbers; write it again")
