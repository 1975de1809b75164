"""What is known of one design: the same record in studies, workers, files and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["CHECKED", "FIDELITIES", "OBJECTIVES", "Objective", "Outcome"]


@dataclass(frozen=True)
class Objective:
    """A number that designs are compared by. `unit` of the stored number, "" if it has none."""

    name: str
    title: str
    unit: str
    maximise: bool = False

    def worse(self, a: float, b: float) -> bool:
        """Whether a is worse than b."""
        return a < b if self.maximise else a > b


OBJECTIVES = {
    o.name: o
    for o in (
        Objective("accuracy", "Accuracy", "", maximise=True),
        Objective("nll", "Negative log likelihood", "nats"),
        Objective("coverage", "Coverage of 90 % sets", "", maximise=True),
        Objective("set_size", "Classes in a 90 % set", ""),
        Objective("lut", "LUTs", ""),
        Objective("ff", "Flip-flops", ""),
        Objective("bram", "Block RAMs", ""),
        Objective("dsp", "Multipliers", ""),
        Objective("fmax_mhz", "Fmax", "MHz", maximise=True),
        Objective("cycles", "Cycles a sample", ""),
        Objective("latency_us", "Latency a sample", "us"),
        Objective("energy_uj", "Energy a sample", "uJ"),
    )
}

#: How sure the numbers are: cost model; placed and routed; RTL compared with golden bit by bit too.
FIDELITIES = ("estimate", "synthesis", "verified")
#: Objectives that synthesis measures.
CHECKED = ("lut", "ff", "bram", "dsp", "fmax_mhz", "latency_us", "energy_uj")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One design.

    number : of the trial. choice : what the search chose, by setting ("lanes": 8, "prune": .5,
    "steps": 8, ...). settings : all settings of `nervure compile`, flat, that make it (Settings.
    flat); steps, samples : of a stimulus, None: all.
    values : by objective name, what is known best. estimate : the same of the cost model, kept
    when synthesis has replaced values. fidelity : one of FIDELITIES.
    broken : constraints that do not hold, by name, and by how much relative to the bound (.1: 10 %
    over); empty if feasible. failed : why it could not be evaluated, None if it could.
    warnings : outside the cost model's range, and so on. seconds : that it took.
    """

    number: int
    choice: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    samples: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    estimate: dict[str, float] = field(default_factory=dict)
    fidelity: str = "estimate"
    broken: dict[str, float] = field(default_factory=dict)
    failed: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def feasible(self) -> bool:
        return self.failed is None and not self.broken

    def dominates(self, other: Outcome, objectives: Sequence[str]) -> bool:
        """Whether it is nowhere worse than `other`, and somewhere better."""
        pairs = [(OBJECTIVES[n], self.values[n], other.values[n]) for n in objectives]
        return not any(o.worse(a, b) for o, a, b in pairs) and any(
            o.worse(b, a) for o, a, b in pairs
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Back from plain data."""
        return cls(**{**data, "warnings": tuple(data["warnings"])})
