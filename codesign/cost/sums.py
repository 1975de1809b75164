"""How long a core's dendrites take: cycles of an event, and from an update's start to its sums.

The figures are those that the components of `hdl` state of themselves. `numbers` of a core [12]:

    STREAMS   latency, bits of a stream, first check (log2; -1: none terminates early),
              latency of sums that do, slots
    ARRAY     blocks, tiles, neurons of a block, columns of a block, value bits, levels of a sign,
              whether values are pulse widths, cycles to prepare a read, cycles to check it, cycles
              of a read more than its rows, cycles from the last column to the sum, slots
    others    none: their sums are ready at fixed times, in `ready`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.noc import Memory
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import DenseParams
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.params.ssm.gate import GateParams
from mapping.mapped import Images

__all__ = ["ARRAY", "EVENTS", "FIXED", "STREAMS", "AxonTimes", "SumTimes", "axon_times",
           "sum_times"]  # fmt: skip

#: Kinds of dendrites, as the loops know them.
EVENTS, STREAMS, ARRAY, FIXED = range(4)
NUMBERS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class AxonTimes:
    """Of each axon: cycles until the next event is taken, and until the core is idle again; the
    tile (of streams, or of devices) that its events touch, -1 for none."""

    service: np.ndarray
    after: np.ndarray
    bank: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class SumTimes:
    """Kind of the dendrites, and what stands in the module's table."""

    kind: int
    numbers: list[int]
    ready: np.ndarray


def _image(images: Images, memory: Memory, size: int) -> np.ndarray:
    return np.array(images.get(memory) or [0] * size, dtype=np.int64)


def axon_times(core: CoreParams, images: Images) -> AxonTimes:
    """Times of a core's axons, from the images of its memories."""
    d, axons = core.dendrites, core.axons
    none = np.full(axons, -1)
    if d is None:
        if core.index == "none":
            words = np.full(axons, core.groups)
            return AxonTimes(service=words, after=words + 4, bank=none)
        words = _image(images, Memory.POINTER, axons) >> core.start_bits
        after = np.where(words > 0, words + 5, 2)
        return AxonTimes(service=np.maximum(words, 1), after=after, bank=none)
    one = np.ones(axons, np.int64)
    if isinstance(d, AttentionParams):
        return AxonTimes(service=one, after=3 * one, bank=none)
    if isinstance(d, DiagonalParams | GateParams):
        spread = isinstance(d, GateParams) and d.gate.spread
        return AxonTimes(service=one, after=(3 if spread else 5) * one, bank=none)
    item = _image(images, Memory.POINTER, axons)
    if isinstance(d, DenseParams):
        planes, valid = d.value_planes, item >> d.column_bits & 1
        bank = (item & ((1 << d.column_bits) - 1)) // d.lanes
    else:
        assert isinstance(d, CrossbarParams)
        p = d.crossbar.value_bits
        planes, valid = p + 1 if p else 1, item >> (d.pointer_bits - 1) & 1
        bank = item >> bits_for(d.crossbar.rows) & ((1 << bits_for(d.tiles)) - 1)
    bank = np.where(valid == 1, bank, -1)
    return AxonTimes(service=max(planes, 3) * one, after=(planes + 5) * one, bank=bank)


def sum_times(core: CoreParams) -> SumTimes:
    """Times of a core's sums."""
    d, slots = core.dendrites, np.arange(core.slots)
    kind, numbers, ready = FIXED, [0] * NUMBERS, np.zeros(0, np.int64)
    if d is None:
        kind = EVENTS
    elif isinstance(d, DenseParams):
        kind, numbers = STREAMS, _streams(d, core.slots)
    elif isinstance(d, CrossbarParams):
        kind, numbers = ARRAY, _array(d, core.slots)
    elif isinstance(d, AttentionParams):
        begun = np.cumsum([d.row_cycles(i) for i in range(d.tokens)])
        row, column = slots // d.dim, slots % d.dim
        ready = 2 + sum(d.latencies) + begun[row] + column
    elif isinstance(d, DiagonalParams):
        words = np.repeat(d.words, core.slots)
        ready = np.cumsum(words) + d.update_cycles(0) - 1
    else:
        assert isinstance(d, GateParams)
        ready = slots + 6
    return SumTimes(kind=kind, numbers=numbers + [0] * (NUMBERS - len(numbers)), ready=ready)


def _streams(d: DenseParams, slots: int) -> list[int]:
    from hdl.sc.dense import DenseDendrites
    from hdl.sc.dense_sums import sums_latency

    s = d.streams
    early = (s.tolerance >= 0 or s.margin >= 0) and s.log2_length > s.first
    latency = DenseDendrites.PIPELINE + sums_latency(d)
    return [latency + 1, 1 << s.log2_length, s.first if early else -1, latency + 3, slots]


def _array(d: CrossbarParams, slots: int) -> list[int]:
    from hdl.crossbar.product import Product
    from hdl.sc.popcount import popcount_latency

    c = d.crossbar
    p, trains = c.value_bits, c.input == "width" and c.value_bits > 1
    prepare = 1 if not p else p + 1 if trains else 2
    check = 3 + (popcount_latency(c.rows, 2) if c.sampling == "binary" else 1)
    levels = (1 << p) - 1 if trains else max(p, 1)
    start = int(d.blocks > 1 and d.tiles > 1)
    return [
        d.blocks, d.tiles, c.neurons, c.neurons * c.width, p, levels, int(trains), prepare, check,
        10 + start, Product.WRITE, slots,
    ]  # fmt: skip
