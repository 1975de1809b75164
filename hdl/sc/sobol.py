"""Sobol's sequence."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring

from hdl.params.sc.sobol import SobolParams
from hdl.sc.unit import unit_signature

__all__ = ["Sobol", "times_matrix"]


def times_matrix(columns: tuple[int, ...], number: Value) -> Value:
    """The exclusive or of the columns that the set bits of `number` select.

    Written row by row: output bit b is the parity of the bits of `number` whose column has bit b.
    """
    rows = []
    for b in range(len(columns)):
        chosen = [number[k] for k, column in enumerate(columns) if (column >> b) & 1]
        rows.append(Cat(chosen).xor() if chosen else Const(0, 1))
    return Cat(rows)


class Sobol(wiring.Component):
    """A low-discrepancy number a cycle (equation: hdl/params/sc/sobol.py).

    Natural order: a counter, and one parity for each output bit (for dimension 1 only wires).
    Gray order: a counter that selects the direction integer which changes the register of the
    number, so the output comes from flip-flops.

    Parameters
    ----------
    params : width, dimension, order, shift.

    Members
    -------
    value : the number of this cycle.
    count : the point's number (inside).
    en, clear : next number; back to the first.
    """

    def __init__(self, params: SobolParams):
        self.params = params
        self.count = Signal(params.width)
        super().__init__(unit_signature(params))

    def elaborate(self, platform):
        m = Module()
        p = self.params
        ones = (1 << p.width) - 1
        offset = p.shift ^ (ones if p.invert else 0)
        count = self.count
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        with m.Elif(self.en):
            m.d.sync += count.eq(count + 1)

        if p.order == "natural":
            m.d.comb += self.value.eq(times_matrix(p.directions, count) ^ offset)
            return m

        # The bits that count + 1 changes are the ones at the end and the zero after them: `last`
        # keeps the highest of them, or bit w - 1 when all change.
        change = (count ^ (count + 1))[: p.width]
        last = Signal(p.width)
        m.d.comb += last.eq(change & ~(change >> 1))
        number = Signal(p.width, init=offset)
        m.d.comb += self.value.eq(number)
        with m.If(self.clear):
            m.d.sync += number.eq(offset)
        with m.Elif(self.en):
            m.d.sync += number.eq(number ^ times_matrix(p.directions, last))
        return m
