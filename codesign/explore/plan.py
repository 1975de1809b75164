"""What is to be searched, and for how long: checked when it is made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from codesign.explore.outcome import OBJECTIVES
from hdl.params.errors import UserError

__all__ = ["SAMPLERS", "Constraint", "Plan", "varied"]

SAMPLERS = ("nsga2", "tpe")
#: Trials where neither their number nor a time is given.
TRIALS = 200
_CONSTRAINT = re.compile(r"\s*(\w+)\s*(>=|<=)\s*([^\s]+)\s*")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(\*2)?")


def _known(name: str, where: str) -> None:
    if name not in OBJECTIVES:
        near = get_close_matches(name, OBJECTIVES, 1)
        hint = f"did you mean {near[0]!r}? known" if near else "known"
        raise UserError(f"{where}: {name!r} is unknown; {hint}: {', '.join(OBJECTIVES)}")


@dataclass(frozen=True)
class Constraint:
    """`name` (of OBJECTIVES) is at least, or at most, `bound`."""

    name: str
    least: bool
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """From "accuracy>=0.93" or "lut<=20000"; UserError if it is no such text."""
        found = _CONSTRAINT.fullmatch(text)
        try:
            bound = float(found[3]) if found else math.nan
        except ValueError:
            bound = math.nan
        if found is None or not math.isfinite(bound):
            raise UserError(
                f"constraint: must be NAME>=NUMBER or NAME<=NUMBER, as accuracy>=0.93, not {text!r}"
            )
        _known(found[1], "constraint")
        return cls(found[1], found[2] == ">=", bound)

    def __str__(self) -> str:
        return f"{self.name}{'>=' if self.least else '<='}{self.bound:.12g}"

    def broken(self, value: float) -> float:
        """How far a value is on the wrong side, relative to the bound; 0 if it holds."""
        over = self.bound - value if self.least else value - self.bound
        return max(over, 0.0) / (abs(self.bound) or 1.0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An exploration.

    objectives : names of OBJECTIVES. constraints : Constraints, or their texts. fit : designs must
    fit the board. trials : designs to estimate, None: as many as the time allows, or TRIALS.
    seconds : for everything, synthesis included; None: no limit. seed : of the search. workers :
    processes, 0: this one. dask : address of a dask scheduler that takes the place of `workers`.
    storage : URL of a database (sqlite:///file and others of SQLAlchemy), None: a journal in the
    output folder; study : its name there. sampler : one of SAMPLERS. batch : trials that are asked
    for at once, before any of them is told. sweep : whether a sweep of the cost model proposes
    hardware for networks of the front. synth : most designs of the front to place and route,
    0: none. verify : most designs to verify of these, None: all end points. samples : of the data
    set that a trial runs, None: all. engines : that layers may have, None: what suits the model.
    vary : values by setting, which replace the usual ones; "engine.NAME" is of one layer, "steps"
    and "members" are none of `compile`. fix : settings that are not searched. by_layer : settings
    that are searched for each layer on its own.
    """

    objectives: tuple[str, ...] = ("accuracy", "lut", "latency_us", "energy_uj")
    constraints: tuple[Any, ...] = ()
    fit: bool = True
    trials: int | None = None
    seconds: float | None = None
    seed: int = 0
    workers: int = 0
    dask: str | None = None
    storage: str | None = None
    study: str = "nervure"
    sampler: str = "nsga2"
    batch: int = 32
    sweep: bool = True
    synth: int = 10
    verify: int | None = None
    samples: int | None = None
    engines: tuple[str, ...] | None = None
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fix: Mapping[str, Any] = field(default_factory=dict)
    by_layer: tuple[str, ...] = ("engine",)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "objectives", tuple(self.objectives))
        put(self, "by_layer", tuple(self.by_layer))
        put(self, "vary", {name: tuple(values) for name, values in self.vary.items()})
        made = (Constraint.parse(c) if isinstance(c, str) else c for c in self.constraints)
        put(self, "constraints", tuple(made))
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise UserError(
                f"objectives: name at least one, none twice, not {list(self.objectives)}"
            )
        for name in self.objectives:
            _known(name, "objectives")
        for name, least, most in (
            ("trials", 1, 10**7), ("seed", 0, (1 << 32) - 1), ("workers", 0, 1024),
            ("batch", 2, 4096), ("synth", 0, 10**4), ("verify", 0, 10**4), ("samples", 1, 10**9),
        ):  # fmt: skip
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is None and name in ("trials", "verify", "samples"):
                continue
            if not whole or not least <= value <= most:
                raise UserError(f"{name}: must be a whole number from {least}, not {value!r}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise UserError(f"seconds: must be a positive time, not {self.seconds!r}")
        if self.sampler not in SAMPLERS:
            raise UserError(f"sampler: must be {' or '.join(SAMPLERS)}, not {self.sampler!r}")
        if self.dask is not None and self.workers:
            raise UserError(
                "workers: the dask cluster has its own; give --workers or --dask, not both"
            )
        if self.storage is not None and "://" not in self.storage:
            raise UserError(
                f"storage: must be the URL of a database, as sqlite:///study.db, "
                f"not {self.storage!r}"
            )
        for name, values in self.vary.items():
            if not values:
                raise UserError(f"vary: {name} has no values; give some, as {name}=1,2,4")
            if name in self.fix:
                raise UserError(f"vary: {name} is fixed too; leave out one of them")

    @property
    def most_trials(self) -> int | None:
        """Trials at most; None: only time ends the search."""
        return TRIALS if self.trials is None and self.seconds is None else self.trials


def varied(texts: Sequence[str] | None) -> dict[str, tuple[Any, ...]]:
    """Values to search by setting, from texts as "lanes=2,4,8", "weight_bits=2..8" (whole numbers)
    or "lanes=1..32*2" (doubling)."""
    from codesign.settings import assigned

    found: dict[str, tuple[Any, ...]] = {}
    for text in texts or ():
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not values.strip():
            raise UserError(f"vary: must be SETTING=VALUES, as lanes=1,2,4 or 2..8, not {text!r}")
        if span := _RANGE.fullmatch(values.strip()):
            low, high, doubling = int(span[1]), int(span[2]), bool(span[3])
            if low > high or (doubling and low < 1) or high - low > 10**4:
                raise UserError(f"vary: {text!r} is no range; give LEAST..MOST")
            if doubling:
                steps = (high // low).bit_length()
                found[name] = tuple(low << k for k in range(steps))
            else:
                found[name] = tuple(range(low, high + 1))
            continue
        made = [assigned([f"x={value.strip()}"])["x"] for value in values.split(",")]
        found[name] = tuple(None if value == "none" else value for value in made)
    return found
