"""Program-and-verify: what a tolerance costs in writes, and what it leaves, on the golden model.

100,352 devices of one target, in units of the standard deviation of a read there. Writes expected:
the chance that a write lands within the tolerance, if verifies were exact and noise normal.
Residual: standard deviation of the true conductance about the target. Floor: what a verify can't
resolve. Spread of p: standard deviation of the probability that a read is above the target, .5 for
a device that is there.

Example: python tests/bench/bench_program.py --device pcm --target 0.5 --correlated
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2]))

from hdl.params.crossbar.array import ArrayParams
from hdl.params.crossbar.controller import ControllerParams
from hdl.params.crossbar.dendrites import Crossbar
from sim.device.integer import age, noise_floor, read_noise_units, tables
from sim.device.posterior import chance_of
from sim.device.table import find_device
from sim.golden.crossbar.layer import program_layer

BITS, ROWS, COLUMNS, TILES = 12, 512, 98, 2
HEAD = (
    "tolerance (reads)", "averages", "policy", "writes", "expected", "failed", "residual (reads)",
    "floor (reads)", "spread of p", "s",
)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="pcm")
    parser.add_argument("--target", type=float, default=0.5, help="share of g_max")
    parser.add_argument("--correlated", action="store_true", help="part of the read noise stays")
    parser.add_argument("--max-pulses", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    device = find_device(asked.device)
    law, level = tables(device, BITS), round(asked.target * (1 << BITS - 1))
    clock = age(device, 0.0, asked.correlated)
    whole = age(device, 0.0)
    sigma = float(read_noise_units(device, level, cell_bits=BITS))
    unit = device.g_max / (1 << BITS - 1)
    sizes = {"rows": ROWS, "columns": COLUMNS, "adc_bits": BITS, "converters": 1}
    array = ArrayParams(device=law, tiles=TILES, seed=asked.seed, **sizes)
    crossbar = Crossbar(cell_bits=BITS, **sizes)
    targets = np.full((1, TILES, ROWS, COLUMNS), level)
    writes = device.kind == "write"
    print(f"{device.name}, target {level * unit:g} uS, a read deviates by {sigma * unit:.3f} uS")
    print(f"seed {asked.seed}, {targets.size} devices, at most {asked.max_pulses} pulses each\n")
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for share in (2.0, 1.0, 0.5, 0.25, 0.125):
        tolerance = round(share * sigma)
        hit = 1.0
        if writes:
            hit = 2 * stats.norm.cdf(tolerance * unit / device.write_sigma(level * unit)) - 1
        for averages in (0, 2, 4, 8):
            floor = float(
                noise_floor(
                    device, level, averages, BITS, cell_bits=BITS, correlated=asked.correlated
                )
            )
            for policy in ("redraw", "feedback") if writes else ("redraw",):
                p = ControllerParams(
                    array=array, crossbar=crossbar, tolerance=tolerance, averages=averages,
                    max_pulses=asked.max_pulses, policy=policy,
                )  # fmt: skip
                begin = time.perf_counter()
                done = program_layer(p, targets, clock)
                took = time.perf_counter() - begin
                chance = chance_of(law, done.conductance, done.exponent, whole, np.int64(level))
                cells = (
                    f"{share:g}", str(1 << averages), policy if writes else "set / reset",
                    f"{done.pulses.mean():.2f}", f"{1 / hit:.2f}" if writes else "",
                    str(int(done.failed.sum())), f"{done.error.std() / sigma:.3f}",
                    f"{floor / sigma:.3f}", f"{chance.std():.3f}", f"{took:.2f}",
                )  # fmt: skip
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
