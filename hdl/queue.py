"""A queue of stream words in memory."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import SHALLOW, table

__all__ = ["Queue"]


class Queue(wiring.Component):
    """First in, first out: `depth` words in a memory, one more in the output register.

    Latency 1 cycle while the memory is empty, throughput 1 word a cycle; `i.ready` and the output
    come from registers. Up to `SHALLOW` words stand in distributed memory; a deeper queue reads its
    memory through a register, as block memory wants it, and this register is a place more.

    Parameters
    ----------
    shape : shape of a word.
    depth : words in the memory, a power of two.

    Members
    -------
    i, o : words in and out.
    idle : nothing is stored.
    """

    def __init__(self, shape, *, depth: int) -> None:
        if not isinstance(depth, int) or depth < 1 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two from 1, not {depth!r}")
        self.shape, self.depth = shape, depth
        word = stream.Signature(shape)
        super().__init__({"i": In(word), "o": Out(word), "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        depth = self.depth
        deep = depth > SHALLOW
        first = Signal(range(depth))
        level = Signal(range(depth + 1))  # words written and not yet read
        push, pop, take = Signal(), Signal(), Signal()
        read, write = table(
            m, "words", depth=depth, bits=Shape.cast(self.shape).width,
            domain="sync" if deep else "comb",
        )  # fmt: skip
        m.d.comb += [
            write.addr.eq(first + level),
            write.data.eq(self.i.payload),
            write.en.eq(push),
            read.addr.eq(first),
            self.i.ready.eq(level != depth),
            take.eq(~self.o.valid | self.o.ready),
        ]
        m.d.sync += level.eq(level + push - pop)
        with m.If(pop):
            m.d.sync += first.eq(first + 1)

        follows = Signal()  # a word for the output stands at `read.data`
        empty = Signal()  # so that a new word may go straight to the output
        if deep:
            m.d.comb += [
                pop.eq((level != 0) & (~follows | take)),
                read.en.eq(pop),
                empty.eq((level == 0) & ~follows),
            ]
            with m.If(pop | take):
                m.d.sync += follows.eq(pop)
        else:
            m.d.comb += [follows.eq(level != 0), pop.eq(follows & take), empty.eq(~follows)]
        m.d.comb += [
            push.eq(self.i.valid & self.i.ready & ~(empty & take)),
            self.idle.eq(empty & ~self.o.valid),
        ]
        with m.If(take):
            new = Value.cast(self.i.payload)
            m.d.sync += [
                self.o.valid.eq(follows | (empty & self.i.valid)),
                Value.cast(self.o.payload).eq(Mux(follows, read.data, new)),
            ]
        return m
