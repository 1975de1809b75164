"""Cycles by the model (codesign/cost/cycles.py) beside those that the RTL counts, over designs that
the model was not made from: the shipped examples by engines, cores, lanes, queues.

Nothing of the model is fitted. "worst": of any sample. "rates": of `expected_cycles`, from mean
rates alone. Each design is built with Verilator, which takes most of the time.

Example: python tests/bench/bench_cycles.py --only vowels --cores 1,2,4,6
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from codesign.activity import measured
from codesign.compile import emit_rtl, quantise_model
from codesign.cost.cycles import activity, cycles, expected_cycles
from codesign.settings import load_settings
from hdl.params.crossbar.core import CrossbarParams
from hdl.params.errors import UserError
from mapping.mapper import map_program
from sim.rtl import Rtl
from sim.stimulus import quantise_inputs, read_stimulus

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Example, and settings that make a design of another engine of it.
MODELS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("digits", {}),
    ("digits", {"engine": "stochastic"}),
    ("digits", {"engine": "crossbar"}),
    ("vowels", {}),
    ("vowels", {"engine": "stochastic", "stream_length": 64}),
    ("vowels", {"engine": "stochastic", "stream_length": 64, "margin": 2}),
    ("vowels", {"engine": "crossbar"}),
    ("vowels", {"engine": "ssm"}),
    ("recurrent", {}),
    ("attention", {}),
    ("vowels_s4d", {}),
    ("seqdigits", {}),
    ("bayesian", {}),
)  # fmt: skip
LANES = (1, 4, 16)


def designs(only: str, cores: list[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each model on each number of cores; lanes and queues go round."""
    for m, (name, settings) in enumerate(MODELS):
        for k, count in enumerate(cores):
            if only in name:
                lanes = LANES[(k + m) % len(LANES)]
                queue = {"fifo": 16} if (k + m) % 4 == 3 else {}
                yield name, {**settings, "cores": count, "lanes": lanes, **queue}


def measure(name: str, given: dict[str, Any], samples: int, steps: int, folder: Path) -> Any:
    """(model, RTL) cycles of the samples, and (expected, RTL) cycles of a step.

    A crossbar's first sample, which ages it, is left out.
    """
    model = next(p for p in (EXAMPLES / name).iterdir() if p.name in (f"{name}.nir", "model.pt"))
    settings = load_settings(EXAMPLES / name / "nervure.toml", given)
    made = quantise_model(model, settings)
    test = EXAMPLES / name / "test.npz"
    stimulus = read_stimulus(test if test.is_file() else EXAMPLES / "vowels" / "test.npz")
    chosen = np.linspace(0, stimulus.samples - 1, samples + 1).astype(int)
    events = quantise_inputs(made.program, stimulus)[chosen, :steps]
    lengths = np.minimum(stimulus.lengths[chosen], steps)
    mapped = map_program(made.program, settings.target)
    guess = cycles(mapped, activity(made.program, events, lengths)).each
    emit_rtl(mapped, folder)
    rtl = Rtl(mapped, sorted(folder.glob("nervure*")), optimise=False)
    found = rtl.run(events, lengths)
    assert found.errors == (), found.errors
    kept = np.ones(len(lengths), bool)
    if any(core and isinstance(core.dendrites, CrossbarParams) for core in mapped.mesh.cores):
        kept[np.lexsort((np.arange(len(lengths)), lengths))[0]] = False
    steady = expected_cycles(mapped, measured(made.program, events, lengths), int(lengths.max()))
    a_step = found.cycles[kept].sum() / lengths[kept].sum()
    return guess[kept], found.cycles[kept], steady.per_step / a_step - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--only", default="", help="examples whose names hold this")
    parser.add_argument("--cores", default="1,2,4,6")
    arguments = parser.parse_args()
    cores = [int(c) for c in arguments.cores.split(",")]
    print(f"{'design':62} {'model':>9} {'RTL':>9} {'error':>7} {'worst':>7} {'rates':>7}")
    errors, by_rates = [], []
    for name, given in designs(arguments.only, cores):
        label = f"{name} " + " ".join(f"{k}={v}" for k, v in given.items())
        with tempfile.TemporaryDirectory() as folder:
            try:
                guess, rtl, steady = measure(
                    name, given, arguments.samples, arguments.steps, Path(folder)
                )
            except UserError as why:
                print(f"{label:62} {str(why)[:60]}", flush=True)
                continue
        ratio = guess / rtl - 1
        error = guess.mean() / rtl.mean() - 1
        errors.append(error)
        by_rates.append(steady)
        print(
            f"{label:62} {guess.mean():9.0f} {rtl.mean():9.0f} {100 * error:6.2f}% "
            f"{100 * ratio[np.abs(ratio).argmax()]:6.2f}% {100 * steady:6.1f}%",
            flush=True,
        )
    for what, made in (("of what was sent", errors), ("of mean rates", by_rates)):
        size = 100 * np.abs(made)
        print(
            f"{len(size)} designs, cycles {what}: median error {np.median(size):.2f} %, "
            f"mean {size.mean():.2f} %, worst {size.max():.2f} %"
        )


if __name__ == "__main__":
    main()
