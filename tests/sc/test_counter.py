"""The counter as number generator."""

import numpy as np
import pytest

from hdl.params.sc.counter import CounterParams
from hdl.sc.counter import Counter
from sim.golden.sc.counter import CounterModel
from tests.sc.kit import check_many


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be in 1..32, not 0"),
        ({"width": 33}, "width must be in 1..32, not 33"),
        ({"width": 4, "divide": -1}, "divide must be in 0..32, not -1"),
    ],
)
def test_wrong_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        CounterParams(**change)


@pytest.mark.parametrize("width", range(1, 7))
def test_clock_division_is_exact(width):
    """All pairs (a, b): the AND of two comparators has exactly a * b ones in 4**width cycles."""
    fast, slow = CounterParams(width=width), CounterParams(width=width, divide=width)
    assert fast.period == 1 << width
    assert slow.period == 1 << (2 * width)
    x = CounterModel(fast).run(slow.period)["value"]
    y = CounterModel(slow).run(slow.period)["value"]
    grid = np.zeros((1 << width, 1 << width), dtype=int)
    np.add.at(grid, (x, y), 1)
    a = np.arange(1, (1 << width) + 1)
    assert (grid.cumsum(axis=0).cumsum(axis=1) == np.outer(a, a)).all()


def test_rtl():
    units = [
        CounterParams(width=width, divide=divide, invert=invert)
        for width, divide, invert in (
            (1, 0, False),
            (1, 1, True),
            (2, 3, False),
            (3, 0, True),
            (5, 4, False),
            (8, 0, False),
            (32, 0, True),
            (32, 32, False),
        )
    ]
    check_many([(p, Counter, CounterModel) for p in units], length=700)
