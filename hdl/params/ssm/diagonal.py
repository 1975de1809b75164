"""A diagonal state-space layer: semantics, integer equations and memories.

A population with these dendrites has states x, `order` of them for each neuron ("mixed"), or one
for each pair of neurons ("states"). Each neuron n has one input, u[n], the value of its source (0
if none came in this step; see "held"). Integers, `>>` floors, sat(x, b) clips to b bits, signed::

    F = pole_bits, S = state_bits, e = drive_shift + gain[k]

    re[k] = sat((ar*re - ai*im + (p << e) + half) >> F, S)        ar, ai, re, im of state k, all
    im[k] = sat((ar*im + ai*re + (q << e) + half') >> F, S)       from before the step

    mixed:   states k = n*order .. n*order + order-1 belong to neuron n; p = u[n], q = 0
             acc[n] = (sum over them of (cr*re - ci*im) + round) >> mix_shift       re, im new
             round = (1 << mix_shift) >> 1
    states:  state k belongs to neurons 2k, 2k+1; p = u[2k], q = u[2k+1]
             acc[2k] = re[k], acc[2k+1] = im[k]                                     new

With `real` poles there are no imaginary parts: ai, ci, im are 0, and "states" means state n of
neuron n, p = u[n], acc[n] = re[n]. A feed-through D u is a state with pole 0 in "mixed".

half = half' = 1 << (F-1) (round half up), or with `stochastic` rounding, of the k-th state of the
population, in step t after a clear (t = 0, 1, ...)::

    w      = the state of the 32-bit LFSR of hdl/params/sc/lfsr.py (steps=32) that starts at
             seed_of(seed, k, 32), before it advances for the (t+1)-th time
    half   = ((w & 0xffff) << F) >> 16,   half' = ((w >> 16) << F) >> 16

Stored: ar, ai in F+1 bits, ar**2 + ai**2 < 4**F (stable); gain in 0..7; cr, ci in `mix_bits`.

`held`: sources send changes (hdl/params/neuron.py, DELTA): an event adds to u[n], which stays from
step to step. Otherwise an event sets u[n], and the update sets all u to 0. A clear sets u, re, im
to 0.

Sources: S4D: Gu et al., arXiv 2206.11893; S5: Smith et al., arXiv 2208.04933; LRU: Orvieto et al.,
arXiv 2303.06349.

In a core, slot s is neuron s of the core; a core has whole neurons ("mixed"), pairs ("states").
Memory.POINTER, item [axon], lowest bits first: slot, 1 bit "valid".
Memory.SYNAPSE, item [word * lanes + lane], lowest bits first: ar, ai (not if real), gain, and if
mixed cr, ci (not if real). Word w, lane l is state i = (w % words) * lanes + l of neuron
w // words, words = ceil(order / lanes); states i >= order are all 0. Memory.STATE, item
[slots + w * lanes + l]: re, im (lowest first; then the LFSR if stochastic); behind these, if held,
u[s] of each slot s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.neuron import bits_for
from hdl.params.sc.unit import check_integer

if TYPE_CHECKING:
    from hdl.params.neuron import CoreParams

__all__ = ["GAIN_BITS", "Diagonal", "DiagonalParams"]

GAIN_BITS = 3


@dataclass(frozen=True, kw_only=True)
class Diagonal:
    """The equations' parameters; a population's `arrays` hold "pole" and "gain" (and "mix").

    Parameters
    ----------
    order : states of a neuron, 1..1024; 1 if not mixed.
    mixed : neurons sum their states; otherwise states are neurons.
    real : poles are real numbers.
    held : sources send changes.
    state_bits : S, 2..18.
    pole_bits : F, 2..17.
    mix_bits : width of cr, ci, 2..18.
    drive_shift : 0..31.
    mix_shift : 0..31.
    value_bits : width of u, 2..18. (u is clipped nowhere: sources must keep to it, sums too.)
    stochastic : rounding by draws; `seed` of them.
    """

    order: int = 1
    mixed: bool = True
    real: bool = False
    held: bool = False
    state_bits: int = 16
    pole_bits: int = 17
    mix_bits: int = 18
    drive_shift: int = 0
    mix_shift: int = 0
    value_bits: int = 8
    stochastic: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("order", 1, 1024),
            ("state_bits", 2, 18),
            ("pole_bits", 2, 17),
            ("mix_bits", 2, 18),
            ("drive_shift", 0, 31),
            ("mix_shift", 0, 31),
            ("value_bits", 2, 18),
            ("seed", 0, (1 << 32) - 1),
        ):
            check_integer(name, getattr(self, name), low, high)
        if not self.mixed and self.order != 1:
            raise ValueError(f"order must be 1 if states are neurons, not {self.order}")

    @property
    def parts(self) -> int:
        """Numbers of a state: 1 (real) or 2."""
        return 1 if self.real else 2

    @property
    def neurons(self) -> int:
        """Neurons that can't be parted: 2 where they are a state's two parts."""
        return 1 if self.mixed or self.real else 2

    def states(self, size: int) -> int:
        """States of `size` neurons."""
        return size * self.order // self.neurons

    def data(self, size: int) -> dict[str, tuple[tuple[int, ...], int, int]]:
        """The population's arrays: name to (shape, least, most).

        "pole" [states, parts]: ar, ai. "gain" [states]. "mix" [states, parts]: cr, ci, if mixed.
        """
        states, one, top = self.states(size), 1 << self.pole_bits, 1 << (self.mix_bits - 1)
        found = {
            "pole": ((states, self.parts), -one, one - 1),
            "gain": ((states,), 0, (1 << GAIN_BITS) - 1),
        }
        if self.mixed:
            found["mix"] = (states, self.parts), -top, top - 1
        return found

    @property
    def acc_bits(self) -> int:
        """Width of acc for any states and mix."""
        if not self.mixed:
            return self.state_bits
        whole = self.order * self.parts << (self.state_bits + self.mix_bits - 2)
        most = (whole + ((1 << self.mix_shift) >> 1)) >> self.mix_shift
        return max(most.bit_length() + 1, 2)


@dataclass(frozen=True, kw_only=True)
class DiagonalParams(DendritesParams):
    """The hardware of one core's states.

    Parameters
    ----------
    diagonal : the equations' parameters.
    lanes : states updated in a cycle, all of one neuron; a power of two; 1 if not mixed.
    draws : with `stochastic` the LFSRs' states after a clear, in the order of Memory.STATE (any
        for states i >= order); else empty.
    """

    diagonal: Diagonal
    lanes: int = 1
    draws: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_integer("lanes", self.lanes, 1, 64)
        if self.lanes & (self.lanes - 1):
            raise ValueError(f"lanes must be a power of two, not {self.lanes}")
        if self.lanes > 1 and (not self.diagonal.mixed or self.lanes >= 2 * self.diagonal.order):
            raise ValueError(f"lanes must be 1 for so few states a neuron, not {self.lanes}")

    @property
    def words(self) -> int:
        """Words of states of a neuron (mixed), or of a state."""
        return -(-self.diagonal.order // self.lanes)

    def state_words(self, slots: int) -> int:
        return slots // self.diagonal.neurons * self.words

    @property
    def multipliers(self) -> int:
        """Products a cycle, of 18 x 18 bits at most."""
        d = self.diagonal
        return self.lanes * (d.parts**2 // d.neurons + (d.parts if d.mixed else 0))

    @property
    def coefficient_bits(self) -> int:
        """Bits of an item of Memory.SYNAPSE."""
        d = self.diagonal
        mix = d.mix_bits if d.mixed else 0
        return d.parts * (d.pole_bits + 1 + mix) + GAIN_BITS

    @property
    def state_bits(self) -> int:
        """Bits of a state in Memory.STATE."""
        d = self.diagonal
        return d.parts * d.state_bits + (32 if d.stochastic else 0)

    def items(self, slots: int, axons: int) -> dict[Memory, tuple[int, int]]:
        words = self.state_words(slots) * self.lanes
        return {
            Memory.SYNAPSE: (words, self.coefficient_bits),
            Memory.POINTER: (axons, bits_for(slots) + 1),
        }

    def state_items(self, slots: int) -> int:
        held = slots if self.diagonal.held else 0
        return self.state_words(slots) * self.lanes + held

    @property
    def item_bits(self) -> int:
        return max(self.state_bits, self.diagonal.value_bits if self.diagonal.held else 0)

    def update_cycles(self, slots: int) -> int:
        return slots * self.words + 10 + self.lanes.bit_length()

    def check(self, core: CoreParams) -> None:
        d = self.diagonal
        if core.slots % d.neurons:
            raise ValueError(f"slots must be even with complex states, not {core.slots}")
        if core.acc_bits < d.acc_bits:
            raise ValueError(
                f"acc_bits must be at least {d.acc_bits} with these states, not {core.acc_bits}"
            )
        draws = self.state_words(core.slots) * self.lanes if d.stochastic else 0
        if len(self.draws) != draws:
            raise ValueError(f"draws must be {draws} numbers, not {len(self.draws)}")
