"""From continuous to discrete time: linear systems dx/dt = A x + B u in steps of one length.

What a method gives is for x = a x + b u with u the input of the same step (x is the new state):

| method | u between steps | a | b |
|---|---|---|---|
| zoh | stays (zero-order hold) | exp(A D) | A^-1 (exp(A D) - 1) B |
| bilinear | trapezoidal rule (Tustin) | (1 - A D/2)^-1 (1 + A D/2) | (1 - A D/2)^-1 D B |
| dirac | a pulse at the step | exp(A D) | B |

with D the step. zoh and bilinear: Gu et al., arXiv 2206.11893, section 2; dirac: Schoene et al.,
arXiv 2404.18508 (events), also the impulse-invariant method of scipy.signal.cont2discrete, whose
input is 1/D times as large.
"""

from __future__ import annotations

import numpy as np

__all__ = ["METHODS", "dense", "diagonal"]

METHODS = ("zoh", "bilinear", "dirac")


def _known(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"discretisation must be one of {METHODS}, not {method!r}")


def diagonal(poles: np.ndarray, step: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) for B = 1, elementwise; poles complex (0 too), step broadcasts to them.

    Raises ValueError for an unknown method.
    """
    _known(method)
    poles, step = np.broadcast_arrays(np.asarray(poles, np.complex128), np.asarray(step, float))
    scaled = poles * step
    if method == "bilinear":
        return (1 + scaled / 2) / (1 - scaled / 2), step / (1 - scaled / 2)
    if method == "dirac":
        return np.exp(scaled), np.ones_like(scaled)
    gain = np.divide(np.expm1(scaled), poles, where=poles != 0, out=step.astype(np.complex128))
    return np.exp(scaled), gain


def dense(
    matrix: np.ndarray, inputs: np.ndarray, step: float, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) for matrices A [n, n] and B [n, m], A singular or not; ValueError as above."""
    from scipy.linalg import expm

    _known(method)
    size, width = inputs.shape
    if method == "bilinear":
        half = matrix * (step / 2)
        both = np.linalg.solve(np.eye(size) - half, np.hstack([np.eye(size) + half, step * inputs]))
        return both[:, :size], both[:, size:]
    if method == "dirac":
        return expm(matrix * step), np.array(inputs, dtype=float)
    block = np.zeros((size + width, size + width))
    block[:size] = np.hstack([matrix, inputs]) * step
    whole = expm(block)
    return whole[:size, :size], whole[:size, size:]
