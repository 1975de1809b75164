"""The neuron's own dynamics: decay, add, compare, reset."""

from amaranth.hdl import Module, Mux, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import integer, saturate, scaled_sum, times
from hdl.neuron.fields import Fields
from hdl.neuron.ports import lead_layout
from hdl.params.neuron import CoreParams, Emit, Reset, bits_for, sends_value

__all__ = ["NeuronUpdate", "record_layout", "state_layout"]


def state_layout(p: CoreParams) -> data.StructLayout:
    """What a neuron remembers between steps."""
    return data.StructLayout(
        {"membrane": signed(p.membrane_bits), "current": integer(p.current_bits)}
    )


def record_layout(p: CoreParams) -> data.StructLayout:
    """A neuron's own parameters: the fields that are not shared by the whole core."""
    return data.StructLayout(
        {
            name: signed(p.field_bits(name))
            if name in ("bias", "threshold", "reset_value")
            else unsigned(p.field_bits(name))
            for name in p.table_fields
        }
    )


class NeuronUpdate(wiring.Component):
    """One neuron's update: the equations of hdl/params/neuron.py, one update a cycle.

    Latency: `latency` cycles (3, or 4 with a synaptic current): multiply, add, compare and reset.
    A shared decay is shifts and adds, an unused reset rule vanishes (hdl/neuron/fields.py).

    Parameters
    ----------
    params : the core.

    Members
    -------
    state, acc, record, number : of the neuron, and the number of its range. `record` has no
        members if all fields are shared.
    new_state : state after the update, `latency` cycles later.
    emits : it may send: it spiked, or it sends a value.
    lead : only if the dendrites `decide`: what the neuron would do without input, 3 cycles later,
        for a neuron that stays at the inputs until then.
    """

    def __init__(self, params: CoreParams):
        p = self.params = params
        self.latency = 4 if p.current_bits else 3
        self.decides = p.dendrites is not None and p.dendrites.decides
        super().__init__(
            {
                "state": In(state_layout(p)),
                "acc": In(signed(p.acc_bits)),
                "record": In(record_layout(p)),
                "number": In(bits_for(len(p.ranges))),
                "new_state": Out(state_layout(p)),
                "emits": Out(1),
            }
            | ({"lead": Out(lead_layout(p))} if self.decides else {})
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        fields = Fields(m, p, self.record, self.number)
        field, register = fields.at, fields.register

        # Multiply.
        membrane = self.state.membrane
        decayed = register("decayed", times(membrane, field(0, "membrane_decay")))
        drive = register("drive", self.acc << field(0, "shift"))
        extra = field(1, "bias")
        if fields.may_be("reset", Reset.DELAYED):
            late = (field(0, "reset") == Reset.DELAYED) & (membrane > field(0, "threshold"))
            late_1 = register("late", late)
            extra = extra - Mux(late_1, field(1, "reset_value"), 0)

        # Add.
        stage = 1
        if p.current_bits:
            faded = register("faded", times(self.state.current, field(0, "current_decay")))
            current = register(
                "current", saturate(scaled_sum(faded, p.decay_bits, drive), p.current_bits)
            )
            rest = register("rest", scaled_sum(decayed, p.decay_bits, extra))
            total, stage = rest + current, 2
            current = register("current_held", current)
        elif isinstance(extra, int) and extra == 0:
            total = scaled_sum(decayed, p.decay_bits, drive)
        else:
            total = scaled_sum(decayed, p.decay_bits, drive + extra)
        potential = register("potential", saturate(total, p.membrane_bits))
        stage += 1

        if self.decides:
            # Without a current, `extra` is not used here: what adds it above stays one adder.
            offset = -field(0, "threshold")
            if not p.current_bits:
                offset = offset + field(0, "bias")
            if not isinstance(offset, int):
                offset = register("offset", offset)
            if p.current_bits:
                lead = rest + register("faded_offset", scaled_sum(faded, p.decay_bits, offset))
            else:
                lead = register("rest", scaled_sum(decayed, p.decay_bits, offset))
                if fields.may_be("reset", Reset.DELAYED):
                    lead = lead - register("late_held", Mux(late_1, field(1, "reset_value"), 0))
            m.d.comb += [
                self.lead.lead.eq(register("lead_held", lead)),
                self.lead.shift.eq(field(0, "shift")),
                self.lead.spikes.eq((field(0, "emit") & 3) == Emit.SPIKE),
            ]

        # Compare and reset.
        kind = field(stage, "emit") & 3  # of forms of VALUE, VALUE
        spike = (kind == Emit.SPIKE) & (potential > field(stage, "threshold"))
        less = saturate(potential - field(stage, "reset_value"), p.membrane_bits)
        after = potential
        if fields.may_be("reset", Reset.SUBTRACT):
            after = Mux(field(stage, "reset") == Reset.SUBTRACT, less, after)
        if fields.may_be("reset", Reset.SET):
            after = Mux(field(stage, "reset") == Reset.SET, field(stage, "reset_value"), after)
        m.d.sync += [
            self.new_state.membrane.eq(Mux(spike, after, potential)),
            self.emits.eq(spike | sends_value(kind) | (kind == Emit.STATE)),
        ]
        if p.current_bits:
            m.d.sync += self.new_state.current.eq(current)
        return m
