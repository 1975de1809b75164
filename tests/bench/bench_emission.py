"""Emitters of 256 neurons on ECP5-85F, out of context: what each form of emission costs.

Membranes of 16 bits, values of 8. "own": each neuron has its own form, shift and threshold.

Example: python tests/bench/bench_emission.py --seeds 2          (about 3 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.emit import emit_verilog
from hdl.neuron.emit import Emitter
from hdl.neuron.ports import ConfigPort
from hdl.params.neuron import FIELDS, CoreParams, Emit, Range, sends_changes

TABLES: dict[str, Any] = {"table_bits": 8, "tables": (0,)}
OWN = ("emit", "value_shift", "threshold")


def emitter(emit: Emit, own: bool = False, update_lanes: int = 1, **formats: Any) -> Emitter:
    """The emitter of 256 neurons that send that."""
    fields = dict.fromkeys(FIELDS, 0) | {"value_shift": 6, "threshold": 3, "emit": int(emit)}
    values = {} if emit == Emit.SPIKE else {"emission_bits": 8, "value_bits": 8}
    core: dict[str, Any] = {
        "slots": 256, "lanes": 4, "update_lanes": update_lanes, "axons": 1, "synapse_words": 64,
        "ranges": (Range(level=0, first=0, end=256 // update_lanes),),
        "shared": {name: value for name, value in fields.items() if not own or name not in OWN},
        "changes": bool(sends_changes(emit)),
    } | values | formats  # fmt: skip
    return Emitter(CoreParams(**core), ConfigPort(16, 32))


DESIGNS = {
    "SPIKE": emitter(Emit.SPIKE),
    "SPIKE, 4 lanes": emitter(Emit.SPIKE, update_lanes=4),
    "VALUE": emitter(Emit.VALUE),
    "VALUE, own": emitter(Emit.VALUE, own=True, value_bits=16),
    "RELU": emitter(Emit.RELU),
    "TABLE": emitter(Emit.TABLE, **TABLES),
    "DELTA": emitter(Emit.DELTA),
    "TABLE_DELTA": emitter(Emit.TABLE_DELTA, **TABLES),
    "all forms, own": emitter(Emit.TABLE_DELTA, own=True, value_bits=16, **TABLES),
    "all forms, own, 4 lanes": emitter(
        Emit.TABLE_DELTA, own=True, update_lanes=4, value_bits=16, **TABLES
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="placement seeds")
    parser.add_argument("--freq", type=float, default=220, help="clock that placement aims at, MHz")
    arguments = parser.parse_args()
    table = Table(title="ECP5-85F, speed 6, out of context; MHz best / median of seeds")
    for column in ("emits", "COMB", "FF", "BRAM", "MHz", "slowest path"):
        table.add_column(column, justify="right" if column.isupper() else "left")
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, design) in enumerate(DESIGNS.items()):
            files = emit_verilog(design, f"emitter_{number}")
            for file, text in files.items():
                (Path(scratch) / file).write_text(text)
            verilog = [Path(scratch) / file for file in files if file.endswith(".v")]
            m = measure(verilog, f"emitter_{number}", freq=arguments.freq, seeds=arguments.seeds)
            mhz = f"{m['fmax_mhz']:.1f} / {m['fmax_median_mhz']:.1f}"
            table.add_row(
                name, str(m["comb"]), str(m["ff"]),
                str(m["bram"]), mhz, m["critical_path"],
            )  # fmt: skip
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
