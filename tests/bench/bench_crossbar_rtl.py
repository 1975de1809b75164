"""The emulated array on an ECP5-85F: area, clock, and cell reads per cycle.

Area and clock out of context at speed grade 6, generator alone and whole arrays (PCM devices of 10
bits): to program and to sense, and the smaller ones that a core has (only reads). LUTs per column
are those of the array over its columns. Cycles are measured in Verilator, from strobe to strobe of
reads one after the other: of all rows, and of one; of a pulse; and of ageing all devices.

Example: python tests/bench/bench_crossbar_rtl.py --sizes 64x32 64x64 128x64
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from amaranth.lib import wiring
from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.crossbar.array import Array
from hdl.crossbar.noise import Generator
from hdl.emit import emit_verilog
from hdl.params.crossbar.array import ArrayParams, Pulse
from sim.device.integer import tables
from sim.device.table import find_device
from tests.crossbar.kit_crossbar import Script


def array(size: str, *, full: bool) -> ArrayParams:
    """Rows x columns; `full`: with pulses, `sense` and trains of reads."""
    rows, columns = map(int, size.split("x"))
    return ArrayParams(
        device=tables(find_device("pcm"), 10), rows=rows, columns=columns,
        programmable=full, senses=full, train=1024 if full else 1,
    )  # fmt: skip


def synthesised(design: wiring.Component, freq: float, seeds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        for file, text in emit_verilog(design, "design").items():
            (Path(folder) / file).write_text(text)
        return measure(Path(folder) / "design.v", "design", freq=freq, seeds=seeds)


def cycles(p: ArrayParams, count: int = 8) -> dict[str, float]:
    """Cycles of an operation, the mean of `count` in a row; TIME itself takes one."""
    script = Script(p, twin=False)
    operations = {
        "all rows": lambda: script.read(0, (1 << p.rows) - 1),
        "one row": lambda: script.read(0, 1),
        "age": script.age,
    }
    if p.programmable:
        operations["pulse"] = lambda: script.pulse(0, 0, 0, Pulse.WRITE, 100)
    for operation in operations.values():
        script.time()
        for _ in range(count):
            operation()
        script.time()
    times = script.run()
    return {
        name: (times[2 * k + 1] - times[2 * k] - 1) / count for k, name in enumerate(operations)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["64x32", "64x64", "128x64"])
    parser.add_argument("--seeds", type=int, default=2, help="placement seeds")
    parser.add_argument("--freq", type=float, default=150, help="clock that placement aims at, MHz")
    parser.add_argument("--no-synthesis", action="store_true", help="only cycles")
    arguments = parser.parse_args()
    area = Table(title="ECP5-85F, speed 6, out of context; MHz best / median of seeds")
    for name in ("design", "size", "COMB", "per column", "FF", "BRAM", "DSP", "MHz"):
        area.add_column(name, justify="left" if name == "design" else "right")
    speed = Table(title="Cycles of an operation; cell reads per cycle of back-to-back reads")
    for name in ("size", "read, all rows", "reads/cycle", "read, one row", "pulse", "age"):
        speed.add_column(name, justify="right")

    for size in arguments.sizes:
        params = array(size, full=True)
        found = cycles(params)
        reads = params.rows * params.columns / found["all rows"]
        speed.add_row(
            size, f"{found['all rows']:.1f}", f"{reads:.1f}", f"{found['one row']:.1f}",
            f"{found['pulse']:.1f}", f"{found['age']:.1f}",
        )  # fmt: skip
        if arguments.no_synthesis:
            continue
        designs = [
            ("generator", Generator(params.columns)),
            ("array, only reads", Array(array(size, full=False))),
            ("array", Array(params)),
        ]
        for name, design in designs:
            r = synthesised(design, arguments.freq, arguments.seeds)
            per_column = f"{r['comb'] / params.columns:.0f}"
            mhz = f"{r['fmax_mhz']:.1f} / {r['fmax_median_mhz']:.1f}"
            area.add_row(
                name, size, str(r["comb"]), per_column, str(r["ff"]), str(r["bram"]),
                str(r["dsp"]), mhz,
            )  # fmt: skip
    console = Console(width=110)
    console.print(speed)
    if not arguments.no_synthesis:
        console.print(area)


if __name__ == "__main__":
    main()
