"""Events to synapse words."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import times
from hdl.memory import configure, table
from hdl.neuron.ports import ConfigPort, event_layout, word_layout
from hdl.params.neuron import CoreParams
from hdl.params.noc import Memory

__all__ = ["Fetch"]


class Fetch(wiring.Component):
    """Reads the row of each event from the synapse memory, one word a cycle without gaps.

    Latency: 2 cycles from event to word (3 with a pointer table); the word comes straight from
    block memory. Words can't be stalled; a row takes as many cycles as it has words, a row of no
    words takes one cycle.

    Parameters
    ----------
    params : the core.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members
    -------
    i : events. Taken only while `run`.
    run : level, events may be taken.
    word : a synapse word, meaningful while `valid`.
    busy : level, a row is on its way (words of it may still be to come).
    config : writes Memory.SYNAPSE, SYNAPSE_HEADER and POINTER.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        self.params = params
        self.images = images or {}
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(params))),
                "run": In(1),
                "word": Out(word_layout(params)),
                "valid": Out(1),
                "busy": Out(1),
                "config": In(config),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        address = Signal(p.start_bits)
        left = Signal(p.count_bits)  # words of the row still to be read, this one included
        group = Signal(p.index_bits)
        value = Signal.like(self.word.value)
        take_row = Signal()
        m.d.comb += take_row.eq(left <= 1)

        # What row comes next: (valid, start, count, value), taken when the walker is free.
        if p.index == "none":
            row_valid = self.i.valid & self.run
            m.d.comb += self.i.ready.eq(take_row & self.run)
            start, count = times(self.i.p.axon, p.groups)[: p.start_bits], p.groups
            row_value, looking_up = self.i.p.value, 0
        else:
            pointer, pointer_write = table(
                m, "pointers", depth=p.axons, bits=p.pointer_bits,
                init=self.images.get(Memory.POINTER),
            )  # fmt: skip
            configure(m, pointer_write, self.config, Memory.POINTER)
            looking_up = Signal()
            row_value = Signal.like(value)
            with m.If(self.i.ready):
                m.d.sync += [looking_up.eq(self.i.valid), row_value.eq(self.i.p.value)]
            with m.Elif(take_row):
                m.d.sync += looking_up.eq(0)
            m.d.comb += [
                self.i.ready.eq(self.run & (take_row | ~looking_up)),
                pointer.en.eq(self.i.ready),
                pointer.addr.eq(self.i.p.axon),
            ]
            row_valid = looking_up
            start, count = pointer.data[: p.start_bits], pointer.data[p.start_bits :]

        with m.If(take_row):
            m.d.sync += [
                address.eq(start),
                left.eq(Mux(row_valid, count, 0)),
                group.eq(0),
                value.eq(row_value),
            ]
        with m.Else():
            m.d.sync += [address.eq(address + 1), left.eq(left - 1), group.eq(group + 1)]

        entries, entries_write = table(
            m, "synapses", depth=p.synapse_words, bits=p.entry_bits, parts=p.lanes,
            init=self.images.get(Memory.SYNAPSE),
        )  # fmt: skip
        reading = left != 0
        m.d.comb += entries.addr.eq(address)
        configure(m, entries_write, self.config, Memory.SYNAPSE, p.lanes)
        if p.header_bits:
            header, header_write = table(
                m, "headers", depth=p.synapse_words, bits=p.header_bits,
                init=self.images.get(Memory.SYNAPSE_HEADER),
            )  # fmt: skip
            m.d.comb += header.addr.eq(address)
            configure(m, header_write, self.config, Memory.SYNAPSE_HEADER)

        read_group = Signal.like(group)
        m.d.sync += [self.valid.eq(reading), read_group.eq(group), self.word.value.eq(value)]
        m.d.comb += self.word.entries.eq(entries.data)
        if p.index == "word" and p.index_bits:
            m.d.comb += self.word.group.eq(header.data[: p.index_bits])
        else:
            m.d.comb += self.word.group.eq(read_group)
        if p.exponent_bits:
            m.d.comb += self.word.exponent.eq(header.data[p.header_bits - p.exponent_bits :])
        m.d.comb += self.busy.eq(looking_up | reading | self.valid)
        return m
