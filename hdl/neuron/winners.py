"""Which neurons of a core are among the strongest of their groups."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import table
from hdl.params.neuron import CoreParams, bits_for

__all__ = ["Winners"]


class Winners(wiring.Component):
    """The winners of hdl/params/winners.py: the k first of a group so far, and a mask of them.

    One neuron a cycle, of all slots of the core in their order; a group's mask may be read 2 cycles
    after its last neuron was written. k comparators.

    Parameters
    ----------
    params : the core; it has `winners`, fewer than all.

    Members
    -------
    write, score : the next slot's membrane.
    step, move : the next slot is looked up, while `move`.
    chosen : whether the slot that was looked up wins, a cycle with `move` later.
    """

    def __init__(self, params: CoreParams):
        self.params = params
        super().__init__(
            {
                "write": In(1),
                "score": In(signed(params.membrane_bits)),
                "step": In(1),
                "move": In(1),
                "chosen": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, w = self.params, self.params.winners
        groups = p.ranges[0].end // w.group
        read, write = table(m, "masks", depth=groups, bits=w.group)

        def walk(name, step):
            """(group, place in it, whether it is the last one) of the slot that steps count."""
            group, place = Signal(bits_for(groups), name=f"{name}_group"), Signal(
                bits_for(w.group), name=f"{name}_place"
            )  # fmt: skip
            last = place == w.group - 1
            with m.If(step):
                m.d.sync += place.eq(Mux(last, 0, place + 1))
                with m.If(last):
                    m.d.sync += group.eq(Mux(group == groups - 1, 0, group + 1))
            return group, place, last

        group, place, last = walk("written", self.write)
        # The first so far, strongest first. A newcomer goes before those it is greater than.
        there = [Signal(name=f"there_{k}") for k in range(w.count)]
        scores = [Signal.like(self.score, name=f"score_{k}") for k in range(w.count)]
        places = [Signal.like(place, name=f"place_{k}") for k in range(w.count)]
        before = [~t | (self.score > s) for t, s in zip(there, scores, strict=True)]
        mask, new = Signal(w.group), Signal(w.group)
        for n in range(w.group):
            out = there[-1] & (places[-1] == n)
            m.d.comb += new[n].eq(Mux(before[-1], (place == n) | (mask[n] & ~out), mask[n]))
        with m.If(self.write):
            m.d.sync += mask.eq(Mux(last, 0, new))
            for k in reversed(range(w.count)):
                above = (there[k - 1], scores[k - 1], places[k - 1]) if k else (1, 0, 0)
                own = before[k - 1] if k else 0
                with m.If(before[k]):
                    m.d.sync += [
                        there[k].eq(Mux(own, above[0], 1)),
                        scores[k].eq(Mux(own, above[1], self.score)),
                        places[k].eq(Mux(own, above[2], place)),
                    ]
            with m.If(last):
                m.d.sync += Cat(there).eq(0)
        decided, at, what = Signal(), Signal.like(group, name="at"), Signal(w.group)
        m.d.sync += [decided.eq(self.write & last), at.eq(group), what.eq(new)]
        m.d.comb += [write.en.eq(decided), write.addr.eq(at), write.data.eq(what)]

        group, place, _ = walk("looked", self.step & self.move)
        looked = Signal.like(place, name="looked")
        with m.If(self.move):
            m.d.sync += looked.eq(place)
        m.d.comb += [
            read.addr.eq(group),
            read.en.eq(self.move),
            self.chosen.eq(Array(read.data)[looked]),
        ]
        return m
