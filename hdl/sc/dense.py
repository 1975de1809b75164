"""Stochastic dense dendrites: a matrix-vector product by bit-streams."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hdl.arithmetic import times
from hdl.memory import registered
from hdl.neuron.ports import ConfigPort, dendrites_signature
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.sc.dense import LENGTH_BITS, MARGIN_BITS, TOLERANCE_BITS, DenseParams
from hdl.sc.dense_input import DenseInput
from hdl.sc.dense_planes import DensePlanes
from hdl.sc.dense_sums import TAG, DenseSums, scale_range, sums_latency

__all__ = ["DenseDendrites"]


class DenseDendrites(wiring.Component):
    """Each slot's sum by streams of 2**K bits of `lanes` weights at a time.

    The equations and memories are those of hdl/params/sc/dense.py. A weight's stream is read from
    its bit planes, so a lane is little more than the AND that multiplies and its share of the
    counter. Tiles without an event cost nothing.

    Cycles: with A tiles that have events (A > 0) and streams of 2**K bits, sum n = 1, 2, ... is
    ready `latency` + n * A * (2**K + 1) cycles after `start`. In an early termination a sum that
    stops at 2**k bits takes A * (2**k + k - first + 1) + `stop_latency` cycles instead, and the
    last of these sums is ready at the end of its share. A margin takes no cycles: the neuron's
    `lead` is there before its first check. Without events (A = 0) all are ready at once.

    Parameters
    ----------
    params : the core; its dendrites are `DenseParams`.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members: see `dendrites_signature`.
    """

    #: Cycles from the number of a bit to the register of the product bits.
    PIPELINE = 6

    #: Words of one block of weights: a block memory's own register hides its delay only if nothing
    #: stands between them, so what selects among blocks comes behind it.
    DEEPEST = 2048

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        self.params, self.config_signature, self.images = params, config, images or {}
        self.dense: DenseParams = params.dendrites  # type: ignore[assignment]
        self.latency = self.PIPELINE + sums_latency(self.dense) + 1
        self.stop_latency = self.PIPELINE + sums_latency(self.dense) + 3
        super().__init__(dendrites_signature(params, config))

    def elaborate(self, platform):
        m = Module()
        p, d, s = self.params, self.dense, self.dense.streams
        m.submodules.input = events = DenseInput(p, self.config_signature, self.images)
        m.submodules.planes = planes = DensePlanes(d)
        m.submodules.adder = sums = DenseSums(p)
        connect(m, flipped(self.i), events.i)
        connect(m, flipped(self.config), events.config)

        # A pass: from `start` until the last sum is taken. Then the events are forgotten.
        passing, begin = Signal(), Signal()
        over = self.take & (self.group == p.slots - 1) & passing
        some = self.start & (events.count != 0)
        m.d.sync += [passing.eq((passing & ~over) | some), begin.eq(some)]
        m.d.comb += [
            events.run.eq(self.run),
            self.busy.eq(events.busy),
            events.forget.eq(over | self.clear),
            self.ready.eq(~passing | sums.ready),
            sums.take.eq(self.take),
            sums.begin.eq(begin),
            self.sums[0].eq(sums.sum),
        ]
        if d.decides:
            m.d.comb += sums.lead.eq(self.lead)
        first_span, chunks = self._control(m, sums)

        # The sequence: slots; in a slot chunks of the streams; in a chunk the tiles on the list; in
        # a tile the signs, then a cycle for each bit. `number` is the list entry of the tile after
        # this one; its addresses are prepared meanwhile.
        running, sign, fresh = Signal(), Signal(), Signal()
        number = Signal.like(events.number)
        following = Mux(number + 1 == events.count, 0, number + 1)
        step, total = d.tiles * d.planes, p.slots * d.tiles * d.planes
        here, next_slot = (Signal(range(total + 1), name=n) for n in ("slot", "next_slot"))
        weights, values = Signal(range(total)), Signal(range(d.tiles * d.value_planes))
        weights_ahead, values_ahead = Signal.like(weights), Signal.like(values)
        m.d.comb += events.number.eq(number)
        m.d.sync += [
            weights_ahead.eq(times(events.tile, d.planes)),
            values_ahead.eq(times(events.tile, d.value_planes)),
        ]

        # A chunk of 2**k bits has the ones of 2**k - 1 in `span`; `bit` counts its cycles from the
        # signs on. All but the first chunk begin at bit 2**k of the stream.
        bit, low, span = (Signal(s.source_bits, name=n) for n in ("bit", "low", "span"))
        last_bit, later, last_slot = Signal(), Signal(), Signal()
        left = Signal.like(chunks)  # chunks after this one
        tile_end = running & last_bit
        chunk_end = tile_end & (number == 0)
        slot_end = chunk_end & (left == 0)
        restart = Signal(2)  # cycles after `done`: the first tile's addresses are prepared
        new_slot = Signal()
        load = new_slot | (tile_end & ~slot_end)
        m.d.comb += new_slot.eq(begin | (((slot_end & ~sums.early) | restart[1]) & ~last_slot))
        m.d.sync += [
            restart.eq(Cat(sums.done, restart[0])),
            last_slot.eq(next_slot == total),
            last_bit.eq(running & ~tile_end & ((~bit & span) == 0)),
            low.eq(bit),
        ]
        with m.If(running):
            m.d.sync += [sign.eq(0), bit.eq(bit + 1)]
            with m.If(~sign):
                m.d.sync += fresh.eq(0)
        with m.If(slot_end | sums.done):
            m.d.sync += running.eq(0)
        with m.If(chunk_end):
            m.d.sync += [left.eq(left - 1), later.eq(1)]
            with m.If(later):
                m.d.sync += span.eq(Cat(1, span))
        with m.If(load):
            base = Mux(new_slot, next_slot, here) if d.tiles > 1 else next_slot
            m.d.sync += [sign.eq(1), bit.eq(0), number.eq(following), values.eq(values_ahead)]
            with m.If(new_slot if d.tiles == 1 else 1):
                m.d.sync += weights.eq(base + weights_ahead)
        with m.If(sums.done | ~passing):
            m.d.sync += number.eq(0)
        with m.If(new_slot):
            m.d.sync += [
                running.eq(1),
                fresh.eq(1),
                left.eq(chunks),
                later.eq(0),
                span.eq(first_span),
                here.eq(next_slot),
                next_slot.eq(next_slot + step),
            ]
        with m.Elif(~passing):
            m.d.sync += next_slot.eq(0)

        # What is read, and what it means.
        start = Cat(1, span)[: len(span)] & ~span
        m.d.comb += [
            planes.t.eq(low | Mux(later, start, 0)),
            planes.en.eq(running & ~sign),
            planes.begin.eq(new_slot),
            planes.keep.eq(chunk_end),
            planes.back.eq(tile_end & ~chunk_end),
            planes.sign.eq(sign),
        ]
        tag = Signal(TAG)
        m.d.comb += [
            tag.valid.eq(running),
            tag.sign.eq(sign),
            tag.first.eq(fresh),
            tag.check.eq(chunk_end),
            tag.last.eq(slot_end),
        ]
        tags = [tag]
        for k in range(self.PIPELINE):
            held = Signal(TAG, name=f"tag_{k + 1}")
            m.d.sync += [held.eq(tags[-1]), held.valid.eq(tags[-1].valid & ~sums.done)]
            tags.append(held)
        m.d.comb += sums.tag.eq(tags[-1])
        self._lanes(m, events, planes, sums, weights, values, tags[4].sign)
        return m

    def _control(self, m, sums):
        """Length, tolerance and margin; returns (span of a sum's first chunk, chunks after it).

        All hold for a whole pass.
        """
        d, s = self.dense, self.dense.streams
        image = self.images.get(Memory.CONTROL) or [d.control(s.log2_length, s.tolerance, s.margin)]
        length = Signal(LENGTH_BITS, init=image[0] & ((1 << LENGTH_BITS) - 1))
        high = image[0] >> LENGTH_BITS
        above = Signal(TOLERANCE_BITS, init=high & ((1 << TOLERANCE_BITS) - 1))  # tolerance + 1
        fields = [length, above]
        if d.decides:
            margin = Signal(MARGIN_BITS, init=high >> TOLERANCE_BITS)  # margin + 1
            fields.append(margin)
        with m.If(self.config.en & (self.config.memory == Memory.CONTROL)):
            m.d.sync += Cat(fields).eq(self.config.data)

        span, chunks = Signal(s.source_bits), Signal(range(s.source_bits + 1))
        clipped = Signal(range(s.source_bits + 1))
        m.d.comb += clipped.eq(Mux(length > s.source_bits, s.source_bits, length))
        first, further, early = clipped, 0, 0
        if sums.can_stop:
            stops = (above != 0) | (margin != 0) if d.decides else above != 0
            early = stops & (clipped > s.first)
            first, further = Mux(early, s.first, clipped), Mux(early, clipped - s.first, 0)
        with m.If(self.start):
            m.d.sync += [
                span.eq(Cat(first > k for k in range(s.source_bits))),
                chunks.eq(further),
                sums.scale.eq(max(scale_range(d)) - first),
                sums.early.eq(early),
                sums.tolerance.eq(above[: len(sums.tolerance)] - 1),
                sums.always.eq(above[len(sums.tolerance) :] != 0),
            ]
            if d.decides:
                m.d.sync += [
                    sums.settles.eq(above != 0),
                    sums.decides.eq(margin != 0),
                    sums.margin.eq(margin - 1),
                ]
        return span, chunks

    def _lanes(self, m, events, planes, sums, weights, values, is_sign):
        """Memories of the weights and the product of each lane. `is_sign`: signs are read."""
        d, s = self.dense, self.dense.streams
        banks = s.generators
        delayed = []
        for base in (weights, values):
            for _ in range(2):
                held = Signal.like(base, reset_less=True)
                m.d.sync += held.eq(base)
                base = held
            delayed.append(base)
        image = self.images.get(Memory.SYNAPSE) or []
        bits: list[Value] = []
        for bank in range(banks):
            address = (delayed[0] + planes.weight[bank])[: len(weights)]
            word = self._weights(m, bank, address, image[bank::banks])
            m.d.comb += events.address[bank].eq(delayed[1] + planes.value[bank])
            value = events.words[bank]
            signs = [Signal(d.bank_lanes, name=f"{n}_signs_{bank}", reset_less=True) for n in "wx"]
            held = [Signal(d.bank_lanes, name=f"{n}_bits_{bank}", reset_less=True) for n in "wx"]
            m.d.sync += [held[0].eq(word), held[1].eq(value)]
            with m.If(is_sign):
                # With the signs there are no bits.
                m.d.sync += [signs[0].eq(word), signs[1].eq(value), held[0].eq(0)]
            if s.value_bits:
                bits.append((held[0] & held[1]) ^ signs[0] ^ signs[1])
            else:
                bits.append((held[0] ^ signs[0]) & held[1])
        product = Signal(d.lanes, reset_less=True)
        m.d.sync += product.eq(Cat(bits))
        m.d.comb += sums.bits.eq(product)

    def _weights(self, m, bank: int, address, image):
        """A bank's word at `address` of 2 cycles ago, from memories of up to `DEEPEST` words."""
        d, depth = self.dense, self.params.slots * self.dense.tiles * self.dense.planes
        item = self.config.address[bits_for(d.streams.generators) :]
        chosen = self.config.en & (self.config.memory == Memory.SYNAPSE)
        chosen &= self.config.address[: bits_for(d.streams.generators)] == bank
        low = bits_for(self.DEEPEST)
        words = []
        for first in range(0, depth, self.DEEPEST):
            number = first // self.DEEPEST
            size = min(depth - first, self.DEEPEST)
            word, write = registered(
                m, f"weights_{bank}_{number}", address[: bits_for(size)], 1, depth=size,
                bits=d.bank_lanes, init=image[first : first + size],
            )  # fmt: skip
            words.append(word)
            m.d.comb += [
                write.addr.eq(item),
                write.data.eq(self.config.data),
                write.en.eq(chosen & (item[low:] == number)),
            ]
        if len(words) == 1:
            return words[0]
        high = address[low:]
        for _ in range(2):
            held = Signal.like(high, reset_less=True)
            m.d.sync += held.eq(high)
            high = held
        return Array(words)[high]
