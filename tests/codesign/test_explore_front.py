import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from codesign.explore.front import (
    Infeasible,
    end_points,
    front,
    hypervolume,
    knee,
    losses,
    spread,
)
from codesign.explore.outcome import Outcome
from codesign.explore.plan import Constraint

NAMES = ("accuracy", "lut", "latency_us")


def designs(rows, names=NAMES, **changes):
    return [
        Outcome(number=i, choice={}, values=dict(zip(names, row, strict=True)), **changes)
        for i, row in enumerate(rows)
    ]


def by_force(found, names):
    """The front from the definition."""
    able = [o for o in found if o.feasible]
    return [
        o.number for o in able
        if not any(p.dominates(o, names) for p in able)
        and not any(p.number < o.number and p.values == o.values for p in able)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [0, 1, 2, 60])
def test_front_is_what_the_definition_says(count, seed):
    rng = np.random.default_rng(seed)
    found = designs(rng.integers(0, 6, (count, 3)).tolist())
    found = [o if rng.random() < 0.8 else Outcome(number=o.number, choice={}, failed="no")
             for o in found]  # fmt: skip
    assert [o.number for o in front(found, NAMES)] == by_force(found, NAMES), f"seed {seed}"


def test_designs_that_break_a_constraint_are_on_no_front():
    good, bad = designs([(0.5, 9, 9)]), designs([(0.9, 1, 1)], broken={"lut<=0": 1.0})
    assert front([*good, *bad], NAMES) == good


values = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=3, max_size=3)


@given(values)
def test_domination_is_a_strict_order(rows):
    a, b, c = designs(rows)
    assert not a.dominates(a, NAMES)
    assert not (a.dominates(b, NAMES) and b.dominates(a, NAMES))
    if a.dominates(b, NAMES) and b.dominates(c, NAMES):
        assert a.dominates(c, NAMES)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=12))
def test_each_design_is_on_the_front_or_beaten_by_one_that_is(rows):
    found = designs(rows)
    best = front(found, NAMES)
    for o in found:
        assert any(p is o or p.dominates(o, NAMES) or p.values == o.values for p in best)


def test_end_points_and_knee():
    found = designs([(0.9, 100, 9), (0.5, 10, 8), (0.6, 60, 1), (0.8, 30, 3)])
    assert [o.number for o in end_points(found, NAMES)] == [0, 1, 2]
    assert knee(found, NAMES).number == 3
    assert [o.number for o in spread(found, NAMES)] == [0, 1, 2, 3]
    assert [o.number for o in spread(found, NAMES, taken=[0, 3])] == [1, 2]
    assert (end_points([], NAMES), knee([], NAMES), spread([], NAMES)) == ([], None, [])


def test_of_equal_end_points_the_better_one_is_taken():
    found = designs([(0.9, 100, 9), (0.9, 50, 9), (0.2, 50, 1)])
    assert [o.number for o in end_points(found, NAMES)] == [1, 2]


def test_spread_goes_where_nothing_is():
    rows = [(x, x) for x in (0, 100, 51, 49, 25, 76)]
    found = [Outcome(number=i, choice={}, values={"lut": a, "ff": 100 - b})
             for i, (a, b) in enumerate(rows)]  # fmt: skip
    order = [o.number for o in spread(found, ("lut", "ff"))]
    assert sorted(order) == list(range(6))
    assert order[:3] == [0, 1, 2]  # both ends, the knee
    assert set(order[3:5]) == {4, 5}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_hypervolume_against_optuna_and_counting(axes, seed):
    rng = np.random.default_rng((axes, seed))
    points = rng.integers(0, 5, (9, axes)).astype(float)
    reference = np.full(axes, 4.0)
    cells = itertools.product(range(4), repeat=axes)
    counted = sum(any((p <= cell).all() for p in points) for cell in cells)
    assert hypervolume(points, reference) == counted, f"seed {seed}"
    inside = points[(points < reference).all(axis=1)]
    if axes > 1 and len(inside):
        assert hypervolume(points, reference) == pytest.approx(
            compute_hypervolume(inside, reference)
        )
    assert hypervolume(np.empty((0, axes)), reference) == 0


def test_losses_are_made_small():
    assert losses(designs([(0.5, 3, 4)]), NAMES).tolist() == [[-0.5, 3, 4]]
    assert losses([], NAMES).shape == (0, 3)


def broken(rows, constraints):
    found = []
    for o in designs(rows):
        shares = {str(c): c.broken(o.values[c.name]) for c in constraints}
        bad = {k: v for k, v in shares.items() if v > 0}
        found.append(Outcome(number=o.number, choice={}, values=o.values, broken=bad))
    return found


def test_infeasible_names_what_each_constraint_alone_would_have_to_be():
    both = [Constraint.parse("accuracy>=0.8"), Constraint.parse("lut<=100")]
    found = broken([(0.9, 150, 1), (0.6, 90, 1), (0.95, 120, 1), (0.7, 130, 1)], both)
    assert str(Infeasible.among(found, both)) == (
        "no feasible design of 4: loosen lut<=100 to 120 (20 %) or accuracy>=0.8 to 0.6 (25 %)"
    )


def test_infeasible_where_one_constraint_is_not_enough():
    both = [Constraint.parse("accuracy>=0.8"), Constraint.parse("lut<=100")]
    found = broken([(0.6, 150, 1), (0.4, 120, 1)], both)
    assert str(Infeasible.among(found, both)) == (
        "no feasible design of 2: loosening one constraint is not enough; nearest is design 1: "
        "loosen accuracy>=0.8 to 0.4 (50 %) and lut<=100 to 120 (20 %)"
    )


def test_infeasible_where_all_trials_failed():
    found = [Outcome(number=0, choice={}, failed="too small"), Outcome(number=1, choice={},
             failed="x")]  # fmt: skip
    assert str(Infeasible.among(found, [])) == (
        "no feasible design: all 2 trials failed, the first: too small"
    )
