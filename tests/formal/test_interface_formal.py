"""Proofs of the network interface: each event leaves by exactly its routes, `idle` tells all."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Elaboratable, Module, Signal

from hdl.noc.interface import NetworkInterface
from hdl.params.neuron import CoreParams, Range
from hdl.params.noc import ConfigOp, FlitParams, InterfaceParams, Memory
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal

FLIT = FlitParams(width=1, height=1, tag_bits=2, value_bits=2, config_bits=8)
SLOTS = 4
CORE = CoreParams(
    slots=SLOTS,
    ranges=(Range(level=0, first=0, end=SLOTS),),
    axons=4,
    synapse_words=4 * SLOTS,
    value_bits=2,
    membrane_bits=11,
    shared={"membrane_decay": 1, "bias": 0, "threshold": 0, "reset_value": 0},
)
#: Tags of the valid entries of each slot, None for an invalid one; the last one ends the slot.
ROUTES = {1: [[0], [1], [None], [3]], 2: [[2], [None, 1], [3, 0], [None, None]]}
MARK = -2


def images(entries: int) -> dict[Memory, list[int]]:
    at = FLIT.tag_bits + FLIT.rows_bits + FLIT.columns_bits
    words = []
    for tags in ROUTES[entries]:
        for k in range(entries):
            tag = tags[k] if k < len(tags) else 2
            word = (tag or 0) | (k == len(tags) - 1) << at | (tag is not None) << (at + 1)
            words.append(word | 1 << (at - 1))
    return {Memory.ROUTE: words}


class InterfaceSpec(Elaboratable):
    """One event of the core is marked by its value; all else, and all stalls, are arbitrary, but
    routes are not written, and one READ is answered before the next configuration comes.

    Asserted: flits with the mark are those of the event's routes, once and in order; replies are
    as many as asked for; events from the network reach the core in the cycle in which they are
    taken, items the configuration port in the next; `idle` is low while anything is owed; a
    stalled flit stays.
    """

    def __init__(self, interface: NetworkInterface) -> None:
        self.interface = interface
        self.flit, self.arrives = Signal(FLIT.flit_bits), Signal()
        self.slot, self.value, self.sends = Signal(2), Signal(2), Signal()
        self.free, self.takes, self.core_idle = Signal(), Signal(), Signal()
        self.state = Signal(CORE.state_bits)
        self.ports = [
            self.flit, self.arrives, self.slot, self.value, self.sends, self.free, self.takes,
            self.core_idle, self.state,
        ]  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.interface = dut = self.interface
        m.d.comb += [
            dut.i_flit.payload.as_value().eq(self.flit),
            dut.i_flit.valid.eq(self.arrives),
            dut.i_event.p.slot.eq(self.slot),
            dut.i_event.p.value.eq(self.value),
            dut.i_event.valid.eq(self.sends),
            dut.o_flit.ready.eq(self.free),
            dut.o_event.ready.eq(self.takes),
            dut.core_idle.eq(self.core_idle),
            dut.probe.eq(self.state),
        ]
        started = Signal()
        m.d.sync += started.eq(1)
        for name, word, port in (
            ("flit", self.flit, dut.i_flit),
            ("event", Cat(self.slot, self.value), dut.i_event),
            ("out", dut.o_flit.payload.as_value(), dut.o_flit),
        ):
            old = Signal(len(word) + 1, name=f"old_{name}")
            m.d.sync += old.eq(Cat(port.valid & ~port.ready, word))
            stays = port.valid & (word == old[1:])
            with m.If(started & old[0]):
                m.d.comb += Assert(stays) if port is dut.o_flit else Assume(stays)

        # The marked event: the number of flits that it still owes, and the tag of the next one.
        lists = [[tag for tag in tags if tag is not None] for tags in ROUTES[dut.params.entries]]
        counts = Array(Const(len(tags), 2) for tags in lists)
        firsts = Array(Const(tags[0] if tags else 0, 2) for tags in lists)
        lasts = Array(Const(tags[-1] if tags else 0, 2) for tags in lists)
        out = dut.o_flit.p
        comes, leaves, seen = Signal(), Signal(), Signal()
        owed, marked = Signal(2), Signal(2)
        mark = MARK & 3
        m.d.comb += [
            comes.eq(dut.i_event.valid & dut.i_event.ready & (self.value == mark)),
            leaves.eq(dut.o_flit.valid & dut.o_flit.ready & ~out.kind & (out.body[:2] == mark)),
            Assume(~(comes & seen)),
            Assert(~leaves | (owed != 0)),
            Assert(
                ~leaves
                | (out.body[2:4] == firsts[marked]) & (owed == counts[marked])
                | (out.body[2:4] == lasts[marked]) & (owed == 1)
            ),
        ]
        m.d.sync += [seen.eq(seen | comes), owed.eq(owed - leaves)]
        with m.If(comes):
            m.d.sync += [owed.eq(counts[self.slot]), marked.eq(self.slot)]

        # Configuration and replies.
        body = dut.i_flit.p.body
        doing = dut.i_flit.valid & dut.i_flit.ready & dut.i_flit.p.kind
        chunks = -(-CORE.state_bits // FLIT.chunk_bits)
        replies = Signal(4)
        replied = dut.o_flit.valid & dut.o_flit.ready & out.kind
        m.d.sync += replies.eq(replies - replied)
        with m.If(doing & (body[:2] == ConfigOp.READ)):
            m.d.sync += replies.eq((body[2:] * chunks)[:4])
        committed = Signal()
        m.d.sync += committed.eq(doing & (body[:2] == ConfigOp.COMMIT))
        m.d.comb += [
            Assume(~(dut.config.en & (dut.config.memory == Memory.ROUTE))),
            Assume(~(doing & (replies != 0))),
            Assume(~doing | (body[:2] != ConfigOp.READ) | (body[2:] <= 3)),
            Assert(~replied | (replies != 0)),
            Assert(dut.config.en == committed),
            Assert(
                (dut.o_event.valid & dut.o_event.ready)
                == (dut.i_flit.valid & dut.i_flit.ready & ~dut.i_flit.p.kind)
            ),
            Assert(
                ~dut.o_event.valid | (dut.o_event.payload.as_value() == Cat(body[2:4], body[:2]))
            ),
            Assert(~(dut.idle & (self.arrives | self.sends | (owed != 0) | (replies != 0)))),
        ]
        return m


class LosesEvents(NetworkInterface):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i_event.ready.eq(1)
        return m


class LosesFlits(NetworkInterface):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i_flit.ready.eq(1)
        return m


class LooksIdle(NetworkInterface):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.idle.eq(~(self.i_flit.valid | self.i_event.valid | self.o_flit.valid))
        return m


class Fickle(NetworkInterface):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += self.o_flit.p.kind.eq(self.i_flit.valid)
        return m


def spec_of(interface, entries: int) -> InterfaceSpec:
    params = InterfaceParams(flit=FLIT, entries=entries)
    return InterfaceSpec(interface(params, CORE, images(entries)))


@pytest.mark.parametrize("entries", [1, 2])
def test_nothing_is_lost_or_doubled(entries):
    proven, log = prove(spec_of(NetworkInterface, entries), steps=12, bounded=True)
    assert proven, log


@pytest.mark.parametrize("bug", [LosesEvents, LosesFlits, LooksIdle, Fickle])
def test_a_broken_interface_is_found(bug):
    proven, _ = prove(spec_of(bug, 2), steps=12, bounded=True)
    assert not proven
