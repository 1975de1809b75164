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

    Throughput: one word a cycle, any addresses in any order. A word is added at most 3 cycles
    after it is offered. Sums wrap at `acc_bits`; the mapper makes them wide enough never to.

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

        # Contributions of the word, each with the group that it goes to.
        amounts, groups = [], []
        for lane in range(p.lanes):
            entry = self.word.entries[lane]
            weight = entry[: p.weight_bits].as_signed()
            if p.weight_bits == 1:
                weight = Cat(1, ~entry[0]).as_signed()  # 0 is -1, 1 is +1
            amount = weight << self.word.exponent if p.exponent_bits else weight
            amounts.append(amount * self.word.value if p.payload_bits else amount)
            groups.append(entry[p.weight_bits :] if p.index == "lane" else self.word.group)
        valid = self.valid
        if p.payload_bits or p.exponent_bits or block:
            valid = Signal()
            m.d.sync += valid.eq(self.valid)
            width = min(p.acc_bits, max(len(a) for a in amounts))
            for lane in range(p.lanes):
                amount = Signal(signed(width), name=f"amount_{lane}")
                m.d.sync += amount.eq(amounts[lane])
                amounts[lane] = amount
                if not block:
                    group = Signal(p.index_bits, name=f"group_{lane}")
                    m.d.sync += group.eq(groups[lane])
                    groups[lane] = group
        m.d.comb += self.busy.eq(valid)

        # The sweep reads one cycle later than it is asked, so that `sums` is a register.
        sweep = Signal()
        group = Signal(p.index_bits)
        part = Signal(len(self.part))
        m.d.sync += [sweep.eq(self.sweep), group.eq(self.group), part.eq(self.part)]

        banks = []
        for lane in range(p.lanes):
            memory = Memory(
                shape=unsigned(p.acc_bits), depth=p.groups, init=[],
                attrs={} if block else {"ram_style": "distributed"},
            )  # fmt: skip
            m.submodules[f"bank_{lane}"] = memory
            write = memory.write_port()
            clear = sweep & (part == lane // p.update_lanes)
            if block:
                read = memory.read_port(transparent_for=(write,))
                added = Signal(p.index_bits, name=f"added_{lane}")
                m.d.sync += added.eq(groups[lane])
                m.d.comb += [
                    read.addr.eq(Mux(self.sweep, self.group, groups[lane])),
                    write.addr.eq(Mux(sweep, group, added)),
                ]
            else:
                read = memory.read_port(domain="comb")
                m.d.comb += [
                    read.addr.eq(Mux(sweep, group, groups[lane])),
                    write.addr.eq(read.addr),
                ]
            total = (read.data.as_signed() + amounts[lane])[: p.acc_bits]
            m.d.comb += [
                write.data.eq(Mux(sweep, 0, total)),
                write.en.eq(clear | valid),
            ]
            banks.append(read.data)

        parts = [
            Cat(banks[start : start + p.update_lanes])
            for start in range(0, p.lanes, p.update_lanes)
        ]
        m.d.sync += self.sums.as_value().eq(Array(parts)[part] if len(parts) > 1 else parts[0])
        return m
