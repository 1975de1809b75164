"""Trained state-space models to a Graph, from a torch state_dict or a numpy archive.

The family of a model is told by the names of its tensors, at any depth and behind any prefix:

| family | file | tensors that tell it |
|---|---|---|
| S4D of examples/s4d.py | mapping/importers/ssm_s4d.py | logdt, lre, im, C, D |
| S4D of state-spaces/s4 | mapping/importers/ssm_s4d.py | kernel.log_dt, kernel.log_A_real, ... |
| S5, S5Block of s5-pytorch | mapping/importers/ssm_states.py | Lambda, log_step, B, C, D |
| LRU | mapping/importers/ssm_states.py | nu_log, theta_log, gamma_log, B, C, D |
| LMU of pytorch-lmu | mapping/importers/ssm_lmu.py | e_x, e_h, e_m, W_x, W_h, W_m, A, B |
| Mamba of mamba-ssm: costed, not mapped | mapping/importers/ssm_mamba.py | in_proj, A_log, ... |

What tensors don't tell (pooling, order of norms, activation, discretisation) comes from the
caller's settings, or `config.NAME` (a number, see SETTINGS in mapping/importers/ssm_draft.py), or
the default of the family; each is a note of the Graph. Dropout is that of evaluation: none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hdl.params.errors import UserError
from mapping.graph import Graph, Options
from mapping.importers.inspection import Inspection
from mapping.importers.npz_file import read_npz
from mapping.importers.ssm_draft import Draft, ModelError, refused
from mapping.importers.ssm_lmu import build_lmu
from mapping.importers.ssm_mamba import describe, refuse_mamba
from mapping.importers.ssm_s4d import build_npz, build_s4d
from mapping.importers.ssm_states import build_states
from mapping.importers.ssm_units import EXPECTED, find_units
from mapping.importers.torch_file import read_torch

__all__ = ["inspect_ssm", "inspect_tensors", "is_ssm", "load_ssm", "read_tensors"]

Build = Callable[[Draft], tuple[str, str]]
#: A Graph of (name, tensors, options, settings).
Make = Callable[[str, Mapping[str, np.ndarray], Options, Mapping[str, str]], Graph]

FAMILIES: dict[str, Build] = {
    "npz": build_npz,
    "s4d": build_s4d,
    "s5": build_states,
    "lru": build_states,
    "lru parts": build_states,
    "lmu": build_lmu,
    "mamba": refuse_mamba,
}


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors of a .npz or torch file; UserError if it is none."""
    return (read_npz if Path(path).suffix.lower() == ".npz" else read_torch)(path)


def is_ssm(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether some state-space layer is among them."""
    return any(unit.kind in FAMILIES for unit in find_units(tensors)[0])


def _build(
    name: str, tensors: Mapping[str, np.ndarray], options: Options, settings: Mapping[str, str]
) -> Graph:
    draft = Draft(tensors, options, settings)
    kinds = dict.fromkeys(u.kind for u in draft.units if u.kind in FAMILIES)
    if not kinds:
        raise ModelError(f"holds no state-space layer; expected are {EXPECTED}")
    if len({FAMILIES[k] for k in kinds}) > 1:
        raise ModelError(f"holds layers of several families: {', '.join(kinds)}; split it")
    output, readout = FAMILIES[next(iter(kinds))](draft)
    return draft.builder.graph(name, [output], options, readout)


def load_ssm(
    path: str | os.PathLike[str],
    options: Options | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    **settings: str,
) -> Graph:
    """The model as a Graph; UserError with all problems of the file at once.

    tensors: those of the file, if they were read before.
    """
    tensors = read_tensors(path) if tensors is None else tensors
    try:
        return _build(Path(path).stem, tensors, options or Options(), settings)
    except ModelError as error:
        raise refused(path, str(error).split("\n")) from None


def inspect_ssm(
    path: str | os.PathLike[str],
    options: Options | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Inspection:
    """Every layer, mappable or not; UserError only if the file holds no tensors at all."""
    return inspect_tensors(path, options, tensors, _build)


def inspect_tensors(
    path: str | os.PathLike[str],
    options: Options | None,
    tensors: Mapping[str, np.ndarray] | None,
    make: Make,
) -> Inspection:
    """What a family's files hold, `make` being how a Graph becomes of them."""
    tensors = read_tensors(path) if tensors is None else tensors
    graph, problems = None, []
    try:
        graph = make(Path(path).stem, tensors, options or Options(), {})
    except ModelError as error:
        problems = str(error).split("\n")
    except UserError as error:
        problems = [str(error)]
    draft = Draft(tensors, options or Options(), {})
    nodes, notes = (graph.nodes, graph.notes) if graph else describe(draft)
    weights = [v for k, v in tensors.items() if k.endswith(".weight") and v.ndim > 1]
    total = sum(w.size for w in weights)
    return Inspection(
        name=Path(path).stem,
        nodes=tuple(nodes),
        edges=graph.edges if graph else (),
        parameters=sum(v.size for k, v in tensors.items() if not k.startswith("config.")),
        density=sum(int(np.count_nonzero(w)) for w in weights) / total if total else 1.0,
        problems=tuple(problems),
        notes=tuple(notes),
    )
