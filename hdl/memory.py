"""Memories as the cores use them: one write port for configuration, one read port."""

from amaranth.hdl import Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory

from hdl.params.neuron import bits_for

__all__ = ["SHALLOW", "configure", "registered", "table"]

#: Words up to which a memory is made of distributed memory, deeper ones of block memory.
SHALLOW = 32

#: Bits up to which twice that depth is still distributed: an ECP5 has some 400 LUTs for each block
#: memory, and that is what so many bits take.
SMALL = 4096


def table(m, name: str, *, depth: int, bits: int, parts: int = 1, init=None, domain="sync"):
    """Adds a memory of `depth` words of `parts` items of `bits` bits to module `m`.

    Returns (read port, write port). A read port in "sync" holds its data while its `en` is low;
    the write port has one enable per item. `init`: items, first word first. Nobody may read a
    word in the cycle in which it is written.
    """
    shape = data.ArrayLayout(unsigned(bits), parts) if parts > 1 else unsigned(bits)
    items = list(init or [])
    words: list = items
    if parts > 1:
        words = [items[start : start + parts] for start in range(0, len(items), parts)]
    attrs = {"no_rw_check": 1} | ({"ram_style": "distributed"} if domain == "comb" else {})
    memory = Memory(shape=shape, depth=depth, init=words, attrs=attrs)
    write = memory.write_port(granularity=1) if parts > 1 else memory.write_port()
    read = memory.read_port(domain=domain)
    m.submodules[name] = memory
    return read, write


def registered(m, name: str, address, move, **memory):
    """A memory as `table` makes it, and a register with the word at `address` of 2 cycles ago.

    Both stages advance while `move` is high. Returns (register, write port). A deep memory becomes
    block memory with that register inside (its own output would take most of a cycle), a shallow
    one distributed memory between two registers.
    """
    depth, bits = memory["depth"], memory["depth"] * memory["bits"] * memory.get("parts", 1)
    shallow = depth <= SHALLOW or (depth <= 2 * SHALLOW and bits <= SMALL)
    read, write = table(m, name, domain="comb" if shallow else "sync", **memory)
    word = read.data if memory.get("parts", 1) == 1 else read.data.as_value()
    register = Signal(len(word), name=f"{name}_word", reset_less=True)
    if shallow:
        held = Signal.like(read.addr, name=f"{name}_address", reset_less=True)
        m.d.comb += read.addr.eq(held)
        with m.If(move):
            m.d.sync += [held.eq(address), register.eq(word)]
    else:
        m.d.comb += [read.addr.eq(address), read.en.eq(move)]
        with m.If(move):
            m.d.sync += register.eq(word)
    return register, write


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
