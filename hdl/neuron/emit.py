"""Sends what the neurons of a core have to say after an update."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import saturate
from hdl.neuron.fields import Fields
from hdl.neuron.ports import emission_layout
from hdl.neuron.update import record_layout, state_layout
from hdl.params.neuron import CoreParams, Emit, bits_for
from hdl.stream import Fork

__all__ = ["Emitter"]


class Emitter(wiring.Component):
    """Remembers which neurons of a state word may send; later sends them one by one, in order.

    Latency: 4 cycles from a scanned word to its first event; a word without events takes one
    cycle, a word with n of them n cycles. Stalls on `o` hold the scan.

    Parameters
    ----------
    params : the core.

    Members
    -------
    write, write_word, write_fired : store which neurons of a word may send.
    i_valid, i_ready, i_word, i_range : the word to scan, and its range; its state and record are
        read at the same time, into registers that hold while `i_ready` is low.
    states, records : these registers, two cycles behind the word.
    o : events.
    busy : level, a scanned word is not done with.
    """

    def __init__(self, params: CoreParams):
        p = self.params = params
        u = p.update_lanes
        super().__init__(
            {
                "write": In(1),
                "write_word": In(bits_for(p.state_words)),
                "write_fired": In(u),
                "i_valid": In(1),
                "i_ready": Out(1),
                "i_word": In(bits_for(p.state_words)),
                "i_range": In(bits_for(len(p.ranges))),
                "states": In(u * p.state_bits),
                "records": In(u * p.record_bits),
                "o": Out(stream.Signature(emission_layout(p))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        u = p.update_lanes
        m.submodules.fired = memory = Memory(shape=u, depth=p.state_words, init=[])
        write, fired = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(self.write_word),
            write.data.eq(self.write_fired),
            write.en.eq(self.write),
            fired.addr.eq(self.i_word),
        ]

        # Read: the word's memory outputs are there.
        read = Signal()
        read_word, read_range = Signal.like(self.i_word), Signal.like(self.i_range)
        # Hold: a word whose neurons are sent, `left` of them; `states` and `records` are its own.
        left = Signal(u)
        word, number = Signal.like(self.i_word), Signal.like(self.i_range)
        # Pick: one neuron.
        picked = Signal()
        slot = Signal(bits_for(p.slots))
        state = Signal(state_layout(p))
        record = Signal(record_layout(p))
        of_range = Signal.like(self.i_range)

        payload_ready = Signal()
        pick_ready = ~picked | payload_ready
        last = (left & (left - 1)[:u]) == 0
        hold_ready = (left == 0) | (last & pick_ready)
        m.d.comb += [self.i_ready.eq(hold_ready), fired.en.eq(self.i_ready)]

        lane = Signal(bits_for(u))
        for k in reversed(range(u)):
            with m.If(left[k]):
                m.d.comb += lane.eq(k)
        with m.If(hold_ready):
            m.d.sync += [
                read.eq(self.i_valid),
                read_word.eq(self.i_word),
                read_range.eq(self.i_range),
                left.eq(Mux(read, fired.data, 0)),
                word.eq(read_word),
                number.eq(read_range),
            ]
        with m.Elif(pick_ready):
            m.d.sync += left.eq(left & (left - 1)[:u])
        with m.If(pick_ready):
            m.d.sync += [
                picked.eq(left.any()),
                slot.eq(word * u + lane),
                of_range.eq(number),
                state.eq(Array(self.states.word_select(k, p.state_bits) for k in range(u))[lane]),
            ]
            if p.record_bits:
                m.d.sync += record.eq(
                    Array(self.records.word_select(k, p.record_bits) for k in range(u))[lane]
                )

        # Payload.
        fields = Fields(m, p, record, of_range)
        value, silent = 1, 0
        if p.value_bits:
            shift = fields.at(0, "value_shift")
            half = (1 << shift) >> 1
            scaled = saturate((state.membrane + half) >> shift, max(p.emission_bits, 1))
            is_value = fields.at(0, "emit") == Emit.VALUE
            value = Mux(
                is_value, scaled, Mux(fields.at(0, "emit") == Emit.STATE, state.membrane, 1)
            )
            silent = is_value & (scaled == 0)
        # Two places: what waits behind `o` waits for a register, not for the whole network.
        m.submodules.out = out = Fork(emission_layout(p), takers=1)
        m.d.comb += [
            payload_ready.eq(out.i.ready),
            out.i.valid.eq(picked & ~silent),
            out.i.p.slot.eq(slot),
            out.i.p.value.eq(value),
            out.route.eq(1),
            out.free.eq(self.o.ready),
            self.o.valid.eq(out.request),
            self.o.payload.eq(out.word),
            self.busy.eq(read | left.any() | picked | ~out.idle),
        ]
        return m
