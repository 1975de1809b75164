"""The inputs of crossbar dendrites: events as bit planes of tiles."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import times
from hdl.crossbar.product import input_planes
from hdl.memory import configure, registered
from hdl.neuron.ports import ConfigPort, event_layout
from hdl.params.crossbar.core import CrossbarParams
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.sc.overlap import delayed

__all__ = ["EventPlanes"]


class EventPlanes(wiring.Component):
    """Stores each event's value in the bit planes of its tile, until `forget`.

    A tile's first event since `forget` sets its other rows to 0. An event takes max(3, planes)
    cycles.

    Parameters
    ----------
    params : the core; its dendrites are `CrossbarParams`.
    config : signature of the configuration port.
    images : initial contents; Memory.POINTER is used.

    Members
    -------
    i, run, busy, config : as of all dendrites (hdl/neuron/ports.py).
    forget : pulse, no tile has events any more.
    tile : what is looked at, while not `run`.
    some : whether it has events.
    plane, word : its planes, see `Product`.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        self.params, self.images = params, images or {}
        self.crossbar: CrossbarParams = params.dendrites  # type: ignore[assignment]
        self.planes = input_planes(self.crossbar.crossbar)
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(params))),
                "run": In(1),
                "busy": Out(1),
                "config": In(config),
                "forget": In(1),
                "tile": In(bits_for(self.crossbar.tiles)),
                "some": Out(1),
                "plane": In(bits_for(self.planes)),
                "word": Out(self.crossbar.crossbar.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        d, planes, p = self.crossbar, self.planes, self.crossbar.crossbar.value_bits
        rows = d.crossbar.rows
        row_bits = bits_for(rows)

        # Take an event, look its row up; `looked` a cycle later, and when it is there.
        hold = Signal(range(max(planes, 3)))
        taken = self.i.valid & self.i.ready
        looked = delayed(m, taken, 2, "looked")
        value = Signal.like(self.i.p.value)
        pointer, pointer_write = registered(
            m, "pointers", self.i.p.axon, 1, depth=self.params.axons, bits=d.pointer_bits,
            init=self.images.get(Memory.POINTER),
        )  # fmt: skip
        configure(m, pointer_write, self.config, Memory.POINTER)
        m.d.comb += self.i.ready.eq(self.run & (hold == 0))
        with m.If(taken):
            m.d.sync += [hold.eq(max(planes, 3) - 1), value.eq(self.i.p.value)]
        with m.Elif(hold != 0):
            m.d.sync += hold.eq(hold - 1)

        # Read, change and write plane after plane.
        place = Signal(d.pointer_bits - 1)
        row, tile = place[:row_bits], place[row_bits:]
        working, first = Signal(), Signal()
        left, bits = Signal(range(planes)), Signal(planes)
        with m.If(looked[2]):
            code = Signal(planes)
            m.d.comb += code.eq(1)
            if p:
                size = Signal(p)
                m.d.comb += [size.eq(Mux(value < 0, -value, value)), code.eq(Cat(size, value < 0))]
            m.d.sync += [
                place.eq(pointer[:-1]),
                working.eq(pointer[-1]),
                first.eq(1),
                left.eq(planes - 1),
                bits.eq(code),
            ]
        with m.Elif(working):
            m.d.sync += [working.eq(left != 0), first.eq(0), left.eq(left - 1), bits.eq(bits >> 1)]
        address = Signal(bits_for(d.tiles * planes))
        following = Signal.like(address)
        m.d.comb += address.eq(Mux(first, times(tile, planes), following))
        m.d.sync += following.eq(address + 1)

        # What stood in a tile that has no events does not count.
        active, fresh = Signal(d.tiles), Signal()
        with m.If(working & first):
            m.d.sync += [
                fresh.eq(~active.bit_select(tile, 1)),
                active.bit_select(tile, 1).eq(1),
            ]
        with m.If(self.forget):
            m.d.sync += active.eq(0)
        m.d.comb += self.some.eq(active.bit_select(self.tile, 1))

        # Rows are decoded in two parts, so that a new bit takes one LUT: old, fresh, and both.
        low_bits = (row_bits + 1) // 2
        write, at = delayed(m, working, 2, "write"), delayed(m, address, 2, "at")
        row_1, bit_1 = delayed(m, row, 1, "row")[1], delayed(m, bits[0], 1, "bit")[1]
        low, high = Signal(1 << low_bits), Signal(1 << (row_bits - low_bits))
        still_fresh = Signal()
        m.d.sync += [
            low.eq(1 << row_1[:low_bits]),
            high.eq(Mux(bit_1, 1 << row_1[low_bits:], 0)),
            still_fresh.eq(fresh),
        ]
        base = Signal.like(address, name="base")
        m.d.sync += base.eq(times(self.tile, planes))
        read = Mux(working, address, (base + self.plane)[: len(address)])
        old, port = registered(m, "planes", read, 1, depth=d.tiles * planes, bits=rows)
        m.d.comb += [
            port.addr.eq(at[2]),
            port.data.eq(
                Cat(
                    (old[r] & ~still_fresh) | (low[r % (1 << low_bits)] & high[r >> low_bits])
                    for r in range(rows)
                )
            ),
            port.en.eq(write[2]),
            self.word.eq(old),
            self.busy.eq(Cat(looked[1:], write).any()),
        ]
        return m
