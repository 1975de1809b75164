"""What stands in a core's memories: synapse rows, their pointers, parameter records.

Three row encodings (hdl.params.neuron.CoreParams.index); `encode_rows` takes the one with the
smallest product of memory bits and words per event (area times time), or the one with the fewest
bits if memory is limited.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.neuron import FIELDS, CoreParams, bits_for
from hdl.params.noc import Memory

__all__ = ["Rows", "Synapses", "acc_bits", "encode_rows", "record_image", "split_fields",
           "synapse_images", "table_image"]  # fmt: skip

SIGNED = ("bias", "threshold", "reset_value")


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses:
    """The synapses of one core; (axon, slot) pairs are distinct."""

    axon: np.ndarray
    slot: np.ndarray
    weight: np.ndarray
    exponent: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows in one encoding. Of each synapse: the word and the lane that it stands in."""

    index: str
    weight_bits: int
    exponent_bits: int
    words: int
    row_words: int  #: most words in a row
    start: np.ndarray  #: of each axon: first word
    count: np.ndarray  #: of each axon: number of words
    word: np.ndarray
    word_group: np.ndarray  #: of each word: its group ("word" only)
    word_exponent: np.ndarray
    bits: int  #: memory bits: entries, headers, pointers

    @property
    def words_per_event(self) -> float:
        return float(self.count.mean()) if len(self.count) else 0.0


