"""State-space populations of the golden network: their data, checked, for compiled code.

An event that feeds states or a gate adds to the value that is kept for its neuron; the update
(sim/golden/network_recur.py) makes the input sums of the values and forgets them, unless they are
held.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hdl.params.sc.lfsr import seed_of
from hdl.params.ssm.diagonal import Diagonal
from mapping.program import Population, Program

__all__ = ["MIXED", "PAIRS", "SINGLE", "Recurrences", "build_recurrences", "check_states", "way"]

#: What a state's parts come from and go to: sums of a neuron's states, pairs, or one number.
MIXED, PAIRS, SINGLE = range(3)


class Recurrences(NamedTuple):
    """All Diagonal populations for compiled code: their states one behind the other.

    Members
    -------
    layers : float64 [populations, 5]: clip of the input, 2**-F, least state, F, mix_shift.
    ar, ai, cr, ci, scale : float64 [states]; scale is 2**e. 0 where a population has none.
    half : float64 [2, states], what rounds; without draws.
    seeds : uint64 [states], generators after a clear; 0 without draws.
    """

    layers: np.ndarray
    ar: np.ndarray
    ai: np.ndarray
    cr: np.ndarray
    ci: np.ndarray
    scale: np.ndarray
    half: np.ndarray
    seeds: np.ndarray


def way(d: Diagonal) -> int:
    """MIXED, PAIRS or SINGLE."""
    return MIXED if d.mixed else SINGLE if d.real else PAIRS


def check_states(p: Population) -> None:
    """ValueError if a population's states are not what they must be."""
    d = p.dendrites
    assert isinstance(d, Diagonal)
    if p.size % d.neurons:
        raise ValueError(f"{p.name}: size must be even, not {p.size}")
    for name, (shape, low, high) in d.data(p.size).items():
        value = p.arrays.get(name)
        if value is None or value.shape != shape:
            raise ValueError(f"{p.name}: {name} must be of shape {shape}")
        if value.size and not low <= value.min() <= value.max() <= high:
            raise ValueError(f"{p.name}: {name} must be in {low}..{high}")
    if ((p.arrays["pole"] ** 2).sum(1) >= 4**d.pole_bits).any():
        raise ValueError(f"{p.name}: pole must be of magnitude below {1 << d.pole_bits}")


def build_recurrences(program: Program) -> Recurrences:
    """All Diagonal populations of a Program, in its order."""
    layers = [np.zeros((0, 5))]
    columns: list[list[np.ndarray]] = [[np.zeros(0)] for _ in range(7)]
    seeds = [np.zeros(0, np.uint64)]
    for p in program.populations:
        d = p.dendrites
        if not isinstance(d, Diagonal):
            continue
        states, f = d.states(p.size), d.pole_bits
        limit, least = 2.0 ** (f + d.state_bits + 1), -(2.0 ** (d.state_bits - 1))
        layers.append(np.array([[limit, 2.0**-f, least, f, d.mix_shift]]))
        both = np.zeros((2, states, 2))
        for row, name in zip(both, ("pole", "mix"), strict=True):
            if name in p.arrays:
                row[:, : d.parts] = p.arrays[name]
        half = np.full(states, 0.0 if d.stochastic else 2.0 ** (f - 1))
        scale = np.exp2(d.drive_shift + p.arrays["gain"])
        made = *both.transpose(0, 2, 1).reshape(4, states), scale, half, half
        for column, array in zip(columns, made, strict=True):
            column.append(array)
        draws = [seed_of(d.seed, k, 32) if d.stochastic else 0 for k in range(states)]
        seeds.append(np.array(draws, np.uint64))
    ar, ai, cr, ci, scale, *half_parts = (np.concatenate(column) for column in columns)
    return Recurrences(
        np.concatenate(layers), ar, ai, cr, ci, scale, np.stack(half_parts), np.concatenate(seeds)
    )
