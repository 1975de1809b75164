"""What a core's parameters know of its dendrites, and the memories of a tile.

A core is dendrites (events in, a sum of input for each slot), the neurons' update, and emission.
The event-driven dendrites of hdl/params/neuron.py are the rule; every other kind is a subclass of
`DendritesParams` here and a component in hdl/neuron/dendrites.py.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hdl.params.neuron import CoreParams

__all__ = ["DendritesParams", "Memory"]


class Memory(IntEnum):
    """Memories behind a network interface. Item addressed in brackets."""

    SYNAPSE = 0  #: one lane's entry [word * lanes + lane]; other dendrites: see their parameters
    SYNAPSE_HEADER = 1  #: a word's header [word]: group number ("word" only), exponent
    POINTER = 2  #: [axon]
    PARAMETER = 3  #: one neuron's record [slot]
    ROUTE = 4  #: [slot * entries + k]
    STATE = 5  #: [slot] a neuron's membrane, current, sent; behind the slots the dendrites' states
    CONTROL = 6  #: control words of the dendrites; may be rewritten at any time
    TABLE = 7  #: emissions [table << table_bits | index]


class DendritesParams:
    """Base of the parameters of dendrites that are not event-driven synapses.

    A core with such dendrites has one lane, and all its neurons have the same level. Each axon gets
    at most one event between two updates; an update forgets the events, and so does a clear.
    """

    @property
    def decides(self) -> bool:
        """Whether the dendrites look at how far a neuron is from its threshold."""
        return False

    def items(self, slots: int, axons: int) -> dict[Memory, tuple[int, int]]:
        """Memories of the dendrites that can be written: (number of items, bits of an item)."""
        raise NotImplementedError

    def state_items(self, slots: int) -> int:
        """Items of Memory.STATE behind those of the slots: what the dendrites remember."""
        return 0

    @property
    def item_bits(self) -> int:
        """Most bits of such an item."""
        return 0

    def update_cycles(self, slots: int) -> int:
        """Most cycles that an update of all slots takes."""
        raise NotImplementedError

    def check(self, core: CoreParams) -> None:
        """ValueError if the core's formats don't fit these dendrites."""
        raise NotImplementedError
