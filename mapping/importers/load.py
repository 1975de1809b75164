"""A model file by its kind: state_dicts of torch (.pt, .pth), numpy archives (.npz), NIR graphs.

Tensors are a mixture of experts if there is a router (mapping/importers/experts.py); a state-space
model if there is such a layer (mapping/importers/ssm.py), or they come in a numpy archive; else a
spiking transformer.
"""

from __future__ import annotations

import os
from pathlib import Path

from hdl.params.errors import UserError
from mapping.graph import Graph, Options
from mapping.importers.experts import inspect_experts, is_experts, load_experts
from mapping.importers.inspection import Inspection
from mapping.importers.nir import inspect_nir, load_nir
from mapping.importers.ssm import inspect_ssm, is_ssm, load_ssm, read_tensors
from mapping.importers.ssm_draft import stated
from mapping.importers.transformer import inspect_transformer, load_transformer

__all__ = ["inspect_file", "load_graph"]

_TENSORS = (".npz", ".pt", ".pth")


def _no_tensors(options: Options) -> None:
    """UserError for options that say something of state-space models."""
    for name in stated(options):
        raise UserError(
            f"setting {name!r}: is of state-space models from tensors; a NIR graph says it itself; "
            "remove the setting"
        )


def load_graph(path: str | os.PathLike[str], options: Options | None = None) -> Graph:
    """The model as a Graph; UserError with what is wrong with the file."""
    kind = Path(path).suffix.lower()
    if kind not in _TENSORS:
        _no_tensors(options or Options())
        return load_nir(path, options)
    tensors = read_tensors(path)
    if is_experts(tensors):
        return load_experts(path, options, tensors)
    load = load_ssm if kind == ".npz" or is_ssm(tensors) else load_transformer
    return load(path, options, tensors)


def inspect_file(path: str | os.PathLike[str], options: Options | None = None) -> Inspection:
    """What is in the file; UserError only if it is no model at all."""
    kind = Path(path).suffix.lower()
    if kind not in _TENSORS:
        _no_tensors(options or Options())
        return inspect_nir(path, options)
    tensors = read_tensors(path)
    if is_experts(tensors):
        return inspect_experts(path, options, tensors)
    look = inspect_ssm if kind == ".npz" or is_ssm(tensors) else inspect_transformer
    return look(path, options, tensors)
