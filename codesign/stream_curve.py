"""Accuracy of a model with stochastic layers at every stream length, in the golden model."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.activity import chunks
from codesign.simulate import decisions
from hdl.params.sc.dense import Streams

if TYPE_CHECKING:
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["length_curve"]

#: Lengths above this are left out: they take long and change little.
LONGEST = 4096


def length_curve(
    program: Program,
    stimulus: Stimulus,
    events: np.ndarray,
    progress: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Rows {"length", "accuracy", "agreement", "bits"} for stream lengths 1, 2, 4, ...

    "accuracy" is None without labels; "agreement": share of samples decided as with the longest
    streams; "bits": the mean number of stream bits that a sum took (fewer than the length where
    early termination is on, or a layer's full period is shorter). Empty for a program that has no
    stochastic layer or no decision.
    """
    from mapping.streams import with_run_time
    from sim.golden.network import Golden

    longest = neurons = 0
    for p in program.populations:
        if isinstance(p.dendrites, Streams):
            longest = max(longest, 1 << p.dendrites.source_bits)
            neurons += p.size
    rows, decided = [], []
    for k in range(min(longest, LONGEST).bit_length()):
        progress(f"streams of {1 << k} bits")
        golden = Golden(with_run_time(program, 1 << k, None))
        outputs, bits = [], 0
        for part in chunks(program, stimulus.samples, stimulus.steps):
            ran = golden.run(events[part], stimulus.lengths[part], threads=os.cpu_count() or 1)
            outputs.append(ran.outputs)
            bits += int(sum(b.sum() for b in ran.stream_bits.values()))
        answer = decisions(program, np.concatenate(outputs), stimulus.lengths)
        if answer is None:
            return []
        sums = int(stimulus.lengths.sum()) * neurons
        right = None if stimulus.labels is None else np.mean(answer == stimulus.labels).item()
        rows.append({"length": 1 << k, "accuracy": right, "bits": bits / max(sums, 1)})
        decided.append(answer)
    for row, answer in zip(rows, decided, strict=True):
        row["agreement"] = np.mean(answer == decided[-1]).item()
    return rows
