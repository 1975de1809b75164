"""Proofs of the host port: steps start only at rest, words are neither lost nor doubled."""

import pytest
from amaranth.hdl import Assert, Assume, Elaboratable, Module, Signal

from hdl.host.port import HostPort
from hdl.params.host import HostOp, HostParams, ReplyOp
from hdl.params.noc import FlitParams
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal

PARAMS = HostParams(
    flit=FlitParams(width=1, height=1, tag_bits=1, config_bits=8),
    levels=1,
)
MARK = 0x155  # a flit body


class HostSpec(Elaboratable):
    """The network is anything that rests until a flit or a step enters and that, once it rests,
    stays so; `all_idle` shows it `delay` cycles after what went in. One flit in each direction is
    marked; all others, and all stalls, are arbitrary.

    Asserted: a step starts only when the network rests and no flit is before it; the marked flits
    pass once; each STEP that is taken starts one step and sends one MARK; stalled words stay.
    """

    def __init__(self, port: HostPort, delay: int) -> None:
        self.port, self.delay = port, delay
        flit = PARAMS.flit.flit_bits
        self.word, self.valid = Signal(PARAMS.word_bits), Signal()
        self.flit, self.answers, self.stays = Signal(flit), Signal(), Signal()
        self.ready, self.free = Signal(), Signal()
        self.ports = [
            self.word, self.valid, self.flit, self.answers, self.stays, self.ready, self.free,
        ]  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.port = port = self.port
        busy = Signal()
        shown = [busy]
        for k in range(self.delay - 1):
            later = Signal(name=f"busy_{k + 1}")
            m.d.sync += later.eq(shown[-1])
            shown.append(later)
        m.d.comb += [
            port.i.payload.eq(self.word),
            port.i.valid.eq(self.valid),
            port.o.ready.eq(self.ready),
            port.o_flit.ready.eq(self.free),
            port.i_flit.payload.as_value().eq(self.flit),
            port.i_flit.valid.eq(self.answers),
            port.all_idle.eq(~shown[-1]),
        ]
        entered = port.step.start | (port.o_flit.valid & port.o_flit.ready)
        m.d.sync += busy.eq(entered | (busy & (self.stays | self.answers)))

        # What is offered stays; only a busy network answers.
        started = Signal()
        old_in = Signal(PARAMS.word_bits + 1)
        old_flit = Signal(len(self.flit) + 1)
        m.d.sync += [
            started.eq(1),
            old_in.eq(self.word << 1 | (port.i.valid & ~port.i.ready)),
            old_flit.eq(self.flit << 1 | (port.i_flit.valid & ~port.i_flit.ready)),
        ]
        with m.If(started & old_in[0]):
            m.d.comb += Assume(self.valid & (self.word == old_in[1:]))
        with m.If(started & old_flit[0]):
            m.d.comb += Assume(self.answers & (self.flit == old_flit[1:]))
        m.d.comb += Assume(~self.answers | busy)

        # Marked flits, one in each direction, and the STEPs.
        for name, source, sink, marked in (
            ("down", port.i, port.o_flit, self.word[PARAMS.body_bits] == HostOp.SEND),
            ("up", port.i_flit, port.o, port.o.payload[PARAMS.body_bits] == ReplyOp.RECV),
        ):
            bits = PARAMS.flit.body_bits
            word_in, word_out = (
                s.payload if isinstance(s.payload, Signal) else s.payload.as_value()
                for s in (source, sink)
            )
            goes_in, comes_out = Signal(name=f"{name}_in"), Signal(name=f"{name}_out")
            here, seen = Signal(name=f"{name}_here"), Signal(name=f"{name}_seen")
            on_entry = marked if name == "down" else 1
            on_exit = marked if name == "up" else 1
            m.d.comb += [
                goes_in.eq(source.valid & source.ready & (word_in[:bits] == MARK) & on_entry),
                comes_out.eq(sink.valid & sink.ready & (word_out[:bits] == MARK) & on_exit),
                Assume(~(goes_in & seen)),
                Assert(~comes_out | here),
                Assert(~goes_in | ~here | comes_out),
            ]
            m.d.sync += [seen.eq(seen | goes_in), here.eq(goes_in | (here & ~comes_out))]
            m.d.comb += [
                Assert(here == (sink.valid & (word_out[:bits] == MARK) & on_exit)),
                Assert(~here | seen),
            ]
        taken = port.i.valid & port.i.ready & (self.word[PARAMS.body_bits] == HostOp.STEP)
        was_taken = Signal()
        m.d.sync += was_taken.eq(taken)
        is_mark = port.o.valid & (port.o.payload[PARAMS.body_bits] == ReplyOp.MARK)
        m.d.comb += [
            Assert(port.step.start == was_taken),
            Assert(~was_taken | is_mark),
            Assert(~port.step.start | ~(busy | port.o_flit.valid | self.answers)),
        ]
        marks = Signal(2)
        m.d.sync += marks.eq(marks + taken - (is_mark & port.o.ready))
        m.d.comb += Assert(marks == is_mark)

        for sink in (port.o, port.o_flit):
            word = sink.payload if sink is port.o else sink.payload.as_value()
            old = Signal(len(word) + 1, name="old_out" if sink is port.o else "old_entering")
            m.d.sync += old.eq(word << 1 | (sink.valid & ~sink.ready))
            with m.If(started & old[0]):
                m.d.comb += Assert(sink.valid & (word == old[1:]))
        return m


class DropsFlits(HostPort):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


class DropsAnswers(HostPort):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i_flit.ready.eq(1)
        return m


class StartsTwice(HostPort):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        again = Signal()
        m.d.sync += [again.eq(self.step.start), self.step.start.eq(self.step.start & ~again)]
        return m


@pytest.mark.parametrize("delay", [1, 2, 4])
def test_the_barrier_holds(delay):
    proven, log = prove(HostSpec(HostPort(PARAMS, delay=delay), delay), steps=14)
    assert proven, log


@pytest.mark.parametrize("bug", [DropsFlits, DropsAnswers, StartsTwice])
def test_a_broken_port_is_found(bug):
    proven, _ = prove(HostSpec(bug(PARAMS, delay=2), 2), steps=16, bounded=True)
    assert not proven


def test_an_impatient_port_is_found():
    """It believes in an `all_idle` that is older than it thinks."""
    proven, _ = prove(HostSpec(HostPort(PARAMS, delay=1), 4), steps=16, bounded=True)
    assert not proven
