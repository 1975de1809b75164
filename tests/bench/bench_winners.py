"""The hardware that picks winners, and gates that spread their inputs, on ECP5-85F.

Area and clock out of context at speed grade 6. A core without winners has none of the first; the
gates are those of bench_gate.py, with 8 times as many slots as left inputs.

Example: python tests/bench/bench_winners.py --seeds 1
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.neuron.ports import ConfigPort
from hdl.neuron.winners import Winners
from hdl.params import winners
from hdl.params.neuron import CoreParams, Range
from hdl.params.ssm.gate import Gate
from hdl.ssm.gate import GateDendrites
from tests.bench.bench_gate import SLOTS, core_of
from tests.bench.bench_ssm_core import emit


def core(count: int, group: int) -> CoreParams:
    return CoreParams(
        slots=group, axons=1, synapse_words=group, membrane_bits=18,
        ranges=(Range(level=0, first=0, end=group),),
        winners=winners.Winners(count=count, group=group),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds")
    parser.add_argument("--freq", type=float, default=150, help="clock that placement aims at, MHz")
    arguments = parser.parse_args()
    units = {
        f"{count} of {group}": Winners(core(count, group))
        for count, group in ((1, 8), (2, 8), (2, 64), (8, 64))
    }
    for name, gate in (("gates", Gate()), ("gates, spread", Gate(stretch=32, repeats=True))):
        units[name] = GateDendrites(core_of(gate), ConfigPort(16, 40))
    table = Table(title="ECP5-85F, speed 6, scores of 18 bits; MHz best / median of seeds")
    for column in ("unit", "COMB", "FF", "BRAM", "DSP", "MHz"):
        table.add_column(column, justify="left" if column == "unit" else "right")
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, unit) in enumerate(units.items()):
            files = emit(unit, Path(scratch) / str(number))
            m = measure(files, "unit", freq=arguments.freq, seeds=arguments.seeds)
            mhz = f"{m['fmax_mhz']:.1f} / {m['fmax_median_mhz']:.1f}"
            title = f"{SLOTS} {name}" if "gates" in name else name
            table.add_row(title, *(str(m[k]) for k in ("comb", "ff", "bram", "dsp")), mhz)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
