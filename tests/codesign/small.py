"""A small model and a labelled input, for tests of the command line and what lies behind it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from codesign.cli import main
from tests.mapping.nir_files import chain, ends, lif, node, write

INPUTS, HIDDEN, OUTPUTS = 6, 10, 3


def small_model(path: Path, seed: int = 0, **changes: Any) -> Path:
    """Input, Linear, LIF, Linear, LIF, Output; `changes` replace nodes."""
    rng = np.random.default_rng(seed)
    nodes = {
        **ends(INPUTS, OUTPUTS),
        "fc1": node("Linear", weight=rng.normal(0.3, 0.5, (HIDDEN, INPUTS))),
        "lif1": lif(HIDDEN),
        "fc2": node("Linear", weight=rng.normal(0.3, 0.5, (OUTPUTS, HIDDEN))),
        "lif2": lif(OUTPUTS),
        **changes,
    }
    return write(path, nodes, chain("input", "fc1", "lif1", "fc2", "lif2", "output"))


def small_input(path: Path, samples: int = 5, steps: int = 12, inputs: int = INPUTS) -> Path:
    """Labelled random spikes; the last sample is shorter."""
    rng = np.random.default_rng(1)
    np.savez(
        path,
        spikes=(rng.random((samples, steps, inputs)) < 0.4).astype(np.uint8),
        labels=rng.integers(0, OUTPUTS, samples),
        lengths=np.r_[np.full(samples - 1, steps), steps - 4],
    )
    return path


def compiled(folder: Path, *options: str) -> Path:
    """A small artefact in `folder`."""
    model, data = small_model(folder / "small.nir"), small_input(folder / "in.npz")
    out = folder / "built"
    assert run("compile", model, "-o", out, "--calibration", data, "-q", "--json", *options) == 0
    return out


def run(*arguments: Any) -> int:
    """A command line; its exit code."""
    return main([str(argument) for argument in arguments])


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in itertools.chain([folder], sorted(folder.rglob("*")))
    }
