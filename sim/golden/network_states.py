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


#: Rows of numbers of all states: their parts, pole, mix, 2**e, what rounds, and room to work.
RE, IM, AR, AI, CR, CI, SCALE, HALF_RE, HALF_IM, P, Q = range(11)


class Recurrences(NamedTuple):
    """All Diagonal populations for compiled code: their states one behind the other.

    Members
    -------
    layers : float64 [populations, 5]: clip of the input, 2**-F, least state, F, mix_shift.
    rows : float64 [11, states], whole numbers; the parts 0, what rounds that without draws.
    seeds : uint64 [states], generators after a clear; 0 without draws.
    """

    layers: np.ndarray
    rows: np.ndarray
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
    layers, rows = [np.zeros((0, 5))], [np.zeros((11, 0))]
    seeds = [np.zeros(0, np.uint64)]
    for p in program.populations:
        d = p.dendrites
        if not isinstance(d, Diagonal):
            continue
        limit, least = 2.0 ** (d.pole_bits + d.state_bits + 1), -(2.0 ** (d.state_bits - 1))
        layers.append(np.array([[limit, 2.0**-d.pole_bits, least, d.pole_bits, d.mix_shift]]))
        made = np.zeros((11, d.states(p.size)))
        made[AR : AR + d.parts] = p.arrays["pole"].T
        if d.mixed:
            made[CR : CR + d.parts] = p.arrays["mix"].T
        made[SCALE] = np.exp2(d.drive_shift + p.arrays["gain"])
        made[[HALF_RE, HALF_IM]] = 2.0 ** (d.pole_bits - 1)
        rows.append(made)
        draws = [seed_of(d.seed, k, 32) if d.stochastic else 0 for k in range(made.shape[1])]
        seeds.append(np.array(draws, np.uint64))
    return Recurrences(np.concatenate(layers), np.concatenate(rows, 1), np.concatenate(seeds))
