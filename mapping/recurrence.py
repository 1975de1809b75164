"""Dendrites of state-space layers and gates in floating point, and what is wrong with them.

The semantics are those of `StateSpace` and `Product` in mapping/graph.py. All dendrites that a
simulation steps have `ports` and `step`; `dendrites_of` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from hdl.params.sc.attention import AttentionParams
from hdl.params.ssm.gate import OPERANDS
from mapping.attention import Head
from mapping.graph import Connection, Graph, Layer, Product, StateSpace

__all__ = ["Gated", "Recurrence", "dendrites_of", "state_problems"]


class Recurrence:
    """States of a layer while it runs, for a number of samples, from 0."""

    ports: tuple[str, ...] = ("",)

    def __init__(self, space: StateSpace, samples: int) -> None:
        self.real = space.real
        kind = np.float64 if self.real else np.complex128
        self.poles = _cast(space.poles, kind)
        self.mix = None if space.mix is None else _cast(space.mix, kind)
        #: [samples, size, order] if mixed, else [samples, states]; float or complex.
        self.states = np.zeros((samples, *self.poles.shape), kind)

    def entering(self, u: np.ndarray) -> np.ndarray:
        """What of an input [samples, size] is added to each state, to be broadcast to `states`."""
        if self.mix is not None:
            return u[:, :, None]
        return u if self.real else np.ascontiguousarray(u, float).view(np.complex128)

    def step(self, ports: Mapping[str, np.ndarray]) -> np.ndarray:
        """The drive of one step, float [samples, size], from the input in the same form."""
        x = self.states
        x *= self.poles
        x += self.entering(ports[""])
        if self.mix is None:
            return x.copy() if self.real else x.view(np.float64).copy()
        drive = np.einsum("sni,ni->sn", x.real, self.mix.real)
        if not self.real:
            drive -= np.einsum("sni,ni->sn", x.imag, self.mix.imag)
        return drive


def _cast(values: np.ndarray, kind: type) -> np.ndarray:
    values = np.asarray(values, np.complex128)
    return np.ascontiguousarray(values.real if kind is np.float64 else values)


class Gated:
    """The product of two inputs."""

    ports = OPERANDS

    def step(self, ports: Mapping[str, np.ndarray]) -> np.ndarray:
        left, right = (ports[name] for name in OPERANDS)
        return left * right


def dendrites_of(layer: Layer, samples: int, seed: int = 0) -> Head | Recurrence | Gated | None:
    """What sums a layer's input while it runs `samples` samples; None: its connections alone."""
    d = layer.dendrites
    if isinstance(d, AttentionParams):
        return Head(d, seed)
    if isinstance(d, StateSpace):
        return Recurrence(d, samples)
    return Gated() if isinstance(d, Product) else None


def state_problems(graph: Graph) -> list[str]:
    """One line for every broken rule of state-space layers and gates; matrices' shapes fit."""
    found = []
    sources = {i.name for i in graph.inputs} | {p.name for p in graph.layers}
    for p in graph.layers:
        if isinstance(p.dendrites, StateSpace):
            ports = [""]
            found += [f"{p.name}: {text}" for text in _space(p, p.dendrites)]
        elif isinstance(p.dendrites, Product):
            ports = sorted(OPERANDS)
        else:
            continue
        into = [c for c in graph.connections if c.target == p.name and c.source in sources]
        if sorted(c.port for c in into) != ports:
            wanted = "one connection" + " at each of left, right" * (len(ports) > 1)
            found.append(
                f"{p.name}: a layer of kind {p.kind} takes {wanted}, not {len(into)} at "
                f"{[c.port for c in into]}; put a linear layer before it that adds up its inputs"
            )
        for c in into:
            if c.delay:
                found.append(
                    f"{p.name}: its input {c.source} comes {c.delay} steps late; put a linear "
                    "layer between them"
                )
            if not _fits(p, c):
                found.append(
                    f"{p.name}: its input {c.source} must be one to one with weight 1; put a "
                    "linear layer between them"
                )
        spread = p.dendrites if isinstance(p.dendrites, Product) else Product()
        if spread != Product() and (p.size % spread.stretch or len({c.source for c in into}) < 2):
            found.append(
                f"{p.name}: a gate that spreads its inputs takes two sources, and {p.size} neurons "
                f"must be whole stretches of {spread.stretch}"
            )
        if p.spiking or p.has_current or np.any(p.membrane_decay):
            found.append(f"{p.name}: its neurons must keep no state beside its dendrites'")
    return found


def _fits(p: Layer, c: Connection) -> bool:
    """Whether each neuron has the one source of weight 1 that its dendrites say."""
    source = np.arange(p.size)
    if isinstance(p.dendrites, Product) and c.port in OPERANDS:
        source = p.dendrites.places(p.size)[c.port]
    wanted = csr_array(
        (np.ones(p.size), (np.arange(p.size), source)),
        shape=(p.size, int(source.max(initial=-1)) + 1),
    )
    return c.matrix.shape == wanted.shape and not (c.matrix != wanted).nnz


def _space(p: Layer, space: StateSpace) -> list[str]:
    poles, mix = np.asarray(space.poles), space.mix
    if mix is not None:
        shape = (p.size, poles.shape[1] if poles.ndim == 2 else 1)
        if poles.shape != shape or np.shape(mix) != shape or not poles.size:
            return [f"poles and mix must be [{p.size}, order], not {poles.shape}, {np.shape(mix)}"]
    elif poles.ndim != 1 or len(poles) * (1 if space.real else 2) != p.size:
        wanted = f"{p.size} real or {p.size / 2:g} complex numbers"
        return [f"poles must be {wanted}, not {poles.shape}"]
    found = []
    for name, values in (("poles", poles), ("mix", mix)):
        if values is not None and not np.isfinite(values).all():
            where = np.argwhere(~np.isfinite(values))[0].tolist()
            found.append(f"{name} hold NaN or infinity at state {where}; mend the model file")
    with np.errstate(invalid="ignore"):
        outside = np.argwhere(np.abs(poles) >= 1)
    if len(outside):
        where = tuple(outside[0])
        value = complex(poles[where])
        found.append(
            f"the pole of state {outside[0].tolist()} is {value:.6g}, |a| = {abs(value):.6g}: "
            "the state would grow without end; |a| must be below 1 (a smaller step, or a negative "
            f"real part of the continuous pole; {len(outside)} of {poles.size} poles)"
        )
    return found
