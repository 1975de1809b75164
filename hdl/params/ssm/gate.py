"""Products of two values, as gated layers (GLU, Mamba) need them: equations and memories.

Each neuron n has two inputs, left[n] and right[n], each the value of its source at that port (0 if
none came in this step; see "held" in hdl/params/ssm/diagonal.py)::

    acc[n] = (left[n] * right[n] + round) >> shift        round = (1 << shift) >> 1

Source: gated linear units, Dauphin et al., arXiv 1612.08083.

In a core, slot s is neuron s of the core. Memory.POINTER, item [axon], lowest bits first: slot,
then 2 bits that say whether the event is for left, for right, or for both. Memory.STATE, items
[slots + s]: left[s], right[s] (lowest first) if held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.neuron import bits_for
from hdl.params.sc.unit import check_integer

if TYPE_CHECKING:
    from hdl.params.neuron import CoreParams

__all__ = ["OPERANDS", "Gate", "GateParams"]

#: Ports of a gate, in the order of their bits.
OPERANDS = ("left", "right")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The equations' parameters.

    Parameters
    ----------
    shift : 0..31.
    value_bits : width of left and right, 2..18.
    held : sources send changes.
    """

    shift: int = 0
    value_bits: int = 8
    held: bool = False

    def __post_init__(self) -> None:
        check_integer("shift", self.shift, 0, 31)
        check_integer("value_bits", self.value_bits, 2, 18)

    @property
    def acc_bits(self) -> int:
        """Width of acc for any values."""
        return max(((1 << (2 * self.value_bits - 2)) >> self.shift).bit_length() + 1, 2)


@dataclass(frozen=True, kw_only=True)
class GateParams(DendritesParams):
    """The hardware of one core's products: one multiplier."""

    gate: Gate

    #: Products a cycle.
    multipliers = 1

    def items(self, slots: int, axons: int) -> dict[Memory, tuple[int, int]]:
        return {Memory.POINTER: (axons, bits_for(slots) + 2)}

    def state_items(self, slots: int) -> int:
        return slots if self.gate.held else 0

    @property
    def item_bits(self) -> int:
        return 2 * self.gate.value_bits if self.gate.held else 0

    def update_cycles(self, slots: int) -> int:
        return slots + 16

    def check(self, core: CoreParams) -> None:
        if core.acc_bits < self.gate.acc_bits:
            raise ValueError(
                f"acc_bits must be at least {self.gate.acc_bits} with these values, "
                f"not {core.acc_bits}"
            )
