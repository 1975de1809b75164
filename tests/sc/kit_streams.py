"""Streams for tests: every one of a length, and random ones of given probability."""

import numpy as np

from sim.golden.sc.packed import pack

__all__ = ["bernoulli", "every", "within"]


def every(length: int, count: int = 1) -> list[np.ndarray]:
    """All combinations of `count` streams of `length` bits, each packed [2**(length*count), 1]."""
    number = np.arange(1 << (length * count))[:, None]
    return [pack((number >> (k * length + np.arange(length))) & 1) for k in range(count)]


def bernoulli(rng: np.random.Generator, p, length: int) -> np.ndarray:
    """Packed streams of i.i.d. bits with probabilities p [...]."""
    return pack(rng.random((*np.shape(p), length)) < np.asarray(p)[..., None])


def within(values: np.ndarray, expected, *, errors: float = 5.0, floor: float = 0.0) -> bool:
    """Whether the mean over axis 0 of independent values is `expected` within standard errors."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return bool((abs(values.mean(axis=0) - expected) <= errors * error + floor).all())
