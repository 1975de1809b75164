# amaranth: UnusedElaboratable=no
"""Events that reach each core, counted in the RTL and told by golden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from codesign.activity import observed
from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.noc.mesh import Mesh
from mapping.mapped import Mapped
from sim import protocol
from sim.golden.network import Golden
from sim.verilated import StopOn, Verilated

__all__ = ["Counted", "expected", "reach"]

BITS = 32


class CountingMesh(Mesh):
    """A mesh that counts the events that its cores take; `arrived` holds a count for each tile."""

    def __init__(self, params, images=None):
        super().__init__(params, images)
        self.arrived = [Signal(BITS, name=f"arrived_{k}") for k in range(len(params.cores))]

    def _tile(self, m, x, y, router, step):
        self.tile = y * self.params.flit.width + x
        return super()._tile(m, x, y, router, step)

    def link(self, m, source, sink):
        super().link(m, source, sink)
        if "axon" in getattr(source.payload.shape(), "members", ()):
            count = self.arrived[self.tile]
            with m.If(sink.valid & sink.ready):
                m.d.sync += count.eq(count + 1)


class CountingFabric(Fabric):
    mesh_class = CountingMesh


class Top(wiring.Component):
    """A fabric whose counts leave the chip."""

    def __init__(self, mapped: Mapped):
        self.fabric = CountingFabric(mapped.mesh, mapped.host, mapped.images)
        ports = dict(self.fabric.signature.members)
        super().__init__(ports | {"arrived": Out(BITS * len(mapped.mesh.cores))})

    def elaborate(self, platform):
        m = Module()
        inner = self.fabric.elaborate(platform)
        m.submodules.fabric = inner
        connect(m, self.fabric.o, flipped(self.o))
        connect(m, flipped(self.i), self.fabric.i)
        m.d.comb += self.arrived.eq(Cat(inner.submodules.mesh.arrived))
        return m


class Counted:
    """The fabric with counters, compiled.

    Parameters
    ----------
    mapped : the design.
    folder : where its Verilog goes.
    """

    def __init__(self, mapped: Mapped, folder: Path) -> None:
        self.mapped = mapped
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in emit_verilog(Top(mapped), "counted").items():
            (folder / name).write_text(text)
        files = sorted(folder.iterdir())
        self.built = Verilated.build(
            [f for f in files if f.suffix == ".v"], "counted", optimise=False,
            data_files=[f for f in files if f.suffix == ".mem"],
        )  # fmt: skip

    def run(self, inputs: np.ndarray, **stalls) -> tuple[np.ndarray, np.ndarray]:
        """(outputs [samples, steps, outputs], events that each tile's core took [samples, tiles]).

        Every sample starts from a clear.
        """
        mapped, (samples, steps) = self.mapped, inputs.shape[:2]
        tiles = len(mapped.mesh.cores)
        mark = 1 << mapped.host.body_bits
        counts = np.zeros((samples + 1, tiles), np.int64)
        outputs = np.zeros((samples, steps, mapped.program.output_size), np.int64)
        with self.built.new() as model:
            model.reset()
            for s in range(samples):
                words = protocol.encode(mapped, inputs[s : s + 1], control=s == 0)
                until = StopOn(mask=mark, value=mark, count=protocol.replies(mapped, steps))
                run = model.stream(words.reshape(-1, 1), until=until, **stalls)
                answer = protocol.decode(mapped, run.words_out.reshape(-1), steps)
                assert not answer.errors, answer.errors
                outputs[s] = answer.outputs[0]
                whole = model.io.arrived
                for tile in range(tiles):
                    counts[s + 1, tile] = whole >> BITS * tile & (1 << BITS) - 1
        return outputs, np.diff(counts, axis=0)


def reach(mapped: Mapped) -> np.ndarray:
    """Whether a source (inputs, then neurons) has synapses on a tile: bool [sources, tiles]."""
    program = mapped.program
    first, at = {}, 0
    for thing in (*program.inputs, *program.populations):
        first[thing.name], at = at, at + thing.size
    found = np.zeros((at, len(mapped.mesh.cores)), bool)
    for q in program.projections:
        source = np.repeat(np.arange(len(q.indptr) - 1), np.diff(q.indptr)) + first[q.source]
        found[source, mapped.slots[q.target][0][q.indices]] = True
    return found


def expected(mapped: Mapped, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What golden says: (events that reach each tile [samples, steps, tiles], emissions of each
    population [samples, steps, size]). For Programs without projections of delay 1."""
    wide, places = observed(mapped.program)
    sent = Golden(wide).run(inputs).outputs
    every = np.concatenate([inputs, sent], axis=2) != 0
    return every.astype(np.int64) @ reach(mapped), {n: sent[:, :, s] for n, s in places.items()}
