"""Dendrites of a core whose neurons are driven by products of two values."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hdl.neuron.ports import ConfigPort, dendrites_signature
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.ssm.gate import OPERANDS, GateParams
from hdl.sc.overlap import delayed
from hdl.ssm.held import HeldInputs
from hdl.ssm.queue import SumQueue
from hdl.ssm.recurrence import raised, register
from hdl.ssm.spread import SpreadInputs

__all__ = ["GateDendrites"]


class GateDendrites(wiring.Component):
    """The products of hdl/params/ssm/gate.py, a slot a cycle; a multiplier.

    The first sum is ready `latency` + 2 cycles after `start`, the others follow a cycle apart, or
    as fast as they are taken.

    Parameters
    ----------
    params : the core; its `dendrites` are GateParams.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members: see `dendrites_signature`.
    """

    #: Cycles from a slot's number to its sum: memory (2), product, rounding.
    latency = 4

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        if not isinstance(params.dendrites, GateParams):
            raise TypeError(f"dendrites must be GateParams, not {params.dendrites!r}")
        self.params, self.gate, self.images = params, params.dendrites.gate, images or {}
        self.config_signature = config
        super().__init__(dendrites_signature(params, config))

    def elaborate(self, platform):
        m = Module()
        p, g = self.params, self.gate
        if g.spread:
            inputs = SpreadInputs(p, self.config_signature, self.images, gate=g)
        else:
            inputs = HeldInputs(
                p, self.config_signature, self.images, value_bits=g.value_bits, held=g.held,
                operands=len(OPERANDS),
            )  # fmt: skip
        m.submodules.inputs = inputs
        m.submodules.queue = queue = SumQueue(g.acc_bits, self.latency)
        connect(m, flipped(self.i), inputs.i)
        connect(m, flipped(self.config), inputs.config)

        # Walk over the slots; a clear is an update whose sums don't count.
        walking, clearing, go = Signal(), Signal(), Signal()
        slot, seen = Signal(bits_for(p.slots)), Signal(bits_for(p.slots))
        with m.If(go):
            m.d.sync += [slot.eq(slot + 1), walking.eq(slot != p.slots - 1)]
        with m.If(self.start | self.clear):
            m.d.sync += [walking.eq(1), clearing.eq(self.clear), slot.eq(0)]
        m.d.comb += [
            inputs.run.eq(self.run),
            self.busy.eq(inputs.busy),
            inputs.slot.eq(Mux(walking, slot, seen)),
            inputs.forget.eq(go & (clearing | (not g.held))),
            go.eq(walking & queue.room),
            queue.begin.eq(go),
            queue.done.eq(delayed(m, go, self.latency, "done")[-1]),
            queue.take.eq(self.take),
            self.ready.eq(queue.ready),
            self.sums[0].eq(queue.sum.as_signed()),
        ]
        left, right = (inputs.values.word_select(k, g.value_bits).as_signed() for k in range(2))
        product = register(m, "product", left * right)
        rounded = raised(product, g.shift - 1) >> g.shift if g.shift else product
        m.d.comb += queue.acc.eq(register(m, "rounded", rounded))

        # The host reads and writes what is held.
        if g.held:
            c, load, loaded = self.config, Signal(), Signal(bits_for(p.slots))
            m.d.sync += [
                load.eq(c.en & (c.memory == Memory.STATE) & (c.address >= p.slots)),
                loaded.eq(c.address - p.slots),
            ]
            m.d.comb += [
                seen.eq(Mux(load, loaded, self.probe_index)),
                inputs.load.eq(load),
                inputs.word.eq(register(m, "item", c.data[: len(inputs.word)])),
                self.probe.eq(inputs.values),
            ]
        return m
