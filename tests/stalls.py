"""A fabric that stalls at random on every stream inside it: links, interfaces, cores."""

import random

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hdl.fabric import Fabric
from hdl.noc.mesh import Mesh

__all__ = ["StallingFabric"]


class Stall(wiring.Component):
    """Lets a stream pass in about half of the cycles; a word once offered stays offered."""

    def __init__(self, signature, seed: int):
        self.seed = seed
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform):
        m = Module()
        lfsr = Signal(16, init=self.seed)  # x^16 + x^14 + x^13 + x^11 + 1
        m.d.sync += lfsr.eq((lfsr << 1) | (lfsr[15] ^ lfsr[13] ^ lfsr[12] ^ lfsr[10]))
        offered, is_open = Signal(), Signal()
        m.d.sync += offered.eq(self.o.valid & ~self.o.ready)
        m.d.comb += [
            is_open.eq(lfsr[0] | offered),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & is_open),
            self.i.ready.eq(self.o.ready & is_open),
        ]
        return m


class StallingMesh(Mesh):
    """A mesh with a `Stall` on every stream."""

    def elaborate(self, platform):
        self.draw = random.Random("stalls")
        return super().elaborate(platform)

    def link(self, m, source, sink):
        stall = Stall(source.signature, self.draw.randrange(1, 1 << 16))
        m.submodules += stall
        connect(m, source, stall.i)
        connect(m, stall.o, sink)


class StallingFabric(Fabric):
    """A fabric with a stalling mesh."""

    mesh_class = StallingMesh
