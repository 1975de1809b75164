"""Layouts and signatures that the parts of a neuron core share."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from hdl.arithmetic import integer
from hdl.params.neuron import CoreParams, bits_for

__all__ = ["ConfigPort", "emission_layout", "event_layout", "step_signature", "word_layout"]


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
