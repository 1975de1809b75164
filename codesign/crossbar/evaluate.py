"""Accuracy and calibration of an artefact on devices: over drift, members of an ensemble, RTL."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.artefact import Artefact
from codesign.crossbar.age import aged, duration
from codesign.crossbar.settings import COMPENSATIONS
from codesign.simulate import class_scores
from codesign.uncertainty import fit_temperature, summary
from hdl.params.errors import UserError

if TYPE_CHECKING:
    from mapping.program import Program
    from sim.stimulus import Stimulus

__all__ = ["Condition", "crossed", "duration", "evaluate_devices"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """An ensemble at one age, with one compensation of drift.

    age : seconds since the first read after programming. members : runs with noise of their own,
    whose class probabilities are averaged. temperature : that class scores are divided by.
    accuracy : of the ensemble; member_accuracy, mean of its members. nll, ece, brier, entropy,
    mutual_information, auroc : codesign/uncertainty.py. mismatches : output words in which RTL and
    golden model differ, over all members; None if the RTL did not run.
    """

    age: float
    compensation: str
    members: int
    temperature: float
    accuracy: float
    member_accuracy: float
    nll: float
    ece: float
    brier: float
    entropy: float
    mutual_information: float
    auroc: dict[str, dict[str, float]]
    mismatches: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _checked(ages: Sequence[float], compensations: Sequence[str], members: Sequence[int]) -> None:
    for what, given in (("ages", ages), ("compensations", compensations), ("members", members)):
        if not given:
            raise UserError(f"{what}: name at least one")
    for kind in compensations:
        if kind not in COMPENSATIONS:
            raise UserError(
                f"compensation: must be one of {', '.join(COMPENSATIONS)}, not {kind!r}"
            )
    for count in members:
        if not 1 <= count <= 1024:
            raise UserError(f"members: must be in 1..1024, not {count}")


class _Runs:
    """Class scores of Programs on the given stimuli; the RTL, once built, serves them all."""

    def __init__(self, artefact: Artefact, rtl: bool, progress: Any) -> None:
        self.artefact, self.mismatches = artefact, 0
        self.rtl: Any = None
        if rtl:
            from sim.rtl import Rtl

            self.rtl = Rtl(artefact.mapped, artefact.sources, progress=progress)

    def scores(self, program: Program, stimulus: Stimulus) -> np.ndarray:
        from sim.golden.network import Golden
        from sim.stimulus import quantise_inputs

        events, lengths = quantise_inputs(program, stimulus), stimulus.lengths
        outputs = Golden(program).run(events, lengths, threads=os.cpu_count() or 1).outputs
        if self.rtl is not None:
            self.rtl.mapped = replace(self.artefact.mapped, program=program)
            answer = self.rtl.run(events, lengths)
            self.mismatches += int(np.count_nonzero(answer.outputs != outputs))
            self.mismatches += len(answer.errors)
        found = class_scores(program, outputs, lengths)
        if found is None:
            raise UserError(f"{program.name}: has no decision to judge; compile it with --readout")
        return found


def evaluate_devices(
    artefact: Artefact,
    stimulus: Stimulus,
    *,
    ages: Sequence[float] = (0.0,),
    compensations: Sequence[str] = ("none",),
    members: Sequence[int] = (1,),
    calibration: Stimulus | None = None,
    strange: Mapping[str, Stimulus] | None = None,
    temperature: float | None = None,
    rtl: bool = False,
    progress: Any = None,
) -> list[Condition]:
    """Every age with every compensation, for ensembles of so many members.

    Member m reads with noise seed `device_seed` + m; an ensemble is the first so many.
    calibration : labelled data that the temperature is fitted on, for each condition anew (the
    logits are so corrected for drift). Without it and without `temperature`, the temperature of
    each second sample is fitted on the others (where these say something), and the mean is told.
    strange : data from
    elsewhere, by name. rtl : run the RTL too, for every member, and compare every output.
    UserError without labels, without a crossbar or a decision.
    """
    _checked(ages, compensations, members)
    if stimulus.labels is None:
        raise UserError(f"{stimulus.source}: has no labels to judge by; give labelled data")
    if calibration is not None and calibration.labels is None:
        raise UserError(f"{calibration.source}: has no labels to fit the temperature on")
    say = progress or (lambda text: None)
    compiled, crossbars = artefact.compiled, artefact.settings.crossbar
    runs = _Runs(artefact, rtl, say)
    given = {"": stimulus, **(strange or {})}
    found = []
    for age in ages:
        for kind in compensations:
            runs.mismatches = 0
            scores: dict[str, list[np.ndarray]] = {name: [] for name in given}
            fitted: list[np.ndarray] = []
            program = aged(compiled, crossbars, age, kind)
            for m in range(max(members)):
                say(f"{duration(age)}, compensation {kind}, member {m + 1}")
                seed = (crossbars.device_seed + m) % (1 << 32)
                member = aged(program, crossbars, None, None, seed)
                for name, one in given.items():
                    scores[name].append(runs.scores(member, one))
                if calibration is not None:
                    fitted.append(_golden_only(runs, member, calibration))
            for count in members:
                stacked = {name: np.stack(parts[:count]) for name, parts in scores.items()}
                own = stacked.pop("")
                warmth = np.full(stimulus.samples, temperature or 1.0)
                if calibration is not None:
                    warmth[:] = _fitted(np.stack(fitted[:count]), calibration)
                elif temperature is None:
                    warmth[0::2], warmth[1::2] = crossed(own, stimulus.labels)
                mean = float(warmth.mean())
                stacked = {name: values / mean for name, values in stacked.items()}
                figures = summary(own / warmth[:, None], stimulus.labels, 1.0, stacked)
                del figures["samples"]
                figures["temperature"] = mean
                seen = runs.mismatches if rtl else None
                found.append(Condition(age=age, compensation=kind, mismatches=seen, **figures))
    return found


def _tells(scores: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a temperature can be fitted: the score of some sample's label is not the largest."""
    total = scores.sum(0)
    return bool((total[np.arange(len(labels)), labels] < total.max(1)).any())


def crossed(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Temperatures of even and of odd samples, each fitted on the others; where the others are all
    decided right, that of the one half that isn't, or 1."""
    halves = [(scores[:, k::2], labels[k::2]) for k in (0, 1)]
    fitted = [fit_temperature(*half) if _tells(*half) else None for half in halves]
    even, odd = fitted
    return odd or even or 1.0, even or odd or 1.0


def _fitted(scores: np.ndarray, calibration: Stimulus) -> float:
    """The temperature of scores of calibration data; UserError if they are all decided right."""
    assert calibration.labels is not None
    if not _tells(scores, calibration.labels):
        raise UserError(
            f"{calibration.source}: all its samples are decided right, so a temperature can't be "
            "fitted on them; give labelled data that the model was not trained on"
        )
    return fit_temperature(scores, calibration.labels)


def _golden_only(runs: _Runs, program: Program, stimulus: Stimulus) -> np.ndarray:
    rtl, runs.rtl = runs.rtl, None
    try:
        return runs.scores(program, stimulus)
    finally:
        runs.rtl = rtl
