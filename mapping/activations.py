"""What a layer's value is a function of its membrane: activations by name, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit

__all__ = ["ACTIVATIONS", "EPSILON", "LAYERNORM", "activate"]

#: The activation that sees its whole layer.
LAYERNORM = "layernorm"
#: What a layer norm adds to the variance (torch's default).
EPSILON = 1e-5


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


#: Functions of each neuron alone. gelu, gelu_tanh: Hendrycks & Gimpel, arXiv 1606.08415.
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x: x * expit(x),
    "sigmoid": expit,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "exp": np.exp,
}


def activate(name: str, x: np.ndarray, axis: int = -1) -> np.ndarray:
    """The activation of membranes; `axis` is that of the layer's neurons. "" is the identity.

    "layernorm": (x - mean) / sqrt(variance + EPSILON) over the layer. KeyError for other names
    than these and those of ACTIVATIONS.
    """
    if not name:
        return x
    if name == LAYERNORM:
        centred = x - x.mean(axis, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis, keepdims=True) + EPSILON)
    return ACTIVATIONS[name](x)
