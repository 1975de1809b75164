"""A neuron core with diagonal state-space dendrites on ECP5-85F.

256 states, or 256 neurons where states are neurons; inputs and what the neurons send are values of
8 bits. Area and clock out of context at speed grade 6, of the dendrites and of the whole core.
Cycles are counted in the Verilated core: an update, from its start until the last neuron is
updated, and a step, until it is idle again, when every neuron sends; events come before.

Example: python tests/bench/bench_ssm_core.py --seeds 1      (about 20 minutes)
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from amaranth.lib import wiring
from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range
from hdl.params.noc import Memory
from hdl.params.sc.lfsr import seed_of
from hdl.params.ssm.diagonal import Diagonal, DiagonalParams
from hdl.ssm.diagonal import DiagonalDendrites
from sim.verilated import Verilated

S4D = Diagonal(order=8, drive_shift=10, mix_shift=17)
S5 = Diagonal(mixed=False, drive_shift=10)
#: Name: the equations' parameters, neurons, lanes.
DESIGNS = {
    "32 x 8 complex": (S4D, 32, 1),
    "the same, 2 lanes": (S4D, 32, 2),
    "the same, 4 lanes": (S4D, 32, 4),
    "32 x 8 complex, 12 bits": (
        replace(S4D, state_bits=12, pole_bits=11, mix_bits=12, mix_shift=7),
        32,
        1,
    ),
    "32 x 8 complex, 18 bits": (replace(S4D, state_bits=18, mix_shift=19), 32, 1),
    "32 x 8 complex, changes": (replace(S4D, held=True), 32, 1),
    "32 x 8 complex, stochastic": (replace(S4D, stochastic=True), 32, 1),
    "32 x 8 real": (replace(S4D, real=True), 32, 1),
    "128 complex are neurons": (S5, 256, 1),
    "256 real are neurons": (replace(S5, real=True), 256, 1),
}


def core_of(d: Diagonal, slots: int, lanes: int) -> CoreParams:
    """A core whose neurons send the positive part of their sum."""
    h = DiagonalParams(diagonal=d, lanes=lanes)
    if d.stochastic:
        count = h.state_words(slots) * lanes
        h = replace(h, draws=tuple(seed_of(0, k, 32) for k in range(count)))
    return CoreParams(
        slots=slots, axons=slots, dendrites=h, ranges=(Range(level=0, first=0, end=slots),),
        value_bits=8, emission_bits=8, membrane_bits=d.acc_bits, acc_bits=d.acc_bits,
        shared={
            "membrane_decay": 0, "bias": 1 << 14, "threshold": 0, "reset_value": 0, "shift": 0,
            "value_shift": 8, "reset": 0, "emit": int(Emit.RELU),
        },
    )  # fmt: skip


def emit(unit: wiring.Component, folder: Path) -> list[Path]:
    """Verilog of a unit alone."""
    folder.mkdir()
    for name, text in emit_verilog(unit, "unit").items():
        (folder / name).write_text(text)
    return sorted(folder.glob("*.v"))


def cycles(core: CoreParams, files: list[Path]) -> tuple[int, int]:
    """Cycles of an update and of a step in which all neurons send."""
    with Verilated.build(files, "unit").new() as model:
        io, clock = model.io, model.clock
        io.o__ready = 1
        io.config__en, io.config__memory = 1, int(Memory.POINTER)
        for axon in range(core.axons):
            io.config__address, io.config__data = axon, axon | 1 << core.index_bits
            clock.tick()
        io.config__en = 0

        def step(clear: int) -> tuple[int, int, int]:
            """Cycles until events may come again, until idle, and events sent."""
            io.step__mask, io.step__clear, io.step__start = 1, clear, 1
            start, taken, sent = model.cycles, 0, 0
            clock.tick()
            io.step__start = 0
            while not io.idle:
                if io.i__ready and not taken:
                    taken = model.cycles - start
                sent += io.o__valid
                clock.tick()
            return taken, model.cycles - start, sent

        step(1)
        for axon in range(core.axons):
            io.i__valid, io.i__payload = 1, axon | 100 << core.index_bits
            while not io.i__ready:
                clock.tick()
            clock.tick()
        io.i__valid = 0
        while not io.idle:
            clock.tick()
        update, whole, sent = step(0)
        if sent != core.slots:
            raise RuntimeError(f"{sent} of {core.slots} neurons sent")
        return update, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds; 0: cycles only")
    parser.add_argument("--freq", type=float, default=130, help="clock that placement aims at, MHz")
    parser.add_argument("--only", help="designs whose name has this in it")
    arguments = parser.parse_args()
    table = Table(title="State-space cores; ECP5-85F, speed 6; MHz best / median of seeds")
    for column in ("core", "COMB", "FF", "BRAM", "DSP", "MHz", "cycles/update", "cycles/step"):
        table.add_column(column, justify="left" if column == "core" else "right")

    def area(files: list[Path]) -> list[str]:
        if not arguments.seeds:
            return [""] * 5
        m = measure(files, "unit", freq=arguments.freq, seeds=arguments.seeds)
        mhz = f"{m['fmax_mhz']:.1f} / {m['fmax_median_mhz']:.1f}"
        return [*(str(m[k]) for k in ("comb", "ff", "bram", "dsp")), mhz]

    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, design) in enumerate(DESIGNS.items()):
            if arguments.only and arguments.only not in name:
                continue
            core, folder = core_of(*design), Path(scratch)
            bits = max(core.probe_bits, *(width for _, width in core.items.values()))
            config = ConfigPort(16, bits)
            files = emit(NeuronCore(core, config), folder / f"core_{number}")
            counted = (str(n) for n in cycles(core, files))
            table.add_row(name, *area(files), *counted)
            alone = emit(DiagonalDendrites(core, config), folder / f"dendrites_{number}")
            table.add_row("  its dendrites", *area(alone))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
