"""The network interface between a core and its router."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.memory import table
from hdl.neuron.ports import ConfigPort, emission_layout, event_layout
from hdl.noc.router import flit_layout
from hdl.params.neuron import CoreParams, bits_for
from hdl.params.noc import ConfigOp, FlitParams, InterfaceParams, Memory

__all__ = ["NetworkInterface", "config_port"]


def item_bits(core: CoreParams, flit: FlitParams) -> dict[Memory, int]:
    """Width of one item of each memory that can be written."""
    widths = {memory: bits for memory, (_, bits) in core.items.items()}
    return widths | {Memory.ROUTE: flit.route_bits, Memory.STATE: core.probe_bits}


def config_port(core: CoreParams, flit: FlitParams) -> ConfigPort:
    """The configuration port that reaches all memories of a core."""
    return ConfigPort(flit.chunk_bits - 3, max(item_bits(core, flit).values()))


class NetworkInterface(wiring.Component):
    """Gives a core's events their routes, its own events to the core, and obeys configuration.

    A neuron's event leaves as one flit per route entry of its slot. Throughput one flit a cycle,
    latency 2 cycles. Flits for the core pass straight through to it.

    Configuration (hdl.params.noc.ConfigOp) takes a cycle a flit. A READ is answered once the core
    is idle; send it after a STEP with an empty mask.

    Parameters
    ----------
    params : flit layout and the size of the route table.
    core : the core behind this interface.
    images : initial memory contents; only Memory.ROUTE is used here.

    Members
    -------
    i_flit, o_flit : from and to the router's local port.
    o_event, i_event : to and from the core.
    config : to the core's memories.
    probe_slot, probe : the core's probe port; its state shows while `core_idle`.
    idle : level, nothing is stored here.
    """

    def __init__(self, params: InterfaceParams, core: CoreParams, images=None):
        self.params = params
        self.core = core
        self.images = images or {}
        flit = stream.Signature(flit_layout(params.flit))
        super().__init__(
            {
                "i_flit": In(flit),
                "o_flit": Out(flit),
                "o_event": Out(stream.Signature(event_layout(core))),
                "i_event": In(stream.Signature(emission_layout(core))),
                "config": Out(config_port(core, params.flit)),
                "probe_slot": Out(bits_for(core.state_items)),
                "probe": In(core.probe_bits),
                "core_idle": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        p, flit = self.params, self.params.flit
        reply_valid = Signal()
        reply_ready = Signal()
        reply = Signal(flit.chunk_bits)
        reading = Signal()
        self._receive(m, reading, reply_valid, reply_ready, reply)

        # Send: look up the route of (slot, entry), then the next entry unless it was the last.
        routes, route_write = table(
            m, "routes", depth=self.core.slots * p.entries, bits=flit.route_bits,
            init=self.images.get(Memory.ROUTE),
        )  # fmt: skip
        m.d.comb += [
            route_write.addr.eq(self.config.address),
            route_write.data.eq(self.config.data),
            route_write.en.eq(self.config.en & (self.config.memory == Memory.ROUTE)),
        ]
        looked_up = Signal()
        value = Signal.like(self.i_event.p.value)
        route = Signal(flit.route_bits)
        m.d.comb += route.eq(routes.data)
        at = flit.tag_bits + flit.rows_bits + flit.columns_bits
        tag, rows = route[: flit.tag_bits], route[flit.tag_bits :][: flit.rows_bits]
        columns = route[flit.tag_bits + flit.rows_bits : at]
        last, valid = route[at], route[at + 1]

        out_ready = ~self.o_flit.valid | self.o_flit.ready
        sent = ~looked_up | out_ready  # the route that was looked up moves on
        m.d.comb += routes.en.eq(sent)
        if p.entries == 1:
            m.d.comb += [routes.addr.eq(self.i_event.p.slot), self.i_event.ready.eq(sent)]
            with m.If(sent):
                m.d.sync += [looked_up.eq(self.i_event.valid), value.eq(self.i_event.p.value)]
        else:
            following = Signal()  # the route now looked up is not its slot's last
            slot = Signal.like(self.i_event.p.slot)
            entry = Signal(range(p.entries))
            m.d.comb += following.eq(looked_up & ~last & (entry != p.entries - 1))
            next_slot = Mux(following, slot, self.i_event.p.slot)
            next_entry = Mux(following, entry + 1, 0)
            m.d.comb += [
                routes.addr.eq(next_slot * p.entries + next_entry),
                self.i_event.ready.eq(sent & ~following),
            ]
            with m.If(sent):
                m.d.sync += [looked_up.eq(self.i_event.valid | following), entry.eq(next_entry)]
                with m.If(~following):
                    m.d.sync += [slot.eq(self.i_event.p.slot), value.eq(self.i_event.p.value)]
        out = self.o_flit.p
        # Not when the router just takes a flit: its ready may depend on this interface's.
        m.d.comb += reply_ready.eq(~self.o_flit.valid & ~looked_up)
        with m.If(out_ready):
            m.d.sync += self.o_flit.valid.eq((looked_up & valid) | (reply_valid & reply_ready))
            with m.If(looked_up):
                m.d.sync += [
                    out.body.eq(Cat(value, tag)),
                    out.kind.eq(0),
                    out.rows.eq(rows),
                    out.columns.eq(columns),
                ]
            with m.Else():
                m.d.sync += [out.body.eq(reply), out.kind.eq(1), out.rows.eq(1), out.columns.eq(1)]
        m.d.comb += self.idle.eq(
            ~(self.i_flit.valid | looked_up | self.i_event.valid | self.o_flit.valid | reading)
        )
        return m

    def _receive(self, m, reading, reply_valid, reply_ready, reply) -> None:
        """Events pass to the core; configuration is carried out."""
        flit, core = self.params.flit, self.core
        body = self.i_flit.p.body
        is_config = self.i_flit.p.kind
        op, chunk = body[:2], body[2:]
        config = self.config
        event = self.i_flit.valid & ~is_config
        m.d.comb += [
            self.o_event.valid.eq(event),
            self.o_event.p.value.eq(body[: flit.value_bits]),
            self.o_event.p.axon.eq(body[flit.value_bits :]),
        ]

        # An item comes in one or more chunks, lowest first; it is written in the cycle after the
        # last, from registers: many memories hang on these wires.
        size = flit.chunk_bits
        most = -(-len(config.data) // size)
        staged = Signal(most * size)
        memory = Signal(3)
        address = Signal(len(config.address))
        complete = Signal()
        doing = self.i_flit.valid & is_config
        with m.If(doing & ((op == ConfigOp.SHIFT) | (op == ConfigOp.COMMIT))):
            m.d.sync += staged.eq(Cat(staged, chunk)[size:])
        m.d.sync += complete.eq(doing & (op == ConfigOp.COMMIT))
        with m.Switch(memory):
            for which, bits in item_bits(core, flit).items():
                with m.Case(which):
                    m.d.comb += config.data.eq(staged[(most - max(-(-bits // size), 1)) * size :])
        m.d.comb += [
            config.en.eq(complete),
            config.memory.eq(memory),
            config.address.eq(address),
            self.probe_slot.eq(address),
        ]
        with m.If(complete):
            m.d.sync += address.eq(address + 1)
        with m.If(doing & (op == ConfigOp.SELECT)):
            m.d.sync += [memory.eq(chunk), address.eq(chunk[3:])]

        # Replies of a READ go out while flits keep coming in. A probe takes 3 cycles.
        chunks = -(-core.probe_bits // size)
        items = Signal(size)
        waited = Signal(2)
        number = Signal(range(chunks))
        for k in range(chunks):
            with m.If(number == k):
                m.d.comb += reply.eq(self.probe[k * size : (k + 1) * size])
        m.d.comb += [
            self.i_flit.ready.eq(is_config | self.o_event.ready),
            reply_valid.eq((items != 0) & (waited == 3) & self.core_idle),
            reading.eq(items != 0),
        ]
        with m.If(doing & (op == ConfigOp.READ)):
            m.d.sync += items.eq(chunk)
        with m.Elif(reply_valid & reply_ready):
            m.d.sync += number.eq(number + 1)
            with m.If(number == chunks - 1):
                m.d.sync += [
                    number.eq(0),
                    items.eq(items - 1),
                    address.eq(address + 1),
                    waited.eq(0),
                ]
        with m.Elif(~self.core_idle):
            m.d.sync += waited.eq(0)
        with m.Elif((items != 0) & (waited != 3)):
            m.d.sync += waited.eq(waited + 1)
