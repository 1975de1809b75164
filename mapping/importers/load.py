"""A model file by its kind: torch state_dicts (.pt, .pth), NIR graphs (all others)."""

from __future__ import annotations

import os
from pathlib import Path

from mapping.graph import Graph, Options
from mapping.importers.inspection import Inspection
from mapping.importers.nir import inspect_nir, load_nir
from mapping.importers.transformer import inspect_transformer, load_transformer

__all__ = ["inspect_file", "load_graph"]

_TORCH = (".pt", ".pth")


def load_graph(path: str | os.PathLike[str], options: Options | None = None) -> Graph:
    """The model as a Graph; UserError with what is wrong with the file."""
    torch = Path(path).suffix.lower() in _TORCH
    return (load_transformer if torch else load_nir)(path, options)


def inspect_file(path: str | os.PathLike[str], options: Options | None = None) -> Inspection:
    """What is in the file; UserError only if it is no model at all."""
    torch = Path(path).suffix.lower() in _TORCH
    return (inspect_transformer if torch else inspect_nir)(path, options)
