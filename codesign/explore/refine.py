"""From estimates to measurements: designs of the front are built, placed and routed, verified.

In rounds: of the estimated front those designs are synthesised that say most about it (end points,
the knee, then always the one farthest from all before), as many as the time allows. What they
measure replaces their estimates, and their mean ratio corrects the estimates of designs with the
same engines; then the front is another, and the next round begins. The end points of the last
front are verified, and where the RTL's cycles differ from those counted, the RTL's hold.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codesign.cost.model import KINDS, TRUST
from codesign.explore.cost import costs
from codesign.explore.front import end_points, front, spread
from codesign.explore.outcome import Outcome
from codesign.explore.study import Search
from codesign.explore.trial import TIMED_SAMPLES, Task
from codesign.explore.workers import Lost, Workers
from codesign.settings import Settings
from hdl.params.errors import CheckFailed, UserError

__all__ = ["MEASURED", "Build", "Refinement", "build", "check", "refined"]

#: Designs of a round after the first, whatever the workers: so the rounds are the same for any.
ROUND = 4
#: What placing and routing measures; latency and energy follow.
MEASURED = ("lut", "ff", "bram", "dsp", "fmax_mhz")
#: Seconds that a synthesis of a small design is taken to need before one was seen; so many LUTs
#: more take as long again.
GUESS, BASE = 45.0, 3000.0


@dataclass(frozen=True)
class Build:
    """A design to build: where, and from what."""

    task: Task
    settings: Mapping[str, Any]
    steps: int | None
    folder: str


def _artefact(order: Build) -> Any:
    """The artefact in its folder, compiled if it is not there yet."""
    from codesign.artefact import Artefact
    from codesign.compile import compile_model

    wanted = Settings().with_values(dict(order.settings))
    table = order.task.base.get("device_table")
    if table is not None:
        wanted = replace(wanted, crossbar=replace(wanted.crossbar, device_table=Path(table)))
    folder = Path(order.folder)
    try:
        artefact = Artefact.open(folder)
        if artefact.manifest["settings"] == wanted.flat():
            return artefact
    except UserError:
        pass
    folder.parent.mkdir(parents=True, exist_ok=True)
    return compile_model(order.task.model, folder, wanted, calibration=order.task.calibration)


def build(order: Build) -> dict[str, Any]:
    """Compiles, places and routes; {"values"} of MEASURED, or {"failed"}; and {"seconds"}."""
    from codesign.report import write_report
    from codesign.synth.design import synth_artefact

    begun = time.monotonic()
    found: dict[str, Any] = {}
    try:
        artefact = _artefact(order)
        result = synth_artefact(artefact, workers=1).to_json()
        write_report(artefact)
        found["values"] = {name: result[name] for name in MEASURED}
        if None in found["values"].values():
            found = {"failed": "placed, but no clock was found in it"}
    except (UserError, CheckFailed) as error:
        found["failed"] = str(error)
    return {**found, "seconds": round(time.monotonic() - begun, 2)}


def check(order: Build) -> dict[str, Any]:
    """Verifies a design, and runs its RTL on data; {"cycles", "seconds"}, or
    {"failed"}."""
    from codesign.evaluate import evaluate
    from codesign.report import write_report
    from codesign.verify import verify

    begun = time.monotonic()
    found: dict[str, Any] = {}
    try:
        artefact = _artefact(order)
        verified = verify(artefact)
        if not verified.passed:
            raise CheckFailed(f"verify: {verified.status}; see {order.folder}/report.html")
        samples = min(order.task.samples or TIMED_SAMPLES, TIMED_SAMPLES)
        run = evaluate(
            artefact, order.task.dataset, samples=samples, steps=order.steps, float=False
        )
        if not run.passed:
            raise CheckFailed(f"evaluate: RTL and golden model differ in {run.mismatches} words")
        write_report(artefact)
        found |= {"cycles": run.cycles_per_sample, "samples": run.samples}
    except (UserError, CheckFailed) as error:
        found["failed"] = str(error)
    return {**found, "seconds": round(time.monotonic() - begun, 2)}


def engines(outcome: Outcome) -> str:
    """Those of its layers, as "event+stochastic"."""
    engine = outcome.settings.get("engine", "event")
    if not isinstance(engine, dict):
        return str(engine)
    named = {value for name, value in engine.items() if name != "*"}
    return "+".join(sorted(named or set(engine.values())))


def _ratios(
    outcomes: Mapping[int, Outcome], steps: Mapping[int, Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Measured over estimated, the mean of designs of the same engines, shrunk as in `Model.
    corrected` of codesign/cost/model.py: as if the model had been right for TRUST further ones."""
    logs: dict[str, dict[str, list[float]]] = {}
    for number, step in steps.items():
        if "values" in step and (outcome := outcomes.get(number)) is not None:
            for name in KINDS:
                share = step["values"][name] / outcome.estimate[name]
                logs.setdefault(engines(outcome), {}).setdefault(name, []).append(math.log(share))
    return {
        group: {name: math.exp(sum(row) / (len(row) + TRUST)) for name, row in table.items()}
        for group, table in logs.items()
    }


