"""The neuron's own dynamics: decay, add, compare, reset."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import integer, round_shift, saturate, times
from hdl.params.neuron import CoreParams, Emit, Reset

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

    Latency: `latency` cycles (4, or 5 with a synaptic current). A shared field is a constant in
    the logic: a shared decay is shifts and adds, an unused reset rule vanishes.

    Parameters
    ----------
    params : the core.

    Members
    -------
    state, acc, record : of the neuron. `record` has no members if all fields are shared.
    new_state : state after the update, `latency` cycles later.
    emits : it may send: it spiked, or it sends a value.
    """

    def __init__(self, params: CoreParams):
        p = self.params = params
        self.latency = 5 if p.current_bits else 4
        super().__init__(
            {
                "state": In(state_layout(p)),
                "acc": In(signed(p.acc_bits)),
                "record": In(record_layout(p)),
                "new_state": Out(state_layout(p)),
                "emits": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params

        def stage(name, value):
            """`value`, one cycle later; constants need no register."""
            if isinstance(value, int):
                return value
            register = Signal(value.shape(), name=name)
            m.d.sync += register.eq(value)
            return register

        fields = {**p.shared, **{name: getattr(self.record, name) for name in p.table_fields}}

        def later(*names):
            for name in names:
                fields[name] = stage(name, fields[name])

        # Multiply.
        membrane = self.state.membrane
        late = 0
        if fields["reset"] is not None and p.shared.get("reset", Reset.DELAYED) == Reset.DELAYED:
            was_above = (fields["reset"] == Reset.DELAYED) & (membrane > fields["threshold"])
            late = stage("late", Mux(was_above, fields["reset_value"], 0))
        decayed = stage("decayed", times(membrane, fields["membrane_decay"]))
        amount = stage("amount", self.acc)
        if p.current_bits:
            faded = stage("faded", times(self.state.current, fields["current_decay"]))
        later("bias", "shift", "threshold", "reset_value", "reset", "emit")

        # Add.
        drive = amount << fields["shift"]
        rest = round_shift(decayed, p.decay_bits) + fields["bias"] - late
        if p.current_bits:
            current = stage(
                "current", saturate(round_shift(faded, p.decay_bits) + drive, p.current_bits)
            )
            rest = stage("rest", rest)
            drive = current
            later("threshold", "reset_value", "reset", "emit")
        potential = stage("potential", saturate(rest + drive, p.membrane_bits))
        if p.current_bits:
            current = stage("current_held", current)
        later("threshold", "reset_value", "reset", "emit")

        # Compare and reset.
        spike = stage("spike", (fields["emit"] == Emit.SPIKE) & (potential > fields["threshold"]))
        above = stage("above", potential)
        less = stage("less", saturate(potential - fields["reset_value"], p.membrane_bits))
        if p.current_bits:
            current = stage("current_kept", current)
        later("reset_value", "reset", "emit")
        after = Mux(
            fields["reset"] == Reset.SET,
            fields["reset_value"],
            Mux(fields["reset"] == Reset.SUBTRACT, less, above),
        )
        m.d.sync += [
            self.new_state.membrane.eq(Mux(spike, after, above)),
            self.emits.eq(spike | (fields["emit"] == Emit.VALUE) | (fields["emit"] == Emit.STATE)),
        ]
        if p.current_bits:
            m.d.sync += self.new_state.current.eq(current)
        return m
