"""Measurements in place of estimates, and which design is built or verified next."""

import math
from dataclasses import replace

import pytest

from codesign.explore.outcome import Outcome
from codesign.explore.plan import Plan
from codesign.explore.refine import BASE, GUESS, Refinement, build, check, engines, refined

NAMES = ("accuracy", "lut", "latency_us")


def design(number, accuracy, lut, cycles, engine="event"):
    values = {
        "accuracy": accuracy, "lut": lut, "ff": lut / 2, "bram": 4.0, "dsp": 0.0,
        "fmax_mhz": 100.0, "cycles": cycles, "latency_us": cycles / 100, "energy_uj": 2.0,
    }  # fmt: skip
    return Outcome(number=number, choice={"n": number}, values=values, estimate=values,
                   settings={"board": "ulx3s-85f", "engine": engine})  # fmt: skip


def measured(lut, fmax):
    return {"lut": lut, "ff": lut / 2, "bram": 5, "dsp": 0, "fmax_mhz": fmax}


def test_engines_of_a_design():
    mixed = {"*": "event", "a": "stochastic", "b": "event"}
    assert engines(design(0, 0, 1, 1, mixed)) == "event+stochastic"
    assert engines(design(0, 0, 1, 1, {"*": "event"})) == "event"
    assert engines(design(0, 0, 1, 1, "ssm")) == "ssm"


def test_nothing_measured_changes_nothing():
    known = {0: design(0, 0.9, 100, 50), 1: design(1, 0.8, 80, 60)}
    assert refined(known, {}) == (known, {})


def test_what_is_measured_replaces_and_corrects():
    known = {0: design(0, 0.9, 1000, 500), 1: design(1, 0.8, 800, 600),
             2: design(2, 0.7, 400, 900, "stochastic")}  # fmt: skip
    steps = {0: {"values": measured(1210.0, 121.0), "seconds": 9.0}}
    found, ratios = refined(known, steps)
    one = found[0]
    assert one.fidelity == "synthesis"
    assert (one.values["lut"], one.values["bram"], one.values["fmax_mhz"]) == (1210.0, 5, 121.0)
    assert one.values["latency_us"] == pytest.approx(500 / 121)
    assert one.estimate == known[0].estimate
    # One measurement, and the model as if it had been right once: the root of 1.21.
    assert ratios == {"event": pytest.approx({"lut": 1.1, "ff": 1.1, "fmax_mhz": 1.1})}
    assert found[1].values["lut"] == pytest.approx(880)
    assert found[1].values["latency_us"] == pytest.approx(600 / 110)
    assert (found[1].fidelity, found[1].values["bram"]) == ("estimate", 4.0)
    assert found[2] == known[2]  # other engines


def test_the_cycles_of_the_rtl_hold():
    known = {0: design(0, 0.9, 1000, 500)}
    steps = {0: {"values": measured(1000.0, 100.0), "seconds": 9.0,
                 "check": {"cycles": 510.0, "seconds": 4.0}}}  # fmt: skip
    one = refined(known, steps)[0][0]
    assert one.fidelity == "verified"
    assert (one.values["cycles"], one.values["latency_us"]) == (510.0, pytest.approx(5.1))
    # 10 cycles more: static power of .23 W for .1 us, and 500 flip-flops' clock.
    more = 230 * 0.1 * 1e-3 + 500 * 10 * 0.05e-6
    assert one.values["energy_uj"] == pytest.approx(2.0 + more)


@pytest.mark.parametrize("step", [{"failed": "needs 9 LUTs more", "seconds": 1.0}, {
    "values": measured(10.0, 90.0), "seconds": 1.0,
    "check": {"failed": "needs 9 LUTs more", "seconds": 2.0}}])  # fmt: skip
def test_a_design_that_does_not_stand_the_test_has_failed(step):
    known = {0: design(0, 0.9, 1000, 500)}
    assert refined(known, {0: step})[0][0].failed == "needs 9 LUTs more"


class Known:
    """A search that is over, and a store in memory."""

    def __init__(self, designs, plan):
        self.known, self.plan, self.store = {o.number: o for o in designs}, plan, self
        self.kept = {}

    def outcomes(self):
        return self.known

    def judged(self, outcome):
        return outcome

    def steps(self):
        return dict(self.kept)

    def add_step(self, number, known):
        self.kept[number] = known


