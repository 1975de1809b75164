"""Selective state-space layers (Mamba): read, run in real numbers, and costed; not mapped.

For a token x, after mamba_ssm/modules/mamba_simple.py (Gu & Dao, arXiv 2312.00752)::

    u, z    = in_proj x
    u       = silu(conv1d(u))                             causal, each channel alone
    dt, B, C = x_proj u          dt = softplus(dt_proj dt)
    s       = exp(dt A) s + dt B u                        A = -exp(A_log), s [E, N]
    answer  = out_proj((s C + D u) silu(z))

The poles exp(dt A) are new with every token. The cores of this project hold poles as constants, so
a layer is costed: what a token takes, and how far the answer moves when exp, softplus and silu are
read from tables of ENTRIES numbers each (nearest entry). silu and softplus are tabulated evenly in
-RANGE..RANGE and are 0 and x outside; exp(-v) by v's power of two and the next bits of v, which
keeps slow poles apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mapping.activations import ACTIVATIONS
from mapping.importers.ssm_draft import Draft
from mapping.importers.ssm_units import Unit

__all__ = ["ENTRIES", "Cost", "cost", "describe", "forward", "refuse_mamba", "tables"]

ENTRIES = 1 << 10
RANGE = 8.0
OCTAVES = 32
_SEED, _TOKENS = 0, 64

Functions = Mapping[str, Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Cost:
    """What a token takes in one layer. words: numbers kept from token to token."""

    multiplications: int
    lookups: int
    words: int


def cost(unit: Unit) -> Cost:
    """By counting the equations' products and functions."""
    size, inner, states = (unit.sizes[k] for k in "HEN")
    width, rank, mixed = (unit.sizes[k] for k in "WRX")
    dense = inner * (2 * size + mixed + rank + size)
    return Cost(
        multiplications=dense + inner * (width + 3 + 4 * states),
        lookups=inner * (3 + states),
        words=inner * (states + width - 1),
    )


def _even(name: str) -> Callable[[np.ndarray], np.ndarray]:
    step = 2 * RANGE / ENTRIES
    table = ACTIVATIONS[name](-RANGE + step * np.arange(ENTRIES))

    def read(x: np.ndarray) -> np.ndarray:
        index = np.floor((x + RANGE) / step + 0.5)
        inside = table[np.clip(np.nan_to_num(index), 0, ENTRIES - 1).astype(int)]
        return np.where(index < 0, 0.0, np.where(index >= ENTRIES, x, inside))

    return read


def _exp(x: np.ndarray) -> np.ndarray:
    """exp(x), x <= 0: 1 nearer to 0 than 2**(8 - OCTAVES), 0 below -2**8."""
    per = ENTRIES // OCTAVES
    octave, part = np.arange(ENTRIES) // per, np.arange(ENTRIES) % per
    table = np.exp(-np.ldexp(1 + (part + 0.5) / per, octave + 8 - OCTAVES))
    fraction, exponent = np.frexp(-x)
    index = (exponent - 1 - 8 + OCTAVES) * per + np.floor((2 * fraction - 1) * per)
    inside = table[np.clip(np.nan_to_num(index), 0, ENTRIES - 1).astype(int)]
    return np.where((index < 0) | (x == 0), 1.0, np.where(index >= ENTRIES, 0.0, inside))


def tables() -> Functions:
    """The three functions as the tables give them."""
    return {"silu": _even("silu"), "softplus": _even("softplus"), "exp": _exp}


def forward(unit: Unit, x: np.ndarray, functions: Functions = ACTIVATIONS) -> np.ndarray:
    """The layer's answer [tokens, H] to x [tokens, H], from a state of 0."""
    silu, softplus, exp = (functions[name] for name in ("silu", "softplus", "exp"))
    inner, states, width = (unit.sizes[k] for k in "ENW")
    rank, matrix = unit.sizes["R"], -np.exp(unit["A_log"])

    def linear(name: str, value: np.ndarray) -> np.ndarray:
        bias = unit.get(f"{name}.bias")
        return value @ unit[f"{name}.weight"].T + (0.0 if bias is None else bias)

    u, z = np.split(linear("in_proj", x), 2, axis=1)
    late = np.vstack([np.zeros((width - 1, inner)), u])
    kernel, bias = unit["conv1d.weight"][:, 0], unit.get("conv1d.bias")
    u = sum(late[i : i + len(x)] * kernel[:, i] for i in range(width))
    u = silu(u + (0.0 if bias is None else bias))
    mixed = u @ unit["x_proj.weight"].T
    step, b, c = np.split(mixed, [rank, rank + states], axis=1)
    step = softplus(linear("dt_proj", step))
    s, y = np.zeros((inner, states)), np.empty_like(u)
    for t in range(len(x)):
        s = exp(step[t][:, None] * matrix) * s + (step[t] * u[t])[:, None] * b[t]
        y[t] = s @ c[t] + unit["D"] * u[t]
    return linear("out_proj", y * silu(z))


def _error(unit: Unit) -> float:
    """RMS of what tables change, in RMS of the answer, on random tokens of deviation 1."""
    x = np.random.default_rng(_SEED).standard_normal((_TOKENS, unit.sizes["H"]))
    with np.errstate(all="ignore"):
        true = forward(unit, x)
        away = np.sqrt(np.mean((forward(unit, x, tables()) - true) ** 2))
    return float(away / max(np.sqrt(np.mean(true**2)), np.finfo(float).tiny))


_REASON = (
    "is selective: its poles exp(dt A) change with every token and cores hold poles as constants; "
    "train S4D, S5 or LRU layers instead"
)


def refuse_mamba(draft: Draft) -> tuple[str, str]:
    """Raises ModelError: what of the model can't be mapped, and why."""
    for unit in draft.of_kind("mamba"):
        _check(draft, unit)
        draft.problems.append(f"'{unit.name}' {_REASON}")
    draft.check()
    raise AssertionError


def _check(draft: Draft, unit: Unit) -> bool:
    rank, states, mixed = (unit.sizes.get(k, 0) for k in "RNX")
    if mixed != rank + 2 * states:
        draft.problems.append(
            f"'{unit.prefix}x_proj.weight' must have {rank + 2 * states} rows, not {mixed}"
        )
    return mixed == rank + 2 * states


def describe(draft: Draft) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """(nodes, notes) of an inspection: each layer with its cost and the tables' error."""
    nodes, notes = [], []
    for unit in draft.of_kind("mamba"):
        reason = "selective: its poles change with every token"
        nodes.append(
            {"name": unit.name, "kind": "Mamba", "shape": [unit.sizes.get("H", 0)],
             "status": "unsupported", "reason": reason}
        )  # fmt: skip
        if draft.problems or not _check(draft, unit):
            continue
        found, error = cost(unit), _error(unit)
        effect = (
            f"exp, softplus and silu from tables of {ENTRIES} entries change the answer by "
            f"{error:.2%} (RMS, {_TOKENS} random tokens)"
        )
        notes.append(
            {"node": unit.name,
             "change": f"a token takes {found.multiplications} multiplications, {found.lookups} "
                       f"table look-ups and {found.words} state words",
             "effect": effect if np.isfinite(error) else "its answer to random tokens overflows"}
        )  # fmt: skip
    return nodes, notes