def _rows(index: str, weight_bits: int, s: Synapses, axons: int, lanes: int, groups: int) -> Rows:
    """Rows in the given encoding."""
    exponent_bits = int(s.exponent.max(initial=0)).bit_length()
    group, lane = s.slot // lanes, s.slot % lanes
    group_bits = bits_for(groups)
    if index == "none":
        words = axons * groups
        word = s.axon * groups + group
        count = np.full(axons, groups)
        word_group = np.zeros(0, dtype=np.int64)
        word_exponent = np.zeros(words, dtype=np.int64)
    elif index == "word":
        keys, word = np.unique(s.axon * groups + group, return_inverse=True)
        words = len(keys)
        count = np.bincount(keys // groups, minlength=axons)
        word_group = keys % groups
        word_exponent = np.zeros(words, dtype=np.int64)
    else:
        exponents, which = np.unique(s.exponent, return_inverse=True)
        line = s.axon * max(len(exponents), 1) + which  # words of one axon and exponent
        key = line * lanes + lane
        order = np.lexsort((group, key))
        sizes = np.bincount(key, minlength=axons * max(len(exponents), 1) * lanes)
        begin = np.cumsum(sizes) - sizes
        rank = np.empty(len(key), dtype=np.int64)
        rank[order] = np.arange(len(key)) - begin[key[order]]
        depth = sizes.reshape(-1, lanes).max(axis=1)
        words = int(depth.sum())
        word = (np.cumsum(depth) - depth)[line] + rank
        count = depth.reshape(axons, -1).sum(axis=1)
        word_group = np.zeros(0, dtype=np.int64)
        word_exponent = np.zeros(words, dtype=np.int64)
    word_exponent[word] = s.exponent
    row_words = max(int(count.max(initial=0)), 1)
    entry = weight_bits + (group_bits if index == "lane" else 0)
    header = exponent_bits + (group_bits if index == "word" else 0)
    pointer = 0 if index == "none" else max(bits_for(words), 1) + row_words.bit_length()
    return Rows(
        index=index,
        weight_bits=weight_bits,
        exponent_bits=exponent_bits,
        words=words,
        row_words=row_words,
        start=np.cumsum(count) - count,
        count=count,
        word=word,
        word_group=word_group,
        word_exponent=word_exponent,
        bits=max(words, 1) * (lanes * entry + header) + axons * pointer,
    )


def encode_rows(
    s: Synapses,
    axons: int,
    lanes: int,
    used: np.ndarray,
    weight_bits: int,
    index: str = "auto",
    limit: int | None = None,
) -> Rows:
    """The synapses of a core as rows, in at most `limit` bits if some encoding fits.

    `used`: for each slot, whether a neuron lives there. `weight_bits` 1 (all weights -1 or +1)
    holds only if no word has a neuron without a synapse; otherwise 2 bits are taken.
    """
    groups = len(used) // lanes
    options = []
    for name in ("none", "word", "lane") if index == "auto" else (index,):
        bits = weight_bits
        if bits == 1:
            full = used.reshape(groups, lanes).sum(axis=1)
            words = np.bincount(s.axon * groups + s.slot // lanes, minlength=axons * groups)
            there = words.reshape(axons, groups)
            holds = (there == full) | ((there == 0) if name == "word" else False)
            bits = 1 if name != "lane" and len(s.axon) and holds.all() else 2
        options.append(_rows(name, bits, s, axons, lanes, groups))
    if limit is not None:
        smallest = min(options, key=lambda r: r.bits)
        options = [r for r in options if r.bits <= limit] or [smallest]
    return min(options, key=lambda r: (r.bits * r.words_per_event, r.bits))


def acc_bits(s: Synapses, slots: int, largest: np.ndarray, lowest: np.ndarray) -> int:
    """Width of an accumulator that no arrival order of one step's events can overflow.

    Of each synapse, an event's value lies in `lowest` .. `largest`, lowest <= 0 <= largest.
    """
    weight = s.weight << s.exponent
    high = np.maximum(weight * largest, weight * lowest)
    low = np.minimum(weight * largest, weight * lowest)
    top, bottom = np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.int64)
    np.add.at(top, s.slot, high)
    np.add.at(bottom, s.slot, low)
    need = max(int(top.max(initial=0)), -int(bottom.min(initial=0)) - 1, 0)
    return max(need.bit_length() + 1, 2)


def split_fields(
    fields: dict[str, np.ndarray], ranges: list[np.ndarray]
) -> dict[str, int | tuple[int, ...]]:
    """The fields that are one constant for all neurons of a core, or one for each range.

    `ranges`: the neurons of each range, as indices into the fields.
    """
    shared: dict[str, int | tuple[int, ...]] = {}
    for name in FIELDS:
        values = fields[name]
        if not len(values) or any((values[r] != values[r[0]]).any() for r in ranges):
            continue
        each = tuple(int(values[r[0]]) for r in ranges)
        shared[name] = each[0] if len(set(each)) == 1 else each
    return shared


def _listed(values: np.ndarray) -> list[int]:
    return [int(v) for v in values] if values.dtype == object else values.tolist()


def synapse_images(core: CoreParams, rows: Rows, s: Synapses) -> dict[Memory, list[int]]:
    """Memories of event-driven synapses."""
    lanes = core.lanes
    entry = np.zeros(core.synapse_words * lanes, dtype=np.int64)
    if core.weight_bits == 1:
        value = (s.weight > 0).astype(np.int64)
    else:
        value = s.weight & ((1 << core.weight_bits) - 1)
    if core.index == "lane":
        value = value | (s.slot // lanes << core.weight_bits)
    entry[rows.word * lanes + s.slot % lanes] = value
    images = {Memory.SYNAPSE: entry.tolist()}
    if core.header_bits:
        header = np.zeros(core.synapse_words, dtype=np.int64)
        shift = 0
        if core.index == "word":
            header[: rows.words] = rows.word_group
            shift = core.index_bits
        header[: rows.words] |= rows.word_exponent << shift
        images[Memory.SYNAPSE_HEADER] = header.tolist()
    if core.pointer_bits:
        start = np.where(rows.count > 0, rows.start, 0)
        images[Memory.POINTER] = (start | rows.count << core.start_bits).tolist()
    return images


def record_image(
    core: CoreParams, fields: dict[str, np.ndarray], slot: np.ndarray
) -> dict[Memory, list[int]]:
    """The parameter memory, if there is one. `fields` belong to the neurons in `slot`."""
    if not core.record_bits:
        return {}
    kind = np.int64 if core.record_bits < 63 else object
    record = np.zeros(core.slots, dtype=kind)
    shift = 0
    for name in core.table_fields:
        bits = core.field_bits(name)
        part = (fields[name] & ((1 << bits) - 1)).astype(kind)
        record[slot] |= part << shift
        shift += bits
    return {Memory.PARAMETER: _listed(record)}


def table_image(core: CoreParams, tables: list[np.ndarray]) -> dict[Memory, list[int]]:
    """The emissions' tables, one after the other, if there are any."""
    if not tables:
        return {}
    return {Memory.TABLE: (np.concatenate(tables) & (1 << core.emission_bits) - 1).tolist()}


def check_fields(core: CoreParams, fields: dict[str, np.ndarray]) -> str | None:
    """Name of a field that does not fit its width, or None."""
    for name in FIELDS:
        bits = core.field_bits(name)
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if name in SIGNED else (0, 0)
        if name not in SIGNED:
            high = (1 << bits) - 1
        values = fields[name]
        if len(values) and (values.min() < low or values.max() > high):
            return name
    return None
