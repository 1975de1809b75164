"""The inputs of products, each of which may feed several slots."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import configure, registered
from hdl.neuron.ports import ConfigPort, event_layout
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.ssm.gate import Gate
from hdl.sc.overlap import delayed

__all__ = ["SpreadInputs"]


class SpreadInputs(wiring.Component):
    """Left and right inputs of a gate that spreads them: an event stores one.

    An event a cycle, in any order; it is stored 2 cycles after it was taken. An event without value
    (a spike) has the value 1.

    Parameters
    ----------
    params : the core.
    config : signature of the configuration port.
    images : initial contents; Memory.POINTER is used (hdl/params/ssm/gate.py).
    gate : the equation.

    Members
    -------
    i, run, busy, config : as of all dendrites (hdl/neuron/ports.py).
    slot : what is read or forgotten, from 0 upwards, while neither `run` nor `busy`.
    values : left and right (lowest first) of that slot, 2 cycles later.
    forget : the slot is done with. An input becomes 0 behind the last slot that it feeds.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None, *, gate: Gate):
        self.params, self.images, self.gate = params, images or {}, gate
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(params))),
                "run": In(1),
                "busy": Out(1),
                "config": In(config),
                "slot": In(bits_for(params.slots)),
                "values": Out(2 * gate.value_bits),
                "forget": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, g = self.params, self.gate
        bits, index_bits = g.value_bits, bits_for(p.slots)
        counts = g.sources(p.slots)

        # Where the slot is in its stretch, and the number of that: counted along with the slots.
        place, stretch = Signal(bits_for(g.stretch)), Signal(bits_for(counts[1]))
        last = place == g.stretch - 1
        with m.If(self.forget):
            m.d.sync += place.eq(Mux(last, 0, place + 1))
            with m.If(last):
                m.d.sync += stretch.eq(Mux(stretch == counts[1] - 1, 0, stretch + 1))
        reads = (place if g.repeats else self.slot), stretch
        done = (stretch == counts[1] - 1 if g.repeats else 1), last

        looked = delayed(m, self.i.valid & self.run, 2, "looked")
        pointer, pointer_write = registered(
            m, "pointers", self.i.p.axon, 1, depth=p.axons, bits=index_bits + 2,
            init=self.images.get(Memory.POINTER),
        )  # fmt: skip
        configure(m, pointer_write, self.config, Memory.POINTER)
        value = Signal(signed(bits))
        m.d.comb += value.eq(self.i.p.value if p.value_bits else Const(1, 2))
        value = delayed(m, value, 2, "value")[2]

        values = []
        for k, (count, address, over) in enumerate(zip(counts, reads, done, strict=True)):
            read, write = registered(m, f"values_{k}", address, 1, depth=count, bits=bits)
            values.append(read)
            at = delayed(m, Signal.like(write.addr, name=f"at_{k}"), 3, f"at_{k}")
            gone = delayed(m, self.forget & over, 3, f"gone_{k}")[3]
            m.d.comb += [
                at[0].eq(address),
                write.addr.eq(Mux(looked[2], pointer[:index_bits], at[3])),
                write.data.eq(Mux(looked[2], value, 0)),
                write.en.eq((looked[2] & pointer[index_bits + k]) | gone),
            ]
        m.d.comb += [
            self.i.ready.eq(self.run),
            self.values.eq(Cat(values)),
            self.busy.eq(Cat(looked[1:]).any()),
        ]
        return m
