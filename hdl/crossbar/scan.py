"""From a bitmap of driven rows to their numbers."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.crossbar.pipeline import held
from hdl.params.neuron import bits_for

__all__ = ["Scanner"]


def _position(one_hot):
    """Index of the one bit that is set."""
    bits = bits_for(len(one_hot))
    return Cat(Cat(b for n, b in enumerate(one_hot) if n >> k & 1).any() for k in range(bits))


class Scanner(wiring.Component):
    """The set bits of a bitmap in ascending order, one a cycle without gaps.

    Bits stand in groups, as many as a group has bits, about. `pending` are groups with set bits
    that are still to come, `chosen` (one-hot) the next one, `word` what is left of the present one:
    each takes the lowest bit of what is behind it. Every group that is taken has a set bit, so the
    next one is there when it ends.

    Parameters
    ----------
    rows : bits.

    Members
    -------
    start, drive : for one cycle, the bitmap. Not while `busy`.
    run : level, rows may come; the first one 5 cycles after `start`, or 1 after `run`.
    valid, row : a row.
    busy : level, more rows come (behind the present one).
    """

    def __init__(self, rows: int):
        self.rows = rows
        super().__init__(
            {
                "start": In(1),
                "drive": In(rows),
                "run": In(1),
                "valid": Out(1),
                "row": Out(bits_for(rows)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = 1 << (bits_for(self.rows) + 1 >> 1)
        drive, fresh = Signal(self.rows, reset_less=True), Signal()
        m.d.sync += fresh.eq(self.start)
        with m.If(self.start):
            m.d.sync += drive.eq(self.drive)
        groups = [drive[k : k + width] for k in range(0, self.rows, width)]
        pending, chosen = Signal(len(groups)), Signal(len(groups))
        word, group = Signal(width), Signal(bits_for(len(groups)), reset_less=True)

        others, following = word & (word - 1), pending & (pending - 1)
        with m.If((others == 0) & (self.run | (word == 0))):
            mine = [Mux(this, bits, 0) for this, bits in zip(chosen, groups, strict=True)]
            m.d.sync += [
                word.eq(Cat(Cat(b[k : k + 1] for b in mine).any() for k in range(width))),
                group.eq(_position(chosen)),
                chosen.eq(pending & ~following),
                pending.eq(following),
            ]
        with m.Elif(self.run):
            m.d.sync += word.eq(others)
        with m.If(fresh):
            m.d.sync += pending.eq(Cat(bits.any() for bits in groups))

        row = Cat(_position((word & ~others)[:width]), group)
        m.d.comb += [
            self.row.eq(held(m, "row", row)),
            self.busy.eq(fresh | pending.any() | chosen.any() | word.any()),
        ]
        m.d.sync += self.valid.eq(word.any() & self.run)
        return m
