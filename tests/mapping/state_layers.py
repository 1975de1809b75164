"""Small state-space Graphs, and the published dynamics of S4D-Lin."""

from __future__ import annotations

from typing import Any

import numpy as np

from mapping.graph import Connection, Layer, Product, StateSpace
from tests.mapping.models import neurons, synapses


def linear(name: str, size: int, level: int, **changes: Any) -> Layer:
    values = {"kind": "Linear", "spiking": False, "membrane_decay": 0.0, "threshold": np.inf}
    return neurons(name, size, level, **(values | changes))


def ssm(name: str, level: int, poles: Any, mix: Any = None, **changes: Any) -> Layer:
    space = StateSpace(
        poles=np.asarray(poles, complex), mix=None if mix is None else np.asarray(mix, complex)
    )
    size = len(space.poles) * (1 if space.mix is not None or space.real else 2)
    return linear(name, size, level, kind="SSM", dendrites=space, **changes)


def gate(name: str, size: int, level: int, **changes: Any) -> Layer:
    return linear(name, size, level, kind="Gate", dendrites=Product(), **changes)


def identity(source: str, target: str, size: int, port: str = "") -> Connection:
    return synapses(source, target, np.eye(size), port=port)


def random_poles(rng: np.random.Generator, shape: Any, slowest: float = 0.99) -> np.ndarray:
    return rng.uniform(0.2, slowest, shape) * np.exp(1j * rng.uniform(0, np.pi, shape))


def s4d_lin(states: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Poles and input gains of S4D-Lin by zero-order hold (arXiv 2206.11893)."""
    lam = -0.5 + 1j * np.pi * np.arange(states)
    a = np.exp(lam * step)
    return a, (a - 1) / lam
