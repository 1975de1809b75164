"""Hardware for networks that are on the front, chosen by a sweep of the cost model over thousands.

Lanes, cores, queues and so on change no answer. So for a network that reached the front all of
its hardware is estimated at once (codesign/cost/sweep.py, from one real mapping), and what would
extend the front is proposed as trials, which then are mapped and estimated like all others: the
sweep's formulas choose, they judge nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codesign.explore.front import best_rows, front, losses
from codesign.explore.outcome import OBJECTIVES, Outcome
from codesign.explore.plan import Constraint
from codesign.explore.space import HARDWARE, Space
from codesign.explore.trial import Point, Task, mapped_design
from hdl.params.errors import CheckFailed, UserError

__all__ = ["Proposer"]

#: Settings of hardware that a sweep moves.
SWEPT = ("cores", "lanes", "update_lanes", "fifo", "stream_lanes", "state_lanes")
#: Points of a sweep at most.
MOST = 1 << 17


class Proposer:
    """Sweeps each network once, when it is on the front for the first time."""

    def __init__(
        self, task: Task, space: Space, objectives: Sequence[str],
        constraints: Sequence[Constraint],
    ) -> None:  # fmt: skip
        self.task, self.space = task, space
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self.swept: set[str] = set()
        self.free = [p for p in space.parameters if p.name in SWEPT]

    def proposals(self, told: Sequence[Outcome], networks: int, each: int) -> list[dict[str, int]]:
        """Genomes to try: of up to so many networks that are new on the front of `told`, up to so
        many of each."""
        if not self.free:
            return []
        found: list[dict[str, int]] = []
        known = front(told, self.objectives)
        for outcome in known:
            network = {k: v for k, v in outcome.choice.items()
                       if k.partition(".")[0] not in HARDWARE}  # fmt: skip
            if repr(network) in self.swept:
                continue
            if not networks:
                break
            self.swept.add(repr(network))
            networks -= 1
            found += self._of(outcome, network, losses(known, self.objectives), each)
        return found

    def _of(
        self, outcome: Outcome, network: Mapping[str, Any], known: np.ndarray, most: int
    ) -> list[dict[str, int]]:
        """Genomes of one network's hardware."""
        free = [p for p in self.free if p.name in outcome.choice]
        if not free or (count := int(np.prod([len(p.values) for p in free]))) > MOST:
            return []
        grid = np.array(list(itertools.product(*(range(len(p.values)) for p in free))))
        point = {
            p.name: np.array([0 if v is None else v for v in p.values])[grid[:, k]]
            for k, p in enumerate(free)
        }
        try:
            values = self._values(outcome, network, point, count)
        except (UserError, CheckFailed, ValueError):  # no mapping on one core to start from
            return []
        able = np.ones(count, dtype=bool)
        for c in self.constraints:
            able &= (values[c.name] >= c.bound) if c.least else (values[c.name] <= c.bound)
        loss = np.stack([(-1.0 if OBJECTIVES[n].maximise else 1.0) * values[n]
                         for n in self.objectives], axis=1)  # fmt: skip
        beaten = np.any((known[None] <= loss[:, None]).all(axis=2), axis=1)
        rows = np.flatnonzero(able & ~beaten)
        rows = rows[best_rows(loss[rows])]
        genomes = []
        for row in _apart(loss[rows], known, most):
            genome = {p.name: self._index(p, outcome.choice) for p in self.space.parameters}
            genome |= {p.name: int(grid[rows[row], k]) for k, p in enumerate(free)}
            genomes.append(genome)
        return genomes

    def _index(self, parameter: Any, choice: Mapping[str, Any]) -> int:
        values = parameter.values
        return values.index(choice[parameter.name]) if parameter.name in choice else 0

    def _values(
        self, outcome: Outcome, network: Mapping[str, Any], point: Mapping[str, np.ndarray],
        count: int,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Values of OBJECTIVES of all points; answers are the network's."""
        from codesign.activity import by_name
        from codesign.boards import board
        from codesign.cost.energy import moved
        from codesign.cost.sweep import Base, sweep
        from codesign.explore.cost import estimate

        settings = self.space.settings(network)
        at = Point({**settings, "cores": None}, outcome.steps, outcome.choice.get("members"))
        real, answered, mapped = mapped_design(self.task, at)
        here, _ = estimate(mapped, answered, real)
        base = Base.of(mapped, by_name(mapped.program, answered.made.counted))
        model = sweep(base, {})
        many = sweep(base, dict(point))
        values = {n: np.full(count, float(v)) for n, v in outcome.values.items()}
        for name in ("lut", "ff", "bram", "dsp", "fmax_mhz"):
            values[name] = np.asarray(many[name], np.float64)
        values["cycles"] = here["cycles"] * many["cycles"] / model["cycles"]
        values["latency_us"] = values["cycles"] / values["fmax_mhz"]
        values["energy_uj"] = moved(
            here["energy_uj"],
            (here["ff"], here["cycles"], here["fmax_mhz"]),
            (values["ff"], values["cycles"], values["fmax_mhz"]),  # type: ignore[arg-type]
            board(real.board).device,
        )  # type: ignore[assignment]
        return values


def _apart(loss: np.ndarray, known: np.ndarray, most: int) -> list[int]:
    """Up to so many rows that are far from each other and from what is known."""
    if not len(loss):
        return []
    both = np.concatenate([known, loss])
    low, high = both.min(axis=0), both.max(axis=0)
    wide = np.where(high > low, high - low, 1.0)
    loss, known = (loss - low) / wide, (known - low) / wide
    far = ((loss[:, None] - known[None]) ** 2).sum(axis=2).min(axis=1)
    chosen: list[int] = []
    while len(chosen) < min(most, len(loss)):
        chosen.append(int(np.argmax(far)))
        far = np.minimum(far, ((loss - loss[chosen[-1]]) ** 2).sum(axis=1))
        far[chosen] = -1.0
    return chosen
