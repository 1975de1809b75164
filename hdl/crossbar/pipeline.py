"""Registers and multiplexers that the parts of an array share."""

from amaranth.hdl import Mux, Signal, Value

from hdl.params.neuron import bits_for

__all__ = ["held", "pick", "select"]


def held(m, name: str, value, cycles: int = 1):
    """A register, without a reset, with `value` of so many cycles ago."""
    value = Value.cast(value)
    for k in range(cycles):
        stage = Signal(value.shape(), name=f"{name}_{k + 1}", reset_less=True)
        m.d.sync += stage.eq(value)
        value = stage
    return value


def select(items, index):
    """items[index] as a tree of multiplexers."""
    items = list(items)
    for bit in index:
        pairs = zip(items[::2], items[1::2], strict=False)
        items = [Mux(bit, b, a) for a, b in pairs] + items[len(items) & ~1 :]
    return items[0]


def pick(m, name: str, items, index):
    """A register with items[index] of 2 cycles ago."""
    low = bits_for(len(items)) + 1 >> 1
    groups = [
        held(m, f"{name}_{k}", select(items[k : k + (1 << low)], index[:low]))
        for k in range(0, len(items), 1 << low)
    ]
    return held(m, name, select(groups, held(m, f"{name}_group", index[low:])))
