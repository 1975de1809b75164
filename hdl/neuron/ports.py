"""Layouts and signatures that the parts of a neuron core share."""

from amaranth.hdl import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import integer
from hdl.params.neuron import CoreParams, bits_for

__all__ = [
    "ConfigPort",
    "dendrites_signature",
    "emission_layout",
    "event_layout",
    "lead_layout",
    "step_signature",
    "word_layout",
]


def event_layout(p: CoreParams) -> data.StructLayout:
    """An event at a core's input: which axon, and its value (spikes: ignored)."""
    return data.StructLayout({"axon": bits_for(p.axons), "value": integer(p.value_bits)})


def emission_layout(p: CoreParams) -> data.StructLayout:
    """An event at a core's output: which slot sent it, and its value (1 for a spike)."""
    return data.StructLayout({"slot": bits_for(p.slots), "value": integer(p.value_bits)})


def word_layout(p: CoreParams) -> data.StructLayout:
    """A synapse word on its way to the accumulators, with the value of its event."""
    return data.StructLayout(
        {
            "entries": data.ArrayLayout(p.entry_bits, p.lanes),
            "group": p.index_bits,
            "exponent": p.exponent_bits,
            "value": integer(p.payload_bits),
        }
    )


def lead_layout(p: CoreParams) -> data.StructLayout:
    """What a neuron would do without input (hdl/params/sc/dense.py): lead, f, emits SPIKE."""
    bits = max(p.membrane_bits, p.current_bits) + 3
    return data.StructLayout({"lead": signed(bits), "shift": p.field_bits("shift"), "spikes": 1})


def step_signature(levels: int) -> wiring.Signature:
    """The step broadcast: for one cycle, start the update of the levels in `mask`, or clear."""
    return wiring.Signature({"start": Out(1), "clear": Out(1), "mask": Out(levels)})


class ConfigPort(wiring.Signature):
    """Writes one item of one memory (hdl.params.noc.Memory) a cycle."""

    def __init__(self, address_bits: int, data_bits: int):
        super().__init__(
            {
                "en": Out(1),
                "memory": Out(3),
                "address": Out(address_bits),
                "data": Out(data_bits),
            }
        )


def dendrites_signature(p: CoreParams, config: ConfigPort) -> wiring.Signature:
    """Ports of all dendrites: what a core asks of the component that sums its neurons' input.

    Members
    -------
    i : events. Taken only while `run`.
    run : level, events may be taken.
    busy : level, an event that was taken is not yet stored or added.
    config : writes the dendrites' memories, and their states.
    start : for one cycle, an update of the neurons begins: all sums are taken, in slot order, from
        2 cycles later on. Not while `run`.
    clear : for one cycle, all state begins to be cleared: inputs are forgotten. Sums are taken as
        in an update, but don't count, and `ready` must be high for them.
    ready : level, the next sum is there. The core takes it at once, or a cycle later behind the end
        of a range of its slots.
    take : take the sum of `update_lanes` neurons of group `group`, the `part`-th of the group.
    sums : these sums, 2 cycles later. Taken sums are forgotten.
    lead : only if the dendrites `decide`: of the neuron whose sum is taken next. There 7 cycles
        after `start`, or 7 cycles after the sum before it was taken, until its own sum is taken.
    probe_index, probe : only if the dendrites have states (`state_items`): that state, 2 cycles
        later, while neither an update nor a clear goes on. Configuration writes them, at least 4
        cycles before `start`: item slots + k of Memory.STATE is state k.
    """
    decides = p.dendrites is not None and p.dendrites.decides
    states = p.dendrites.state_items(p.slots) if p.dendrites is not None else 0
    probe = {}
    if states and p.dendrites is not None:
        probe = {"probe_index": In(bits_for(states)), "probe": Out(p.dendrites.item_bits)}
    return wiring.Signature(
        {
            "i": In(stream.Signature(event_layout(p))),
            "run": In(1),
            "busy": Out(1),
            "config": In(config),
            "start": In(1),
            "clear": In(1),
            "ready": Out(1),
            "take": In(1),
            "group": In(p.index_bits),
            "part": In(bits_for(p.lanes // p.update_lanes)),
            "sums": Out(data.ArrayLayout(signed(p.acc_bits), p.update_lanes)),
        }
        | ({"lead": In(lead_layout(p))} if decides else {})
        | probe
    )
