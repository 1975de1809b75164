"""A core whose neurons are driven by an emulated crossbar: hardware and memories.

The equations are those of hdl/params/crossbar/dendrites.py. A core has `blocks` whole blocks of one
population, each with `tiles` banks; slot s is place s % neurons of the core's block s // neurons.
Blocks keep their numbers' order; which one of the population a block is, its first states say.

Memory.SYNAPSE, item [(bank * rows + row) * columns + column]: an item of ArrayMemory.CELL (without
epoch). Memory.POINTER, item [axon]: row, tile, 1 bit "valid", lowest bits first (`pointer`); an
event of an axon that is not valid is dropped. Memory.CONTROL, item
[region << region_bits | index]: see `Region`.

All are written while no update or clear is going on, of CONTROL only what `Region` has. AGE and
STATE hold from the next clear on: a clear after any of them, or a device, was written, and the
first one, computes what the devices conduct; every clear restarts the generators. REFERENCE,
FACTOR and COLUMN hold at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from hdl.params.crossbar.array import ArrayParams
from hdl.params.crossbar.dendrites import FACTOR_BITS, Crossbar
from hdl.params.crossbar.device import DeviceParams
from hdl.params.dendrites import DendritesParams, Memory
from hdl.params.neuron import bits_for
from hdl.params.sc.unit import check_integer

if TYPE_CHECKING:
    from hdl.params.neuron import CoreParams

__all__ = ["CrossbarParams", "Region"]


class Region(IntEnum):
    """Regions of Memory.CONTROL, and what an index counts in them."""

    AGE = 0  #: log_age, fresh, slow
    STATE = 1  #: a word of a generator's first state [block * 2 + word]
    REFERENCE = 2  #: [bank * columns + column]
    FACTOR = 3  #: [bank * neurons + place]
    COLUMN = 4  #: physical column [block * neurons * width + logical column]


@dataclass(frozen=True, kw_only=True)
class CrossbarParams(DendritesParams):
    """The hardware of crossbar dendrites.

    Parameters
    ----------
    crossbar : the equations' parameters.
    blocks, tiles : blocks of this core, banks of each.
    read_noise : table of the device, 128 entries.
    gain, offset : of the converters, range MVM; empty if the crossbar samples.
    """

    crossbar: Crossbar
    blocks: int
    tiles: int
    read_noise: tuple[int, ...]
    gain: tuple[int, ...] = ()
    offset: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_integer("blocks", self.blocks, 1, 1 << 16)
        check_integer("tiles", self.tiles, 1, 1 << 16)
        need = 0 if self.crossbar.sampling != "none" else self.crossbar.converters
        for name in ("gain", "offset"):
            if len(getattr(self, name)) != need:
                raise ValueError(f"{name} must be {need} integers, not {len(getattr(self, name))}")
        _ = self.array

    @cached_property
    def array(self) -> ArrayParams:
        """The array of this core; its seeds come with STATE."""
        c = self.crossbar
        spare = (0,) * c.converters
        return ArrayParams(
            device=DeviceParams(cell_bits=c.cell_bits, read_noise=self.read_noise),
            rows=c.rows,
            columns=c.columns,
            train=c.train,
            tiles=self.tiles,
            blocks=self.blocks,
            programmable=False,
            senses=c.sampling != "none",
            adc_bits=c.adc_bits,
            converters=c.converters,
            gain=(self.gain or spare, spare),
            offset=(self.offset or spare, spare),
        )

    @property
    def regions(self) -> dict[Region, tuple[int, int]]:
        """Of each region: (number of items, bits of an item)."""
        c, banks = self.crossbar, self.blocks * self.tiles
        reference = banks * c.columns if c.sampling != "none" else 0
        return {
            Region.AGE: (3, 13),
            Region.STATE: (2 * self.blocks, 64),
            Region.REFERENCE: (reference, c.cell_bits + 1),
            Region.FACTOR: (banks * c.neurons, FACTOR_BITS),
            Region.COLUMN: (self.blocks * c.neurons * c.width, bits_for(c.columns)),
        }

    @property
    def region_bits(self) -> int:
        """Bits of an index."""
        return bits_for(max(count for count, _ in self.regions.values()))

    @property
    def pointer_bits(self) -> int:
        return bits_for(self.crossbar.rows) + bits_for(self.tiles) + 1

    def pointer(self, source: int) -> int:
        """The item of Memory.POINTER of source j; also for arrays of them."""
        tile, row = source // self.crossbar.rows, source % self.crossbar.rows
        return row | tile << bits_for(self.crossbar.rows) | 1 << (self.pointer_bits - 1)

    def items(self, slots: int, axons: int) -> dict[Memory, tuple[int, int]]:
        return {
            Memory.SYNAPSE: (self.array.cells, self.array.item_bits),
            Memory.POINTER: (axons, self.pointer_bits),
            Memory.CONTROL: (len(Region) << self.region_bits, 64),
        }

    @property
    def read_cycles(self) -> int:
        """Most cycles of an update: all rows driven in every read, nothing at the same time."""
        c = self.crossbar
        signs = 2 if c.value_bits else 1
        planes = c.value_bits + 1 if c.input == "width" else 2
        reads = c.train if c.input == "width" else max(c.value_bits, 1)
        passes = 1 if c.input == "width" else reads
        bank = reads * (c.rows + planes + 24) + passes * (c.neurons * c.width + 4)
        return self.blocks * (self.tiles * (signs * bank + 4) + 2 * c.neurons + 32)

    @property
    def clear_cycles(self) -> int:
        """Most cycles of a clear: the devices age."""
        return self.array.cells + 64 * self.blocks + 64

    def update_cycles(self, slots: int) -> int:
        """Of an update or a clear."""
        return max(self.read_cycles, self.clear_cycles) + 2 * slots

    def check(self, core: CoreParams) -> None:
        if core.slots > self.blocks * self.crossbar.neurons:
            raise ValueError(
                f"slots must be at most {self.blocks * self.crossbar.neurons}, "
                f"the places of {self.blocks} blocks, not {core.slots}"
            )
        need = self.crossbar.value_bits
        if core.value_bits < need:
            raise ValueError(
                f"value_bits must be at least {need} for a crossbar that takes values of "
                f"{need} bits, not {core.value_bits}"
            )
