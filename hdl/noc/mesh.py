"""The mesh: tiles of core, network interface and router, and the step barrier's wires."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import event_layout, step_signature
from hdl.noc.interface import NetworkInterface, config_port
from hdl.noc.router import Router, flit_layout
from hdl.params.noc import InterfaceParams, MeshParams, RouterParams
from hdl.queue import Queue

__all__ = ["Mesh"]


class Mesh(wiring.Component):
    """Cores on a rectangle of routers.

    With `params.fifo` a queue of that many events stands between each interface and its core: a
    core in its update, or busy with long rows, then holds up no link until its queue is full.

    The barrier: every tile's `idle` passes one register at the tile and one behind the AND of
    its row, so that all flags that meet are of the same cycle: `all_idle` shows the state of
    2 cycles ago. The step broadcast passes one register, the same for all tiles.

    Parameters
    ----------
    params : the tiles.
    images : per tile the initial contents of its memories, or None.

    Members
    -------
    i_flit, o_flit : the host's side of the router at (0, 0).
    step : step broadcast.
    all_idle : level, all tiles rested `idle_delay` cycles after the last flit or step went in.
    """

    #: Cycles from a step or flit entering the mesh until `all_idle` shows it at the latest.
    idle_delay = 4

    def __init__(self, params: MeshParams, images=None):
        self.params = params
        self.images = images or [None] * len(params.cores)
        flit = stream.Signature(flit_layout(params.flit))
        super().__init__(
            {
                "i_flit": In(flit),
                "o_flit": Out(flit),
                "step": In(step_signature(params.levels)),
                "all_idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        flit = self.params.flit
        step = Signal.like(Cat(self.step.start, self.step.clear, self.step.mask))
        m.d.sync += step.eq(Cat(self.step.start, self.step.clear, self.step.mask))

        routers, row_idle = {}, []
        for y in range(flit.height):
            tile_idle = []
            for x in range(flit.width):
                router = Router(RouterParams(flit=flit, x=x, y=y))
                m.submodules[f"router_{x}_{y}"] = routers[x, y] = router
                idle = [router.idle, *self._tile(m, x, y, router, step)]
                held = Signal(name=f"idle_{x}_{y}")
                m.d.sync += held.eq(Cat(idle).all())
                tile_idle.append(held)
            held = Signal(name=f"idle_row_{y}")
            m.d.sync += held.eq(Cat(tile_idle).all())
            row_idle.append(held)
        m.d.comb += self.all_idle.eq(Cat(row_idle).all())

        for (x, y), router in routers.items():
            if x + 1 < flit.width:
                self.link(m, router.o_east, routers[x + 1, y].i_west)
                self.link(m, routers[x + 1, y].o_west, router.i_east)
            if y + 1 < flit.height:
                self.link(m, router.o_north, routers[x, y + 1].i_south)
                self.link(m, routers[x, y + 1].o_south, router.i_north)
        connect(m, flipped(self.i_flit), routers[0, 0].i_south)
        connect(m, routers[0, 0].o_south, flipped(self.o_flit))
        return m

    def _tile(self, m, x, y, router, step):
        """Builds the tile's core and interface; returns their idle flags."""
        p, flit = self.params, self.params.flit
        number = y * flit.width + x
        core_params, images = p.cores[number], self.images[number]
        if core_params is None:
            m.d.comb += router.o_local.ready.eq(1)
            return []
        core = NeuronCore(core_params, config_port(core_params, flit), images)
        interface = NetworkInterface(
            InterfaceParams(flit=flit, entries=p.entries[number]),
            core_params,
            images,
        )
        m.submodules[f"core_{x}_{y}"] = core
        m.submodules[f"interface_{x}_{y}"] = interface
        self.link(m, router.o_local, interface.i_flit)
        self.link(m, interface.o_flit, router.i_local)
        idle = [core.idle, interface.idle]
        if depth := self.fifo(number):
            queue = Queue(event_layout(core_params), depth=depth)
            m.submodules[f"queue_{x}_{y}"] = queue
            self.link(m, interface.o_event, queue.i)
            self.link(m, queue.o, core.i)
            idle.append(queue.idle)
        else:
            self.link(m, interface.o_event, core.i)
        self.link(m, core.o, interface.i_event)
        connect(m, interface.config, core.config)
        m.d.comb += [
            Cat(core.step.start, core.step.clear, core.step.mask).eq(step),
            core.probe_slot.eq(interface.probe_slot),
            interface.probe.eq(core.probe),
            interface.core_idle.eq(core.idle),
        ]
        return idle

    def fifo(self, tile: int) -> int:
        """Events queued in front of a core; a test bench may mix depths."""
        return self.params.fifo

    def link(self, m, source, sink) -> None:
        """Connects two streams inside the mesh; a test bench may put stalls between them."""
        connect(m, source, sink)
