"""The router: area and speed alone and inside a closed 3x3 mesh, latency, saturated throughput.

Example: python tests/bench/bench_router.py --seeds 3          (about 2 minutes)
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from codesign.synth.ooc import measure
from hdl.noc.router import Router
from hdl.params.noc import FlitParams, RouterParams
from tests.kit_hdl import clocked, getter, putter, run
from tests.noc.mesh_kit import RouterMesh, random_flit

#: Measured in the same flow: TRELLIS_COMB, FF, MHz.
PEERS = {
    "RANC router, 30 bit, depth 4": (2917, 1565, 62.9),
    "RaveNoC router, 34 bit, 1 VC": (1372, 425, 109.8),
    "target (in a mesh)": (750, None, 110.0),
    "stretch target": (550, None, 140.0),
}


class ClosedMesh(wiring.Component):
    """A mesh of routers whose local and host ports end in registers: no path leaves the chip."""

    def __init__(self, flit: FlitParams) -> None:
        self.flit = flit
        ends = flit.width * flit.height + 1
        ports = {"data": In(ends), "send": In(ends), "take": In(ends)}
        super().__init__({**ports, "got": Out(ends), "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.mesh = mesh = RouterMesh(self.flit)
        ends = zip([*mesh.i, mesh.i_host], [*mesh.o, mesh.o_host], strict=True)
        for n, (i, o) in enumerate(ends):
            word = Signal(self.flit.flit_bits, name=f"word_{n}")
            sink = Signal(self.flit.flit_bits, name=f"sink_{n}")
            valid, ready = Signal(name=f"valid_{n}"), Signal(name=f"ready_{n}")
            m.d.comb += [Value.cast(i.payload).eq(word), i.valid.eq(valid), o.ready.eq(ready)]
            with m.If(i.ready | ~valid):
                m.d.sync += [word.eq(Cat(self.data[n], word)), valid.eq(self.send[n])]
            m.d.sync += [ready.eq(self.take[n]), self.got[n].eq(sink[0]), sink.eq(sink >> 1)]
            with m.If(o.valid):
                m.d.sync += sink.eq(o.payload)
        m.d.sync += self.idle.eq(mesh.idle)
        return m


def synthesise(component, name: str, freq: float, seeds: int) -> dict:
    """Measured figures of a component, printed."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.v"
        path.write_text(verilog.convert(component, name=name))
        result = measure(path, name, freq=freq, seeds=seeds)
    print(
        f"{name:34} COMB {result['comb']:5}  FF {result['ff']:5}  BRAM {result['bram']}  "
        f"Fmax best {result['fmax_mhz']:.1f} median {result['fmax_median_mhz']:.1f} MHz"
    )
    print(f"    {result['critical_path']}")
    return result


def latency(links: int) -> int:
    """Cycles from the transfer at a tile to the offer at a tile `links` to the east."""
    dut = RouterMesh(FlitParams(width=links + 1, height=1, tag_bits=16))
    sim, sent, arrived = clocked(dut), [], []
    flit = {"body": 1, "kind": 0, "rows": 2, "columns": 1 << links}
    sim.add_testbench(putter(dut.i[0], [flit], log=sent))
    sim.add_testbench(getter(dut.o[links], [], 1, log=arrived))
    run(sim, 100)
    return arrived[0][0] - sent[0][0]


def saturation(size: int, unicast: float, cycles: int) -> tuple[float, float]:
    """Flits taken in, and flits delivered, per cycle by a saturated mesh (uniform traffic)."""
    params = FlitParams(width=size, height=size, tag_bits=16)
    dut = RouterMesh(params)
    sim, draw = clocked(dut), random.Random(1)
    sent = [[] for _ in dut.i]
    got = [[] for _ in [*dut.o, dut.o_host]]
    for stream, log in zip(dut.i, sent, strict=True):
        flits = []
        while len(flits) < cycles:
            flit = random_flit(draw, params, 0, unicast=unicast)
            if unicast < 1 or flit["rows"] > 1:
                flits.append(flit)
        sim.add_testbench(putter(stream, flits, log=log), background=True)
    for stream, into in zip([*dut.o, dut.o_host], got, strict=True):
        sim.add_testbench(getter(stream, into, None), background=True)

    async def stop(ctx):
        await ctx.tick().repeat(cycles)

    sim.add_testbench(stop)
    sim.run()
    return sum(map(len, sent)) / cycles, sum(map(len, got)) / cycles


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed")
    args = parser.parse_args()
    seeds = 1 if args.quick else args.seeds
    print("ECP5-85F, speed 6, Yosys synth_ecp5 -nowidelut, out of context; 32-bit flits")
    params = RouterParams(flit=FlitParams(width=4, height=4, tag_bits=12, config_bits=20), x=1, y=1)
    for places in (2, 1):
        router = Router(params, local_places=places)
        synthesise(router, f"router_4x4_local_places_{places}", 180, seeds)
    flit = FlitParams(width=3, height=3, tag_bits=12, config_bits=22)
    result = synthesise(ClosedMesh(flit), "closed_mesh_3x3", 180, seeds)
    print(f"    {result['comb'] / 9:.0f} COMB a router, borders included")
    for name, (comb, ff, mhz) in PEERS.items():
        print(f"{name:34} COMB {comb:5}  FF {ff or '-':>5}          {mhz} MHz")
    near, far = latency(1), latency(5)
    print(f"cycles a hop: {(far - near) / 4:g}; tile to neighbour tile {near}, turn included")
    for size in (3, 4):
        for name, unicast in (("unicast", 1.0), ("random products", 0.0)):
            taken, given = saturation(size, unicast, 1000)
            print(
                f"saturated {size}x{size}, uniform {name}: {taken:.2f} flits/cycle taken in, "
                f"{given:.2f} delivered"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
