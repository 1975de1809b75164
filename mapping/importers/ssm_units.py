"""Parts of a state-space model, found in a dictionary of tensors by their names.

A unit is a module with tensors of its own: a state-space layer of some code base, torch's Linear
(a Conv1d of width 1 too), LayerNorm or BatchNorm. Its prefix is what stands before its names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = ["EXPECTED", "KINDS", "Unit", "find_units"]

#: Kind: names of a unit's tensors and their axes; sizes are letters, "2H" is twice H. A name in
#: brackets may be missing. A kind is told by its first two names. Real and imaginary parts may be
#: an axis of 2 more at the end of a complex tensor ("c").
KINDS: dict[str, dict[str, str]] = {
    "npz": {"logdt": "H", "lre": "H N", "im": "H N", "C": "c H N", "D": "H"},
    "s4d": {
        "kernel.log_dt": "H", "kernel.log_A_real": "H N", "kernel.A_imag": "H N",
        "kernel.C": "c H N", "D": "H",
        "output_linear.0.weight": "2H H 1", "output_linear.0.bias": "2H",
    },
    "s5": {"Lambda": "c P", "log_step": "P", "B": "c P H", "C": "c H Q", "D": "H"},
    "lru parts": {
        "nu_log": "P", "B_re": "P I", "theta_log": "P", "gamma_log": "P", "B_im": "P I",
        "C_re": "O P", "C_im": "O P", "D": "O I",
    },
    "lru": {
        "nu_log": "P", "theta_log": "P", "gamma_log": "P", "B": "c P I", "C": "c O P", "D": "O I",
    },
    "lmu": {
        "e_h": "1 H", "e_m": "1 M", "e_x": "1 I", "W_x": "H I", "W_h": "H H", "W_m": "H M",
        "A": "M M", "B": "M 1",
    },
    "mamba": {
        "A_log": "E N", "x_proj.weight": "X E", "in_proj.weight": "2E H", "[in_proj.bias]": "2E",
        "conv1d.weight": "E 1 W", "[conv1d.bias]": "E", "dt_proj.weight": "E R",
        "dt_proj.bias": "E", "D": "E", "out_proj.weight": "H E", "[out_proj.bias]": "H",
    },
    "batchnorm": {
        "running_mean": "H", "running_var": "H", "[weight]": "H", "[bias]": "H",
        "[num_batches_tracked]": "",
    },
    "linear": {"weight": "O I", "[bias]": "O"},
    "norm": {"weight": "H", "[bias]": "H"},
}  # fmt: skip

EXPECTED = "; ".join(
    f"{kind}: {', '.join(names)}" for kind, names in KINDS.items() if kind not in ("linear", "norm")
)


@dataclass(eq=False)
class Unit:
    """A part of the model. tensors: float64 or complex128, by their names behind the prefix.

    sizes: what the letters of its axes are. place: its first tensor's in the file.
    """

    kind: str
    prefix: str
    place: int
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.prefix.rstrip(".") or self.kind

    def __getitem__(self, name: str) -> np.ndarray:
        return self.tensors[name]

    def get(self, name: str) -> np.ndarray | None:
        return self.tensors.get(name)


def find_units(tensors: Mapping[str, np.ndarray]) -> tuple[list[Unit], list[str], list[str]]:
    """(units in the file's order, names that belong to none, what is wrong with the units)."""
    places = {name: i for i, name in enumerate(tensors)}
    left = dict.fromkeys(tensors)
    units, problems = [], []
    for kind, axes in KINDS.items():
        needed = [n for n in axes if not n.startswith("[")]
        marks = needed[:2] if kind not in ("linear", "norm") else needed
        prefixes = [_prefixes(left, mark) for mark in marks]
        for prefix in prefixes[0]:
            if any(prefix not in other for other in prefixes[1:]):
                continue
            if kind in ("linear", "norm") and not _fits(kind, tensors[f"{prefix}weight"]):
                continue
            if missing := [f"'{prefix}{n}'" for n in needed if prefix + n not in left]:
                problems.append(f"'{prefix.rstrip('.')}' ({kind}) lacks {', '.join(missing)}")
            names = [n.strip("[]") for n in axes]
            names = [n for n in names if prefix + n in left]
            unit = Unit(kind, prefix, min(places[prefix + n] for n in names))
            for name in names:
                del left[prefix + name]
                problems += _take(unit, name, tensors[prefix + name], axes)
            units.append(unit)
    return sorted(units, key=lambda u: u.place), list(left), problems


def _prefixes(names: Mapping[str, None], mark: str) -> list[str]:
    return [n[: -len(mark)] for n in names if n == mark or n.endswith(f".{mark}")]


def _fits(kind: str, weight: np.ndarray) -> bool:
    flat = weight.ndim == 3 and weight.shape[2] == 1
    return weight.ndim == 1 if kind == "norm" else weight.ndim == 2 or flat


def _take(unit: Unit, name: str, value: np.ndarray, axes: Mapping[str, str]) -> list[str]:
    """Put a tensor into its unit; what is wrong with its type or shape."""
    tokens = (axes[name] if name in axes else axes[f"[{name}]"]).split()
    label = f"'{unit.prefix}{name}'"
    if tokens[:1] == ["c"]:
        tokens = tokens[1:]
        if value.dtype.kind != "c" and value.ndim == len(tokens) + 1 and value.shape[-1] == 2:
            value = value[..., 0] + 1j * value[..., 1]
        value = value.astype(np.complex128)
    elif value.dtype.kind == "c":
        return [f"{label} must be real numbers, not complex"]
    if unit.kind == "linear" and name == "weight" and value.ndim == 3:
        value = value[:, :, 0]
    unit.tensors[name] = value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)
    shape = "[" + ", ".join(tokens) + "]"
    if value.ndim != len(tokens):
        return [f"{label} must be {shape}, its shape is {list(value.shape)}"]
    for token, size in zip(tokens, value.shape, strict=True):
        factor, letter = (token[:-1] or "1", token[-1]) if token[-1].isalpha() else (token, "")
        if letter and size and size % int(factor) == 0:
            unit.sizes.setdefault(letter, size // int(factor))
        if not size or size != int(factor) * unit.sizes.get(letter, 1):
            known = ", ".join(f"{k} = {v}" for k, v in unit.sizes.items() if k in shape)
            given = f" with {known}" if known else ""
            return [f"{label} must be {shape}{given}, its shape is {list(value.shape)}"]
    return []
