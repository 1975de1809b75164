"""Speed of the golden model's crossbars: devices read a second, beside aihwkit's inference tile.

    python tests/bench/bench_crossbar.py [--python PATH] [--size 512] [--threads 2]

PATH is a Python that has aihwkit (pip install aihwkit==1.1.0; its wheel works with torch 2.10, not
with 2.9 or 2.13). Both multiply the same square matrix by a vector of ones, one pair of PCM devices
a weight, all of them read, on one core; times are the least processor time of several runs.

- golden: every device's noise is drawn anew in every product, bit for bit what the RTL gives;
  columns are converted and pairs subtracted. No inputs of several bits.
- aihwkit, new noise: `drift_analog_weights(0)` before every product, which is how it draws the read
  noise of every device anew (at t_0, where it skips the drift). It also quantises inputs and
  outputs and bounds them.
- aihwkit, noise model alone: the conductances of both devices with new noise, no product.
- aihwkit, noise of outputs: `forward.w_noise_type = PCM_READ`, batches of 64: one number an output,
  of the deviation that the devices would give; no device is read, weights stay the same. The last
  one has no noise at all.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from sim.device.emulate import program
from sim.device.integer import age, tables
from sim.device.table import find_device
from sim.golden.crossbar.product import Part, Plan, input_sums, plan

BYTES = 3  # of a device: h and s


def crossbar_of(weights: np.ndarray, seed: int) -> tuple[Crossbar, Plan]:
    """Weights [outputs, inputs] in -1..1 on PCM devices, each of which took one pulse."""
    size, sources = weights.shape
    c = Crossbar(rows=512, columns=128, adc_bits=12, fraction=8, seed=seed)
    device = find_device("pcm")
    params, now = tables(device, c.cell_bits), age(device, 0.0)
    blocks, tiles = c.blocks(size), c.tiles(sources)
    whole = np.zeros((tiles * c.rows, blocks * c.neurons))
    whole[:sources, :size] = weights.T
    whole = whole.reshape(tiles, c.rows, blocks, c.neurons).transpose(2, 0, 1, 3)
    pairs = np.stack([np.maximum(whole, 0), np.maximum(-whole, 0)], -1) * params.full_scale
    targets = np.rint(pairs).astype(np.int64).reshape(blocks, tiles, c.rows, -1)
    g_p, nu = program(params, targets, np.random.default_rng(seed))
    full = c.rows * params.full_scale / 2
    arrays = {
        "conductance": g_p,
        "exponent": nu,
        "read_noise": np.array(params.read_noise),
        "age": np.array([now.log_age, now.fresh, now.slow]),
        "column": np.tile(np.arange(c.columns), (blocks, 1)),
        "factor": np.full((blocks, tiles, c.neurons), 1 << c.fraction),
        "gain": np.full(c.converters, int((1 << 16 + c.adc_bits) / full)),
        "offset": np.zeros(c.converters, np.int64),
    }
    return c, plan([Part(c, arrays, size, sources)])


class Products:
    """Products of one thread."""

    def __init__(self, made: Plan, size: int, sources: int) -> None:
        self.made, self.states = made, made.states.copy()
        self.x, self.acc = np.ones(sources, np.int64), np.zeros(size, np.int64)
        self.rows = 0

    def run(self, count: int) -> None:
        for _ in range(count):
            self.rows += input_sums(self.made, 0, self.x, self.states, self.acc)[0]


def main() -> None:
    """Print one figure per line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", help="a Python that has aihwkit; without: golden alone")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of the matrix")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    size, repeats = arguments.size, arguments.repeats

    weights = np.random.default_rng(arguments.seed).uniform(-1, 1, (size, size))
    c, made = crossbar_of(weights, arguments.seed)
    one = Products(made, size, size)
    one.run(1)
    each = one.rows * c.columns  # devices of a product
    several = []
    for _ in range(20):
        one.run(1)
        several.append(one.acc.copy())
    products = np.array(several)
    deviation = products.std(0).mean() / np.sqrt((products.mean(0) ** 2).mean())
    scatter = np.corrcoef(products.mean(0), weights.sum(1))[0, 1]

    batch, times = 50, []
    for _ in range(repeats):
        start = time.process_time()
        one.run(batch)
        times.append((time.process_time() - start) / batch)
    golden = min(times)
    workers = [Products(made, size, size) for _ in range(arguments.threads)]
    walls = []
    with ThreadPoolExecutor(arguments.threads) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(lambda w: w.run(batch), workers))
            walls.append((time.perf_counter() - start) / batch / arguments.threads)

    def show(name: str, seconds: float, note: str = "") -> None:
        rate = f"{each / seconds / 1e6:9.0f} M devices/s"
        print(f"{name:<28} {seconds * 1e6:9.1f} us a product {rate}{note}")

    print(f"matrix                       {size} x {size}, {each} devices a product")
    print(f"product against weights      correlation {scatter:.4f}, read noise {deviation:.4f}")
    memory = f", {each * BYTES / golden / 1e9:.0f} GB/s"
    show("golden, one core", golden, memory)
    show(f"golden, {arguments.threads} threads (wall)", min(walls))
    if not arguments.python:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npy"
        np.save(path, weights)
        tile = Path(__file__).with_name("aihwkit_tile.py")
        command = [arguments.python, str(tile), str(path), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SystemExit(f"{arguments.python} could not run aihwkit: {last}")
    rival = json.loads(done.stdout.strip().splitlines()[-1])
    print(
        f"aihwkit {rival['aihwkit']}, torch {rival['torch']}: read noise {rival['deviation']:.4f}"
    )
    show("aihwkit, new noise", rival["fresh"])
    show("aihwkit, noise model alone", rival["draws"])
    for key, name in (("output", "noise of outputs"), ("none", "no noise")):
        print(f"{'aihwkit, ' + name:<28} {rival[key] * 1e6:9.1f} us a product")
    print(f"ratio, new noise             {rival['fresh'] / golden:.0f}")
    print(f"ratio, noise model alone     {rival['draws'] / golden:.0f}")
    print(f"ratio, noise of outputs      {rival['output'] / golden:.1f}")


if __name__ == "__main__":
    main()
