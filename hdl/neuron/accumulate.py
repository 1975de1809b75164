"""Sums of synaptic input, one accumulator per neuron slot, banked by lane."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.memory import SHALLOW
from hdl.neuron.ports import word_layout
from hdl.params.neuron import CoreParams, bits_for

__all__ = ["Accumulators"]


class Accumulators(wiring.Component):
    """acc += (weight << exponent) * value for every lane of a word; sums are read and cleared.

    Throughput: one word a cycle, any addresses in any order. A word is added 2 cycles
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
        all_ones = (1 << p.index_bits) - 1

        # Stage A: the word is in a register, each lane knows which group it reads.
        word = Signal.like(self.word, reset_less=True)
        add, sweep, part = Signal(), Signal(), Signal(len(self.part), reset_less=True)
        m.d.sync += [
            word.eq(self.word),
            add.eq(self.valid),
            sweep.eq(self.sweep),
            part.eq(self.part),
        ]
        # Stage B: amount and old sum are in registers; the new sum is written.
        adding, sweeping, taken = Signal(), Signal(), Signal(len(part), reset_less=True)
        m.d.sync += [adding.eq(add), sweeping.eq(sweep), taken.eq(part)]
        m.d.comb += self.busy.eq(add | adding)

        sums = []
        for lane in range(p.lanes):
            entry = self.word.entries[lane]
            target = entry[p.weight_bits :] if p.index == "lane" else self.word.group
            target = Mux(self.sweep, self.group, target)
            # Four kinds of register that synthesis can't merge into one: their fan-out limits
            # the clock. What they hold after a reset does not matter.
            kind = lane * 4 // p.lanes
            address = Signal(
                p.index_bits,
                name=f"address_{lane}",
                init=all_ones if kind & 1 else 0,
                reset_less=kind >= 2,
            )
            written = Signal(p.index_bits, name=f"written_{lane}", reset_less=True)
            amount = Signal(signed(p.acc_bits), name=f"amount_{lane}", reset_less=True)
            m.d.sync += [
                address.eq(target),
                written.eq(address),
                amount.eq(self._amount(word, lane)),
            ]

            memory = Memory(
                shape=unsigned(p.acc_bits),
                depth=p.groups,
                init=[],
                attrs={} if block else {"ram_style": "distributed"},
            )
            m.submodules[f"bank_{lane}"] = memory
            write = memory.write_port()
            old = Signal(signed(p.acc_bits), name=f"old_{lane}", reset_less=True)
            if block:
                read = memory.read_port(transparent_for=(write,))
                m.d.comb += [read.addr.eq(address), old.eq(read.data)]
            else:
                read = memory.read_port(domain="comb")
                again = (address == written) & adding  # the sum is just being written
                m.d.comb += read.addr.eq(address)
                m.d.sync += old.eq(Mux(again, write.data, read.data))
            m.d.comb += [
                write.addr.eq(written),
                write.data.eq(Mux(sweeping, 0, old + amount)),
                write.en.eq(adding | (sweeping & (taken == lane // p.update_lanes))),
            ]
            sums.append(old)

        parts = [
            Cat(sums[start : start + p.update_lanes]) for start in range(0, p.lanes, p.update_lanes)
        ]
        m.d.comb += self.sums.as_value().eq(Array(parts)[taken] if len(parts) > 1 else parts[0])
        return m

    def _amount(self, word, lane):
        """What a word adds to the sum in its lane."""
        p = self.params
        entry = word.entries[lane]
        weight = entry[: p.weight_bits].as_signed()
        if p.weight_bits == 1:
            weight = Cat(1, ~entry[0]).as_signed()  # 0 is -1, 1 is +1
        amount = weight << word.exponent if p.exponent_bits else weight
        return amount * word.value if p.payload_bits else amount
