"""Spread of the attention example's accuracy over its random draws, on the frozen test samples.

Golden model (4-bit weights) and float model, each with 20 seeds of the attention.

Example: python tests/bench/bench_draws.py
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from mapping.reference import simulate
from sim.golden.network import Golden
from tests.test_attention_example import load, right, with_seed

SEEDS = 20


def main() -> None:
    """Measure and print."""
    graph, program, test, inputs = load()
    real, golden = [], []
    for seed in range(SEEDS):
        real.append(right(simulate(graph, test.inputs, keep=(), seed=seed).outputs, test))
        changed = Golden(with_seed(program, seed))
        golden.append(right(changed.run(inputs, test.lengths).outputs, test))
    for name, found in (("float64", real), ("golden model", golden)):
        share = np.array(found) / test.samples
        print(f"{name}: {share.mean():.4f} +- {share.std():.4f} over {SEEDS} seeds")


if __name__ == "__main__":
    main()
