"""Tables of constants between two registers."""

from amaranth.hdl import Signal, unsigned
from amaranth.lib.memory import Memory

__all__ = ["BLOCK_BITS", "rom", "rom_now"]

#: Tables of more bits become block memory: this many are worth some 120 LUTs.
BLOCK_BITS = 2048


def rom_now(m, name: str, address, words, bits: int):
    """The word at `address`, in the same cycle: a table made of LUTs."""
    memory = Memory(
        shape=unsigned(bits), depth=len(words), init=words, attrs={"rom_style": "logic"}
    )
    m.submodules[name] = memory
    read = memory.read_port(domain="comb")
    m.d.comb += read.addr.eq(address)
    return read.data


def rom(m, name: str, address, move, words, bits: int):
    """A register with the word at `address` of 2 cycles ago; both stages advance under `move`."""
    register = Signal(bits, name=f"{name}_word", reset_less=True)
    if len(words) * bits <= BLOCK_BITS:
        held = Signal(len(address), name=f"{name}_address", reset_less=True)
        word = rom_now(m, name, held, words, bits)
        with m.If(move):
            m.d.sync += [held.eq(address), register.eq(word)]
    else:
        memory = Memory(shape=unsigned(bits), depth=len(words), init=words)
        m.submodules[name] = memory
        read = memory.read_port(domain="sync")
        m.d.comb += [read.addr.eq(address), read.en.eq(move)]
        with m.If(move):
            m.d.sync += register.eq(read.data)
    return register
