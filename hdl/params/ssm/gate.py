"""Products of two values, as gated layers (GLU, Mamba, experts) need them: equations and memories.

Neuron n has two inputs, left[a] and right[b], each the value of its source at that port (0 if none
came in this step; see "held" in hdl/params/ssm/diagonal.py)::

    acc[n] = (left[a] * right[b] + round) >> shift        round = (1 << shift) >> 1
    a = n % stretch if repeats else n                      b = n // stretch      (floor)

With stretch 1, not repeated, this is a product of equals, left[n] * right[n]. A longer stretch
gives so many neighbours one right input: right[e] may be the gate of expert e of `stretch` values.
Where left repeats, each stretch is a copy of the same values: nothing goes to expert e (a product
of 0 sends no event) unless its gate is open.

Source: gated linear units, Dauphin et al., arXiv 1612.08083.

In a core, slot s is neuron s of the core, which begins with a stretch. Memory.POINTER, item [axon],
lowest bits first: a or b as the core counts them (bits of a slot), then 2 bits that say whether the
event is for left, for right, or for both (only with stretch 1). Memory.STATE, items [slots + s]:
left[s], right[s] (lowest first) if held.
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
    held : sources send changes; only with stretch 1, and left not repeated.
    stretch : neighbours with one right input, 1..2**20.
    repeats : left repeats in each stretch.
    """

    shift: int = 0
    value_bits: int = 8
    held: bool = False
    stretch: int = 1
    repeats: bool = False

    def __post_init__(self) -> None:
        check_integer("shift", self.shift, 0, 31)
        check_integer("value_bits", self.value_bits, 2, 18)
        check_integer("stretch", self.stretch, 1, 1 << 20)
        if self.held and self.spread:
            raise ValueError("held must be False where inputs are spread: they come as values")

    @property
    def spread(self) -> bool:
        """Whether an input may feed several neurons."""
        return self.stretch > 1 or self.repeats

    def sources(self, size: int) -> tuple[int, int]:
        """Left and right inputs of `size` neurons."""
        return self.stretch if self.repeats else size, size // self.stretch

    def places(self, size: int) -> tuple[list[int], list[int]]:
        """The left input a and the right input b of each of `size` neurons."""
        left = [n % self.stretch if self.repeats else n for n in range(size)]
        return left, [n // self.stretch for n in range(size)]

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
        if core.slots % self.gate.stretch:
            raise ValueError(
                f"slots must be a multiple of the gate's stretch, {self.gate.stretch}, "
                f"not {core.slots}"
            )
        if core.acc_bits < self.gate.acc_bits:
            raise ValueError(
                f"acc_bits must be at least {self.gate.acc_bits} with these values, "
                f"not {core.acc_bits}"
            )
