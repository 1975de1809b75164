"""The neuron core and a small network on ECP5-85F beside measured peers.

A 256-neuron core with 64k 4-bit synapses (beside tinyODIN and ODIN), and a 64-32-10 LIF network
with 6-bit weights (beside Spiker+ and sc-neurocore): area and clock out of context at speed
grade 6, and cycles counted in the Verilated fabric. Peers were measured in the same flow.

Example: python tests/bench/bench_core.py --seeds 3          (about 2 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.emit import emit_verilog
from hdl.neuron.core import NeuronCore
from hdl.noc.interface import config_port
from mapping.mapped import Target
from sim.golden.network import Golden
from sim.rtl import Rtl
from tests.bench.designs import emit, lif_network

#: COMB (or LUT4), FF, block RAM, DSP, MHz, what it does.
PEERS = {
    "tinyODIN, 256 neurons, 64k x 4 bit": (2303, 1810, 17, 0, 37.9, ".5 SOP/cycle, 19 MSOP/s"),
    "ODIN, 256 neurons, 64k synapses": (11107, 4513, 20, 1, 18.6, ".5 SOP/cycle, 9 MSOP/s"),
    "Spiker+ 2.0.3, 64-32-10, 6 bit": (4850, 988, 6, 0, 70.5, "102.9 cycles a step"),
    "sc-neurocore 3.16, 64-32-10": (10925, 1842, 0, 64, 5.6, ""),
    "target, 256-neuron core": (1600, None, 17, None, 130.0, ">= 1000 MSOP/s"),
}


def cycles(mapped: Any, files: list[Path], rate: float, steps: int = 40) -> tuple[float, float]:
    """(cycles, synaptic operations) a step with that share of inputs active; checks every bit."""
    size = mapped.program.input_size
    stimulus = (np.random.default_rng(1).random((8, steps, size)) < rate).astype(np.uint8)
    golden = Golden(mapped.program).run(stimulus)
    found = Rtl(mapped, files).run(stimulus)
    assert (found.outputs == golden.outputs).all()
    return found.cycles.mean() / steps, golden.synaptic_operations.mean() / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds")
    parser.add_argument("--freq", type=float, default=180, help="clock that placement aims at, MHz")
    arguments = parser.parse_args()
    table = Table(title="ECP5-85F, speed 6, out of context; MHz best / median of seeds")
    for column in ("design", "COMB", "FF", "BRAM", "DSP", "MHz", "rate"):
        table.add_column(column, justify="left" if column in ("design", "rate") else "right")

    def ours(name: str, verilog: list[Path], top: str, rate: Any) -> None:
        m = measure(verilog, top, freq=arguments.freq, seeds=arguments.seeds)
        mhz = f"{m['fmax_mhz']:.1f} / {m['fmax_median_mhz']:.1f}"
        values = (m["comb"], m["ff"], m["bram"], m["dsp"], mhz)
        table.add_row(name, *map(str, values), rate(m["fmax_median_mhz"]), style="bold")

    with tempfile.TemporaryDirectory() as scratch:
        # The core: 256 inputs, 256 neurons, 8 lanes.
        for update_lanes in (1, 4):
            folder = Path(scratch) / f"core_{update_lanes}"
            mapped, files = emit(
                lif_network((256, 256), 4), Target(lanes=8, update_lanes=update_lanes), folder
            )
            core = mapped.mesh.cores[0]
            text = emit_verilog(NeuronCore(core, config_port(core, mapped.mesh.flit)), "core")
            for file, content in text.items():
                (folder / file).write_text(content)
            busy, operations = cycles(mapped, files, 1.0)
            half, half_operations = cycles(mapped, files, 0.5)
            rate = (operations - half_operations) / (busy - half)  # of the synapses alone
            whole = operations / busy
            ours(
                f"neuron core, 256 neurons, 64k x 4 bit, 8 lanes, update {update_lanes}",
                [folder / "core.v"],
                "core",
                lambda mhz, rate=rate: f"{rate:.2f} SOP/cycle, {rate * mhz:.0f} MSOP/s",
            )
            ours(
                "the same with interface, router, host port",
                [f for f in files if f.suffix == ".v"],
                "nervure",
                lambda mhz, whole=whole: f"{whole:.2f} SOP/cycle a whole step, all inputs active",
            )
        for lanes, update_lanes in ((8, 2), (16, 2), (16, 4)):
            mapped, files = emit(
                lif_network((64, 32, 10), 6),
                Target(lanes=lanes, update_lanes=update_lanes),
                Path(scratch) / f"small_{lanes}_{update_lanes}",
            )
            each = [f"{cycles(mapped, files, r)[0]:.1f} at {r:.0%}" for r in (0.1, 0.2, 0.3)]
            ours(
                f"64-32-10 fabric, 6 bit, {lanes} lanes, update {update_lanes}",
                [f for f in files if f.suffix == ".v"],
                "nervure",
                lambda mhz, each=each: f"cycles a step: {', '.join(each)} of inputs active",
            )
    for name, values in PEERS.items():
        table.add_row(name, *("" if v is None else str(v) for v in values))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
