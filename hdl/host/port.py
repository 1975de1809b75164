"""The host port: the fabric's only door, and the keeper of the step barrier."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.neuron.ports import step_signature
from hdl.noc.router import flit_layout
from hdl.params.host import HostOp, HostParams, ReplyOp

__all__ = ["HostPort"]


class HostPort(wiring.Component):
    """Carries out the host's words (hdl/params/host.py).

    SEND moves a flit into the network, one a cycle. STEP is the barrier: `all_idle` is a snapshot
    that is `delay` cycles old, so it is believed once nothing was sent for longer than that; then
    the network is empty and all cores rest, and it stays so. The MARK goes out behind all flits
    that the last step caused, and the step starts.

    Parameters
    ----------
    params : word layouts.
    delay : cycles from a flit or step leaving here until `all_idle` shows it.

    Members
    -------
    i, o : words from and to the host.
    o_flit, i_flit : to and from the network.
    step : the step broadcast.
    all_idle : level, all tiles and routers were at rest `delay` cycles ago.
    """

    def __init__(self, params: HostParams, *, delay: int):
        self.params = params
        self.delay = delay
        word = stream.Signature(params.word_bits)
        flit = stream.Signature(flit_layout(params.flit))
        super().__init__(
            {
                "i": In(word),
                "o": Out(word),
                "o_flit": Out(flit),
                "i_flit": In(flit),
                "step": Out(step_signature(params.levels)),
                "all_idle": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p = self.params
        body, op = self.i.payload[: p.body_bits], self.i.payload[p.body_bits]

        # From the host: one register in front of the network.
        out_ready = ~self.o_flit.valid | self.o_flit.ready
        sending = self.i.valid & (op == HostOp.SEND)
        with m.If(out_ready):
            m.d.sync += [self.o_flit.valid.eq(sending), self.o_flit.payload.eq(body)]

        settle = Signal(range(self.delay + 2))
        stirred = self.o_flit.valid | self.step.start
        with m.If(stirred):
            m.d.sync += settle.eq(self.delay + 1)
        with m.Elif(settle != 0):
            m.d.sync += settle.eq(settle - 1)
        at_rest = ~stirred & (settle == 0) & self.all_idle & ~self.i_flit.valid
        stepping = self.i.valid & (op == HostOp.STEP)

        # To the host: flits, and a mark when a step begins.
        word_ready = ~self.o.valid | self.o.ready
        marking = stepping & at_rest & word_ready
        cycles = Signal(min(p.body_bits, 24))
        word = Signal(p.word_bits)
        m.d.comb += self.i_flit.ready.eq(word_ready)
        with m.If(word_ready):
            m.d.sync += [
                self.o.valid.eq(self.i_flit.valid | marking),
                self.o.payload.eq(word),
            ]
        with m.If(self.i_flit.valid):
            m.d.comb += [
                word[: p.body_bits].eq(self.i_flit.payload.as_value()),
                word[p.body_bits].eq(ReplyOp.RECV),
            ]
        with m.Else():
            m.d.comb += [word[: p.body_bits].eq(cycles), word[p.body_bits].eq(ReplyOp.MARK)]

        m.d.sync += [
            self.step.start.eq(marking),
            self.step.mask.eq(body[: p.levels]),
            self.step.clear.eq(body[p.levels]),
        ]
        with m.If(marking):
            m.d.sync += cycles.eq(1)
        with m.Elif(~cycles.all()):
            m.d.sync += cycles.eq(cycles + 1)
        # A flit may not overtake the step that was just started.
        m.d.comb += self.i.ready.eq(Mux(op == HostOp.SEND, out_ready, marking))
        return m
