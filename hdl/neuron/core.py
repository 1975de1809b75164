"""The neuron core."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.memory import configure, registered
from hdl.neuron.dendrites import dendrites_for
from hdl.neuron.emit import Emitter
from hdl.neuron.ports import ConfigPort, emission_layout, event_layout, step_signature
from hdl.neuron.update import NeuronUpdate
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.noc import Memory

__all__ = ["NeuronCore"]


class NeuronCore(wiring.Component):
    """Neurons with their dendrites: events in, events out, one update of all neurons a step.

    A step has two parts. First the update: every neuron of the levels in the mask takes its sum
    of input, decays, fires, resets (`update_lanes` neurons a cycle, or as soon as the dendrites
    have their sums); this needs nothing from the network. Then what fired is sent, while events are
    taken again (event-driven dendrites add `lanes` synapses a cycle). Since the update never waits
    for the network and taking events never waits for sending, cores can't block each other.

    Parameters
    ----------
    params : sizes, formats, shared neuron parameters.
    config : signature of the configuration port.
    images : initial memory contents: {Memory: list of items}; missing memories start at zero.

    Members
    -------
    i : events for this core.
    o : events of its neurons, in slot order.
    step : starts a step or a clear of all state; only while `idle`.
    idle : level, nothing is going on: no event on its way, no update, nothing left to send.
    config : writes memories; STATE only while `idle`, or in a step that updates nothing, and not
        in the last 4 cycles before a step.
    probe_slot, probe : that item of Memory.STATE, 3 cycles later, while `idle`.
    """

    def __init__(self, params: CoreParams, config: ConfigPort | None = None, images=None):
        p = self.params = params
        self.images = images or {}
        self.config_signature = config or ConfigPort(24, 64)
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(p))),
                "o": Out(stream.Signature(emission_layout(p))),
                "step": In(step_signature(p.levels)),
                "idle": Out(1),
                "config": In(self.config_signature),
                "probe_slot": In(bits_for(p.state_items)),
                "probe": Out(p.probe_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        u = p.update_lanes
        word_bits, part_bits = bits_for(p.state_words), bits_for(p.lanes // u)

        dendrites = dendrites_for(p, self.config_signature, self.images)
        m.submodules.dendrites = dendrites
        emitter = Emitter(p, self.config_signature, self.images)
        m.submodules.emitter = emitter
        connect(m, flipped(self.i), dendrites.i)
        connect(m, emitter.o, flipped(self.o))
        connect(m, flipped(self.config), dendrites.config)
        connect(m, flipped(self.config), emitter.config)

        # Which words: those of each range whose level is in the mask, range after range.
        mask = Signal(p.levels)
        clear = Signal()
        word = Signal(word_bits)
        end = Signal(word_bits)  # last word of the range
        number = Signal(range(max(len(p.ranges), 1) + 1))  # of the range to look at next
        current = Signal(bits_for(len(p.ranges)))  # number of the range that `word` is in
        wanted, firsts, lasts = Signal(), Signal(word_bits), Signal(word_bits)
        with m.Switch(number):
            for k, r in enumerate(p.ranges):
                with m.Case(k):
                    m.d.comb += [
                        wanted.eq(mask[r.level] | clear),
                        firsts.eq(r.first),
                        lasts.eq(r.end - 1),
                    ]
        used = sum(1 << level for level in {r.level for r in p.ranges})
        finished = number == len(p.ranges)
        seek = [word.eq(firsts), end.eq(lasts), current.eq(number), number.eq(number + 1)]

        # The words pass a pipeline of `depth` cycles, from memory address to write-back.
        updates = [NeuronUpdate(p) for _ in range(u)]
        depth = 2 + updates[0].latency
        issue = Signal()
        passing = Signal(depth)  # bit k: a word was issued k + 1 cycles ago
        m.d.sync += passing.eq(Cat(issue, passing[:-1]))
        addresses, ranges = [word], [current]
        for k in range(2):
            held = Signal.like(current, name=f"range_{k + 1}")
            m.d.sync += held.eq(ranges[-1])
            ranges.append(held)
        for k in range(depth):
            held = Signal(word_bits, name=f"word_{k + 1}")
            m.d.sync += held.eq(addresses[-1])
            addresses.append(held)

        # States and records arrive in registers, 2 cycles after their address; they wait while the
        # emitter does.
        scanning = Signal()
        move = Signal()
        address = Signal(word_bits)
        m.d.comb += [move.eq(~scanning | emitter.i_ready), address.eq(word)]
        states, state_write = registered(
            m, "state", address, move, depth=p.state_words, bits=p.state_bits, parts=u, init=[]
        )
        records = Signal(u * p.record_bits)
        if p.record_bits:
            records, record_write = registered(
                m, "parameters", address, move, depth=p.state_words, bits=p.record_bits, parts=u,
                init=self.images.get(Memory.PARAMETER),
            )  # fmt: skip
            configure(m, record_write, self.config, Memory.PARAMETER, u)
        m.d.comb += [
            dendrites.take.eq(issue),
            dendrites.group.eq(word[part_bits:]),
            dendrites.part.eq(word[:part_bits]),
        ]
        results = []
        for k, update in enumerate(updates):
            m.submodules[f"update_{k}"] = update
            m.d.comb += [
                update.state.eq(states.word_select(k, p.state_bits)),
                update.acc.eq(dendrites.sums[k]),
                update.number.eq(ranges[2]),
            ]
            if p.record_bits:
                m.d.comb += update.record.eq(records.word_select(k, p.record_bits))
            results.append(Mux(clear, 0, update.new_state.as_value()))
        if updates[0].decides:  # of the word that waits for its sum: it is read all the time
            m.d.comb += dendrites.lead.eq(updates[0].lead)
        fired = Cat(update.emits for update in updates) & (~clear).replicate(u)
        # A state that is written through the configuration port.
        low = bits_for(u)
        restored = self.config.en & (self.config.memory == Memory.STATE)
        if p.state_items > p.slots:
            restored &= self.config.address < p.slots
        here, given = self.config.address[low:][:word_bits], self.config.data[: p.state_bits]
        part = restored.replicate(u) & Cat(self.config.address[:low] == k for k in range(u))
        m.d.comb += [
            state_write.addr.eq(Mux(passing[-1], addresses[depth], here)),
            state_write.data.eq(Cat(Mux(passing[-1], result, given) for result in results)),
            state_write.en.eq(Mux(passing[-1], ~0, part)),
            emitter.write.eq(passing[-1]),
            emitter.write_word.eq(addresses[depth]),
            emitter.write_fired.eq(fired),
        ]
        if emitter.selects:
            m.d.comb += emitter.write_score.eq(updates[0].new_state.membrane)

        m.d.comb += [
            emitter.i_word.eq(word),
            emitter.i_range.eq(current),
            emitter.states.eq(states),
            emitter.records.eq(records),
        ]
        with m.If(issue | (emitter.i_valid & emitter.i_ready)):
            m.d.sync += word.eq(word + 1)

        at_rest = Signal()
        with m.FSM():
            with m.State("Rest"):
                m.d.comb += [
                    at_rest.eq(1),
                    dendrites.run.eq(~self.step.start),
                    address.eq(self.probe_slot[bits_for(u) :]),
                    dendrites.clear.eq(self.step.start & self.step.clear),
                    dendrites.start.eq(
                        self.step.start & ~self.step.clear & (self.step.mask & used).any()
                    ),
                ]
                m.d.sync += [number.eq(0), mask.eq(self.step.mask), clear.eq(self.step.clear)]
                with m.If(self.step.start):
                    m.next = "Seek-Update"
            with m.State("Seek-Update"):
                m.d.sync += seek
                with m.If(finished):
                    m.next = "Drain"
                with m.Elif(wanted):
                    m.next = "Update"
            with m.State("Update"):
                m.d.comb += issue.eq(dendrites.ready)
                with m.If(issue & (word == end)):
                    m.next = "Seek-Update"
            with m.State("Drain"):
                m.d.sync += number.eq(0)
                with m.If(~passing.any()):
                    m.next = "Seek-Scan"
                    with m.If(clear):
                        m.next = "Rest"
            with m.State("Seek-Scan"):
                m.d.comb += [dendrites.run.eq(1), scanning.eq(1)]
                with m.If(emitter.i_ready):
                    m.d.sync += seek
                    with m.If(finished):
                        m.next = "Send"
                    with m.Elif(wanted):
                        m.next = "Scan"
            with m.State("Scan"):
                m.d.comb += [dendrites.run.eq(1), scanning.eq(1), emitter.i_valid.eq(1)]
                with m.If(emitter.i_ready & (word == end)):
                    m.next = "Seek-Scan"
            with m.State("Send"):
                m.d.comb += [dendrites.run.eq(1), scanning.eq(1)]
                with m.If(~emitter.busy):
                    m.next = "Rest"

        # Probes.
        place = self.probe_slot[:low]
        for k in range(2):
            held = Signal.like(place, name=f"place_{k + 1}")
            m.d.sync += held.eq(place)
            place = held
        probe = [states.word_select(k, p.state_bits) for k in range(u)]
        if p.changes:
            probe = [Cat(x, emitter.sent.word_select(k, p.sent_bits)) for k, x in enumerate(probe)]
            m.d.comb += [
                emitter.sent_word.eq(address),
                emitter.clear.eq(clear),
                emitter.restore.eq(part),
                emitter.restore_word.eq(here),
                emitter.restore_sent.eq(self.config.data[p.state_bits :][: p.sent_bits]),
            ]
        found = Array(probe)[place]
        if p.state_items > p.slots:
            index = Signal.like(dendrites.probe_index)
            inner = Signal(3)
            m.d.sync += [
                index.eq(self.probe_slot - p.slots),
                inner.eq(Cat(self.probe_slot >= p.slots, inner)),
            ]
            m.d.comb += dendrites.probe_index.eq(index)
            found = Mux(inner[-1], dendrites.probe, found)
        m.d.comb += self.probe.eq(found)
        m.d.comb += self.idle.eq(at_rest & ~dendrites.busy & ~self.i.valid)
        return m
