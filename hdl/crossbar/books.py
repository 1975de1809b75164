"""What a controller remembers of its columns: where they are, how worn, how many failed."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import registered
from hdl.params.crossbar.controller import WEAR_BITS, ControllerParams
from hdl.params.neuron import bits_for

__all__ = ["Books", "failure_bits"]


def failure_bits(p: ControllerParams) -> int:
    """Bits of the number of failed devices of a block."""
    return bits_for(p.places * p.array.tiles * p.array.rows + 1)


class Books(wiring.Component):
    """Column map, wear, failures (hdl/params/crossbar/controller.py).

    A reset is followed by a sweep that writes everything as it was at first, a word a cycle.
    Answers come 2 cycles behind what they are asked with, and 3 behind a change.

    Parameters
    ----------
    params : the controller.

    Members
    -------
    ready : level, no sweep is going on.
    block : for all that follows but the wear.
    logical : block * places + logical column.
    physical : its column.
    move : for one cycle, it becomes the block's next spare; only while there is a `spare`.
    spare : whether there is one.
    moved : columns moved.
    settle, failures : for one cycle, so many devices failed.
    failed : the last such number.
    bank, column : whose wear it is.
    worn : for one cycle, it took a pulse; `bank` and `column` stand since 2 cycles, and one more.
    wear : pulses that it took.
    """

    def __init__(self, params: ControllerParams):
        p = self.params = params
        a = p.array
        super().__init__(
            {
                "ready": Out(1),
                "block": In(bits_for(a.blocks)),
                "logical": In(bits_for(a.blocks * p.places)),
                "physical": Out(bits_for(a.columns)),
                "move": In(1),
                "spare": Out(1),
                "moved": Out(bits_for(a.columns - p.places + 1)),
                "settle": In(1),
                "failures": In(failure_bits(p)),
                "failed": Out(failure_bits(p)),
                "bank": In(bits_for(a.banks)),
                "column": In(bits_for(a.columns)),
                "worn": In(1),
                "wear": Out(WEAR_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, a = self.params, self.params.array
        bits = {
            "columns": bits_for(a.blocks * p.places),
            "blocks": bits_for(a.blocks),
            "wear": len(self.bank) + len(self.column),
        }
        sweeping, at = Signal(init=1), Signal(max(1, *bits.values()))
        place = Signal(range(p.places))
        m.d.comb += self.ready.eq(~sweeping)
        with m.If(sweeping):
            m.d.sync += [
                at.eq(at + 1),
                place.eq(Mux(place == p.places - 1, 0, place + 1)),
                sweeping.eq(~at.all()),
            ]

        def book(name, address, write, value, first=0):
            """A register with the word at `address`, which `write` makes `value`."""
            size = max(bits[name], 1)
            word, port = registered(m, name, address, 1, depth=1 << size, bits=max(len(value), 1))
            m.d.comb += [
                port.en.eq(write | (sweeping & ~at[size:].any())),
                port.addr.eq(Mux(sweeping, at, address)),
                port.data.eq(Mux(sweeping, first, value)),
            ]
            return word

        spare = Signal(len(self.physical))
        m.d.comb += [
            spare.eq(p.places + self.moved),
            self.physical.eq(book("columns", self.logical, self.move, spare, place)),
            self.spare.eq(self.moved != a.columns - p.places),
        ]
        moved, failed = Signal.like(self.moved), Signal.like(self.failed)
        m.d.comb += [
            moved.eq(self.moved + self.move),
            failed.eq(Mux(self.settle, self.failures, self.failed)),
            Cat(self.moved, self.failed).eq(
                book("blocks", self.block, self.move | self.settle, Cat(moved, failed))
            ),
        ]
        wear, worn = Signal.like(self.wear, reset_less=True), Signal()
        m.d.sync += [wear.eq(self.wear + ~self.wear.all()), worn.eq(self.worn)]
        m.d.comb += self.wear.eq(book("wear", Cat(self.column, self.bank), worn, wear))
        return m
