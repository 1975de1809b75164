"""Proofs of the parts of the router: nothing lost, doubled or overtaken, nobody starves."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal

from hdl.stream import Arbiter, Fork
from tests.formal.kit_formal import prove

pytestmark = pytest.mark.formal


class ForkSpec(Elaboratable):
    """Each taker sees the words that name it as if it had a queue of its own.

    `queue` is what a taker must still get. Asserted: the fork stores exactly that, it offers the
    first word of it and keeps it until it is taken, and it takes a word at the latest in the cycle
    after one in which all takers were free.
    """

    def __init__(self, fork: Fork) -> None:
        self.fork = fork
        self.valid, self.payload = Signal(), Signal.like(fork.i.payload)
        self.route, self.free = Signal(fork.takers), Signal(fork.takers)
        self.ports = [self.valid, self.payload, self.route, self.free]

    def elaborate(self, platform):
        m = Module()
        m.submodules.fork = fork = self.fork
        taken = Signal()
        m.d.comb += [
            fork.i.valid.eq(self.valid),
            fork.i.payload.eq(self.payload),
            fork.route.eq(self.route),
            fork.free.eq(self.free),
            taken.eq(fork.i.valid & fork.i.ready),
        ]
        levels = []
        for taker in range(fork.takers):
            level, first, second = (Signal(2), *(Signal.like(self.payload) for _ in range(2)))
            levels.append(level)
            comes, goes = Signal(), Signal()
            m.d.comb += [
                comes.eq(taken & self.route[taker]),
                goes.eq(fork.request[taker] & self.free[taker]),
            ]
            m.d.sync += level.eq(level + comes - goes)
            with m.If(goes):
                m.d.sync += first.eq(second)
            with m.If(comes & (level - goes == 0)):
                m.d.sync += first.eq(self.payload)
            with m.If(comes & (level - goes == 1)):
                m.d.sync += second.eq(self.payload)
            spare = fork.held & fork.spare_route[taker]
            m.d.comb += [
                Assert(level == fork.request[taker] + spare),
                Assert(~fork.request[taker] | (fork.word == first)),
                Assert(~spare | (fork.spare == Mux(fork.request[taker], second, first))),
            ]
        m.d.comb += [
            Assert(~fork.held | fork.request.any()),
            Assert(fork.idle == (Cat(*levels) == 0)),
        ]
        was_free = Signal()
        m.d.sync += was_free.eq(self.free.all())
        if fork.places == 2:
            m.d.comb += Assert(~was_free | fork.i.ready)
        else:
            m.d.comb += Assert(~self.free.all() | fork.i.ready)
        return m


class ForgetsSpare(Fork):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += self.held.eq(0)
        return m


class OverwritesSpare(Fork):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += self.spare.eq(self.i.payload)
        return m


class CopiesToAll(Fork):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += self.spare_route.eq(-1)
        return m


class AlwaysReady(Fork):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("takers", [1, 2, 3])
def test_fork_gives_each_taker_its_words_once_in_order(takers, places):
    proven, log = prove(ForkSpec(Fork(2, takers=takers, places=places)), steps=4)
    assert proven, log


@pytest.mark.parametrize("bug", [ForgetsSpare, OverwritesSpare, CopiesToAll, AlwaysReady])
def test_a_broken_fork_is_found(bug):
    proven, _ = prove(ForkSpec(bug(2, takers=2)), steps=8, bounded=True)
    assert not proven


class ArbiterSpec(Elaboratable):
    """One winner at a time, its word at the output, no change under stall, and patience is bounded.

    `others[i]` counts the words of others that passed since source i has asked. Together with the
    sources that still stand before it this never exceeds `sources` - 1.
    """

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.request = Signal(arbiter.sources)
        self.ready = Signal()
        self.words = [Signal(2, name=f"word_{n}") for n in range(arbiter.sources)]
        self.ports = [self.request, self.ready, *self.words]

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = self.arbiter
        count = arbiter.sources
        started, old_valid, old_ready = Signal(), Signal(), Signal()
        old_request, old_free = Signal(count), Signal(count)
        old_payload = Signal(2)
        served = Signal(count)
        m.d.comb += [
            arbiter.request.eq(self.request),
            arbiter.o.ready.eq(self.ready),
            served.eq(arbiter.request & arbiter.free),
        ]
        m.d.sync += [
            started.eq(1),
            old_valid.eq(arbiter.o.valid),
            old_ready.eq(arbiter.o.ready),
            old_payload.eq(arbiter.o.payload),
            old_request.eq(self.request),
            old_free.eq(arbiter.free),
        ]
        for n, word in enumerate(self.words):
            old_word = Signal(2, name=f"old_word_{n}")
            m.d.sync += old_word.eq(word)
            waits = started & old_request[n] & ~old_free[n]
            m.d.comb += [
                arbiter.words[n].eq(word),
                Assume(~waits | (self.request[n] & (word == old_word))),
                Assert(~served[n] | (arbiter.o.payload == word)),
            ]
        m.d.comb += [
            Assert((served & (served - 1)[:count]) == 0),
            Assert(served.any() == (arbiter.o.valid & arbiter.o.ready)),
            Assert(arbiter.o.valid == self.request.any()),
        ]
        with m.If(started & old_valid & ~old_ready):
            m.d.comb += Assert(arbiter.o.valid & (arbiter.o.payload == old_payload))

        def before(j, i):
            return arbiter.behind[j][i] if i < j else ~arbiter.behind[i][j]

        for i in range(count):
            others = Signal(3, name=f"others_{i}")
            m.d.sync += others.eq(
                Mux(self.request[i] & ~served[i], others + (served & ~(1 << i)).any(), 0)
            )
            ahead = sum((before(j, i) for j in range(count) if j != i), start=0)
            m.d.comb += Assert(others + ahead <= count - 1)
        if count == 3:
            cycles = [
                before(a, b) & before(b, c) & before(c, a) for a, b, c in ((0, 1, 2), (0, 2, 1))
            ]
            m.d.comb += Assert(~Cat(*cycles).any())
        return m


class TwoWinners(Arbiter):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.free.eq(self.o.ready.replicate(self.sources))
        return m


class Unfair(Arbiter):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += self.behind[1].eq(0)
        return m


class Restless(Arbiter):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += self.behind[1].eq(~self.behind[1])
        return m


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_arbiter_serves_everybody(sources):
    proven, log = prove(ArbiterSpec(Arbiter(2, sources=sources)), steps=4)
    assert proven, log


@pytest.mark.parametrize("bug", [TwoWinners, Unfair, Restless])
def test_a_broken_arbiter_is_found(bug):
    proven, _ = prove(ArbiterSpec(bug(2, sources=3)), steps=8, bounded=True)
    assert not proven
