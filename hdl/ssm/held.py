"""The inputs of slots, as events bring them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import configure, registered
from hdl.neuron.ports import ConfigPort, event_layout
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.sc.overlap import delayed

__all__ = ["HeldInputs"]


class HeldInputs(wiring.Component):
    """Inputs of each slot, `operands` of them: an event sets them, or if `held` adds to them.

    An event a cycle, for any slots in any order; it is stored 5 cycles after it was taken. Sums
    wrap at `value_bits`. An event without value (a spike) has the value 1. Memory.POINTER, item
    [axon], lowest bits first: slot, then 1 bit for each operand that the event is for.

    Parameters
    ----------
    params : the core.
    config : signature of the configuration port.
    images : initial contents; Memory.POINTER is used.
    value_bits, held : as in hdl/params/ssm.
    operands : inputs of a slot.

    Members
    -------
    i, run, busy, config : as of all dendrites (hdl/neuron/ports.py).
    slot : what is read, forgotten, loaded, while neither `run` nor `busy`, or to be probed.
    values : inputs of that slot, operand 0 lowest, 2 cycles later.
    forget : they become 0 once they are read.
    load, word : only if held: they become `word`.
    """

    def __init__(
        self, params: CoreParams, config: ConfigPort, images=None, *,
        value_bits: int, held: bool, operands: int = 1,
    ):  # fmt: skip
        self.params, self.images = params, images or {}
        self.value_bits, self.held, self.operands = value_bits, held, operands
        word = {"load": In(1), "word": In(operands * value_bits)} if held else {}
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(params))),
                "run": In(1),
                "busy": Out(1),
                "config": In(config),
                "slot": In(bits_for(params.slots)),
                "values": Out(operands * value_bits),
                "forget": In(1),
            }
            | word
        )

    def elaborate(self, platform):
        m = Module()
        p, bits, parts = self.params, self.value_bits, range(self.operands)
        slot_bits = bits_for(p.slots)

        # Look an event's slot up. Whatever else is stored passes the same stages, from here on.
        looked = delayed(m, self.i.valid & self.run, 2, "looked")
        pointer, pointer_write = registered(
            m, "pointers", self.i.p.axon, 1, depth=p.axons, bits=slot_bits + self.operands,
            init=self.images.get(Memory.POINTER),
        )  # fmt: skip
        configure(m, pointer_write, self.config, Memory.POINTER)
        value = Signal(signed(bits))
        m.d.comb += value.eq(self.i.p.value if p.value_bits else Const(1, 2))
        value = delayed(m, value, 3, "value")[3]
        slot = Signal(slot_bits)
        m.d.comb += slot.eq(Mux(looked[2], pointer[:slot_bits], self.slot))
        at = delayed(m, slot, 3, "at")
        load = self.load if self.held else Const(0)
        coming = delayed(m, looked[2], 1, "coming")[1]
        loading = delayed(m, load, 1, "loading")[1]
        fresh = delayed(m, load | self.forget, 2, "fresh")[2]
        word = delayed(m, self.word, 1, "word")[1] if self.held else None

        old, write = registered(m, "values", slot, 1, depth=p.slots, bits=bits, parts=self.operands)
        news = []
        for k in parts:
            stored = delayed(
                m, (looked[2] & pointer[slot_bits + k]) | load | self.forget, 3, f"stored_{k}"
            )
            amount = Signal(signed(bits), name=f"amount_{k}", reset_less=True)
            m.d.sync += amount.eq(Mux(coming, value, 0))
            new = amount
            if self.held:
                with m.If(loading):
                    m.d.sync += amount.eq(word.word_select(k, bits))
                # What is being written, or was a cycle ago, is not in the word that was read.
                new = Signal(signed(bits), name=f"new_{k}")
                last, latest = Signal.like(new, name=f"last_{k}"), Signal.like(new, name=f"l_{k}")
                near = (at[1] == at[2]) & stored[2]
                far = (at[1] == at[3]) & stored[3]
                again = Signal(name=f"again_{k}")
                m.d.sync += [last.eq(new), latest.eq(Mux(near, new, last)), again.eq(near | far)]
                base = Mux(again, latest, old.word_select(k, bits))
                m.d.comb += new.eq(Mux(fresh, 0, base) + amount)
            m.d.comb += (write.en[k] if self.operands > 1 else write.en).eq(stored[2])
            news.append(new)
        m.d.comb += [
            self.i.ready.eq(self.run),
            self.values.eq(old),
            write.addr.eq(at[2]),
            write.data.eq(Cat(news)),
            self.busy.eq(Cat(looked[1:], coming, delayed(m, coming, 1, "going")[1]).any()),
        ]
        return m
