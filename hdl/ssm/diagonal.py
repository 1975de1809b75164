"""Dendrites of a core whose neurons are driven by diagonal state-space recurrences."""

from types import SimpleNamespace

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hdl.memory import configure, registered
from hdl.neuron.ports import ConfigPort, dendrites_signature
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.sc.lfsr import TAPS
from hdl.params.ssm.diagonal import DiagonalParams
from hdl.sc.lfsr import advanced
from hdl.sc.overlap import delayed
from hdl.sc.rom import rom
from hdl.ssm.held import HeldInputs
from hdl.ssm.mix import Mix
from hdl.ssm.queue import SumQueue
from hdl.ssm.recurrence import Recurrence, register

__all__ = ["DiagonalDendrites"]

#: Cycles from a word's address to its old states, and to the new ones.
OLD, NEW = 2, 2 + Recurrence.latency


class DiagonalDendrites(wiring.Component):
    """The recurrence of hdl/params/ssm/diagonal.py for all slots, a word of states a cycle.

    Where complex states are neurons, a slot is one part of a state and takes a cycle. A clear is
    an update whose new states are 0. Sums wait in a queue; while it is full, the update does.

    Parameters
    ----------
    params : the core; its `dendrites` are DiagonalParams.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members: see `dendrites_signature`.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        if not isinstance(params.dendrites, DiagonalParams):
            raise TypeError(f"dendrites must be DiagonalParams, not {params.dendrites!r}")
        self.params, self.hardware, self.images = params, params.dendrites, images or {}
        self.config_signature = config
        self.depth = self.hardware.state_words(params.slots)
        super().__init__(dendrites_signature(params, config))

    def elaborate(self, platform):
        m = Module()
        p, h, d = self.params, self.hardware, self.hardware.diagonal
        m.submodules.inputs = inputs = HeldInputs(
            p, self.config_signature, self.images, value_bits=d.value_bits, held=d.held
        )
        connect(m, flipped(self.i), inputs.i)
        connect(m, flipped(self.config), inputs.config)
        m.d.comb += [inputs.run.eq(self.run), self.busy.eq(inputs.busy)]

        # Walk over the words of all slots. Delays count from the cycle of a word's address.
        serial = d.neurons == 2
        walking, clearing, go = Signal(), Signal(), Signal()
        place, slot = Signal(bits_for(h.words)), Signal(bits_for(p.slots))
        last = place == h.words - 1
        word = Cat(place, slot[1:] if serial else slot)
        begin = self.start | self.clear
        with m.If(go):
            m.d.sync += place.eq(Mux(last, 0, place + 1))
            with m.If(last):
                m.d.sync += [slot.eq(slot + 1), walking.eq(slot != p.slots - 1)]
        if h.words & (h.words - 1):
            word = Signal(bits_for(self.depth))
            with m.If(go):
                m.d.sync += word.eq(word + 1)
            with m.If(begin):
                m.d.sync += word.eq(0)
        with m.If(begin):
            m.d.sync += [walking.eq(1), clearing.eq(self.clear), place.eq(0), slot.eq(0)]
        words, part = delayed(m, word, NEW, "word"), delayed(m, slot[:1], NEW, "part")
        passing, ending = delayed(m, go, NEW, "passing"), delayed(m, go & last, NEW, "ending")

        # Old states and coefficients. The host reads and writes states: `loaded` is an enable for
        # each lane.
        loaded, load_word, item, index = self._loads(m, inputs)
        low = bits_for(h.lanes)
        m.d.comb += [
            inputs.slot.eq(Mux(walking, slot, index)),
            inputs.forget.eq(go & last & (clearing | (not d.held))),
        ]
        states, write = registered(
            m, "states", Mux(walking, word, self.probe_index[low:]), 1, depth=self.depth,
            bits=h.state_bits, parts=h.lanes,
            init=[draw << d.parts * d.state_bits for draw in h.draws],
        )  # fmt: skip
        mix_bits = d.parts * d.mix_bits if d.mixed else 0
        pole_bits = h.coefficient_bits - mix_bits
        poles = self._coefficients(m, "poles", word, 0, pole_bits)

        # New states.
        new, written = [], []
        if d.stochastic:
            rows = [h.draws[k : k + h.lanes] for k in range(0, len(h.draws), h.lanes)]
            seeds = [sum(draw << 32 * k for k, draw in enumerate(row)) for row in rows]
            draws = rom(m, "draws", words[NEW - 3], 1, seeds, 32 * h.lanes)
        for lane in range(h.lanes):
            m.submodules[f"recurrence_{lane}"] = recurrence = Recurrence(d)
            state = states.word_select(lane, h.state_bits)
            m.d.comb += [
                recurrence.state.eq(state),
                recurrence.pole.eq(poles.word_select(lane, pole_bits)),
                recurrence.value.eq(inputs.values),
                recurrence.part.eq(part[OLD]),
                recurrence.clear.eq(clearing),
            ]
            new.append(recurrence.new)
            both = recurrence.new
            if serial:
                real = Signal(d.state_bits, reset_less=True)
                with m.If(passing[NEW]):
                    m.d.sync += real.eq(recurrence.new)
                both = Cat(real, both)
            if d.stochastic:
                following = delayed(m, advanced(state[-32:], TAPS[32], 32), 3, f"following_{lane}")[
                    3
                ]
                first = draws.word_select(lane, 32)
                both = Cat(both, register(m, f"draw_{lane}", Mux(clearing, first, following)))
            written.append(Mux(loaded.any(), item[: h.state_bits], both))
        ends = passing[NEW] & part[NEW] if serial else passing[NEW]
        m.d.comb += [
            write.addr.eq(Mux(loaded.any(), load_word, words[NEW])),
            write.en.eq(loaded | ends.replicate(h.lanes)),
            write.data.eq(Cat(written)),
        ]

        # Sums.
        acc, done, latency = new[0].as_signed(), ending[NEW], NEW
        if d.mixed:
            m.submodules.mix = mix = Mix(h)
            mixes = self._coefficients(m, "mixes", words[NEW - 2], pole_bits, mix_bits)
            m.d.comb += [
                mix.states.eq(Cat(new)),
                mix.mix.eq(mixes),
                mix.valid.eq(passing[NEW]),
                mix.last.eq(ending[NEW]),
            ]
            acc, done, latency = mix.acc, mix.done, NEW + mix.latency
        m.submodules.queue = queue = SumQueue(len(acc), latency)
        m.d.comb += [
            go.eq(walking & queue.room),
            queue.begin.eq(go & last),
            queue.done.eq(done),
            queue.acc.eq(acc),
            queue.take.eq(self.take),
            self.ready.eq(queue.ready),
            self.sums[0].eq(queue.sum.as_signed()),
        ]
        self._probe(m, states, inputs.values)
        return m

    def _coefficients(self, m, name, word, low, bits):
        """A memory of the bits from `low` on of the items of Memory.SYNAPSE."""
        h, c = self.hardware, self.config
        items = [item >> low & ((1 << bits) - 1) for item in self.images.get(Memory.SYNAPSE, [])]
        found, write = registered(
            m, name, word, 1, depth=self.depth, bits=bits, parts=h.lanes, init=items
        )
        config = SimpleNamespace(en=c.en, memory=c.memory, address=c.address, data=c.data[low:])
        configure(m, write, config, Memory.SYNAPSE, h.lanes)
        return found

    def _loads(self, m, inputs):
        """What is written to Memory.STATE, a cycle later.

        Returns enables of the lanes of a word of states, that word, the item, and the slot whose
        inputs are to be seen from outside.
        """
        p, h, c = self.params, self.hardware, self.config
        low, count = bits_for(h.lanes), self.depth * h.lanes
        width = bits_for(p.dendrites.state_items(p.slots))
        index = register(m, "load_index", (c.address - p.slots)[:width])
        item = register(m, "load_item", c.data[: h.item_bits])
        loading = Signal()
        m.d.sync += loading.eq(c.en & (c.memory == Memory.STATE) & (c.address >= p.slots))
        slot = Const(0, 1)
        if h.diagonal.held:
            ours = index < count
            slot = Mux(loading, index, self.probe_index) - count
            m.d.comb += [inputs.load.eq(loading & ~ours), inputs.word.eq(item)]
            loading &= ours
        loaded = Cat(loading & (index[:low] == k) for k in range(h.lanes))
        return loaded, index[low:], item, slot

    def _probe(self, m, states, values):
        """The state of 2 cycles ago."""
        h = self.hardware
        low = bits_for(h.lanes)
        lane = delayed(m, self.probe_index[:low], 2, "lane")[2]
        found = Array(states.word_select(k, h.state_bits) for k in range(h.lanes))[lane]
        if h.diagonal.held:
            inner = delayed(m, self.probe_index < self.depth * h.lanes, 2, "inner")[2]
            found = Mux(inner, found, values)
        m.d.comb += self.probe.eq(found)
