"""Which designs are tried, and in which order: Optuna's samplers, asked in batches.

The sampler works on a study in memory that is told trials in the order in which it gave them, batch
by batch, with a seed that follows from the plan's and the batch's number. A part of each batch is
hardware that a sweep of the cost model proposes (codesign/explore/propose.py). So what is asked
next is a function of the plan and of the outcomes, not of who computed these, or when. To go on
after a break, the search is simply done again: trials that the store holds already cost nothing.
Processes that share a store do the same search and share the work.
"""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from codesign.explore.outcome import OBJECTIVES, Outcome
from codesign.explore.plan import Constraint, Plan
from codesign.explore.propose import Proposer
from codesign.explore.space import Space
from codesign.explore.store import Store
from codesign.explore.trial import Point, Task, run_trial
from codesign.explore.workers import Lost, Workers

__all__ = ["Search", "named"]

#: Children that may repeat known designs before a design is drawn at random.
REPEATS = 24
#: Seconds between two looks at what other processes have finished.
LOOK = 0.05


def named(choice: Mapping[str, Any]) -> str:
    """A choice as one text."""
    return json.dumps(dict(choice), sort_keys=True)


class Search:
    """A search that is under way.

    told : called with the outcomes so far after each batch. known : outcomes by choice, the
    store's. order : numbers of this search's trials as they were asked for.
    """

    def __init__(
        self, task: Task, space: Space, plan: Plan, constraints: Sequence[Constraint],
        store: Store, workers: Workers,
    ) -> None:  # fmt: skip
        import optuna

        self.task, self.space, self.plan, self.store = task, space, plan, store
        self.constraints, self.workers = tuple(constraints), workers
        self.known: dict[str, Outcome] = {}
        self.asked: dict[str, int] = {}
        self.batches = 0
        self.told: list[Outcome] = []
        self.proposer = Proposer(task, space, plan.objectives, constraints)
        self.refresh()
        distributions = optuna.distributions
        self.genes: dict[str, Any] = {
            p.name: distributions.IntDistribution(0, len(p.values) - 1)
            if p.ordered
            else distributions.CategoricalDistribution(range(len(p.values)))
            for p in space.parameters
        }
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions: list[Any] = [
            "maximize" if OBJECTIVES[n].maximise else "minimize" for n in plan.objectives
        ]
        self.study = optuna.create_study(directions=directions)
        for genome in space.starts():
            self.study.enqueue_trial(genome, skip_if_exists=True)

    def refresh(self) -> None:
        """Takes in what the store holds."""
        for outcome in self.store.outcomes().values():
            self.known.setdefault(named(outcome.choice), self.judged(outcome))

    def judged(self, outcome: Outcome) -> Outcome:
        """With what it breaks of this plan's constraints."""
        broken = {}
        if outcome.failed is None:
            shares = {str(c): c.broken(outcome.values[c.name]) for c in self.constraints}
            broken = {name: share for name, share in shares.items() if share > 0}
        return replace(outcome, broken=broken)

    def outcomes(self) -> dict[int, Outcome]:
        """All that are known, by number."""
        return {o.number: o for o in sorted(self.known.values(), key=lambda o: o.number)}

    def _sampler(self) -> Any:
        import optuna

        seed = random.Random(f"{self.plan.seed} {self.batches}").getrandbits(32)
        if self.plan.sampler == "tpe":
            return optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=self.plan.batch, multivariate=True, constant_liar=True
            )
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=self.plan.batch)

    def _ask(self, most: int) -> list[tuple[Any, dict[str, Any]]]:
        """Up to `most` designs that were not asked for before; fewer if there are hardly any."""
        self.study.sampler = self._sampler()
        drawn = random.Random(f"{self.plan.seed} {self.batches} drawn")
        self.batches += 1
        if self.plan.sweep:
            for genome in self.proposer.proposals(self.told, 2, max(most // 4, 1)):
                self.study.enqueue_trial(genome)
        batch: list[tuple[Any, dict[str, Any]]] = []
        while len(batch) < most:
            for attempt in range(8 * REPEATS):
                if attempt >= REPEATS:
                    genome = {p.name: drawn.randrange(len(p.values))
                              for p in self.space.parameters}  # fmt: skip
                    if named(self.space.choice(genome)) in self.asked:
                        continue
                    self.study.enqueue_trial(genome)
                trial = self.study.ask(self.genes)
                choice = self.space.choice(trial.params)
                if named(choice) not in self.asked:
                    self.asked[named(choice)] = len(self.asked)
                    batch.append((trial, choice))
                    break
                self.study.tell(trial, state=_failed())
            else:
                break
        return batch

    def _number(self, choice: Mapping[str, Any], taken: set[int]) -> int:
        """That of a known trial, else the place in this search, or the first one free after it."""
        if (known := self.known.get(named(choice))) is not None:
            return known.number
        number = self.asked[named(choice)]
        while number in taken:
            number += 1
        return number

    def _tell(self, trial: Any, outcome: Outcome) -> None:
        if outcome.failed is not None:
            self.study.tell(trial, state=_failed())
            return
        for c in self.constraints:
            trial.set_constraint(str(c), outcome.broken.get(str(c), 0.0))
        self.study.tell(trial, [outcome.values[n] for n in self.plan.objectives])

    def batch(self, most: int) -> int:
        """Asks for a batch, has it computed, tells it; how many designs it had."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = self._ask(most)
        taken = {o.number for o in self.known.values()}
        numbers = []
        for _, choice in batch:
            numbers.append(self._number(choice, taken))
            taken.add(numbers[-1])
        missing = [i for i, (_, choice) in enumerate(batch) if named(choice) not in self.known]
        self._compute([(numbers[i], batch[i][1]) for i in missing])
        for trial, choice in batch:
            self._tell(trial, self.known[named(choice)])
            self.told.append(self.known[named(choice)])
        return len(batch)

    def _compute(self, designs: list[tuple[int, dict[str, Any]]]) -> None:
        """Runs trials and keeps each as soon as it is done; leaves out what others finish first."""
        # Processes that share a store begin at different ends, and meet once.
        turn = random.SystemRandom().randrange(len(designs)) if len(designs) > 1 else 0
        designs = designs[turn:] + designs[:turn]
        looked = 0.0

        def done_elsewhere(index: int) -> bool:
            nonlocal looked
            if time.monotonic() - looked > LOOK:
                self.refresh()
                looked = time.monotonic()
            return named(designs[index][1]) in self.known

        points = [self.point(choice) for _, choice in designs]
        work = _Trial(self.task)
        for index, found in self.workers.run(work, points, done_elsewhere):
            number, choice = designs[index]
            if isinstance(found, Lost):
                found = {"failed": found.reason}
            point = points[index]
            outcome = Outcome(
                number=number, choice=choice, steps=point.steps, samples=self.plan.samples,
                settings=found.get("settings", {}), values=found.get("values", {}),
                estimate=found.get("values", {}), failed=found["failed"],
                warnings=tuple(found.get("warnings", ())), seconds=found.get("seconds", 0.0),
            )  # fmt: skip
            outcome = self.judged(outcome)
            if named(choice) not in self.known:
                self.known[named(choice)] = outcome
                self.store.add(outcome)

    def point(self, choice: Mapping[str, Any]) -> Point:
        """What a trial runs for a choice."""
        return Point(self.space.settings(choice), choice.get("steps"), choice.get("members"))


class _Trial:
    """`run_trial` of one task, as workers take it."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, point: Point) -> dict[str, Any]:
        return run_trial(self.task, point)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
