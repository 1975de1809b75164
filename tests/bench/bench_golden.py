"""Speed of the golden model: synaptic operations a second, beside dense numpy on one core.

    python tests/bench/bench_golden.py [--sizes 2048 512 512 11] [--rate 0.08] [--density 1.0]

The network has the size of a DVS-gesture classifier. The rival is what one writes first: one
matrix product per step and layer (float64, so that BLAS does it, and exact below 2**53) and the
same integer update. Both give the same spikes, which is checked. Operations are the same for
both: one for each stored synapse of each event.
"""

import argparse
import os
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np  # noqa: E402

from hdl.params.neuron import Emit, Reset  # noqa: E402
from mapping.program import Program  # noqa: E402
from sim.golden.network import Golden  # noqa: E402
from tests.kit import random_program  # noqa: E402


def healthy_program(sizes: list[int], density: float) -> Program:
    """Feed-forward LIF layers that subtract, with thresholds that fire at a few per cent."""
    program = random_program(
        1, sizes, recurrent=False, skip=False, density=density, reset=Reset.SUBTRACT,
        emit=Emit.SPIKE, weight_bits=4, exponents=0,
    )  # fmt: skip
    for p in program.populations:
        fields = p.fields
        spikes = sizes[p.level - 1] * density * (0.08 if p.level == 1 else 0.04)
        level = int(12 * np.sqrt(spikes))  # 1.2 deviations of the membrane
        fields["membrane_decay"][:] = 3686
        fields["bias"][:] = 0
        fields["shift"][:] = 2
        fields["threshold"][:] = fields["reset_value"][:] = 4 * level
    for projection in program.projections:  # no excess of excitation
        projection.weights[:] = np.random.default_rng(2).integers(-7, 8, len(projection.weights))
    return program


class DenseNumpy:
    """The same network as one matrix per layer; SUBTRACT reset, no current, delay 0."""

    def __init__(self, program: Program) -> None:
        self.formats = program.formats
        self.layers = []
        for p, q in zip(program.populations, program.projections, strict=True):
            rows = len(q.indptr) - 1
            matrix = np.zeros((rows, p.size))
            matrix[np.repeat(np.arange(rows), np.diff(q.indptr)), q.indices] = (
                q.weights << q.exponent
            )
            self.layers.append((matrix, p.fields))

    def run(self, events: np.ndarray) -> np.ndarray:
        """Spikes [steps, outputs] of one sample [steps, inputs]."""
        top = (1 << (self.formats.membrane_bits - 1)) - 1
        bits = self.formats.decay_bits
        half = 1 << (bits - 1)
        membranes = [np.zeros(m.shape[1], np.int64) for m, _ in self.layers]
        outputs = []
        for x in events.astype(np.float64):
            for k, (matrix, f) in enumerate(self.layers):
                total = (x @ matrix).astype(np.int64) << f["shift"]
                v = ((membranes[k] * f["membrane_decay"] + half) >> bits) + total + f["bias"]
                v = np.clip(v, -top - 1, top)
                spikes = v > f["threshold"]
                reset = np.clip(v - f["reset_value"], -top - 1, top)
                membranes[k] = np.where(spikes, reset, v)
                x = spikes.astype(np.float64)
            outputs.append(spikes)
        return np.array(outputs, np.uint8)


def main() -> None:
    """Print one figure per line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 512, 512, 11])
    parser.add_argument("--rate", type=float, default=0.08, help="share of inputs that spike")
    parser.add_argument("--density", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    program = healthy_program(arguments.sizes, arguments.density)
    shape = (arguments.samples, arguments.steps, arguments.sizes[0])
    events = (np.random.default_rng(3).random(shape) < arguments.rate).astype(np.uint8)
    start = time.perf_counter()
    golden = Golden(program)
    prepare = time.perf_counter() - start
    start = time.perf_counter()
    golden.run(events[:1, :2])
    first = time.perf_counter() - start
    start, wall = time.process_time(), time.perf_counter()
    result = golden.run(events, threads=arguments.threads)
    fast, wall = time.process_time() - start, time.perf_counter() - wall
    operations = int(result.synaptic_operations.sum())

    dense = DenseNumpy(program)
    start = time.process_time()
    rival = np.stack([dense.run(sample) for sample in events])
    slow = time.process_time() - start
    if not np.array_equal(rival, result.spikes):
        raise SystemExit("the rival's spikes differ: the comparison is void")

    steps = arguments.samples * arguments.steps
    synapses = sum(len(q.indices) for q in program.projections)
    print(f"network                {'-'.join(map(str, arguments.sizes))}, {synapses} synapses")
    print(f"input rate             {result.input_events.sum() / events.size:.3f}")
    for p in program.populations:
        print(f"rate of {p.name:<14} {result.events[p.name].sum() / steps / p.size:.3f}")
    print(f"prepare                {prepare * 1e3:.1f} ms")
    print(f"first run              {first:.2f} s (import of numba, machine code from the cache)")
    print(f"golden                 {operations / fast / 1e6:.0f} M synaptic operations/s a core")
    print(f"dense numpy            {operations / slow / 1e6:.0f} M synaptic operations/s a core")
    print(f"ratio                  {slow / fast:.1f} (processor time)")
    sample = wall / arguments.samples * 1e3
    print(f"golden, wall clock     {operations / wall / 1e6:.0f} M synaptic operations/s, "
          f"{sample:.2f} ms a sample, {arguments.threads} thread(s)")  # fmt: skip


if __name__ == "__main__":
    main()
