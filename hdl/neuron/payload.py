"""What a neuron's event carries: 1, its membrane, a value, or the change of a value."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import exceeds, integer, saturate, scaled_sum
from hdl.memory import configure, registered
from hdl.neuron.fields import Fields
from hdl.neuron.ports import ConfigPort, emission_layout
from hdl.neuron.update import record_layout
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, Emit, bits_for, sends_changes, sends_value

__all__ = ["Payload"]

VALUES = [emit for emit in Emit if sends_value(emit)]
CHANGES = [emit for emit in VALUES if sends_changes(emit)]
RELUS = (Emit.RELU, Emit.RELU_DELTA)
TABLES = (Emit.TABLE, Emit.TABLE_DELTA)


class Payload(wiring.Component):
    """Makes the events of neurons that may send; drops those that have nothing to say.

    A pipeline of one neuron a cycle, which stands still while its last neuron's event waits.
    Latency: 0 cycles in a core without values; else 1 (3 if their shifts differ), with tables 3 (4
    if the shifts differ), and one more if changes are sent.

    Parameters
    ----------
    params : the core.
    config : signature of the configuration port.
    images : initial contents of memories.

    Members
    -------
    i_valid, i_ready, slot, membrane, record, number, sent : a neuron that may send, the number of
        its range, what it sent last (no bits unless the core sends changes).
    o : events.
    changed, changed_slot, value : the event that was at `o` a cycle ago says that this neuron's
        value is now `value`.
    config : writes the tables.
    busy : level, a neuron is inside.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        p = self.params = params
        self.images = images or {}
        super().__init__(
            {
                "i_valid": In(1),
                "i_ready": Out(1),
                "slot": In(bits_for(p.slots)),
                "membrane": In(signed(p.membrane_bits)),
                "record": In(record_layout(p)),
                "number": In(bits_for(len(p.ranges))),
                "sent": In(integer(p.sent_bits)),
                "o": Out(stream.Signature(emission_layout(p))),
                "changed": Out(1),
                "changed_slot": Out(bits_for(p.slots)),
                "value": Out(integer(p.sent_bits)),
                "config": In(config),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        move = Signal()
        fields = Fields(
            m, p, self.record, self.number, move, slot=self.slot, membrane=self.membrane,
            sent=self.sent,
        )  # fmt: skip
        stage = 0

        def kind(emit: Emit):
            """Whether the neuron in `stage` sends that, or a form of it."""
            return (fields.at(stage, "emit") & 3) == emit

        def form(bit: int, *forms: Emit):
            """Whether it sends one of these forms of VALUE: `bit` says so."""
            return (fields.at(stage, "emit") >> bit) & 1 if fields.may_be("emit", *forms) else 0

        def changes():
            return form(4, *CHANGES) if p.changes else 0

        values = p.emission_bits and fields.may_be("emit", *VALUES)
        tables = values and p.table_bits and fields.may_be("emit", *TABLES)
        if values:
            # Round: half a unit is the highest bit that is shifted out.
            shift = fields.at(0, "value_shift")
            if isinstance(shift, int):
                rounded = scaled_sum(self.membrane, shift, 0)
            else:
                doubled = Cat(Const(0, 1), self.membrane).as_signed()
                shifted = fields.register("shifted", doubled >> shift)
                rounded, stage = scaled_sum(shifted, 1, 0), 1
            if tables or stage:
                rounded, stage = fields.register("rounded", rounded), stage + 1
        value = Const(1, signed(2))
        if p.value_bits and fields.may_be("emit", Emit.STATE):
            value = Mux(kind(Emit.STATE), fields.at(stage, "membrane"), value)

        silent = 0
        if values:
            # Clip.
            clipped = saturate(rounded, p.emission_bits)
            if p.changes:
                clipped = Mux(changes(), saturate(rounded, p.sent_bits), clipped)
            clipped = Mux(form(2, *RELUS) & rounded[-1], 0, clipped)
            if fields.may_be("emit", Emit.SPIKE, Emit.STATE):
                clipped = Mux(kind(Emit.VALUE), clipped, value)
            if tables:
                index = Signal(signed(p.table_bits))
                m.d.comb += index.eq(saturate(rounded, p.table_bits))
                last = max(p.tables)
                number = Signal(bits_for(last + 1))
                m.d.comb += number.eq(fields.of_range(stage, p.tables))
                entry, write = registered(
                    m, "table", Cat(index[:-1], ~index[-1], number), move,
                    depth=(last + 1) << p.table_bits, bits=p.emission_bits,
                    init=self.images.get(Memory.TABLE),
                )  # fmt: skip
                configure(m, write, self.config, Memory.TABLE)
            value, stage = fields.register("clipped", clipped), stage + 1
            if tables:
                value, stage = fields.register("beside", value), stage + 1
                value = Mux(form(3, *TABLES), entry.as_signed(), value)
            if p.changes:
                # Difference, then compare.
                before = Mux(changes(), fields.at(stage, "sent"), 0)
                difference = (value - before)[: len(value)].as_signed()
                m.d.sync += self.value.eq(fields.register("new", value[: p.sent_bits]))
                value, stage = fields.register("difference", difference), stage + 1
            silent = kind(Emit.VALUE) & (value == 0)
            if p.changes:
                small = ~exceeds(value, fields.at(stage, "threshold"))
                silent = Mux(changes(), small, silent)

        passing = Cat(self.i_valid, Signal(stage, name="passing"))  # bit k: a neuron in stage k
        valid = passing[-1]
        m.d.comb += move.eq(self.o.ready | ~valid if stage else self.o.ready)
        with m.If(move):
            m.d.sync += passing[1:].eq(passing)
        slot = fields.at(stage, "slot")
        m.d.comb += [
            self.i_ready.eq(move),
            self.busy.eq(passing[1:].any()),
            self.o.valid.eq(valid & ~silent),
            self.o.p.slot.eq(slot),
            self.o.p.value.eq(value),
        ]
        m.d.sync += [self.changed.eq(self.o.valid & changes()), self.changed_slot.eq(slot)]
        return m
