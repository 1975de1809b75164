"""Small parts of streams: a buffer whose words go to several takers, and an arbiter."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Arbiter", "Fork"]


class Fork(wiring.Component):
    """A buffer that gives a copy of its oldest word to each taker that the word names.

    Each taker takes its copy when it likes; the word leaves with the last of them, and the next
    one appears in the following cycle. A word that names nobody is dropped. Latency 1 cycle,
    throughput 1 word a cycle. With two places `i.ready` comes from a register; with one it depends
    on `free` in the same cycle.

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
    free : takers that take it now if they have a request.
    idle : nothing is stored.
    """

    def __init__(self, shape, *, takers: int, places: int = 2) -> None:
        if places not in (1, 2):
            raise ValueError(f"places must be 1 or 2, not {places!r}")
        self.takers = takers
        self.places = places
        # The second place, in the open for proofs.
        self.held = Signal()
        self.spare = Signal(Shape.cast(shape).width, reset_less=True)
        self.spare_route = Signal(takers)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "route": In(takers),
                "word": Out(shape),
                "request": Out(takers),
                "free": In(takers),
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
            left.eq(request & ~self.free),
            done.eq(left == 0),
            self.idle.eq(request == 0),
        ]
        first, names = Value.cast(self.i.payload), self.route & self.i.valid.replicate(self.takers)
        if self.places == 1:
            m.d.comb += self.i.ready.eq(done)
        else:
            held, spare, spare_route = self.held, self.spare, self.spare_route
            m.d.comb += self.i.ready.eq(~held)
            m.d.sync += held.eq(~done & (held | self.i.valid))
            with m.If(~held):
                m.d.sync += [spare.eq(first), spare_route.eq(self.route)]
            first, names = Mux(held, spare, first), Mux(held, spare_route, names)
        m.d.sync += request.eq(left | (names & done.replicate(self.takers)))
        with m.If(done):
            m.d.sync += word.eq(first)
        return m


class Arbiter(wiring.Component):
    """Merges words from several sources into one stream; the one that waited longest goes first.

    Combinational. The sources stand in an order: a winner goes to the end when its word is taken,
    and to the front while `o.ready` is low, so that `o.payload` stays. A request that stays is
    served after at most `sources` - 1 words of others.

    Parameters
    ----------
    shape : shape of a word.
    sources : number of sources.

    Members
    -------
    words : a word of each source.
    request : sources that have a word. A request must stay until the word is taken.
    free : sources whose word is taken now if they have one.
    o : words out.
    """

    def __init__(self, shape, *, sources: int) -> None:
        if sources < 1:
            raise ValueError(f"sources must be at least 1, not {sources!r}")
        self.sources = sources
        # behind[j][i], i < j: source i stands behind j. In the open for proofs.
        self.behind = [Signal(j, name=f"behind_{j}") for j in range(sources)]
        super().__init__(
            {
                "words": In(shape).array(sources),
                "request": In(sources),
                "free": Out(sources),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        request = self.request
        unblocked = Signal(self.sources, init=-1)
        behind = self.behind

        def blocks(j, i):
            """Source j has a word and stands before i."""
            return request[j] & (behind[j][i] if i < j else ~behind[i][j])

        every = range(self.sources)
        for i in every:
            m.d.comb += unblocked[i].eq(~Cat(blocks(j, i) for j in every if j != i).any())
        wins = Signal(self.sources)
        m.d.comb += wins.eq(request & unblocked)
        for j in every:
            for i in range(j):
                with m.If(wins[i] | wins[j]):
                    m.d.sync += behind[j][i].eq(wins[j] ^ self.o.ready)
        # The multiplexer asks in turn "does j beat all before it?", not "does j win?".
        payload = Value.cast(self.words[0])
        for j in range(1, self.sources):
            ahead = Signal(name=f"ahead_{j}")
            m.d.comb += ahead.eq(request[j] & ~Cat(blocks(i, j) for i in range(j)).any())
            payload = Mux(ahead, Value.cast(self.words[j]), payload)
        m.d.comb += [
            self.free.eq(unblocked & self.o.ready.replicate(self.sources)),
            self.o.valid.eq(request.any()),
            Value.cast(self.o.payload).eq(payload),
        ]
        return m