def refined(
    outcomes: Mapping[int, Outcome], steps: Mapping[int, Mapping[str, Any]]
) -> tuple[dict[int, Outcome], dict[str, dict[str, float]]]:
    """The outcomes with what is measured in place of what was estimated, all others corrected; and
    the ratios that they are corrected by."""
    ratios = _ratios(outcomes, steps)
    found = {}
    for number, outcome in outcomes.items():
        step, share = steps.get(number, {}), ratios.get(engines(outcome), {})
        if outcome.failed is not None or not (step or share):
            found[number] = outcome
            continue
        guess = outcome.estimate
        area = {n: guess[n] * share.get(n, 1.0) for n in MEASURED}
        area |= step.get("values", {})
        cycles = step.get("check", {}).get("cycles") or guess["cycles"]
        fidelity = "estimate"
        if "values" in step:
            fidelity = "verified" if "cycles" in step.get("check", {}) else "synthesis"
        failed = step.get("failed") or step.get("check", {}).get("failed")
        board = outcome.settings["board"]
        values = {**outcome.values, **costs(guess, area, cycles, board)}
        found[number] = replace(outcome, values=values, fidelity=fidelity, failed=failed)
    return found, ratios


class Refinement:
    """The rounds. told : called after each design. end : when all must be over (monotonic)."""

    def __init__(
        self, search: Search, out: Path, workers: Workers, end: float | None,
        say: Callable[[str], None], told: Callable[[], None],
    ) -> None:  # fmt: skip
        self.search, self.plan, self.out = search, search.plan, out
        self.workers, self.end, self.say, self.told = workers, end, say, told
        self.steps: dict[int, dict[str, Any]] = search.store.steps()

    def outcomes(self) -> tuple[dict[int, Outcome], dict[str, dict[str, float]]]:
        """All, as they are known now."""
        found, ratios = refined(self.search.outcomes(), self.steps)
        return {number: self.search.judged(o) for number, o in found.items()}, ratios

    def designs(self) -> dict[int, str]:
        """Folders of the designs that were built."""
        built = sorted(n for n, step in self.steps.items() if "values" in step)
        return {n: f"designs/{n}" for n in built if (self.out / "designs" / str(n)).is_dir()}

    def run(self) -> None:
        """Rounds until the end points are as sure as the plan wants, or time is over."""
        while (jobs := self._next()) is not None:
            work, designs = jobs
            designs = self._in_time(work, designs)
            if not designs:
                return
            self._round(work, designs)

    def _next(self) -> tuple[Callable[[Build], dict[str, Any]], list[Outcome]] | None:
        """What to do with which designs; None if nothing is left to do."""
        found = front(self.outcomes()[0].values(), self.plan.objectives)
        ends = end_points(found, self.plan.objectives)
        built, checked = set(self.steps), {n for n, s in self.steps.items() if "check" in s}
        fill = [o for o in spread(found, self.plan.objectives, built) if o.number not in built]
        new = [o for o in ends if o.number not in built]
        if new and (room := max(2 * self.plan.synth - len(built), 0)):
            # Others beside them, so that no worker waits for the largest alone.
            free = min(self.plan.synth - len(built), 2 * ROUND) - len(new)
            others = [o for o in fill if o not in new]
            return build, [*new[:room], *others[: max(free, 0)]]
        sure = [o for o in ends if o.number in built and o.number not in checked]
        most = len(ends) if self.plan.verify is None else self.plan.verify - len(checked)
        if sure and most > 0:
            return check, sure[:most]
        if fill and (room := max(self.plan.synth - len(built), 0)):
            return build, fill[: min(ROUND, room)]
        more = [o for o in spread(found, self.plan.objectives, checked)
                if o.number in built and o.number not in checked]  # fmt: skip
        if self.plan.verify is not None and more and most > 0:
            return check, more[: min(ROUND, most)]
        return None

    def _in_time(
        self, work: Callable[[Build], dict[str, Any]], designs: Sequence[Outcome]
    ) -> list[Outcome]:
        """Those of the designs, the first first, that the time that is left allows."""
        if self.end is None:
            return list(designs)
        luts = {number: o.values.get("lut", 0.0) for number, o in self.outcomes()[0].items()}
        builds = {n: step["seconds"] for n, step in self.steps.items()}
        checks = {n: step["check"]["seconds"] for n, step in self.steps.items() if "check" in step}
        left = self.end - time.monotonic()
        took, guess = (builds, GUESS) if work is build else (checks, GUESS / 4)
        if work is build:  # what is built now has to be verified too
            left -= max(checks.values(), default=GUESS / 4)
        each = max((took[n] / (luts[n] + BASE) for n in took if n in luts), default=guess / BASE)
        kept, used = [], 0.0
        for o in designs:
            one = each * (o.values["lut"] + BASE)
            if one <= left and used + one <= left * self.workers.size:
                kept.append(o)
                used += one
        return kept

    def _round(self, work: Callable[[Build], dict[str, Any]], designs: Sequence[Outcome]) -> None:
        # The largest takes longest: begun first, it is not what all wait for at the end.
        designs = sorted(designs, key=lambda o: (-o.values["lut"], o.number))
        left = [o.number for o in designs]
        self._say(work, left)
        folder = (self.out / "designs").absolute()
        orders = [
            Build(self.search.task, o.settings, o.steps, str(folder / str(o.number)))
            for o in designs
        ]
        for index, result in self.workers.run(work, orders):
            number = designs[index].number
            result = {"failed": result.reason, "seconds": 0.0} if isinstance(result, Lost) else (
                result)  # fmt: skip
            known = {**self.steps.get(number, {}), "check": result} if work is check else result
            self.steps[number] = known
            self.search.store.add_step(number, known)
            left.remove(number)
            self.told()
            self._say(work, left)

    def _say(self, work: Callable[[Build], dict[str, Any]], left: Sequence[int]) -> None:
        """What is still to do in this round."""
        if left:
            doing = "verifying" if work is check else "placing and routing"
            numbers = ", ".join(map(str, left))
            self.say(f"{doing} design{'s' if len(left) > 1 else ''} {numbers}")
