"""Counting the ones of many bits."""

from amaranth.hdl import Cat, Signal, Value

from hdl.params.sc.dot import adder_levels

__all__ = ["popcount", "popcount_latency"]


def popcount_latency(bits: int, levels: int) -> int:
    """Cycles that `popcount` of so many bits takes."""
    return adder_levels(bits) // levels + 1


def popcount(m, bits, *, levels: int, name: str = "ones") -> Value:
    """The number of ones in `bits`, `popcount_latency` cycles later.

    Full adders, two LUTs each, turn three bits of one weight into one of that weight and one of
    the next; what is left, two bits of each weight, is added in a carry chain. Registers, named
    after `name`, stand behind every `levels` levels of full adders and behind the carry chain.
    N bits take about N - 2 log2 N full adders.
    """
    bits = list(bits)
    width = len(bits).bit_length()
    columns = {0: bits}  # bits of each weight
    level = 0

    def stage():
        for weight, column in columns.items():
            held = Signal(len(column), name=f"{name}_{level}_{weight}", reset_less=True)
            m.d.sync += held.eq(Cat(column))
            columns[weight] = list(held)

    while max(len(column) for column in columns.values()) > 2:
        new: dict[int, list[Value]] = {}
        for weight, column in columns.items():
            while len(column) > 2:
                a, b, c, *column = column
                new.setdefault(weight, []).append(a ^ b ^ c)
                new.setdefault(weight + 1, []).append((a & b) | (c & (a | b)))
            new.setdefault(weight, []).extend(column)
        columns = new
        level += 1
        if level % levels == 0:
            stage()
    rows = [
        Cat(column[k] if len(column) > k else 0 for column in columns.values()) for k in range(2)
    ]
    total = (rows[0] + rows[1])[:width]
    held = Signal(width, name=name, reset_less=True)
    m.d.sync += held.eq(total)
    return held
