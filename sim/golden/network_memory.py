"""What populations of the golden network remember, besides membranes and currents; restoring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.neuron import sends_changes
from hdl.params.sc.attention import AttentionParams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.program import Formats, Population, Program

__all__ = ["Inner", "Start", "check_restorable", "empty_inner", "places", "restore"]

#: By population, then by name ("membrane", "current", and those of `places`).
Start = Mapping[str, Mapping[str, np.ndarray]]


class Inner(NamedTuple):
    """What stays from step to step besides membranes and currents. First axis: samples; of a trace
    then steps.

    Members
    -------
    kept : int64 [..., values] of all populations that hold them (of others 0 between steps).
    x : float64 [..., 2, states], real and imaginary parts; whole numbers.
    draws : uint64 [..., states], generators.
    sent : int64 [..., neurons], the values of which changes were sent.
    """

    kept: np.ndarray
    x: np.ndarray
    draws: np.ndarray
    sent: np.ndarray


def empty_inner(shape: tuple[int, ...], seeds: np.ndarray, values: int, neurons: int) -> Inner:
    """What is remembered after a clear, `shape` times; `seeds` of all generators."""
    return Inner(
        np.zeros((*shape, values), np.int64),
        np.zeros((*shape, 2, len(seeds))),
        np.broadcast_to(seeds, (*shape, len(seeds))).copy(),
        np.zeros((*shape, neurons), np.int64),
    )


def places(p: Population, kind: np.ndarray, neurons: slice, inner: Inner) -> dict[str, np.ndarray]:
    """Views of what a population remembers: "sent", "states", "draws" and "held", if it has them.

    kind : its row of `sim/golden/network_dendrites.py`. neurons : where it stands in `inner.sent`.
    """
    d, found = p.dendrites, {}
    if sends_changes(p.fields["emit"]).any():
        found["sent"] = inner.sent[..., neurons]
    if isinstance(d, Diagonal):
        states = slice(kind[2], kind[2] + d.states(p.size))
        found["states"] = np.swapaxes(inner.x[..., : d.parts, states], -1, -2)
        if d.stochastic:
            found["draws"] = inner.draws[..., states]
    if isinstance(d, Diagonal | Gate) and d.held:
        ports = 2 if isinstance(d, Gate) else 1
        kept = inner.kept[..., kind[1] : kind[1] + ports * p.size]
        both = np.swapaxes(kept.reshape(*kept.shape[:-1], ports, p.size), -1, -2)
        found["held"] = both if ports == 2 else both[..., 0]
    return found


def check_restorable(program: Program) -> None:
    """UserError if a run of the Program can't begin where another one ended."""
    for q in program.projections:
        if q.delay:
            raise UserError(
                f"{q.source} -> {q.target}: arrives a step later; a state holds no events on their "
                "way, so run whole sequences"
            )
    for p in program.populations:
        if isinstance(p.dendrites, AttentionParams | Crossbar):
            kind = "an attention head" if isinstance(p.dendrites, AttentionParams) else "a crossbar"
            raise UserError(f"{p.name}: {kind} draws numbers; a state holds none of its generators")


def _ranges(p: Population, formats: Formats) -> dict[str, tuple[int, int]]:
    """Least and most of each array that a population starts from."""

    def signed(bits: int) -> tuple[int, int]:
        top = 1 << (bits - 1) if bits else 0
        return -top, max(top - 1, 0)

    d = p.dendrites
    ranges = {
        "membrane": signed(formats.membrane_bits),
        "current": signed(formats.current_bits),
        "sent": signed(max(formats.payload_bits - 1, 0)),
    }
    if isinstance(d, Diagonal):
        ranges |= {"states": signed(d.state_bits), "draws": (1, (1 << 32) - 1)}
    if isinstance(d, Diagonal | Gate):
        ranges["held"] = signed(d.value_bits)
    return ranges


def restore(p: Population, formats: Formats, start: Start, views: dict[str, np.ndarray]) -> None:
    """Write what a population starts from into `views`; UserError if it doesn't fit."""
    given = start.get(p.name, {})
    if set(given) != set(views):
        raise UserError(
            f"{p.name}: a state to start from has {', '.join(views)}, "
            f"not {', '.join(given) or 'nothing'}; take it from a run of the same program"
        )
    for name, view in views.items():
        value, (low, high) = np.asarray(given[name]), _ranges(p, formats)[name]
        if value.shape != view.shape or value.dtype.kind not in "iu":
            raise UserError(
                f"{p.name}: {name} to start from must be integers of shape {view.shape}, "
                f"not {value.dtype} {value.shape}"
            )
        if value.size and not low <= value.min() <= value.max() <= high:
            raise UserError(f"{p.name}: {name} to start from must be in {low}..{high}")
        view[...] = value
