"""What stands in the memories of a core whose dendrites are states or products.

Layouts: hdl/params/ssm/diagonal.py and hdl/params/ssm/gate.py. A core has a stretch of one
population, so its coefficients are a slice of the population's arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hdl.params.dendrites import Memory
from hdl.params.neuron import bits_for
from hdl.params.sc.lfsr import seed_of
from hdl.params.ssm.diagonal import GAIN_BITS, Diagonal, DiagonalParams
from hdl.params.ssm.gate import Gate, GateParams
from mapping.images import Synapses
from mapping.program import Population

__all__ = ["Gates", "States", "dendrites_of", "encode_gates", "encode_states", "held_bits"]


def dendrites_of(p: Population, lanes: int | None) -> DiagonalParams | GateParams:
    """The hardware of a population's states or products, without draws.

    `lanes`: states a cycle that are wanted, None is 1; of few states a neuron fewer.
    """
    if isinstance(p.dendrites, Gate):
        return GateParams(gate=p.dendrites)
    assert isinstance(p.dendrites, Diagonal)
    return DiagonalParams(
        diagonal=p.dendrites, lanes=min(lanes or 1, 1 << bits_for(p.dendrites.order))
    )


def held_bits(params: DiagonalParams | GateParams, slots: int) -> int:
    """Bits of coefficients and of one pointer for each port of `slots` neurons."""
    axons = sum(params.gate.sources(slots)) if isinstance(params, GateParams) else slots
    return sum(count * width for count, width in params.items(slots, axons).values())


def _pointers(s: Synapses, code: np.ndarray, slots: int, axons: int) -> list[int]:
    """Slot, then a code."""
    pointer = np.zeros(axons, dtype=np.int64)
    pointer[s.axon] = s.slot | code << bits_for(slots)
    return pointer.tolist()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Held:
    """What a core of states and one of gates share."""

    params: DiagonalParams | GateParams
    slots: int
    axons: int

    @property
    def held(self) -> int:
        """Memory bits that fewer neurons would make fewer."""
        return held_bits(self.params, self.slots)

    @property
    def bits(self) -> int:
        """Memory bits: coefficients, pointers."""
        items = self.params.items(self.slots, self.axons)
        return sum(count * width for count, width in items.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class States(_Held):
    """A stretch of a Diagonal population on one core."""

    params: DiagonalParams
    population: Population
    first: int  #: number of the core's first state in the population

    @property
    def acc_bits(self) -> int:
        return self.params.diagonal.acc_bits

    @property
    def states(self) -> int:
        return self.params.diagonal.states(self.slots)

    @property
    def state_bits(self) -> int:
        """Bits that the dendrites remember between steps."""
        p, d = self.params, self.params.diagonal
        held = self.slots * d.value_bits if d.held else 0
        return p.state_words(self.slots) * p.lanes * p.state_bits + held

    def images(self, s: Synapses, slots: int, axons: int) -> dict[Memory, list[int]]:
        """Coefficients, pointers."""
        d, arrays = self.params.diagonal, self.population.arrays
        parts = [(arrays["pole"], d.pole_bits + 1), (arrays["gain"][:, None], GAIN_BITS)]
        if d.mixed:
            parts.append((arrays["mix"], d.mix_bits))
        item, shift = np.zeros(self.states, dtype=object), 0
        for values, bits in parts:
            for column in values[self.first : self.first + self.states].T:
                item += (column & (1 << bits) - 1).astype(object) << shift
                shift += bits
        return {
            Memory.SYNAPSE: by_item(self.params, item).tolist(),
            Memory.POINTER: _pointers(s, s.weight, slots, axons),
        }


def by_item(params: DiagonalParams, values: np.ndarray) -> np.ndarray:
    """What belongs to each state of a core in the order of its items, 0 for the states i >= order
    that fill a neuron's words."""
    order = params.diagonal.order
    whole = np.zeros((len(values) // order, params.words * params.lanes), dtype=values.dtype)
    whole[:, :order] = values.reshape(-1, order)
    return whole.reshape(-1)


def encode_states(p: Population, first: int, slots: int, axons: int, lanes: int | None) -> States:
    """`slots` neurons of a Diagonal population from neuron `first` on, for a core."""
    params = dendrites_of(p, lanes)
    assert isinstance(params, DiagonalParams)
    d = params.diagonal
    state = d.states(first)
    if d.stochastic:
        draws = [seed_of(d.seed, k, 32) for k in range(state, state + d.states(slots))]
        params = replace(params, draws=tuple(by_item(params, np.array(draws)).tolist()))
    return States(params=params, population=p, first=state, slots=slots, axons=axons)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gates(_Held):
    """Products of one core."""

    params: GateParams

    @property
    def acc_bits(self) -> int:
        return self.params.gate.acc_bits

    @property
    def state_bits(self) -> int:
        """Bits that the dendrites remember between steps."""
        return self.params.state_items(self.slots) * self.params.item_bits

    def images(self, s: Synapses, slots: int, axons: int) -> dict[Memory, list[int]]:
        """The pointers."""
        gate = self.params.gate
        if gate.spread:
            left, right = (np.array(place) for place in gate.places(slots))
            s = replace(s, slot=np.where(s.weight == 1, left[s.slot], right[s.slot]))
        return {Memory.POINTER: _pointers(s, s.weight, slots, axons)}


def encode_gates(p: Population, slots: int, axons: int) -> Gates:
    """`slots` neurons of a Gate population, for a core."""
    params = dendrites_of(p, None)
    assert isinstance(params, GateParams)
    return Gates(params=params, slots=slots, axons=axons)
