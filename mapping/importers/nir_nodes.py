"""The NIR primitives: their parameters, their checks, their discrete-time coefficients."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from mapping.fold import LinearNode
from mapping.graph import Options

__all__ = [
    "KINDS",
    "REASONS",
    "Coefficients",
    "Kind",
    "broadcast",
    "check_values",
    "coefficients",
    "linear_node",
]


@dataclass(frozen=True)
class Kind:
    """What a supported primitive is. `optional` parameters have a default value."""

    role: str  # "input", "output", "linear", "neuron"
    required: tuple[str, ...] = ()
    optional: tuple[tuple[str, float], ...] = ()
    spiking: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters that are read."""
        return self.required + tuple(name for name, _ in self.optional)


_V_RESET = (("v_reset", 0.0),)
_CUBA = ("tau_syn", "tau_mem", "r", "v_leak")

KINDS = {
    "Input": Kind("input", (), (("shape", np.nan),)),
    "Output": Kind("output", (), (("shape", np.nan),)),
    "Affine": Kind("linear", ("weight", "bias")),
    "Linear": Kind("linear", ("weight",)),
    "Scale": Kind("linear", ("scale",)),
    "Flatten": Kind("linear", (), (("input_type", np.nan),)),
    "Threshold": Kind("neuron", ("threshold",), spiking=True),
    "I": Kind("neuron", ("r",)),
    "IF": Kind("neuron", ("r", "v_threshold"), _V_RESET, spiking=True),
    "LI": Kind("neuron", ("tau", "r", "v_leak")),
    "LIF": Kind("neuron", ("tau", "r", "v_leak", "v_threshold"), _V_RESET, spiking=True),
    "CubaLI": Kind("neuron", _CUBA, (("w_in", 1.0),)),
    "CubaLIF": Kind("neuron", (*_CUBA, "v_threshold"), (*_V_RESET, ("w_in", 1.0)), spiking=True),
}
"""The kinds that are mapped or folded. A default of NaN: may be missing, then it is inferred."""

_UNROLL = "unroll it to an Affine with the equivalent matrix before export"
REASONS = {
    "Conv1d": f"convolutions are not read; {_UNROLL}",
    "Conv2d": f"convolutions are not read; {_UNROLL}",
    "SumPool2d": f"pooling is not read; {_UNROLL}",
    "AvgPool2d": f"pooling is not read; {_UNROLL}",
    "Delay": "axonal delays are not mapped; remove it, or train with delays of whole steps in a "
    "recurrent edge",
}
"""Why a primitive is not supported, and what to do."""


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The update of mapping.graph.Layer, plus `gain` from a node's input to its state."""

    gain: np.ndarray
    membrane_decay: np.ndarray
    current_decay: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    reset: str
    reset_value: np.ndarray


def check_values(kind: str, values: dict[str, np.ndarray], present: Container[str]) -> list[str]:
    """What is wrong with the parameters of one node, each with how to mend it.

    present: names that the file has, even where their values could not be read.
    """
    found = []
    spec = KINDS[kind]
    for name in spec.required:
        if name not in present:
            found.append(f"has no parameter '{name}'; write the file again with nir.write")
    for name, value in values.items():
        if value.size == 0:
            found.append(f"'{name}' is empty; give it at least one value")
        elif name in ("shape", "input_type"):
            if not (np.isfinite(value).all() and (value >= 1).all() and (value % 1 == 0).all()):
                found.append(f"'{name}' must be positive integers, not {value.tolist()}")
        elif bad := int(np.count_nonzero(~np.isfinite(value))):
            found.append(
                f"'{name}' has {bad} of {value.size} values that are NaN or infinite; "
                "train or export it again"
            )
        elif name.startswith("tau") and value.min() <= 0:
            found.append(
                f"'{name}' must be positive, its smallest value is {value.min():g}; "
                "give a time constant in seconds"
            )
    weight = values.get("weight")
    if weight is not None and weight.ndim < 2:
        found.append(f"'weight' must be [..., out, in], its shape is {weight.shape}")
    elif weight is not None and "bias" in values:
        out = (*weight.shape[:-2], weight.shape[-2])
        bias = values["bias"]
        if bias.size not in (1, int(np.prod(out))):
            found.append(f"'bias' has shape {bias.shape}, the weight gives {out}; make them equal")
    full = all(value.size for value in values.values())
    if spec.role == "neuron" and full and broadcast(values) is None:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
        found.append(f"shapes do not fit together: {shapes}; give one value, or one a neuron")
    return found


def broadcast(values: dict[str, np.ndarray]) -> tuple[int, ...] | None:
    """The common shape of a neuron node's parameters, None if there is none."""
    full = {v.shape for v in values.values() if v.size != 1}
    if len(full) > 1:
        return None
    return full.pop() if full else max((v.shape for v in values.values()), default=(), key=len)


def _leak(options: Options, dt: float) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def euler(tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 1.0 - dt / tau, dt / tau

    def exponential(tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.exp(-dt / tau), -np.expm1(-dt / tau)

    return euler if options.scheme == "euler" else exponential


def coefficients(
    kind: str, values: dict[str, np.ndarray], size: int, options: Options, dt: float
) -> Coefficients:
    """Discretise a neuron node: decay and gain of each state, bias from v_leak, reset."""
    spec = KINDS[kind]
    p = {name: np.full(size, default) for name, default in spec.optional}
    p |= {name: np.broadcast_to(v.reshape(-1), (size,)).copy() for name, v in values.items()}
    zero, one = np.zeros(size), np.ones(size)
    leak = _leak(options, dt)
    decay, gain, current, bias = one, one, zero, zero
    threshold = p.get("v_threshold", zero)
    if kind == "Threshold":
        decay, threshold = zero, p["threshold"]
    elif kind in ("I", "IF"):
        gain = dt * p["r"]
    elif kind in ("LI", "LIF"):
        decay, share = leak(p["tau"])
        gain, bias = p["r"] * share, p["v_leak"] * share
    else:
        decay, share = leak(p["tau_mem"])
        current, share_syn = leak(p["tau_syn"])
        gain, bias = p["r"] * share * (p["w_in"] * share_syn), p["v_leak"] * share
    reset, value = "set", zero
    if spec.spiking and kind != "Threshold":
        if options.reset == "v_reset":
            value = p["v_reset"]
        elif options.reset in ("subtract", "delayed"):
            reset, value = options.reset, threshold
    return Coefficients(gain, decay, current, bias, threshold, reset, value)


def _matrix(weight: np.ndarray) -> Any:
    """A weight [..., out, in] as one csr matrix; leading axes make blocks."""
    from scipy.sparse import block_diag, csr_array

    blocks = weight.reshape(-1, *weight.shape[-2:])
    if len(blocks) == 1:
        return csr_array(blocks[0])
    return csr_array(block_diag(list(blocks), format="csr"))


def linear_node(
    kind: str, values: dict[str, np.ndarray], size_in: int, size_out: int
) -> LinearNode:
    """A node without state as matrix and bias."""
    from scipy.sparse import csr_array, diags_array

    if kind == "Scale":
        scale = np.broadcast_to(values["scale"].reshape(-1), (size_in,))
        return LinearNode(matrix=csr_array(diags_array(scale, format="csr")))
    if kind not in ("Affine", "Linear"):
        return LinearNode()
    bias = values.get("bias")
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), (size_out,))
    return LinearNode(matrix=_matrix(values["weight"]), bias=bias)
