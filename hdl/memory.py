"""Memories as the cores use them: one write port for configuration, one read port."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory

from hdl.params.neuron import bits_for

__all__ = ["configure", "packed", "table"]


def packed(items: list[int], per_word: int, bits: int) -> list[int]:
    """Words of `per_word` items of `bits` bits each, first item lowest."""
    return [
        sum(item << (bits * k) for k, item in enumerate(items[start : start + per_word]))
        for start in range(0, len(items), per_word)
    ]


def table(m, name: str, *, depth: int, bits: int, parts: int = 1, init=None, style=None):
    """Adds a memory of `depth` words of `parts` items of `bits` bits to module `m`.

    Returns (read port, write port). The read port is synchronous and holds its data while its
    `en` is low; the write port has one enable per item. `init`: items, first word first.
    Nobody may read a word in the cycle in which it is written. `style`: "block" or "distributed"
    asks the synthesiser for that kind of memory.
    """
    words = packed(list(init), parts, bits) if init is not None else []
    shape = data.ArrayLayout(unsigned(bits), parts) if parts > 1 else unsigned(bits)
    if parts > 1:
        words = [[(w >> (bits * k)) & ((1 << bits) - 1) for k in range(parts)] for w in words]
    attrs = {"no_rw_check": 1} | ({"ram_style": style} if style else {})
    memory = Memory(shape=shape, depth=depth, init=words, attrs=attrs)
    write = memory.write_port(granularity=1) if parts > 1 else memory.write_port()
    read = memory.read_port()
    m.submodules[name] = memory
    return read, write


def configure(m, port, config, memory: int, parts: int = 1) -> None:
    """Connects a write port to the configuration port: item n is part n % parts of word n // parts.

    `parts` is a power of two.
    """
    low = bits_for(parts)
    selected = config.en & (config.memory == memory)
    m.d.comb += port.addr.eq(config.address[low:])
    if parts == 1:
        m.d.comb += [port.data.eq(config.data), port.en.eq(selected)]
    else:
        part = config.address[:low]
        m.d.comb += [item.eq(config.data) for item in port.data]
        m.d.comb += [port.en[k].eq(selected & (part == k)) for k in range(parts)]
