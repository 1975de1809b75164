"""Small Graphs for the tests of quantisation."""

from typing import Any

import numpy as np
from scipy import sparse

from mapping.graph import Connection, Graph, InputLayer, Layer, Options


def neurons(name: str, size: int, level: int, **changes: Any) -> Layer:
    """LIF neurons, decay 0.9, threshold 1, reset to 0, unless `changes` say otherwise.

    Numbers become arrays [size].
    """
    values: dict[str, Any] = {
        "kind": "LIF",
        "spiking": True,
        "has_current": False,
        "membrane_decay": 0.9,
        "current_decay": 0.0,
        "bias": 0.0,
        "threshold": 1.0,
        "reset": "set",
        "reset_value": 0.0,
        **changes,
    }
    for key in ("membrane_decay", "current_decay", "bias", "threshold", "reset_value"):
        values[key] = np.broadcast_to(np.asarray(values[key], float), size).copy()
    return Layer(name=name, size=size, shape=(size,), level=level, **values)


def synapses(source: str, target: str, matrix: Any, **changes: Any) -> Connection:
    values = {"node": f"{source}_{target}", **changes}
    return Connection(
        source=source, target=target, matrix=sparse.csr_array(np.asarray(matrix, float)), **values
    )


def model(
    inputs: int, layers: list[Layer], connections: list[Connection], outputs: list[str]
) -> Graph:
    return Graph(
        name="model",
        inputs=(InputLayer(name="in", size=inputs, shape=(inputs,)),),
        layers=tuple(layers),
        connections=tuple(connections),
        outputs=tuple(outputs),
        options=Options(),
    )


def spikes(samples: int, steps: int, size: int, seed: int = 0, rate: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((samples, steps, size)) < rate).astype(float)
