"""The network's model beside the RTL: latency by load, saturation, and bursts of recorded spikes.

Load is a share of the RTL's saturation: where its mean latency is ten times that of an empty mesh.

Example: python tests/bench/bench_noc.py --cycles 60000          (about 10 minutes, half for builds)
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from rich.console import Console
from rich.table import Table

from codesign.cost.cycles import activity
from codesign.cost.noc import Drain, burst, latency, saturation
from codesign.cost.noc_traffic import flows_of
from mapping.mapped import Target
from mapping.mapper import map_program
from sim.stimulus import quantise_inputs
from tests.noc.traffic_kit import PATTERNS, drained, mean_latency, measured_saturation, pattern
from tests.test_examples import load as load_example

LOADS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)


def sizes(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def by_load(meshes: list[tuple[int, int]], cycles: int, seed: int, console: Console) -> None:
    """The table of latencies and saturations."""
    table = Table(title=f"mean latency in cycles, model / RTL ({cycles} cycles, seed {seed})")
    for column in ("mesh", "traffic", "saturation", *(f"{load:.0%}" for load in LOADS), "model ms"):
        table.add_column(column)
    worst: dict[float, list[float]] = {load: [] for load in LOADS}
    for width, height in meshes:
        for kind in PATTERNS:
            if kind == "transpose" and width != height:
                continue
            flows = pattern(kind, width, height, seed)
            most = measured_saturation(flows, cycles // 3, seed)
            start = time.perf_counter()
            model = latency(flows, most * np.array(LOADS)).mean
            took = (time.perf_counter() - start) * 1000
            cells = []
            for load, ours in zip(LOADS, model, strict=True):
                theirs = mean_latency(flows, load * most, cycles, seed)
                error = ours / theirs - 1
                worst[load].append(abs(error))
                cells.append(f"{ours:.2f} / {theirs:.2f} {error:+.1%}")
            reached = saturation(flows)
            table.add_row(
                f"{width}x{height}", kind, f"{reached:.3f} / {most:.3f} {reached / most - 1:+.1%}",
                *cells, f"{took:.0f}",
            )  # fmt: skip
    table.add_row("", "largest error", "", *(f"{max(worst[load]):.1%}" for load in LOADS), "")
    console.print(table)


def by_burst(
    examples: list[str], counts: list[int], samples: int, steps: int, seed: int, console: Console
) -> None:
    """Steps of recorded spikes, each a burst, against the lower bound."""
    table = Table(
        title="mean cycles in which a step's events leave the mesh: RTL, lower bound, model"
    )
    columns = ("network", "cores", "steps", "flits", "RTL", "bound", "Pearson", "model", "Pearson")
    for column in columns:
        table.add_column(column, justify="right")
    every: list[np.ndarray] = []

    def row(name: str, cores: str, flits: np.ndarray, found: np.ndarray) -> None:
        """found [3, steps]: RTL, bound, model."""
        together = np.corrcoef(found)
        table.add_row(
            name, cores, str(found.shape[1]), f"{flits.mean():.1f}", f"{found[0].mean():.1f}",
            f"{found[1].mean():.1f}", f"{together[0, 1]:.4f}",
            f"{found[2].mean():.1f}", f"{together[0, 2]:.4f}",
        )  # fmt: skip
        every.append(np.vstack([found, flits]))

    for name in examples:
        _, program, test = load_example(name)
        inputs = quantise_inputs(program, test)[:samples]
        done = activity(program, inputs, test.lengths[:samples])
        events = np.concatenate([inputs, done.sent], axis=2) != 0
        for cores in counts:
            mapped = map_program(program, Target(cores=cores, seed=seed))
            flows, use = flows_of(mapped)
            rows = events.reshape(-1, events.shape[2])
            if mapped.delayed_routes:
                first = program.input_size
                rows = np.concatenate([rows[:, :first], rows[:, :first], rows[:, first:]], axis=1)
            flits = np.rint((use @ rows.T.astype(float)).T).astype(np.int64)
            flits = flits[flits.sum(axis=1) > 0]
            flits = flits[:: -(-len(flits) // steps)]
            bound = Drain.of(flows).cycles(flits)
            rtl = drained(flows, flits, gap=int(4 * bound.max() + 100))
            assert (rtl >= bound).all()
            model = np.array([burst(replace(flows, rate=one)) for one in flits])
            row(name, str(cores), flits.sum(axis=1), np.array([rtl, bound, model]))
    whole = np.concatenate(every, axis=1)
    row("all together", "", whole[3], whole[:3])
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meshes", type=sizes, nargs="*", default=[(4, 4), (3, 5), (8, 8)])
    parser.add_argument("--cycles", type=int, default=60_000, help="of each run")
    parser.add_argument("--examples", nargs="*", default=["digits", "recurrent", "vowels"])
    parser.add_argument("--cores", type=int, nargs="*", default=[4, 9, 16])
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--steps", type=int, default=40, help="most steps of a network")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    console = Console(width=180)
    if arguments.meshes:
        by_load(arguments.meshes, arguments.cycles, arguments.seed, console)
    if arguments.examples:
        by_burst(
            arguments.examples,
            arguments.cores,
            arguments.samples,
            arguments.steps,
            arguments.seed,
            console,
        )


if __name__ == "__main__":
    main()
