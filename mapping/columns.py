"""What stands in the memories of cores whose dendrites are streams or an attention head.

Layouts: hdl/params/sc/dense.py and hdl/params/sc/attention.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.dendrites import Memory
from hdl.params.errors import UserError
from hdl.params.neuron import bits_for
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import DenseParams, Streams
from mapping.images import Synapses

__all__ = ["MOST_LANES", "Columns", "Head", "encode_columns", "encode_head"]

#: Products a cycle of a stochastic core, unless its fan-in is smaller or the user says otherwise.
MOST_LANES = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Bit planes of a stochastic core. Of each synapse: the column that it stands in."""

    params: DenseParams
    column: np.ndarray
    bits: int  #: memory bits: planes and pointers

    @property
    def acc_bits(self) -> int:
        """Width of a sum: products of n sources add up to n * 2**(p + q) at most."""
        streams = self.params.streams
        whole = streams.weight_bits + streams.value_bits
        sources = len(np.unique(self.column))
        return max((sources << whole).bit_length() + 1, 2)

    def images(self, s: Synapses, slots: int, axons: int) -> dict[Memory, list[int]]:
        """Planes and pointers."""
        p = self.params
        q, tiles, lanes = p.streams.weight_bits, p.tiles, p.lanes
        size = np.abs(s.weight)
        code = np.where(size == 1 << q, (2 << q) - 1, size) | (s.weight < 0) << (q + 1)
        planes = np.zeros((slots, tiles, p.planes, lanes), dtype=np.uint8)
        tile, lane = self.column // lanes, self.column % lanes
        for b in range(p.planes):
            planes[s.slot, tile, b, lane] = code >> b & 1
        banks = planes.reshape(-1, p.bank_lanes)
        if p.bank_lanes < 63:
            items = (banks @ (1 << np.arange(p.bank_lanes, dtype=np.int64))).tolist()
        else:
            packed = np.packbits(banks, axis=1, bitorder="little")
            items = [int.from_bytes(row.tobytes(), "little") for row in packed]
        pointer = np.zeros(axons, dtype=np.int64)
        pointer[s.axon] = self.column | 1 << p.column_bits
        return {Memory.SYNAPSE: items, Memory.POINTER: pointer.tolist()}


def encode_columns(
    streams: Streams, s: Synapses, inputs: np.ndarray, slots: int, axons: int, lanes: int | None
) -> Columns:
    """Columns for the sources of a core, in the order of their axons, each in a bank of its
    generator. `inputs`: of each synapse, its source's j. `lanes`: None is MOST_LANES, or fewer if
    they do.
    """
    axon, first, number = np.unique(s.axon, return_index=True, return_inverse=True)
    if not len(axon):
        axon, first = np.zeros(1, np.int64), np.zeros(0, np.int64)
    dealt = inputs[first] % streams.generators
    if lanes is None:
        lanes = max(1 << bits_for(min(len(axon), MOST_LANES)), streams.generators)
    if lanes < streams.generators:
        raise UserError(
            f"stream lanes must be at least the number of generators, {streams.generators}, "
            f"not {lanes}; use more lanes (--stream-lanes) or fewer generators (--generators)"
        )
    share = lanes // streams.generators
    column = np.zeros(len(dealt), dtype=np.int64)
    deepest = 1
    for g in range(streams.generators):
        mine = np.flatnonzero(dealt == g)
        n = np.arange(len(mine))
        column[mine] = n // share * lanes + g * share + n % share
        deepest = max(deepest, -(-len(mine) // share))
    params = DenseParams(streams=streams, columns=deepest * lanes, lanes=lanes)
    items = params.items(slots, axons)
    bits = sum(
        count * width for memory, (count, width) in items.items() if memory != Memory.CONTROL
    )
    return Columns(params=params, column=column[number] if len(dealt) else column, bits=bits)


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """The pointers of an attention core."""

    params: AttentionParams
    bits: int

    #: Width of an answer.
    acc_bits = 2

    def images(self, s: Synapses, slots: int, axons: int) -> dict[Memory, list[int]]:
        """The pointers."""
        pointer = [0] * axons
        for axon, slot, ports in zip(
            s.axon.tolist(), s.slot.tolist(), s.weight.tolist(), strict=True
        ):
            token, column = divmod(slot, self.params.dim)
            named = [name for n, name in enumerate(PORTS) if ports >> n & 1]
            pointer[axon] = self.params.item(token, column, *named)
        return {Memory.POINTER: pointer}


def encode_head(head: AttentionParams, axons: int) -> Head:
    return Head(params=head, bits=axons * head.item_bits)
