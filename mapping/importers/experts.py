"""Mixtures of experts, from a torch state_dict or a numpy archive to a Graph.

A model is a row of parts in the file's order, at every step of its input::

    Linear NAME.weight, NAME.bias     h = f(weight h + bias)          the last part: without f
    mixture NAME                      h = sum over the k experts e of the largest scores of
                                          g[e] (down[e] f(up[e] h + b[e]) + c[e])
                                      and h added to it, with `residual`

| tensor | shape | meaning |
|---|---|---|
| NAME.router.weight, .bias | [E, D], [E] | scores; of equal ones the first wins |
| NAME.experts.e.0.weight, .bias | [H, D], [H] | up[e], b[e], e = 0 .. E-1 |
| NAME.experts.e.2.weight, .bias | [O, H], [O] | down[e], c[e] |
| config.k | | experts of a step, of all mixtures |
| config.gate | | g: 0 one; 1 sigmoid of the score; 2 softmax over the chosen, which is one for k = 1 |
| config.activation, config.residual, config.pooling | | f, residual, how steps are read: numbers as in SETTINGS of mapping/importers/ssm_draft.py; relu, no, mean if missing |

A bias may be missing; so may NAME and its dot, of one mixture. The names are those of torch modules
`router = Linear(D, E)`, `experts = ModuleList(Sequential(Linear, ReLU, Linear))`.

An expert hears of copies of h, which come times g[e]: nothing, unless it is chosen. That is the
model's own sum since f(g x) = g f(x) for relu and g >= 0, and its biases come times g[e] too, as
weights of the gate. Other f need gates of one, and f(0) = 0.
"""  # noqa: E501

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hdl.params.winners import MOST_GROUP
from mapping.graph import Graph, Options
from mapping.importers.expression import Affine, Builder
from mapping.importers.inspection import Inspection
from mapping.importers.ssm import inspect_tensors, read_tensors
from mapping.importers.ssm_draft import Draft, ModelError, refused
from mapping.importers.ssm_units import Unit

__all__ = ["inspect_experts", "is_experts", "load_experts"]

GATES = ("one", "sigmoid", "softmax")
ROUTER = "router."
#: Functions f with f(0) = 0.
SILENT = ("none", "relu", "gelu", "tanh", "silu")


class _Draft(Draft):
    expected = (
        "NAME.weight, NAME.router.weight, NAME.experts.e.0.weight, NAME.experts.e.2.weight, .bias "
        "of each, config.k, config.gate, config.activation, config.residual, config.pooling "
        "(mapping/importers/experts.py)"
    )

    def number(self, name: str, default: int, most: int) -> int:
        """config.NAME, a whole number in 0..most."""
        given = self.config.pop(name, np.array(default))
        value = given.reshape(-1)[0].item() if given.size == 1 else -1
        if value not in range(most + 1):
            self.problems.append(
                f"'config.{name}' must be a whole number in 0..{most}, not {given.tolist()}"
            )
            return default
        return int(value)


@dataclass(frozen=True, eq=False)
class _Mixture:
    name: str
    router: Unit
    experts: list[tuple[Unit, Unit]]