FRONT = [design(0, 0.9, 1000, 500), design(1, 0.8, 100, 600), design(2, 0.5, 900, 50),
         design(3, 0.85, 500, 400), design(4, 0.7, 300, 300), design(5, 0.6, 700, 200)]  # fmt: skip


def rounds(plan, end=None, front=FRONT):
    from codesign.explore.workers import Here

    return Refinement(Known(front, plan), None, Here(), end, lambda text: None, lambda: None)


def follow(refinement):
    """What would be done, if every build and check gave what was estimated."""
    done = []
    while (jobs := refinement._next()) is not None:
        work, designs = jobs
        for o in designs:
            step = {"values": {n: o.estimate[n] for n in measured(1, 1)}, "seconds": 1.0}
            if work is check:
                step["check"] = {"cycles": o.estimate["cycles"], "seconds": 1.0}
            refinement.steps[o.number] = step
        done.append((work, [o.number for o in designs]))
    return done


def test_end_points_come_first_with_others_beside_them():
    assert follow(rounds(Plan(objectives=NAMES, synth=5))) == [
        (build, [0, 1, 2, 4, 3]), (check, [0, 1, 2]),
    ]  # fmt: skip
    assert follow(rounds(Plan(objectives=NAMES, synth=4)))[0] == (build, [0, 1, 2, 4])


def test_no_more_is_built_than_the_plan_says():
    assert follow(rounds(Plan(objectives=NAMES, synth=1, verify=0))) == [(build, [0, 1])]
    assert follow(rounds(Plan(objectives=NAMES, synth=9, verify=4)))[-1] == (check, [4])
    total = follow(rounds(Plan(objectives=NAMES, synth=9)))
    assert sorted(n for work, numbers in total if work is build for n in numbers) == list(range(6))


def test_a_new_end_point_is_built_when_the_front_moves():
    refinement = rounds(Plan(objectives=NAMES, synth=3))
    for o in FRONT[:3]:  # the smallest turns out to be the largest
        lut = 2000.0 if o.number == 1 else o.estimate["lut"]
        refinement.steps[o.number] = {"values": measured(lut, 100.0), "seconds": 1.0}
    work, designs = refinement._next()
    assert (work, [o.number for o in designs]) == (build, [4])


def test_time_that_is_left_allows_so_many(monkeypatch):
    def numbers(refinement, work):
        return [o.number for o in refinement._in_time(work, FRONT)]

    refinement = rounds(Plan(objectives=NAMES), end=1000.0)
    # Nothing seen yet: GUESS for BASE LUTs, here 3,100 to 4,000; a quarter of that to verify.
    seconds = GUESS * (4000 + 3100) / BASE
    monkeypatch.setattr("time.monotonic", lambda: 1000.0 - seconds - GUESS / 4 - 1)
    assert numbers(refinement, build) == [0, 1]
    # Design 0 took 100 s: 0.025 s for each of its 4,000.
    known = {"values": {n: FRONT[0].estimate[n] for n in measured(1, 1)}, "seconds": 100.0}
    refinement.steps = {0: {**known, "check": {"seconds": 10.0}}}
    monkeypatch.setattr("time.monotonic", lambda: 1000.0 - 10.0 - 99.0)
    assert numbers(refinement, build) == [1]  # too little for design 0, and for two
    monkeypatch.setattr("time.monotonic", lambda: 1000.0 - 20.0)
    assert numbers(refinement, build) == []
    assert numbers(refinement, check) == [0, 1]
    monkeypatch.setattr("time.monotonic", lambda: 1001.0)
    assert numbers(refinement, check) == []
    assert numbers(rounds(Plan(objectives=NAMES)), build) == list(range(6))


def test_corrections_are_means_of_logarithms():
    known = {n: design(n, 0.5, 100, 10) for n in range(3)}
    steps = {
        n: {"values": measured(lut, 100.0), "seconds": 1.0} for n, lut in ((0, 150.0), (1, 80.0))
    }
    ratio = math.exp((math.log(1.5) + math.log(0.8)) / 3)
    found, ratios = refined(known, steps)
    assert ratios["event"]["lut"] == pytest.approx(ratio)
    assert found[2].values["lut"] == pytest.approx(100 * ratio)
    assert replace(found[2], values={}) == replace(known[2], values={})
