"""Queues in front of cores: cycles of the examples by depth in the Verilated fabric, and area.

Example: python tests/bench/bench_fifo.py          (about 3 minutes)
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.console import Console
from rich.table import Table

from codesign.synth.ooc import measure
from hdl.emit import emit_verilog
from hdl.fabric import Fabric
from hdl.queue import Queue
from mapping.mapped import Target
from mapping.mapper import map_program
from sim.golden.network import Golden
from sim.rtl import Rtl
from sim.stimulus import quantise_inputs
from tests.test_examples import load as load_example

#: Example, cores, lanes; the last ones keep their cores busy with every event.
NETWORKS = (
    ("digits", 4, 8),
    ("recurrent", 4, 8),
    ("digits", 9, 1),
    ("vowels", 4, 8),
    ("vowels", 4, 1),
)


def cycles(name: str, cores: int, lanes: int, depth: int, samples: int) -> float:
    """Mean cycles of a sample; checks every bit."""
    _, program, test = load_example(name)
    inputs, lengths = quantise_inputs(program, test)[:samples], test.lengths[:samples]
    mapped = map_program(program, Target(cores=cores, lanes=lanes, fifo=depth))
    with tempfile.TemporaryDirectory() as scratch:
        hardware = Fabric(mapped.mesh, mapped.host, mapped.images)
        for file, text in emit_verilog(hardware, "nervure").items():
            (Path(scratch) / file).write_text(text)
        found = Rtl(mapped, sorted(Path(scratch).iterdir()), optimise=False).run(inputs, lengths)
    assert (found.outputs == Golden(program).run(inputs, lengths).outputs).all()
    return float(found.cycles.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="*", default=[0, 4, 16, 64])
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--bits", type=int, default=12, help="of an event, for the area")
    parser.add_argument("--networks", type=int, nargs="*", default=range(len(NETWORKS)))
    arguments = parser.parse_args()
    console = Console(width=140)
    table = Table(title="cycles of a sample by depth, and beside no queue")
    for column in ("network", "cores", "lanes", *map(str, arguments.depths)):
        table.add_column(column, justify="right")
    for name, cores, lanes in (NETWORKS[n] for n in arguments.networks):
        found = [cycles(name, cores, lanes, d, arguments.samples) for d in arguments.depths]
        cells = [f"{c:.1f} {c / found[0] - 1:+.1%}" for c in found]
        table.add_row(name, str(cores), str(lanes), *cells)
    console.print(table)
    table = Table(title=f"a queue of events of {arguments.bits} bits, ECP5 speed 6, out of context")
    for column in ("depth", "COMB", "FF", "BRAM", "MHz"):
        table.add_column(column, justify="right")
    for depth in (d for d in arguments.depths if d):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "queue.v"
            path.write_text(emit_verilog(Queue(arguments.bits, depth=depth), "queue")["queue.v"])
            m = measure(path, "queue", seeds=1)
        table.add_row(
            str(depth), *(str(m[k]) for k in ("comb", "ff", "bram")), f"{m['fmax_mhz']:.1f}"
        )
    console.print(table)


if __name__ == "__main__":
    main()
