"""What an exploration costs beside its trials, and which sampler finds the better front.

Stores: milliseconds to keep one finished trial. Samplers: digits on ulx3s-85f, in this process, no
synthesis; after so many trials the hypervolume of the front (accuracy, LUTs, latency, energy),
relative to the best that was seen, and the seconds that it took. All samplers share a cache of
trials, so seconds are told for those that no earlier search did: run it with NERVURE_CACHE at an
empty folder, and with one sampler, for the time of all.

Example: python tests/bench/bench_explore.py --trials 160 --seeds 2
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from codesign.explore.explore import explore
from codesign.explore.front import hypervolume, losses
from codesign.explore.outcome import Outcome
from codesign.explore.plan import Plan
from codesign.explore.store import Store
from codesign.settings import load_settings

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
NAMES = ("accuracy", "lut", "latency_us", "energy_uj")
#: (name, settings of the plan) of what is compared.
SAMPLERS = {
    "nsga2": {"sampler": "nsga2", "sweep": False},
    "nsga2+sweep": {"sampler": "nsga2"},
    "tpe": {"sampler": "tpe", "sweep": False},
    "tpe+sweep": {"sampler": "tpe"},
}
#: Worse than any design that counts.
REFERENCE = np.array([0.0, 40000.0, 60.0, 10.0])


def stores(folder: Path, trials: int) -> None:
    """Prints what keeping a trial takes."""
    values = {name: 1.0 for name in NAMES}
    for name, where in (
        ("journal", folder / "study.log"),
        ("sqlite", f"sqlite:///{folder}/study.db"),
    ):
        store = Store(where, "bench", {}, NAMES, {"lanes": range(64)})
        began = time.perf_counter()
        for number in range(trials):
            store.add(Outcome(number=number, choice={"lanes": number % 64}, values=values))
        each = (time.perf_counter() - began) / trials
        print(f"{name}: {1e3 * each:.1f} ms a trial")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--samplers", nargs="*", default=list(SAMPLERS), choices=list(SAMPLERS))
    given = parser.parse_args()
    settings = load_settings(DIGITS / "nervure.toml")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        stores(folder, 100)
        rows = []
        for seed in range(given.seeds):
            for name in given.samplers:
                seen: list[tuple[int, float, float]] = []
                began = time.perf_counter()

                def told(found, began=began, seen=seen):
                    volume = hypervolume(losses(found.front, NAMES), REFERENCE)
                    took = time.perf_counter() - began
                    seen.append((len(found.outcomes), volume, took))

                plan = Plan(
                    objectives=NAMES, trials=given.trials, synth=0, seed=seed, **SAMPLERS[name]
                )
                found = explore(
                    DIGITS / "digits.nir", DIGITS / "test.npz", settings, plan,
                    folder / f"{name}{seed}", told=told,
                )  # fmt: skip
                spent = sum(o.seconds for o in found.outcomes)
                rows.append((name, seed, seen, spent, len(found.front)))
    best = max(seen[-1][1] for _, _, seen, _, _ in rows)
    for name, seed, seen, spent, size in rows:
        curve = ", ".join(f"{count}: {volume / best:.3f}" for count, volume, _ in seen)
        took = seen[-1][2]
        print(
            f"{name}, seed {seed}: front of {size}; {took:.1f} s, its trials {spent:.1f} s "
            f"({seen[-1][0] / took:.1f} a second); volume after trials {curve}"
        )


if __name__ == "__main__":
    main()
