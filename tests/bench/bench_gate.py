"""A neuron core whose dendrites are gates (products of two values) on ECP5-85F.

256 neurons that send their product. Area and clock out of context at speed grade 6, of the
dendrites and of the whole core; cycles as in bench_ssm_core.py.

Example: python tests/bench/bench_gate.py --seeds 1      (about 2 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.neuron.core import NeuronCore
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import CoreParams, Emit, Range
from hdl.params.ssm.gate import Gate, GateParams
from hdl.ssm.gate import GateDendrites
from tests.bench.bench_ssm_core import cycles, emit

SLOTS = 256
DESIGNS = {
    "8 bits": Gate(shift=7),
    "8 bits, changes": Gate(shift=7, held=True),
    "18 bits": Gate(shift=17, value_bits=18),
}


def core_of(gate: Gate) -> CoreParams:
    """A core whose neurons send their product, raised above 0 so that all of them do."""
    bits = gate.acc_bits
    return CoreParams(
        slots=SLOTS, axons=2 * SLOTS, ranges=(Range(level=0, first=0, end=SLOTS),),
        dendrites=GateParams(gate=gate), value_bits=gate.value_bits,
        emission_bits=gate.value_bits, membrane_bits=bits, acc_bits=bits,
        shared={
            "membrane_decay": 0, "bias": 1 << bits - 3, "threshold": 0, "reset_value": 0,
            "shift": 0, "value_shift": 0, "reset": 0, "emit": int(Emit.RELU),
        },
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds; 0: cycles only")
    parser.add_argument("--freq", type=float, default=150, help="clock that placement aims at, MHz")
    arguments = parser.parse_args()
    table = Table(title=f"{SLOTS} gates; ECP5-85F, speed 6; MHz best / median of seeds")
    for column in ("core", "COMB", "FF", "BRAM", "DSP", "MHz", "cycles/update", "cycles/step"):
        table.add_column(column, justify="left" if column == "core" else "right")

    def area(files: list[Path]) -> list[str]:
        if not arguments.seeds:
            return [""] * 5
        m = measure(files, "unit", freq=arguments.freq, seeds=arguments.seeds)
        mhz = f"{m['fmax_mhz']:.1f} / {m['fmax_median_mhz']:.1f}"
        return [*(str(m[k]) for k in ("comb", "ff", "bram", "dsp")), mhz]

    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, gate) in enumerate(DESIGNS.items()):
            core, folder = core_of(gate), Path(scratch)
            bits = max(core.probe_bits, *(width for _, width in core.items.values()))
            config = ConfigPort(16, bits)
            files = emit(NeuronCore(core, config), folder / f"core_{number}")
            counted = (str(n) for n in cycles(core, files))
            table.add_row(name, *area(files), *counted)
            alone = emit(GateDendrites(core, config), folder / f"dendrites_{number}")
            table.add_row("  its dendrites", *area(alone))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
