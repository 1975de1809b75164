"""State-space examples when only changes travel, against all values.

Each row is compiled and evaluated: golden model and RTL on all test series. `dense` sends every
value that is not 0. `sends`: the share of neurons that send in a step, all layers together.

Example: python tests/bench/bench_ssm_delta.py        (12 minutes; names of examples: only these)
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.console import Console
from rich.table import Table

from codesign.compile import compile_model
from codesign.evaluate import evaluate
from codesign.settings import load_settings

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = {"vowels_s4d": "vowels/test.npz", "seqdigits": "seqdigits/test.npz"}
THRESHOLDS = (None, 0.0, 0.02, 0.05, 0.1)


def main() -> None:
    """Measure and print."""
    console = Console()
    shown = Table("example", "delta", "float", "golden", "RTL words off", "sends",
                  "synaptic operations", "cycles a step", box=None)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or MODELS:
            for delta in THRESHOLDS:
                settings = load_settings(EXAMPLES / name / "nervure.toml", {"delta": delta})
                artefact = compile_model(EXAMPLES / name / "model.pt", f"{folder}/b", settings)
                found = evaluate(artefact, EXAMPLES / MODELS[name])
                sizes = {p.name: p.size for p in artefact.program.populations}
                hidden = [n for n in sizes if n not in artefact.program.outputs]
                sends = sum(found.activity[n] * sizes[n] for n in hidden)
                shown.add_row(
                    name,
                    "dense" if delta is None else f"{delta:g}",
                    f"{found.accuracy['float']:.2%}",
                    f"{found.accuracy['golden']:.2%}",
                    str(found.mismatches),
                    f"{sends / sum(sizes[n] for n in hidden):.1%}",
                    f"{found.synaptic_operations_per_sample:,.0f}",
                    f"{found.cycles_per_step:,.0f}",
                )
                console.log(f"{name}, delta {delta}: done")
    console.print(shown)


if __name__ == "__main__":
    main()
