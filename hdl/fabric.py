"""The fabric: a mesh of cores behind a host port."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.host.port import HostPort
from hdl.noc.mesh import Mesh
from hdl.params.host import HostParams
from hdl.params.noc import MeshParams

__all__ = ["Fabric"]


class Fabric(wiring.Component):
    """What `nervure compile` builds: host words in, host words out (hdl/params/host.py).

    Parameters
    ----------
    mesh, host : the tiles and the host's words.
    images : per tile the initial contents of its memories, or None.

    Members
    -------
    i, o : words from and to the host.
    """

    mesh_class = Mesh

    def __init__(self, mesh: MeshParams, host: HostParams, images=None):
        self.mesh, self.host, self.images = mesh, host, images
        word = stream.Signature(host.word_bits)
        super().__init__({"i": In(word), "o": Out(word)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.mesh = mesh = self.mesh_class(self.mesh, self.images)
        m.submodules.host = host = HostPort(self.host, delay=Mesh.idle_delay)
        connect(m, flipped(self.i), host.i)
        connect(m, host.o, flipped(self.o))
        connect(m, host.o_flit, mesh.i_flit)
        connect(m, mesh.o_flit, host.i_flit)
        connect(m, host.step, mesh.step)
        m.d.comb += host.all_idle.eq(mesh.all_idle)
        return m
