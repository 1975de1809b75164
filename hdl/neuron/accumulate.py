"""Sums of synaptic input, one accumulator per neuron slot, banked by lane."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.neuron.ports import word_layout
from hdl.params.neuron import CoreParams, bits_for

__all__ = ["Accumulators"]

#: Groups up to which a bank is distributed memory (read, added and written in one cycle);
#: deeper banks are block memory (read in one cycle, added and written in the next).
SHALLOW = 64


class Accumulators(wiring.Component):
    """acc += (weight << exponent) * value for every lane of a word; sums are read and cleared.

    Throughput: one word a cycle, any addresses in any order. A word is added 2 or 3
    cycles after it is offered. Sums wrap at `acc_bits`; the mapper makes them wide enough never to.

    Parameters
    ----------
    params : the core.

    Members
    -------
    word, valid : a word to add; can't be stalled.
    busy : level, a word is being added.
    sweep : level, take and clear the sums of one state word: `update_lanes` neurons of group
        `group`, the `part`-th of the group. Not while a word is being added.
    sums : these sums, 2 cycles later.
    """

    def __init__(self, params: CoreParams):
        p = self.params = params
        super().__init__(
            {
                "word": In(word_layout(p)),
                "valid": In(1),
                "busy": Out(1),
                "sweep": In(1),
                "group": In(p.index_bits),
                "part": In(bits_for(p.lanes // p.update_lanes)),
                "sums": Out(data.ArrayLayout(signed(p.acc_bits), p.update_lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        block = p.groups > SHALLOW

        # The word, behind a register if there is more to do than to add its weights: a block
        # memory's output comes late in the cycle.
        word, valid = self.word, self.valid
        if p.payload_bits or p.exponent_bits:
            word, valid = Signal.like(self.word), Signal()
            m.d.sync += [word.eq(self.word), valid.eq(self.valid)]

        # Ask: what to add, and where; or which sums to take.
        add, sweep = Signal(), Signal()
        part = Signal(len(self.part))
        m.d.sync += [add.eq(valid), sweep.eq(self.sweep), part.eq(self.part)]
        m.d.comb += self.busy.eq(add | (valid if valid is not self.valid else 0))

        banks = []
        for lane in range(p.lanes):
            entry = word.entries[lane]
            weight = entry[: p.weight_bits].as_signed()
            if p.weight_bits == 1:
                weight = Cat(1, ~entry[0]).as_signed()  # 0 is -1, 1 is +1
            amount = weight << word.exponent if p.exponent_bits else weight
            amount = amount * word.value if p.payload_bits else amount
            held = Signal(signed(min(len(amount), p.acc_bits)), name=f"amount_{lane}")
            address = Signal(p.index_bits, name=f"address_{lane}")
            target = entry[p.weight_bits :] if p.index == "lane" else word.group
            target = Mux(self.sweep, self.group, target)
            m.d.sync += [held.eq(amount), address.eq(target)]

            memory = Memory(
                shape=unsigned(p.acc_bits), depth=p.groups, init=[],
                attrs={} if block else {"ram_style": "distributed"},
            )  # fmt: skip
            m.submodules[f"bank_{lane}"] = memory
            write = memory.write_port()
            if block:
                read = memory.read_port(transparent_for=(write,))
                m.d.comb += read.addr.eq(target)
            else:
                read = memory.read_port(domain="comb")
                m.d.comb += read.addr.eq(address)
            clear = sweep & (part == lane // p.update_lanes)
            total = (read.data.as_signed() + held)[: p.acc_bits]
            m.d.comb += [
                write.addr.eq(address),
                write.data.eq(Mux(sweep, 0, total)),
                write.en.eq(clear | add),
            ]
            banks.append(read.data)

        parts = [
            Cat(banks[start : start + p.update_lanes])
            for start in range(0, p.lanes, p.update_lanes)
        ]
        m.d.sync += self.sums.as_value().eq(Array(parts)[part] if len(parts) > 1 else parts[0])
        return m
