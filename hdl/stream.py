"""Small parts of streams: a buffer whose words go to several takers, a register, an arbiter."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Arbiter", "Fork", "Register"]


class Fork(wiring.Component):
    """A buffer that gives a copy of its oldest word to each taker that the word names.

    Each taker takes its copy when it likes; the word leaves with the last of them, and the next
    one appears in the following cycle. A word that names nobody is dropped. Latency 1 cycle,
    throughput 1 word a cycle. With two places `i.ready` comes from a register; with one it depends
    on `accept` in the same cycle.

    Parameters
    ----------
    shape : shape of a word.
    takers : number of takers.
    places : words stored, 1 or 2.

    Members
    -------
    i : words in.
    route : takers of `i.payload`, a bit each.
    word : the oldest word.
    request : takers that have not yet taken it.
    accept : takers that take it now; only bits that are set in `request`.
    idle : nothing is stored.
    """

    def __init__(self, shape, *, takers: int, places: int = 2) -> None:
        if places not in (1, 2):
            raise ValueError(f"places must be 1 or 2, not {places!r}")
        self.takers = takers
        self.places = places
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "route": In(takers),
                "word": Out(shape),
                "request": Out(takers),
                "accept": In(takers),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        word = Signal.like(Value.cast(self.word), reset_less=True)
        request = Signal(self.takers)
        left = Signal(self.takers)
        done = Signal()
        m.d.comb += [
            Value.cast(self.word).eq(word),
            self.request.eq(request),
            left.eq(request & ~self.accept),
            done.eq(left == 0),
            self.idle.eq(request == 0),
        ]
        first, names = Value.cast(self.i.payload), self.route & self.i.valid.replicate(self.takers)
        if self.places == 1:
            m.d.comb += self.i.ready.eq(done)
        else:
            spare = Signal.like(word, reset_less=True)
            spare_names = Signal(self.takers)
            held = Signal()
            m.d.comb += self.i.ready.eq(~held)
            m.d.sync += held.eq(~done & (held | self.i.valid))
            with m.If(~held):
                m.d.sync += [spare.eq(first), spare_names.eq(self.route)]
            first, names = Mux(held, spare, first), Mux(held, spare_names, names)
        m.d.sync += request.eq(left | (names & done.replicate(self.takers)))
        with m.If(done):
            m.d.sync += word.eq(first)
        return m


class Register(wiring.Component):
    """A stream register: one word, 1 cycle, 1 word a cycle; `i.ready` depends on `o.ready`.

    Parameters
    ----------
    shape : shape of a word.

    Members
    -------
    i, o : words in and out.
    """

    def __init__(self, shape) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        word = Signal.like(Value.cast(self.o.payload), reset_less=True)
        m.d.comb += [
            Value.cast(self.o.payload).eq(word),
            self.i.ready.eq(self.o.ready | ~self.o.valid),
        ]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), word.eq(self.i.payload)]
        return m


class Arbiter(wiring.Component):
    """Merges words from several sources into one stream, in rotation.

    Combinational. After a transfer the source behind the winner comes first; a choice stays while
    `o.ready` is low, so that `o.payload` is stable. A request that stays is served after at most
    `sources` - 1 other words.

    Parameters
    ----------
    shape : shape of a word.
    sources : number of sources.

    Members
    -------
    words : a word of each source.
    request : sources that have a word.
    accept : the source whose word is taken now (a bit each, at most one).
    o : words out.
    """

    def __init__(self, shape, *, sources: int) -> None:
        if sources < 1:
            raise ValueError(f"sources must be at least 1, not {sources!r}")
        self.sources = sources
        super().__init__(
            {
                "words": In(shape).array(sources),
                "request": In(sources),
                "accept": Out(sources),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.valid.eq(self.request.any())
        words = [Value.cast(word) for word in self.words]
        payload = Value.cast(self.o.payload)
        if self.sources == 1:
            m.d.comb += [payload.eq(words[0]), self.accept.eq(self.o.ready & self.request)]
            return m
        first = Signal(range(self.sources))
        chosen = Signal(range(self.sources))
        with m.Switch(first):
            for start in range(self.sources):
                with m.Case(start):
                    order = [(start + k) % self.sources for k in range(self.sources)]
                    for index in reversed(order):
                        with m.If(self.request[index]):
                            m.d.comb += chosen.eq(index)
        after = Signal(range(self.sources))
        m.d.comb += after.eq(Mux(chosen == self.sources - 1, 0, chosen + 1))
        with m.If(self.o.valid):
            m.d.sync += first.eq(Mux(self.o.ready, after, chosen))
        with m.Switch(chosen):
            for index, word in enumerate(words):
                with m.Case(index) if index < self.sources - 1 else m.Default():
                    m.d.comb += payload.eq(word)
                    m.d.comb += self.accept[index].eq(self.request[index] & self.o.ready)
        return m
