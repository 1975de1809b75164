"""Stochastic layers in the golden model: packed AND and count of 64 x 64 streams, bits a second.

The alternatives are numpy's `bitwise_count`, measured in the same run, and the compiled engine of
sc-neurocore where it is installed (pip install sc-neurocore-engine). Ours runs on one core. The
error is that of the mean product of a neuron's 64 inputs, against the exact one.

Example: python tests/bench/bench_sc.py
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from sim.golden.sc.mac import mac
from sim.golden.sc.packed import pack
from sim.golden.sc.sobol import points

SIZE, BATCH = 64, 256


def rate(work: Callable[[], object], bits: int) -> float:
    """Gbit/s of the best of many runs within half a second."""
    work()
    best, end = float("inf"), time.perf_counter() + 0.5
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return bits / best / 1e9


def independent(values: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Packed streams of independent bits."""
    return pack(rng.random((*values.shape, length)) < values[..., None])


def sobol(values: np.ndarray, length: int, dimension: int) -> np.ndarray:
    """Packed streams that share one Sobol dimension."""
    width = length.bit_length() - 1
    numbers = points(width, dimension, np.arange(length), "gray")
    return pack(numbers < values[..., None] * length)


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean((found - exact) ** 2)))


def main() -> None:
    """Measure and print."""
    try:
        import sc_neurocore_engine as engine
    except ImportError:
        engine = None
        print("sc-neurocore-engine is not installed: its columns are missing\n")
    rng = np.random.default_rng(1)
    w, x = rng.random((SIZE, SIZE)), rng.random((BATCH, SIZE))
    exact = x @ w.T / SIZE
    print("Gbit/s of AND and count, one layer of 64 x 64 (one input | a batch of 256)")
    print(f"{'L':>6} {'ours, 1 core':>18} {'numpy':>16} {'sc-neurocore':>18} {'ratio':>14}")
    errors = []
    for length in (256, 1024, 4096):
        weights, inputs = independent(w, length, rng), independent(x, length, rng)
        bits = SIZE * SIZE * length
        ours = rate(lambda: mac(weights, inputs[0]), bits)  # noqa: B023
        ours_batch = rate(lambda: mac(weights, inputs), bits * BATCH)  # noqa: B023
        plain = rate(lambda: np.bitwise_count(weights & inputs[0]).sum((1, 2)), bits)  # noqa: B023
        row = [f"{length:6} {ours:8.0f} | {ours_batch:7.0f} {plain:16.0f}"]
        found = mac(weights, inputs) / (SIZE * length)
        shared = mac(sobol(w, length, 1), sobol(x, length, 2)) / (SIZE * length)
        line = f"{length:6} {error(found, exact):14.5f} {error(shared, exact):16.5f}"
        if engine is not None:
            layer = engine.DenseLayer(SIZE, SIZE, length)
            layer.set_weights(w.tolist())
            layer.refresh_packed_weights()
            one = inputs[0]
            theirs = rate(lambda: layer.forward_prepacked_numpy(one), bits)  # noqa: B023
            batch = rate(lambda: layer.forward_batch_numpy(x), bits * BATCH)  # noqa: B023
            row.append(
                f"{theirs:8.0f} | {batch:7.0f} {ours / theirs:6.1f}x {ours_batch / batch:5.1f}x"
            )
            line += f" {error(layer.forward_batch_numpy(x) / SIZE, exact):16.5f}"
        print(" ".join(row))
        errors.append(line)
    print("\nRMS error of the mean product")
    print(f"{'L':>6} {'independent':>14} {'Sobol 1 and 2':>16} {'sc-neurocore':>16}")
    print("\n".join(errors))


if __name__ == "__main__":
    main()
