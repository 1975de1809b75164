"""Dendrites of a core whose neurons are driven by an emulated crossbar."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hdl.crossbar.array import Array
from hdl.crossbar.input import EventPlanes
from hdl.crossbar.product import READING, Product
from hdl.memory import registered
from hdl.neuron.ports import ConfigPort, dendrites_signature
from hdl.params.crossbar.array import ArrayMemory
from hdl.params.crossbar.core import CrossbarParams, Region
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams

__all__ = ["CrossbarDendrites"]

#: The array's memories that control words go to.
REGIONS = {
    Region.AGE: ArrayMemory.AGE,
    Region.STATE: ArrayMemory.STATE,
    Region.REFERENCE: ArrayMemory.REFERENCE,
}


class CrossbarDendrites(wiring.Component):
    """Each slot's sum by reads of the banks of its block (hdl/params/crossbar/dendrites.py).

    Blocks are read one after the other, of each the tiles that have events: a read takes what the
    array takes (hdl/crossbar/array.py), and its conversions, neurons * width cycles, go on while
    the next read of the block does. Then the block's sums are there to be taken. A tile without
    events costs a cycle. A clear restarts the array's generators, or has it compute what the
    devices conduct first.

    Parameters
    ----------
    params : the core; its `dendrites` are CrossbarParams.
    config : signature of the configuration port.
    images : initial contents by Memory; missing ones are zero.

    Members: see `dendrites_signature`.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        if not isinstance(params.dendrites, CrossbarParams):
            raise TypeError(f"dendrites must be CrossbarParams, not {params.dendrites!r}")
        self.params, self.crossbar, self.images = params, params.dendrites, images or {}
        self.config_signature = config
        super().__init__(dendrites_signature(params, config))

    def elaborate(self, platform):
        m = Module()
        p, d, c = self.params, self.crossbar, self.crossbar.crossbar
        m.submodules.input = events = EventPlanes(p, self.config_signature, self.images)
        m.submodules.array = array = Array(d.array, self._array_images(), trims=False)
        m.submodules.product = product = Product(d.array, c)
        connect(m, flipped(self.i), events.i)
        connect(m, flipped(self.config), events.config)
        for name in READING:
            here, there = getattr(product.array, name), getattr(array, name)
            m.d.comb += here.eq(there) if name in ("ready", "code") else there.eq(here)
        stale = self._configure(m, array, product)

        tile, block = Signal.like(events.tile), Signal.like(product.block)
        bank, place = Signal.like(product.bank), Signal.like(product.place)
        sweeping = Signal()  # a clear
        final = self.take & (self.group == p.slots - 1)
        m.d.comb += [
            events.run.eq(self.run),
            events.tile.eq(tile),
            events.plane.eq(product.plane),
            events.forget.eq(final),
            product.word.eq(events.word),
            product.bank.eq(bank),
            product.block.eq(block),
            product.place.eq(place),
            self.busy.eq(events.busy),
            self.sums[0].eq(product.acc >> c.fraction),
        ]
        with m.FSM():
            with m.State("Rest"):
                m.d.comb += product.fresh.eq(self.start)
                m.d.sync += [tile.eq(0), block.eq(0), bank.eq(0), place.eq(0)]
                m.d.sync += sweeping.eq(self.clear)
                with m.If(self.start):
                    m.next = "Tile"
                with m.If(self.clear):
                    m.next = "Restart"
            with m.State("Restart"):
                m.d.comb += [
                    array.age.eq(array.ready & stale),
                    array.restart.eq(array.ready & ~stale),
                ]
                with m.If(array.ready):
                    m.d.sync += stale.eq(0)
                    m.next = "Settle"
            with m.State("Settle"), m.If(array.ready):
                m.next = "Sums"
            with m.State("Tile"):
                m.d.comb += product.start.eq(events.some & product.ready)
                with m.If(product.start):
                    m.next = "Read"
                with m.Elif(~events.some):
                    self._advance(m, tile, bank)
            with m.State("Read"), m.If(product.ready):
                self._advance(m, tile, bank)
            with m.State("Drain"), m.If(~product.busy):
                m.next = "Sums"
            with m.State("Sums"):
                m.d.comb += self.ready.eq(1)
                with m.If(self.take):
                    m.d.sync += place.eq(Mux(place == c.neurons - 1, 0, place + 1))
                    with m.If((place == c.neurons - 1) & ~sweeping):
                        m.d.comb += product.fresh.eq(1)
                        m.d.sync += block.eq(block + 1)
                        m.next = "Tile"
                    with m.If(final):
                        m.next = "Rest"
        return m

    def _advance(self, m, tile, bank):
        """To the next tile, or behind the last one to the sums."""
        m.d.sync += [tile.eq(tile + 1), bank.eq(bank + 1)]
        m.next = "Tile"
        with m.If(tile == self.crossbar.tiles - 1):
            m.d.sync += tile.eq(0)
            m.next = "Drain"

    def _image(self, region: Region) -> list[int]:
        """A region of Memory.CONTROL."""
        first = region << self.crossbar.region_bits
        return self.images.get(Memory.CONTROL, [])[first : first + self.crossbar.regions[region][0]]

    def _array_images(self) -> dict[ArrayMemory, list[int]]:
        images = {memory: self._image(region) for region, memory in REGIONS.items()}
        images[ArrayMemory.CELL] = self.images.get(Memory.SYNAPSE, [])
        return {memory: items for memory, items in images.items() if items}

    def _configure(self, m, array, product):
        """The product's memories, and what is written to the array's, a cycle later. Returns: what
        the devices conduct is not known yet."""
        d, config = self.crossbar, self.config
        region, index = config.address[d.region_bits :][:3], config.address[: d.region_bits]
        control = config.en & (config.memory == Memory.CONTROL)
        for name, which, address, into in (
            ("columns", Region.COLUMN, product.logical, product.physical),
            ("factors", Region.FACTOR, product.factor_at, product.factor),
        ):
            depth, bits = d.regions[which]
            word, write = registered(
                m, name, address, 1, depth=depth, bits=max(bits, 1), init=self._image(which)
            )
            m.d.comb += [
                into.eq(word),
                write.addr.eq(index),
                write.data.eq(config.data),
                write.en.eq(control & (region == which)),
            ]
        cell = config.en & (config.memory == Memory.SYNAPSE)
        memory = Signal.like(array.config.memory)
        with m.Switch(region):
            for which, number in REGIONS.items():
                with m.Case(which):
                    m.d.comb += memory.eq(number)
        m.d.sync += [
            array.config.en.eq(cell | (control & (region <= Region.REFERENCE))),
            array.config.memory.eq(Mux(cell, ArrayMemory.CELL, memory)),
            array.config.address.eq(Mux(cell, config.address, index)),
            array.config.data.eq(config.data),
        ]
        stale = Signal(init=1)
        with m.If(cell | (control & (region <= Region.STATE))):
            m.d.sync += stale.eq(1)
        return stale
