"""The controller of a crossbar array on ECP5-85F, without its array, and what commands cost.

Area and speed out of context, for several sizes of a bank; then cycles of each kind of command with
the emulated array, in Verilator.

Example: python tests/bench/bench_crossbar_controller.py        (about 6 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich import box
from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.crossbar.controller import Controller
from hdl.emit import emit_verilog
from hdl.params.crossbar.array import ArrayMemory
from hdl.params.crossbar.controller import Command, ControllerMemory, ControllerParams
from tests.crossbar.kit_commands import Config, Order, Rack, answers_in, build, make, words

#: Name: the controller.
CASES: dict[str, ControllerParams] = {
    "16 x 16": make(rows=16, columns=16, cell_bits=10, adc_bits=8),
    "64 x 64": make(rows=64, columns=64, cell_bits=10, adc_bits=8, control={"averages": 4}),
    "64 x 64, 4 bits in": make(
        rows=64, columns=64, cell_bits=10, adc_bits=8, value_bits=4, control={"averages": 4}
    ),
    "64 x 64, 2 pairs, feedback, 4 tiles": make(
        rows=64, columns=64, cell_bits=10, adc_bits=8, devices=2, spares=4, tiles=4,
        control={"averages": 4, "policy": "feedback"},
    ),
    "64 x 64, binary samples": make(
        rows=64, columns=64, cell_bits=10, adc_bits=8, sampling="binary", control={"averages": 4}
    ),
    "128 x 128": make(rows=128, columns=128, cell_bits=10, adc_bits=8, control={"averages": 4}),
}  # fmt: skip


def figures(component, seeds: int, freq: float, variant: str) -> dict:
    """Of a component, out of context."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in emit_verilog(component, "top").items():
            (Path(folder) / name).write_text(text)
        return measure(Path(folder) / "top.v", "top", freq=freq, seeds=seeds, variants=(variant,))


def cycles(params: ControllerParams) -> Table:
    """What commands take, with the emulated array: all rows driven, targets of half the range."""
    a, half = params.array, 1 << (params.array.cell_bits - 2)
    fill = [Config(ControllerMemory.INPUT, r, 1) for r in range(a.rows)]
    fill += [
        Config(ControllerMemory.TARGET, k, half) for k in range(params.places * a.tiles * a.rows)
    ]
    fill += [Config(ArrayMemory.AGE, k, word) for k, word in enumerate((0, 400, 0))]
    model = build(Rack([params])).new()
    model.stream(words(fill))
    table = Table("command", "cycles", "answer", title="64 x 64 devices", box=box.SIMPLE)
    for op in (Command.AGE, Command.VERIFY, Command.PROGRAM, Command.PROGRAM, Command.PRODUCT,
               Command.REFERENCE, Command.COLUMN, Command.WEAR):  # fmt: skip
        count = params.crossbar.neurons if op == Command.PRODUCT else 1
        run = model.stream(words([Order(op)]), until=count, deadline=None)
        status, value = answers_in(run.words_out)[0]
        table.add_row(op.name, str(run.cycles), f"{value}, status {status}")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--freq", type=float, default=130.0, help="asked for, MHz")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    args = parser.parse_args()
    table = Table(
        "bank", "COMB", "LUT4", "FF", "BRAM", "DSP", "LUTRAM", "MHz",
        title="Controller without its array", box=box.SIMPLE,
    )  # fmt: skip
    paths = []
    for name, params in CASES.items():
        if args.only not in name:
            continue
        row = figures(Controller(params), args.seeds, args.freq, "nowidelut")
        table.add_row(
            name, *(str(row[key]) for key in ("comb", "lut4", "ff", "bram", "dsp", "lutram")),
            f"{row['fmax_mhz']:.1f}",
        )  # fmt: skip
        paths.append(f"{name}: {row['critical_path']}")
    console = Console(width=110)
    console.print(table)
    for path in paths:
        console.print(path, highlight=False)
    console.print(cycles(CASES["64 x 64"]))


if __name__ == "__main__":
    main()
