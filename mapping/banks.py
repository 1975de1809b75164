"""What stands in the memories of a core whose dendrites are crossbar banks.

Layout: hdl/params/crossbar/core.py. A core has whole blocks of one population, so its memories are
a slice of the population's arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hdl.params.crossbar.core import CrossbarParams, Region
from hdl.params.crossbar.dendrites import FACTOR_BITS, Crossbar
from hdl.params.crossbar.noise import state_of
from hdl.params.dendrites import Memory
from mapping.images import Synapses
from mapping.program import Population

__all__ = ["Banks", "block_bits", "control_image", "encode_banks"]


def _region_bits(params: CrossbarParams) -> int:
    return sum(count * width for count, width in params.regions.values())


def _params(p: Population, blocks: int) -> CrossbarParams:
    """The hardware of so many blocks of a crossbar population."""
    assert isinstance(p.dendrites, Crossbar)
    analogue = p.dendrites.sampling == "none"
    return CrossbarParams(
        crossbar=p.dendrites,
        blocks=blocks,
        tiles=p.arrays["factor"].shape[1],
        read_noise=tuple(p.arrays["read_noise"].tolist()),
        gain=tuple(p.arrays["gain"].tolist()) if analogue else (),
        offset=tuple(p.arrays["offset"].tolist()) if analogue else (),
    )


def _bits_of_blocks(params: CrossbarParams) -> int:
    """Devices and control words."""
    array = params.array
    return array.cells * array.item_bits + _region_bits(params)


def block_bits(p: Population) -> int:
    """Memory bits of one block of a crossbar population, without pointers."""
    return _bits_of_blocks(_params(p, 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Banks:
    """Blocks of a population on one core. Of each synapse: its source's number j."""

    params: CrossbarParams
    population: Population
    first: int  #: number of the core's first block in the population
    number: np.ndarray
    axons: int

    @property
    def held(self) -> int:
        """Memory bits that fewer blocks would make fewer."""
        return _bits_of_blocks(self.params)

    @property
    def bits(self) -> int:
        """Memory bits: devices, control words, pointers."""
        return self.held + self.axons * self.params.pointer_bits

    @cached_property
    def acc_bits(self) -> int:
        """Width of an input sum with the largest factors and codes that there may be."""
        c = self.params.crossbar
        values = max((1 << c.value_bits) - 1, 1)
        if c.sampling == "none":
            signs = 2 if c.value_bits else 1
            reads = values if c.input == "serial" else 1
            most = signs * reads * c.devices * ((1 << c.adc_bits) - 1)
        else:
            most = values * c.rows
        most *= self.params.tiles * ((1 << FACTOR_BITS) - 1)
        need = (most + (1 << (c.fraction - 1))) >> c.fraction
        return max(need.bit_length() + 1, 2)

    def images(self, s: Synapses, slots: int, axons: int) -> dict[Memory, list[int]]:
        """Devices, pointers, control words."""
        c, arrays = self.params.crossbar, self.population.arrays
        mine = slice(self.first, self.first + self.params.blocks)
        item = arrays["conductance"][mine] | arrays["exponent"][mine] << c.cell_bits
        pointer = np.zeros(axons, dtype=np.int64)
        known = [self.params.pointer(j) for j in range(self.params.tiles * c.rows)]
        pointer[s.axon] = np.array(known, dtype=np.int64)[self.number]
        return {
            Memory.SYNAPSE: item.reshape(-1).tolist(),
            Memory.POINTER: pointer.tolist(),
            Memory.CONTROL: control_image(self.params, self.population, self.first),
        }


def control_image(params: CrossbarParams, p: Population, first: int) -> list[int]:
    """Memory.CONTROL of a core that begins with block `first` of a population."""
    assert isinstance(p.dendrites, Crossbar)
    seed, arrays = p.dendrites.seed, p.arrays
    mine = slice(first, first + params.blocks)
    contents = {
        Region.AGE: arrays["age"],
        Region.REFERENCE: arrays["reference"][mine] if "reference" in arrays else (),
        Region.FACTOR: arrays["factor"][mine],
        Region.COLUMN: arrays["column"][mine],
    }
    image = [0] * params.items(1, 1)[Memory.CONTROL][0]
    for region, (count, _) in params.regions.items():
        if region == Region.STATE:
            words = [w for b in range(params.blocks) for w in state_of(seed, first + b)]
        else:
            words = np.asarray(contents[region], dtype=np.int64).reshape(-1).tolist()
        at = region << params.region_bits
        assert len(words) == count
        image[at : at + count] = words
    return image


def encode_banks(p: Population, first: int, blocks: int, number: np.ndarray, axons: int) -> Banks:
    """`blocks` blocks of a crossbar population from block `first` on, for a core."""
    return Banks(params=_params(p, blocks), population=p, first=first, number=number, axons=axons)
