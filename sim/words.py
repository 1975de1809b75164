"""Words of the host port, packed and unpacked: flits, steps, memory contents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from hdl.params.crossbar.core import CrossbarParams
from hdl.params.host import HostOp, ReplyOp
from hdl.params.neuron import CoreParams
from hdl.params.noc import ConfigOp, Memory
from hdl.params.sc.dense import DenseParams, Streams
from mapping.banks import control_image
from mapping.mapped import Mapped

__all__ = [
    "control_words",
    "cores",
    "event_body",
    "flit_words",
    "item_bits",
    "load_words",
    "signed",
    "split_marks",
    "step_words",
    "u64",
]


def u64(value: ArrayLike) -> np.ndarray:
    """As uint64."""
    return np.asarray(value, dtype=np.uint64)


def flit_words(
    mapped: Mapped, body: ArrayLike, rows: ArrayLike, columns: ArrayLike, kind: int = 0
) -> np.ndarray:
    """Flits as uint64; `body` must fit."""
    flit = mapped.mesh.flit
    shift = flit.body_bits
    word = u64(body) | u64(kind << shift)
    word = word | u64(rows) << u64(shift + 1)
    return word | u64(columns) << u64(shift + 1 + flit.rows_bits)


def event_body(mapped: Mapped, tag: ArrayLike, value: ArrayLike) -> np.ndarray:
    """Bodies of events."""
    flit = mapped.mesh.flit
    mask = (1 << flit.value_bits) - 1
    return u64(np.asarray(value, dtype=np.int64) & mask) | u64(tag) << u64(flit.value_bits)


def step_words(mapped: Mapped, masks: ArrayLike, clear: bool = False) -> np.ndarray:
    """STEP words."""
    op = HostOp.STEP << mapped.host.body_bits
    return u64(masks) | u64(op | int(clear) << mapped.host.levels)


def cores(mapped: Mapped) -> Iterator[tuple[int, CoreParams]]:
    """The tiles that have a core."""
    return ((t, core) for t, core in enumerate(mapped.mesh.cores) if core is not None)


def config_words(mapped: Mapped, tile: int, bodies: np.ndarray) -> np.ndarray:
    """Configuration flits to a tile."""
    y, x = divmod(tile, mapped.mesh.flit.width)
    return flit_words(mapped, bodies, 2 << y, 1 << x, kind=1)


def select(memory: Memory, address: int = 0) -> int:
    """Body that makes an item the next one to write or read."""
    return ConfigOp.SELECT | int(memory) << 2 | address << 5


def item_bits(core: CoreParams, memory: Memory, mapped: Mapped) -> int:
    """Width of an item of a memory."""
    if memory == Memory.ROUTE:
        return mapped.mesh.flit.route_bits
    return core.probe_bits if memory == Memory.STATE else core.items[memory][1]


def _bodies(mapped: Mapped, core: CoreParams, memory: Memory, items: list[int]) -> np.ndarray:
    """Bodies [items, chunks] that write items of a memory, chunk by chunk."""
    chunk = mapped.mesh.flit.chunk_bits
    chunks = -(-item_bits(core, memory, mapped) // chunk)
    whole = np.array(items, dtype=object if chunks * chunk > 63 else np.int64)
    bodies = np.empty((len(items), chunks), dtype=np.uint64)
    for k in range(chunks):
        part = (whole >> (k * chunk)) & ((1 << chunk) - 1)
        op = ConfigOp.COMMIT if k == chunks - 1 else ConfigOp.SHIFT
        bodies[:, k] = part.astype(np.uint64) << np.uint64(2) | np.uint64(op)
    return bodies


def _writes(
    mapped: Mapped, tile: int, core: CoreParams, memory: Memory, items: list[int]
) -> list[np.ndarray]:
    """Words that write a memory from item 0 on; of a crossbar's control words what there is."""
    runs = [(0, len(items))]
    d = core.dendrites
    if memory == Memory.CONTROL and isinstance(d, CrossbarParams):
        runs = [(r << d.region_bits, count) for r, (count, _) in d.regions.items() if count]
    parts = []
    for first, count in runs:
        bodies = _bodies(mapped, core, memory, items[first : first + count])
        stream = np.concatenate([[u64(select(memory, first))], bodies.reshape(-1)])
        parts.append(config_words(mapped, tile, stream))
    return parts


def load_words(mapped: Mapped) -> np.ndarray:
    """Words that fill all memories of all cores."""
    parts = []
    for tile, core in cores(mapped):
        images = mapped.images[tile]
        assert images is not None
        for memory, items in sorted(images.items()):
            parts += _writes(mapped, tile, core, memory, items)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def control_words(mapped: Mapped) -> np.ndarray:
    """Words that give every core what the Program has and may change at run time.

    Stochastic cores: stream length, tolerance, margin. Crossbars: age, first states of the
    generators (the seed), references, factors, columns.
    """
    parts = []
    for tile, core in cores(mapped):
        d = core.dendrites
        if not isinstance(d, DenseParams | CrossbarParams):
            continue
        name = next(name for name, (where, _) in mapped.slots.items() if tile in where)
        p = mapped.program.population(name)
        if isinstance(d, DenseParams):
            assert isinstance(p.dendrites, Streams)
            s = p.dendrites
            items = [d.control(s.log2_length, s.tolerance, s.margin)]
        else:
            first = int(np.argmax(mapped.slots[name][0] == tile))
            items = control_image(d, p, first // d.crossbar.neurons)
        parts += _writes(mapped, tile, core, Memory.CONTROL, items)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def split_marks(mapped: Mapped, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(is a MARK, MARKs before it) of each word."""
    mark = (words >> u64(mapped.host.body_bits)) & u64(1) == u64(ReplyOp.MARK)
    return mark, np.cumsum(mark) - mark


def signed(value: np.ndarray, bits: int) -> np.ndarray:
    half = np.int64(1) << np.int64(bits - 1)
    return ((value.astype(np.int64) & ((1 << bits) - 1)) ^ half) - half
