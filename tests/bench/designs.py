"""The designs that benchmarks measure, made from nothing but parameters and a seed."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from codesign.compile import emit_rtl
from hdl.params.neuron import FIELDS, Emit, Reset
from mapping.mapped import Mapped, Target
from mapping.mapper import map_program
from mapping.program import Formats, Input, Population, Program, Projection

__all__ = ["emit", "lif_network"]


def lif_network(sizes: tuple[int, ...], weight_bits: int, *, seed: int = 0) -> Program:
    """A dense feed-forward network of LIF neurons: decay .9, subtractive reset, one threshold.

    The thresholds are such that with 20 % of the inputs active about 10 % of the neurons fire.
    """
    rng = np.random.default_rng(seed)
    top = (1 << (weight_bits - 1)) - 1
    populations, projections = [], []
    for level, (before, size) in enumerate(pairwise(sizes), 1):
        weights = rng.integers(-top, top + 1, size=(before, size))
        shift = 4
        threshold = int(1.3 * np.sqrt(0.2 * before * (top**2) / 3) / np.sqrt(1 - 0.81)) << shift
        values = dict.fromkeys(FIELDS, 0) | {
            "membrane_decay": round(0.9 * 256),
            "threshold": threshold,
            "reset_value": threshold,
            "shift": shift,
            "reset": int(Reset.SUBTRACT),
            "emit": int(Emit.SPIKE),
        }
        populations.append(
            Population(
                name=f"layer{level}",
                kind="LIF",
                size=size,
                level=level,
                fields={name: np.full(size, value) for name, value in values.items()},
                membrane_scale=np.ones(size),
            )
        )
        projections.append(
            Projection(
                source="input" if level == 1 else f"layer{level - 1}",
                target=f"layer{level}",
                indptr=np.arange(before + 1) * size,
                indices=np.tile(np.arange(size), before),
                weights=weights.reshape(-1),
                weight_bits=weight_bits,
            )
        )
    return Program(
        name="x".join(map(str, sizes)),
        formats=Formats(membrane_bits=16, decay_bits=8),
        inputs=(Input(name="input", size=sizes[0]),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(f"layer{len(sizes) - 1}",),
    )


def emit(program: Program, target: Target, directory: Path) -> tuple[Mapped, list[Path]]:
    """Maps the program and writes the fabric's Verilog; returns both."""
    mapped = map_program(program, target)
    emit_rtl(mapped, directory)
    return mapped, sorted(directory.glob("nervure*"))
