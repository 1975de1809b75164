"""Sends what the neurons of a core have to say after an update."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.arithmetic import integer
from hdl.memory import registered
from hdl.neuron.payload import Payload
from hdl.neuron.ports import ConfigPort, emission_layout
from hdl.neuron.update import record_layout, state_layout
from hdl.neuron.winners import Winners
from hdl.params.neuron import CoreParams, bits_for
from hdl.stream import Fork

__all__ = ["Emitter"]


class Emitter(wiring.Component):
    """Remembers which neurons of a state word may send; later sends them one by one, in order.

    Latency: 4 cycles from a scanned word to its first event, and those of `Payload`; a word
    without events takes one cycle, a word with n of them n cycles. Stalls on `o` hold the scan.

    Parameters
    ----------
    params : the core.
    config : signature of the configuration port.
    images : initial contents of memories.

    Members
    -------
    write, write_word, write_fired : store which neurons of a word may send.
    i_valid, i_ready, i_word, i_range : the word to scan, and its range; its state and record are
        read at the same time, into registers that hold while `i_ready` is low.
    states, records : these registers, two cycles behind the word.
    o : events.
    config : writes the tables.
    busy : level, a scanned word is not done with.

    If the core sends changes (each neuron's `sent` stands in a memory here):

    sent_word, sent : what the neurons of that word have sent, two cycles behind it; held as the
        states are. In a scan it is `i_word`.
    clear : with `write`: the neurons of `write_word` have sent 0.
    restore, restore_word, restore_sent : these neurons of a word have sent that; nothing else goes
        on.

    If only winners send:

    write_score : with `write`: the neuron's membrane.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        p = self.params = params
        u = p.update_lanes
        self.payload = Payload(p, config, images)
        self.selects = p.winners is not None and not p.winners.all
        sent = {
            "sent_word": In(bits_for(p.state_words)),
            "sent": Out(u * p.sent_bits),
            "clear": In(1),
            "restore": In(u),
            "restore_word": In(bits_for(p.state_words)),
            "restore_sent": In(integer(p.sent_bits)),
        }
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
                "config": In(config),
                "busy": Out(1),
            }
            | (sent if p.changes else {})
            | ({"write_score": In(signed(p.membrane_bits))} if self.selects else {})
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

        sends = fired.data
        if self.selects:
            m.submodules.winners = winners = Winners(p)
            m.d.comb += [
                winners.write.eq(self.write),
                winners.score.eq(self.write_score),
                winners.step.eq(self.i_valid),
                winners.move.eq(self.i_ready),
            ]
            sends = fired.data & winners.chosen

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
        before = Signal(integer(p.sent_bits))
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
                left.eq(Mux(read, sends, 0)),
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
            if p.changes:
                m.d.sync += before.eq(
                    Array(self.sent.word_select(k, p.sent_bits) for k in range(u))[lane]
                )

        m.submodules.payload = payload = self.payload
        connect(m, flipped(self.config), payload.config)
        # Two places: what waits behind `o` waits for a register, not for the whole network.
        m.submodules.out = out = Fork(emission_layout(p), takers=1)
        m.d.comb += [
            payload.i_valid.eq(picked),
            payload.slot.eq(slot),
            payload.membrane.eq(state.membrane),
            payload.record.eq(record),
            payload.number.eq(of_range),
            payload.sent.eq(before),
            payload_ready.eq(payload.i_ready),
            payload.o.ready.eq(out.i.ready),
            out.i.valid.eq(payload.o.valid),
            out.i.payload.eq(payload.o.payload),
            out.route.eq(1),
            out.free.eq(self.o.ready),
            self.o.valid.eq(out.request),
            self.o.payload.eq(out.word),
            self.busy.eq(read | left.any() | picked | payload.busy | ~out.idle),
        ]
        if p.changes:
            self._remember(m, payload)
        return m

    def _remember(self, m: Module, payload: Payload) -> None:
        """The memory of what was sent. A word is read before its neurons' new values come."""
        p = self.params
        u = p.update_lanes
        sent, write = registered(
            m, "sent", self.sent_word, self.i_ready, depth=p.state_words, bits=p.sent_bits, parts=u
        )
        lane, word = payload.changed_slot[: bits_for(u)], payload.changed_slot[bits_for(u) :]
        clear, restore = self.write & self.clear, self.restore.any()
        value = Mux(restore, self.restore_sent, payload.value)
        one = Cat(payload.changed & (lane == k) for k in range(u))
        m.d.comb += [
            self.sent.eq(sent),
            write.addr.eq(Mux(clear, self.write_word, Mux(restore, self.restore_word, word))),
            Value.cast(write.data).eq(Mux(clear, 0, value).replicate(u)),
            write.en.eq(one | clear.replicate(u) | self.restore),
        ]
