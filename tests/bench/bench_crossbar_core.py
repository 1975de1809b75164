"""A neuron core with crossbar dendrites on ECP5-85F.

64 inputs on one emulated bank of 64 x 64 devices, behind it leaky integrate-and-fire neurons: 32
with analogue sums (a differential pair each), or 64 whose binary weights are drawn anew in each
read. Area and clock out of context at speed grade 6; cycles counted in the Verilated core, from the
start of a step until it is idle, and devices read in these cycles. Events come before the step: 3
cycles each, or as many as an input has bit planes, while a network sends them.

Example: python tests/bench/bench_crossbar_core.py --seeds 1      (about 15 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from amaranth.lib import wiring
from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.crossbar.input import EventPlanes
from hdl.crossbar.product import Product
from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.crossbar.core import CrossbarParams
from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.neuron import CoreParams, Emit, Range, Reset
from sim.verilated import Verilated

INPUTS, COLUMNS = 64, 64
DESIGNS = {
    "32 neurons, analogue, spikes": Crossbar(rows=INPUTS, columns=COLUMNS),
    "32 neurons, analogue, values of 4 bits": Crossbar(rows=INPUTS, columns=COLUMNS, value_bits=3),
    "64 neurons, binary, drawn": Crossbar(rows=INPUTS, columns=COLUMNS, sampling="binary"),
}


def core_of(c: Crossbar) -> CoreParams:
    """A core of one bank."""
    analogue = c.sampling == "none"
    dendrites = CrossbarParams(
        crossbar=c, blocks=1, tiles=1, read_noise=(150,) * 128,
        gain=(1 << 9,) * analogue, offset=(0,) * analogue,
    )  # fmt: skip
    shared: dict[str, int | tuple[int, ...]] = {
        "membrane_decay": 3900, "bias": 0, "threshold": 1000, "reset_value": 0, "shift": 0,
        "value_shift": 0, "reset": int(Reset.SUBTRACT), "emit": int(Emit.SPIKE),
    }  # fmt: skip
    return CoreParams(
        slots=c.neurons, axons=INPUTS, dendrites=dendrites,
        ranges=(Range(level=0, first=0, end=c.neurons),), value_bits=c.value_bits + 1,
        membrane_bits=20, acc_bits=20, shared=shared,
    )  # fmt: skip


def emit(unit: wiring.Component, folder: Path) -> list[Path]:
    """Verilog of a unit alone."""
    folder.mkdir()
    for name, text in emit_verilog(unit, "unit").items():
        (folder / name).write_text(text)
    return sorted(folder.glob("*.v"))


def cycles(core: CoreParams, files: list[Path], rate: float, steps: int = 50) -> tuple[float, ...]:
    """Cycles of a step, of a clear, and devices read in a cycle of a step."""
    draw = np.random.default_rng(1)
    d = core.dendrites
    assert isinstance(d, CrossbarParams)
    p = d.crossbar.value_bits
    with Verilated.build(files, "unit").new() as model:
        io, clock = model.io, model.clock

        def idle() -> int:
            start = model.cycles
            while not io.idle:
                clock.tick()
            return model.cycles - start

        def step(clear: int) -> int:
            io.step__mask, io.step__clear, io.step__start = 1, clear, 1
            clock.tick()
            io.step__start = 0
            return idle() + 1

        io.o__ready = 1
        io.config__en, io.config__memory = 1, 2
        for axon in range(core.axons):
            io.config__address, io.config__data = axon, d.pointer(axon)
            clock.tick()
        io.config__en = 0
        clear = step(1)
        taken = reads = 0
        for _ in range(steps):
            values = draw.integers(1, max(1 << p, 2), INPUTS) * (draw.random(INPUTS) < rate)
            for axon in map(int, np.flatnonzero(values)):
                io.i__valid, io.i__payload = 1, axon | int(values[axon]) << 6
                while not io.i__ready:
                    clock.tick()
                clock.tick()
            io.i__valid = 0
            idle()
            taken += step(0)
            reads += sum(int(v).bit_count() for v in values)
    return taken / steps, clear, reads * COLUMNS / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds; 0: cycles only")
    parser.add_argument("--freq", type=float, default=120, help="clock that placement aims at, MHz")
    arguments = parser.parse_args()
    table = Table(title="One bank of 64 x 64; ECP5-85F, speed 6; MHz best / median of seeds")
    for column in ("core", "COMB", "FF", "BRAM", "DSP", "MHz", "cycles/step at 20 % (100 %)",
                   "devices/cycle", "cycles/clear"):  # fmt: skip
        table.add_column(column, justify="left" if column == "core" else "right")

    def area(files: list[Path]) -> list[str]:
        if not arguments.seeds:
            return [""] * 5
        m = measure(files, "unit", freq=arguments.freq, seeds=arguments.seeds)
        mhz = f"{m['fmax_mhz']:.1f} / {m['fmax_median_mhz']:.1f}"
        return [*(str(m[k]) for k in ("comb", "ff", "bram", "dsp")), mhz]

    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, crossbar) in enumerate(DESIGNS.items()):
            core, folder = core_of(crossbar), Path(scratch)
            d, config = core.dendrites, ConfigPort(24, 64)
            assert isinstance(d, CrossbarParams)
            files = emit(NeuronCore(core, config), folder / f"core_{number}")
            fifth, clear, rate = cycles(core, files, 0.2)
            full, _, full_rate = cycles(core, files, 1.0)
            table.add_row(
                name, *area(files), f"{fifth:.1f} ({full:.1f})", f"{rate:.1f} ({full_rate:.1f})",
                f"{clear:.0f}",
            )  # fmt: skip
            parts = {
                "its products": Product(d.array, crossbar),
                "its inputs": EventPlanes(core, config),
            }
            for part, unit in parts.items():
                table.add_row(f"  {part}", *area(emit(unit, folder / f"{part}_{number}")))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
