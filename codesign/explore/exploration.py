"""What an exploration found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from codesign.explore.front import end_points, front
from codesign.explore.outcome import OBJECTIVES, Outcome
from codesign.explore.plan import Plan

__all__ = ["Exploration"]


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """All designs that were tried.

    model, dataset, calibration : names of the files. board : that designs are for. outcomes : by
    number; those that were not synthesised carry the cost model's values, corrected by what
    synthesis found of others (`estimate`: as the model gave them). designs : folders of artefacts
    by number, relative to the output. workers : that ran trials at once. seconds : of this run.
    ratios : what estimates were multiplied by, by engines and objective (codesign/explore/
    refine.py). space : values by parameter. warnings : for the user.
    """

    model: str
    dataset: str
    calibration: str
    board: str
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    designs: Mapping[int, str] = field(default_factory=dict)
    workers: int = 1
    seconds: float = 0.0
    ratios: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def objectives(self) -> tuple[str, ...]:
        return self.plan.objectives

    @cached_property
    def front(self) -> list[Outcome]:
        """Feasible designs that no other dominates, by number."""
        return front(self.outcomes, self.objectives)

    @property
    def end_points(self) -> list[Outcome]:
        """The best of the front in each objective."""
        return end_points(self.front, self.objectives)

    @property
    def failed(self) -> int:
        """Trials that could not be evaluated."""
        return sum(o.failed is not None for o in self.outcomes)

    def best(self, name: str) -> float | None:
        """The best value of an objective on the front."""
        values = [o.values[name] for o in self.front if name in o.values]
        if not values:
            return None
        return max(values) if OBJECTIVES[name].maximise else min(values)

    def line(self) -> str:
        """The state in a line."""
        best = ", ".join(
            f"{name} {value:.4g}" for name in self.objectives
            if (value := self.best(name)) is not None
        )  # fmt: skip
        failed = f", {self.failed} failed" if self.failed else ""
        return (f"{len(self.outcomes)} trials{failed}, {self.seconds:.0f} s; front of "
                f"{len(self.front)}{': ' if best else ''}{best}")  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain data; `front` and `end_points` are numbers."""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "calibration": self.calibration,
            "board": self.board,
            "objectives": list(self.objectives),
            "constraints": [str(c) for c in self.plan.constraints],
            "fit": self.plan.fit,
            "seed": self.plan.seed,
            "sampler": self.plan.sampler,
            "workers": self.workers,
            "seconds": round(self.seconds, 2),
            "outcomes": [o.to_json() for o in self.outcomes],
            "front": [o.number for o in self.front],
            "end_points": [o.number for o in self.end_points],
            "designs": {str(number): path for number, path in self.designs.items()},
            "ratios": dict(self.ratios),
            "space": dict(self.space),
            "warnings": list(self.warnings),
        }
