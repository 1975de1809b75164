"""The port of an array: what drives its lines, reads its converters, pulses its devices."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.params.crossbar.array import ArrayParams
from hdl.params.neuron import bits_for

__all__ = ["CONVERT_LATENCY", "array_config", "array_signature"]

#: Cycles from `convert` to its `code`.
CONVERT_LATENCY = 7


def array_config(p: ArrayParams) -> wiring.Signature:
    """Writes one item of one ArrayMemory a cycle; numbers 5..7 are left to a controller."""
    return wiring.Signature({"en": Out(1), "memory": Out(3), "address": Out(32), "data": Out(64)})


def array_signature(p: ArrayParams) -> wiring.Signature:
    """Ports of an array (equations: hdl/params/crossbar/array.py).

    Members
    -------
    config : writes its memories, while `ready`; CONVERTER not in the CONVERT_LATENCY cycles behind
        a `convert`. What holds at a restart or ageing is taken then.
    ready : level, no read, pulse, ageing or restart is going on. At most one of strobe, sample,
        pulse, age, restart in a cycle, and only while `ready`, which falls in the next cycle
        (sample: one cycle, `ready` stays).
    bank : of reads, pulses; stays the same while one is going on.
    strobe, drive, hold, sense : for one cycle, begin a read of the driven rows.
    sample : for one cycle, the charges go to the converter.
    convert, column, range : for one cycle, a conversion begins, any time; one a cycle. It takes
        what was sampled before; a `sample` in the same cycle or behind it doesn't matter.
    code : of the conversion CONVERT_LATENCY cycles ago.
    pulse, kind, row, column, level, epoch : for one cycle, begin a pulse; only if programmable.
    age : for one cycle, begin to compute what all devices conduct.
    restart : for one cycle, the generators go to their first state.

    A reset leaves what the memories hold: the generators' states, and what an ageing or a pulse
    under way had not reached. A `restart` and an `age` put that right, but for the pulsed device.
    """
    return wiring.Signature(
        {
            "config": In(array_config(p)),
            "ready": Out(1),
            "bank": In(bits_for(p.banks)),
            "strobe": In(1),
            "drive": In(p.rows),
            "hold": In(1),
            "sense": In(1),
            "sample": In(1),
            "convert": In(1),
            "column": In(bits_for(p.columns)),
            "range": In(2),
            "code": Out(p.code_bits),
            "pulse": In(1),
            "kind": In(2),
            "row": In(bits_for(p.rows)),
            "level": In(p.cell_bits),
            "epoch": In(p.epoch_bits),
            "age": In(1),
            "restart": In(1),
        }
    )
