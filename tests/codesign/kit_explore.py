"""A small exploration, for tests; as a program too, so that it can be killed:

python -m tests.codesign.kit_explore FOLDER OUT TRIALS WORKERS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from codesign.explore.exploration import Exploration
from codesign.explore.explore import explore
from codesign.explore.plan import Plan
from codesign.settings import Settings
from tests.codesign.small import INPUTS, OUTPUTS, small_model

OBJECTIVES = ("accuracy", "lut", "latency_us")


def files(folder: Path) -> tuple[Path, Path]:
    """A model, and labelled data that it answers better than chance."""
    from mapping.importers.load import load_graph
    from mapping.readout import decide
    from mapping.reference import simulate

    folder.mkdir(exist_ok=True)
    model, data = folder / "small.nir", folder / "data.npz"
    if not data.exists():
        small_model(model)
        rng = np.random.default_rng(5)
        spikes = rng.random((60, 12, INPUTS)) < rng.uniform(0.1, 0.7, (60, 1, INPUTS))
        ran = simulate(load_graph(model, SETTINGS.options), list(spikes.astype(float)))
        labels = decide("count", ran.outputs, ran.lengths)
        labels[::7] = (labels[::7] + 1) % OUTPUTS
        np.savez(data, spikes=spikes.astype(np.uint8), labels=labels)
    return model, data


SETTINGS = Settings().with_values({"readout": "count", "dt": 1e-4})
#: What keeps a search small.
QUICK: dict[str, Any] = {"objectives": OBJECTIVES, "batch": 6, "trials": 18, "synth": 0}


def searched(folder: Path, out: str, **changes: Any) -> Exploration:
    """An exploration of the small model in folder/out."""
    model, data = files(folder)
    progress = changes.pop("progress", lambda text: None)
    return explore(model, data, SETTINGS, Plan(**{**QUICK, **changes}), folder / out, progress)


def content(found: Exploration) -> list[dict[str, Any]]:
    """All outcomes, but how long they took."""
    return [{**o.to_json(), "seconds": 0} for o in found.outcomes]


if __name__ == "__main__":
    folder, out, trials, workers = sys.argv[1:]
    searched(Path(folder), out, trials=int(trials), workers=int(workers))
