"""Proofs of the queue: what went in comes out once, in order, and `idle` tells all."""

import pytest
from amaranth.hdl import Array, Assert, Elaboratable, Module, Signal

import hdl.queue
from hdl.queue import Queue
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal


class QueueSpec(Elaboratable):
    """The queue beside a shift register of the words that it must still give.

    Asserted: it offers the oldest of them, keeps it until it is taken, is `idle` exactly if there
    is none, takes words while its memory has a place, and an old word is offered at the latest in
    the third cycle.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.valid, self.payload, self.free = Signal(), Signal(2), Signal()
        self.ports = [self.valid, self.payload, self.free]

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue
        places = queue.depth + 2
        owed = Array(Signal(2, name=f"owed_{n}") for n in range(places + 1))
        count = Signal(range(places + 1))
        comes, goes = Signal(), Signal()
        m.d.comb += [
            queue.i.valid.eq(self.valid),
            queue.i.payload.eq(self.payload),
            queue.o.ready.eq(self.free),
            comes.eq(queue.i.valid & queue.i.ready),
            goes.eq(queue.o.valid & queue.o.ready),
            Assert(~queue.o.valid | ((count != 0) & (queue.o.payload == owed[0]))),
            Assert(queue.idle == (count == 0)),
            Assert((count >= queue.depth) | queue.i.ready),
            Assert(~comes | (count < places) | goes),
        ]
        m.d.sync += count.eq(count + comes - goes)
        with m.If(goes):
            m.d.sync += [owed[n].eq(owed[n + 1]) for n in range(places)]
        with m.If(comes):
            m.d.sync += owed[count - goes].eq(self.payload)
        held, waited = Signal(), Signal(2)
        m.d.sync += [held.eq(queue.o.valid & ~queue.o.ready), waited.eq(0)]
        with m.If((count != 0) & ~queue.o.valid):
            m.d.sync += waited.eq(waited + 1)
        m.d.comb += [Assert(~held | queue.o.valid), Assert(waited < 3)]
        return m


class Forgets(Queue):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


class LooksIdle(Queue):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.idle.eq(~(self.o.valid & ~self.o.ready))
        return m


class Overtakes(Queue):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.i.valid & self.o.ready):
            m.d.sync += self.o.payload.eq(self.i.payload)
        return m


@pytest.fixture(params=["shallow", "deep"])
def memory(request, monkeypatch):
    """Both kinds of memory, at depths that can be proven."""
    monkeypatch.setattr(hdl.queue, "SHALLOW", 32 if request.param == "shallow" else 0)


@pytest.mark.parametrize("depth", [1, 2])
def test_queue_gives_its_words_once_in_order(depth, memory):
    proven, log = prove(QueueSpec(Queue(2, depth=depth)), steps=10, bounded=True)
    assert proven, log


@pytest.mark.parametrize("bug", [Forgets, LooksIdle, Overtakes])
def test_a_broken_queue_is_found(bug, memory):
    proven, _ = prove(QueueSpec(bug(2, depth=2)), steps=10, bounded=True)
    assert not proven
