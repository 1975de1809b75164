"""Dendrites of a core whose neurons are driven by an attention head."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from hdl.memory import configure, registered
from hdl.neuron.ports import ConfigPort, dendrites_signature
from hdl.params.neuron import CoreParams
from hdl.params.noc import Memory
from hdl.params.sc.attention import AttentionParams
from hdl.sc.attention import Attention

__all__ = ["AttentionDendrites"]


class AttentionDendrites(wiring.Component):
    """Events are spikes of Q, K, V; the input sum of neuron (i, d) is A[i, d], 0 or 1.

    Events are taken one a cycle and stored 3 cycles later. With one range of slots, the sum of
    (i, d) is `ready` in cycle ``answer_cycle(i, d)`` after `start` (AttentionParams).

    Parameters
    ----------
    params : the core; its `dendrites` are AttentionParams.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members: see `dendrites_signature`.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        if not isinstance(params.dendrites, AttentionParams):
            raise TypeError(f"dendrites must be AttentionParams, not {params.dendrites!r}")
        self.params, self.head, self.images = params, params.dendrites, images or {}
        super().__init__(dendrites_signature(params, config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.attention = attention = Attention(self.head)

        arriving = self.i.valid & self.run
        place, pointer_write = registered(
            m, "pointers", self.i.p.axon, 1, depth=self.params.axons, bits=self.head.item_bits,
            init=self.images.get(Memory.POINTER),
        )  # fmt: skip
        configure(m, pointer_write, self.config, Memory.POINTER)
        looking_up = Signal(2)
        m.d.sync += looking_up.eq(Cat(arriving, looking_up))
        m.d.comb += [
            self.i.ready.eq(self.run),
            attention.bit.eq(place),
            attention.set.eq(looking_up[1]),
            self.busy.eq(looking_up.any()),
            attention.start.eq(self.start | self.clear),
            attention.clear.eq(self.clear),
        ]

        # The core takes an answer at once, but a cycle later behind each range but the last: there
        # are never more of them waiting than ranges.
        places = len(self.params.ranges) - 1
        waiting = Signal(places)
        number = Signal(range(places + 1))
        answer = attention.answer
        m.d.comb += self.ready.eq(attention.valid | (number != 0))
        if places:
            behind = Signal(places + 1)  # what waits, and the answer behind it
            m.d.comb += behind.eq(waiting | ((attention.answer & attention.valid) << number))
            answer = behind[0]
            m.d.sync += waiting.eq(behind)
            with m.If(self.take):
                m.d.sync += waiting.eq(behind >> 1)
            with m.If(attention.valid & ~self.take):
                m.d.sync += number.eq(number + 1)
            with m.If(~attention.valid & self.take):
                m.d.sync += number.eq(number - 1)
        taken, total = Signal(), Signal()
        m.d.sync += [taken.eq(answer), total.eq(taken)]
        m.d.comb += self.sums[0].eq(total)
        return m
