"""The inputs of stochastic dendrites: events as bit planes, and a list of the tiles they touch."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.arithmetic import times
from hdl.memory import configure, registered, table
from hdl.neuron.ports import ConfigPort, event_layout
from hdl.params.dendrites import Memory
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.sc.dense import DenseParams

__all__ = ["DenseInput"]


class DenseInput(wiring.Component):
    """Stores each event's value in the bit planes of its column, until `forget`.

    The planes of a value, of tile after tile: code 0 .. p, sign, as of a weight
    (hdl/params/sc/dense.py), or the spike itself. A tile's first event since `forget` puts the tile
    on the list and zeroes its other columns. An event takes max(3, planes) cycles.

    Parameters
    ----------
    params : the core; its dendrites are `DenseParams`.
    config : signature of the configuration port.
    images : initial contents; Memory.POINTER is used.

    Members
    -------
    i, run, busy, config : as of all dendrites (hdl/neuron/ports.py).
    forget : pulse, no tile has events any more.
    count : tiles on the list.
    number, tile : the list's entry `number`, in the same cycle.
    address : for each bank, a plane: tile * planes + plane.
    words : these planes, 2 cycles later.
    """

    def __init__(self, params: CoreParams, config: ConfigPort, images=None):
        self.params, self.images = params, images or {}
        d: DenseParams = params.dendrites  # type: ignore[assignment]
        self.dense = d
        banks = d.streams.generators
        super().__init__(
            {
                "i": In(stream.Signature(event_layout(params))),
                "run": In(1),
                "busy": Out(1),
                "config": In(config),
                "forget": In(1),
                "count": Out(range(d.tiles + 1)),
                "number": In(bits_for(d.tiles)),
                "tile": Out(bits_for(d.tiles)),
                "address": In(bits_for(d.tiles * d.value_planes)).array(banks),
                "words": Out(d.bank_lanes).array(banks),
            }
        )

    def elaborate(self, platform):
        m = Module()
        d = self.dense
        planes = d.value_planes
        lane_bits, p = bits_for(d.lanes), d.streams.value_bits

        # Take an event, look its column up; `looked` a cycle later, and when it is there.
        hold = Signal(range(max(planes, 3)))
        looked, value = Signal(2), Signal.like(self.i.p.value)
        taken = self.i.valid & self.i.ready
        pointer, pointer_write = registered(
            m, "pointers", self.i.p.axon, 1, depth=self.params.axons, bits=d.column_bits + 1,
            init=self.images.get(Memory.POINTER),
        )  # fmt: skip
        configure(m, pointer_write, self.config, Memory.POINTER)
        m.d.comb += self.i.ready.eq(self.run & (hold == 0))
        m.d.sync += looked.eq(Cat(taken, looked))
        with m.If(taken):
            m.d.sync += [hold.eq(max(planes, 3) - 1), value.eq(self.i.p.value)]
        with m.Elif(hold != 0):
            m.d.sync += hold.eq(hold - 1)

        # Read, change and write plane after plane.
        column = Signal(d.column_bits)
        working, first = Signal(), Signal()
        address = Signal(bits_for(d.tiles * planes))
        left = Signal(range(planes))  # planes after this one
        bits = Signal(planes)
        tile, lane = column[lane_bits:], column[:lane_bits]
        with m.If(looked[1]):
            code = [1]
            if p:
                number = value[: p + 1].as_signed()
                magnitude = Mux(number < 0, -number, number)[: p + 1]
                full = magnitude[p]
                code = [magnitude[:p] | full.replicate(p), full, number < 0]
            m.d.sync += [
                column.eq(pointer[: d.column_bits]),
                working.eq(pointer[d.column_bits]),
                first.eq(1),
                left.eq(planes - 1),
                bits.eq(Cat(code)),
            ]
        with m.Elif(working):
            m.d.sync += [working.eq(left != 0), first.eq(0), left.eq(left - 1), bits.eq(bits >> 1)]
        start = times(tile, planes)
        following = Signal.like(address)
        m.d.comb += address.eq(Mux(first, start, following))
        m.d.sync += following.eq(address + 1)

        # The list. What stood in a tile that is not on it does not count.
        active = Signal(d.tiles)
        fresh = Signal()
        listed, listed_write = table(
            m, "list", depth=d.tiles, bits=max(bits_for(d.tiles), 1), domain="comb"
        )
        new = working & first & ~active.bit_select(tile, 1)
        m.d.comb += [
            listed.addr.eq(self.number),
            self.tile.eq(listed.data),
            listed_write.addr.eq(self.count),
            listed_write.data.eq(tile),
            listed_write.en.eq(new),
        ]
        with m.If(working & first):
            m.d.sync += [fresh.eq(new), active.bit_select(tile, 1).eq(1)]
        with m.If(new):
            m.d.sync += self.count.eq(self.count + 1)
        with m.If(self.forget):
            m.d.sync += [active.eq(0), self.count.eq(0)]

        # Lanes are decoded in two parts, so that a new bit takes one LUT: old, fresh, and both.
        low_bits = (lane_bits + 1) // 2
        write = [working]
        addresses, sets, lanes = [address], [bits[0]], [lane]
        for k in range(2):
            held = [
                Signal.like(v[-1], name=f"{n}_{k + 1}")
                for n, v in (("write", write), ("at", addresses), ("set", sets), ("lane", lanes))
            ]
            for source, register in zip((write, addresses, sets, lanes), held, strict=True):
                m.d.sync += register.eq(source[-1])
                source.append(register)
        low, high = Signal(1 << low_bits), Signal(1 << (lane_bits - low_bits))
        still_fresh = Signal()
        m.d.sync += [
            low.eq(1 << lanes[1][:low_bits]),
            high.eq(Mux(sets[1], 1 << lanes[1][low_bits:], 0)),
            still_fresh.eq(fresh),
        ]
        for bank in range(d.streams.generators):
            read = Signal.like(address, name=f"read_{bank}")
            m.d.comb += read.eq(Mux(working, address, self.address[bank]))
            old, port = registered(
                m, f"planes_{bank}", read, 1, depth=d.tiles * planes, bits=d.bank_lanes
            )
            changed = []
            for n in range(d.bank_lanes):
                k = bank * d.bank_lanes + n
                chosen = low[k % (1 << low_bits)] & high[k >> low_bits]
                changed.append((old[n] & ~still_fresh) | chosen)
            m.d.comb += [
                port.addr.eq(addresses[2]),
                port.data.eq(Cat(changed)),
                port.en.eq(write[2]),
                self.words[bank].eq(old),
            ]
        m.d.comb += self.busy.eq(looked.any() | working | write[1] | write[2])
        return m
