"""How good answers are: accuracy, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from codesign.activity import chunks
from codesign.crossbar.evaluate import crossed
from codesign.simulate import class_scores
from codesign.uncertainty import member_probabilities, trust
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from codesign.compile import Quantised
    from codesign.settings import Settings
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["ANSWERS", "judge", "wanted"]

#: Objectives that answers to labelled data have.
ANSWERS = ("accuracy", "nll", "coverage", "set_size")


def wanted(names: Iterable[str]) -> tuple[str, ...]:
    """Those of ANSWERS."""
    given = set(names)
    return tuple(name for name in ANSWERS if name in given)


def _scores(program: Program, events: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    from sim.golden.network import Golden

    golden = Golden(program)
    parts = []
    for part in chunks(program, len(events), events.shape[1]):
        outputs = golden.run(events[part], lengths[part], threads=1).outputs
        found = class_scores(program, outputs, lengths[part])
        if found is None:
            raise UserError(
                f"{program.name}: has no decision to judge; set readout (count, last, max or mean)"
            )
        parts.append(found)
    return np.concatenate(parts)


def judge(
    made: Quantised,
    settings: Settings,
    stimulus: Stimulus,
    events: np.ndarray,
    members: int | None,
    names: Iterable[str],
) -> dict[str, float]:
    """Values of ANSWERS by name, over labelled data (`events` are its integers).

    members : runs with noise of their own (seeds `device_seed`, + 1, ...) whose class
    probabilities are averaged. Temperatures of probabilities, and thresholds of sets, are those
    that the other half of the samples wants (codesign/uncertainty.py: trust).
    """
    program = made.program
    assert stimulus.labels is not None
    if members is None or members == 1:
        scores = _scores(program, events, stimulus.lengths)[None]
    else:
        from codesign.crossbar.age import aged

        first = settings.crossbar.device_seed
        scores = np.stack([
            _scores(aged(program, settings.crossbar, None, None, (first + m) % (1 << 32)),
                    events, stimulus.lengths)
            for m in range(members)
        ])  # fmt: skip
    names, found = set(names), dict[str, float]()
    if names == {"accuracy"} and len(scores) == 1:
        return {"accuracy": float((scores[0].argmax(axis=1) == stimulus.labels).mean())}
    if "accuracy" in names:
        decided = scores[0]
        if len(scores) > 1:
            warmth = np.ones(len(decided))
            warmth[0::2], warmth[1::2] = crossed(scores, stimulus.labels)
            decided = member_probabilities(scores / warmth[:, None]).mean(axis=0)
        found["accuracy"] = float((decided.argmax(axis=1) == stimulus.labels).mean())
    if names & {"nll", "coverage", "set_size"}:
        figures = trust(scores, stimulus.labels)
        found |= {name: getattr(figures, name) for name in names & set(ANSWERS) - {"accuracy"}}
    return found
