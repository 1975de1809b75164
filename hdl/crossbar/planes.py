"""The values that a product drives, turned from rows into bit planes."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.product import input_planes
from hdl.memory import registered
from hdl.params.crossbar.array import ArrayParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import bits_for
from hdl.sc.overlap import delayed

__all__ = ["Planes"]


class Planes(wiring.Component):
    """Values of rows, one written a cycle, and their planes as a `Product` looks at them.

    `turn` makes planes of values, a bit a cycle: `planes` * (`rows` + 4) + 2 cycles, or 2 if no
    value was written since.

    Parameters
    ----------
    array : rows.
    crossbar : bits of values.
    values : of all rows at first; shorter ones end with 0.

    Members
    -------
    en, row, value : writes the signed value of a row, p + 1 bits; with p = 0 one bit, a spike.
    turn : for one cycle, `busy` from the next cycle on until planes are those of the values.
    plane, word : see `Product`.
    """

    def __init__(self, array: ArrayParams, crossbar: Crossbar, values: list[int] | None = None):
        self.params, self.crossbar, self.values = array, crossbar, list(values or [])
        self.planes = input_planes(crossbar)
        super().__init__(
            {
                "en": In(1),
                "row": In(bits_for(array.rows)),
                "value": In(self.planes),
                "turn": In(1),
                "busy": Out(1),
                "plane": In(bits_for(self.planes)),
                "word": Out(array.rows),
            }
        )

    def _signed(self, value):
        """|x|, lowest bits first, and the sign."""
        if self.planes == 1:
            return value
        if isinstance(value, int):
            return abs(value) | (value < 0) << (self.planes - 1)
        sign = value[-1]
        return Cat(Mux(sign, -value, value)[: self.planes - 1], sign)

    def elaborate(self, platform):
        m = Module()
        rows, planes = self.params.rows, self.planes
        row, plane = Signal(range(max(rows, 2))), Signal(range(max(planes, 2)))
        stale, word, turning = Signal(init=1), Signal(rows, reset_less=True), Signal()
        value, write = registered(
            m,
            "values",
            row,
            1,
            depth=max(rows, 2),
            bits=planes,
            init=[self._signed(v) for v in self.values],
        )
        m.d.comb += [
            write.addr.eq(self.row),
            write.data.eq(self._signed(self.value)),
            write.en.eq(self.en),
        ]
        shift = delayed(m, turning, 2, "turning")
        with m.If(shift[2]):
            m.d.sync += word.eq(Cat(word, value.bit_select(plane, 1))[1:])

        planes_word, store = registered(m, "planes", self.plane, 1, depth=max(planes, 2), bits=rows)
        m.d.comb += [self.word.eq(planes_word), store.addr.eq(plane), store.data.eq(word)]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("Rest"))
            with m.State("Rest"):
                m.d.sync += [row.eq(0), plane.eq(0)]
                with m.If(self.en):
                    m.d.sync += stale.eq(1)
                with m.If(self.turn & stale):
                    m.next = "Turn"
            with m.State("Turn"):
                m.d.comb += turning.eq(1)
                m.d.sync += row.eq(row + 1)
                with m.If(row == rows - 1):
                    m.next = "Store"
            with m.State("Store"):
                m.d.sync += row.eq(0)
                with m.If(~Cat(shift[1:]).any()):
                    m.d.comb += store.en.eq(1)
                    m.d.sync += plane.eq(plane + 1)
                    m.next = "Turn"
                    with m.If(plane == planes - 1):
                        m.d.sync += stale.eq(0)
                        m.next = "Rest"
        return m
