"""Accuracy of the state-space examples in integers, by widths of weights and states.

Golden model, all test series; the last column are networks fine-tuned for that width.

Example: python tests/bench/bench_ssm_accuracy.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from mapping.readout import decide
from tests.test_examples_ssm import EXAMPLES, MODELS, golden, load


def right(name: str, file: str, **widths: int) -> str:
    """How many series an example tells right."""
    if not (EXAMPLES / name / file).exists():
        return ""
    settings, graph, test = load(name, file, **widths)
    found, program = golden(settings, graph, test)
    count = int((decide(program.readout, found, test.lengths) == test.labels).sum())
    return f"{count} ({count / test.samples:.4f})"


def main() -> None:
    """Measure and print."""
    print("| example | weight bits | state bits | right | fine-tuned |")
    print("|---|---|---|---|---|")
    for name, (_, count) in MODELS.items():
        print(f"| {name} | float32 | | {count} | |")
        for bits in (8, 4, 3, 2):
            for states in (16, 12):
                widths = {"weight_bits": bits, "state_bits": states}
                cells = (right(name, file, **widths) for file in ("model.pt", f"model{bits}.pt"))
                print(f"| {name} | {bits} | {states} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
