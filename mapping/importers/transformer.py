"""Spiking transformers with stochastic attention, from a torch state_dict to a Graph.

A model takes `tokens` x pixels spikes a step. Every layer is torch's Linear, the same for every
token, and LIF neurons; a block is attention, feed-forward and two residual paths::

    h           = LIF(embed.weight x + embed.position)
    q, k, v     = LIF(query.weight h), LIF(key.weight h), LIF(value.weight h)
    a           = attention of hdl/params/sc/attention.py (q, k, v)
    h           = LIF(out.weight a + out.residual h)
    h           = LIF(down.weight LIF(up.weight h) + down.residual h)
    answer      = LI(readout.weight h)

with membrane = beta * membrane + input, a spike where membrane > threshold, then the reset. The LI
has no threshold: its membranes are the answer, read at the last step.

Tensors, D being the width of a token, E of a head, H of the feed-forward:

| name | shape | meaning |
|---|---|---|
| config.tokens, config.steps | | tokens of a sample; time steps it was trained with |
| config.causal | | 1: token i attends to 0..i, 0: to all |
| config.score_gain, config.value_gain | | log2, of the attention's probabilities |
| config.seed | | of the attention's generators in hardware; block N has seed + N |
| config.threshold | | of all LIF neurons |
| config.reset | | after a spike: 0 to zero, 1 subtract the threshold, 2 subtract a step later |
| config.readout | | which tokens are read: 0 all, side by side; 1 their mean; 2 the last |
| embed.weight, embed.position | [D, pixels], [tokens, D] | |
| blocks.N.query.weight, .key.weight, .value.weight | [E, D] | N = 0, 1, ... |
| blocks.N.out.weight | [D, E] | |
| blocks.N.up.weight, blocks.N.down.weight | [H, D], [D, H] | |
| blocks.N.out.residual, blocks.N.down.residual | | weight of a residual path |
| readout.weight | [classes, D]; all: [classes, tokens * D] | |
| LAYER.beta | one, or one a row of LAYER.weight | decay in 0..1 |
| LAYER.bias | one a row of LAYER.weight | may be missing |

LAYER is embed, readout and blocks.N.query, key, value, out, up, down. Tensors without a shape hold
one number.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from hdl.params.errors import UserError
from mapping.graph import Graph, Options
from mapping.importers.inspection import Inspection
from mapping.importers.torch_file import read_torch
from mapping.importers.transformer_build import Builder
from mapping.importers.transformer_checks import Draft

__all__ = ["inspect_transformer", "load_transformer"]


def load_transformer(
    path: str | os.PathLike[str],
    options: Options | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Graph:
    """The model as a Graph; UserError with all problems of the file at once.

    tensors: those of the file, if they were read before.
    """
    options = options or Options()
    draft = Draft(read_torch(path) if tensors is None else tensors)
    stated = [n for n, value in vars(Options()).items() if getattr(options, n) != value]
    draft.problems += [
        f"setting {name!r}: the file states how its neurons work; remove the setting"
        for name in stated
    ]
    if draft.problems:
        raise UserError(f"{path}: {'; '.join(draft.problems)}")
    return Builder(Path(path).stem, draft).graph()


def inspect_transformer(
    path: str | os.PathLike[str],
    options: Options | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Inspection:
    """Every tensor and layer; UserError only if the file holds no tensors at all."""
    tensors = read_torch(path) if tensors is None else tensors
    graph, problems = None, []
    try:
        graph = load_transformer(path, options, tensors)
    except UserError as error:
        problems.append(str(error).removeprefix(f"{path}: "))
    weights = [v for k, v in tensors.items() if k.endswith(".weight")]
    total = sum(w.size for w in weights)
    return Inspection(
        name=Path(path).stem,
        nodes=graph.nodes if graph else (),
        edges=graph.edges if graph else (),
        parameters=sum(v.size for k, v in tensors.items() if not k.startswith("config.")),
        density=sum(int(np.count_nonzero(w)) for w in weights) / total if total else 1.0,
        problems=tuple(problems),
        notes=graph.notes if graph else (),
    )