def is_experts(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether some router is among them."""
    return any(f".{name}".endswith(".router.weight") for name in tensors)


def _mixture(draft: Draft, router: Unit) -> _Mixture:
    """A router with its experts, taken from the draft, sizes checked."""
    at = router.prefix.removesuffix(ROUTER)
    name = at.rstrip(".") or "mixture"
    given = [re.match(re.escape(f"{at}experts.") + r"([0-9]{1,4})\.", u.prefix) for u in draft.rest]
    count = max((int(found[1]) + 1 for found in given if found), default=1)
    draft.rest.remove(router)
    experts: list[tuple[Unit, Unit]] = []
    for e in range(min(count, MOST_GROUP)):
        up, down = (draft.take(f"{at}experts.{e}.{n}.", "linear") for n in (0, 2))
        if up.tensors and down.tensors:
            draft.width(down, "I", up.sizes["O"])
            draft.width(up, "I", router.sizes["I"])
            draft.width(down, "O", experts[0][1].sizes["O"] if experts else down.sizes["O"])
            experts.append((up, down))
    if router.sizes["O"] != count or count > MOST_GROUP:
        draft.problems.append(
            f"'{router.name}' gives {router.sizes['O']} scores for {count} experts; it must give "
            f"one each, for at most {MOST_GROUP}"
        )
    return _Mixture(name, router, experts)


def _parts(draft: Draft) -> list[Unit | _Mixture]:
    """All parts in the file's order; each takes what the one before it gives."""
    routers = [u for u in draft.units if u.prefix.endswith(ROUTER) and u.kind == "linear"]
    mixtures = {id(u): _mixture(draft, u) for u in routers}
    others = [u for u in draft.of_kind("linear") if ".experts." not in f".{u.prefix}"]
    draft.rest = [u for u in draft.rest if u not in others]
    parts: list[Unit | _Mixture] = [
        mixtures.get(id(u), u) for u in draft.units if id(u) in mixtures or u in others
    ]
    draft.check()
    size = None
    for part in parts:
        takes = part.router if isinstance(part, _Mixture) else part
        if size is not None:
            draft.width(takes, "I", size)
        size = (part.experts[0][1] if isinstance(part, _Mixture) else part).sizes["O"]
    return parts


def _gated(unit: Unit, source: Affine, at: int, gates: Affine, e: int) -> Affine:
    """weight @ source[at : ...] + bias * gates[e]."""
    from scipy.sparse import coo_array, csr_array

    weight, bias = unit["weight"], unit.get("bias")
    rows = len(weight)
    matrix = coo_array(weight)
    row, column = matrix.coords
    terms = {
        (source.source, 0): csr_array(
            (matrix.data, (row, column + at)), shape=(rows, source.size)
        )
    }  # fmt: skip
    if bias is not None and bias.any():
        used = np.flatnonzero(bias)
        place = (used, np.full(len(used), e))
        terms[gates.source, 0] = csr_array((bias[used], place), shape=(rows, gates.size))
    return Affine(unit.name, np.zeros(rows), terms, (unit.name,))


def _sum(b: Builder, m: _Mixture, x: Affine, k: int, gate: str, activation: str) -> Affine:
    """What the chosen experts of a mixture give together."""
    x = x if x.source else b.layer(x.name, "Linear", x)
    scores = b.linear(m.router.name, x, m.router["weight"], m.router.get("bias"))
    gates = b.winners(m.router.name, scores, k, "sigmoid" if gate == "sigmoid" else "")
    copies = b.copies(f"{m.name}.copies", x, gates)
    total = Affine(m.name, np.zeros(m.experts[0][1].sizes["O"]), {})
    for e, (up, down) in enumerate(m.experts):
        apart, function = f"{m.name}.experts.{e}", "" if activation == "none" else activation
        drive = _gated(up, copies, e * x.size, gates, e)
        hidden = b.layer(up.name, "Linear", drive, activation=function, apart=apart)
        total = total.plus(m.name, _gated(down, hidden, 0, gates, e))
    return total


def _make(
    name: str, tensors: Mapping[str, np.ndarray], options: Options, settings: Mapping[str, str]
) -> Graph:
    draft = _Draft(tensors, options, settings)
    k = draft.number("k", 0, MOST_GROUP)
    pooling = draft.choose("pooling", "mean")
    activation = draft.choose("activation", "relu")
    residual = draft.choose("residual", "no") == "yes"
    if k < 1:
        draft.problems.append("'config.k', how many experts are chosen, must be 1 or more")
    if k > 1 and "gate" not in draft.config:
        meaning = ", ".join(f"{i} {v}" for i, v in enumerate(GATES))
        draft.problems.append(f"'config.gate' is missing; with k = {k} it must say {meaning}")
    gate = GATES[draft.number("gate", 0, len(GATES) - 1)]
    if k > 1 and gate == "softmax":
        draft.problems.append(
            f"'config.gate' is 2, a softmax over k = {k} chosen experts, which needs a division; "
            "train with sigmoid gates (1), with gates of one (0), or with k = 1"
        )
    if activation not in SILENT or (gate == "sigmoid" and activation not in ("none", "relu")):
        draft.problems.append(
            f"activation {activation!r} of experts behind {gate} gates is not mapped: "
            "with gates of one it must give 0 for 0, with sigmoid gates it must be relu; "
            "train with relu"
        )
    parts = _parts(draft)
    for part in parts:
        if isinstance(part, _Mixture) and k > len(part.experts):
            draft.problems.append(
                f"'config.k' is {k}, more than the {len(part.experts)} experts of {part.name}"
            )
        if isinstance(part, _Mixture) and residual:
            draft.width(part.experts[0][1], "O", part.router.sizes["I"])
    draft.finish()
    b = draft.builder
    first = parts[0].router if isinstance(parts[0], _Mixture) else parts[0]
    x = b.input(first.sizes["I"])
    for part in parts:
        if isinstance(part, _Mixture):
            total = _sum(b, part, x, k, gate, activation)
            x = x.plus(part.name, total) if residual else total
        elif part is parts[-1]:
            return b.graph(name, [draft.answer(part, x)], options, pooling)
        else:
            x = b.function(part.name, draft.linear(part, x), activation)
    return b.graph(name, [draft.answer(None, x)], options, pooling)


def load_experts(
    path: str | os.PathLike[str],
    options: Options | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Graph:
    """The model as a Graph; UserError with all problems of the file at once.

    tensors: those of the file, if they were read before.
    """
    tensors = read_tensors(path) if tensors is None else tensors
    try:
        return _make(Path(path).stem, tensors, options or Options(), {})
    except ModelError as error:
        raise refused(path, str(error).split("\n")) from None


def inspect_experts(
    path: str | os.PathLike[str],
    options: Options | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Inspection:
    """Every layer, mappable or not; UserError only if the file holds no tensors at all."""
    return inspect_tensors(path, options, tensors, _make)
