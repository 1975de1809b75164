"""Decisions from outputs."""

import numpy as np
import pytest

from hdl.params.errors import UserError
from mapping.readout import decide

OUTPUTS = np.array([[[1.0, 3, 0], [2, 0, 0], [4, 0, 9]], [[0, 5, 5], [0, 2, 2], [7, 0, 0]]])


@pytest.mark.parametrize(
    ("readout", "whole", "two"),
    [("count", [2, 0], [0, 1]), ("last", [2, 0], [0, 1]), ("max", [2, 0], [1, 1])],
)
def test_each_readout_picks_the_winner(readout, whole, two):
    assert decide(readout, OUTPUTS).tolist() == whole
    assert decide(readout, OUTPUTS, [2, 2]).tolist() == two


def test_mean_wins_like_the_sum_over_valid_steps():
    for lengths in ([1, 1], [2, 3], [3, 2]):
        assert (decide("mean", OUTPUTS, lengths) == decide("count", OUTPUTS, lengths)).all()


def test_the_lowest_index_wins_a_tie():
    for readout in ("count", "last", "max", "mean"):
        assert decide(readout, np.zeros((4, 3, 5), dtype=bool)).tolist() == [0, 0, 0, 0]


def test_spikes_are_counted_not_or_ed():
    spikes = np.zeros((1, 4, 2), dtype=bool)
    spikes[0, 0, 0] = spikes[0, 1:3, 1] = True
    assert decide("count", spikes).tolist() == [1]


def test_values_below_zero_beat_the_padding():
    outputs = np.array([[[-3.0, -1], [0, 0]]])
    for readout in ("count", "last", "max", "mean"):
        assert decide(readout, outputs, [1]).tolist() == [1]
    assert decide("max", outputs.astype(np.int64), [1]).tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sum", OUTPUTS), "readout must be one of count, last, max, mean, not 'sum'"),
        (("max", OUTPUTS[0]), r"outputs must be \[samples, steps, outputs\], not \(3, 3\)"),
        (("max", OUTPUTS, [1]), "lengths must be 2 integers, one a sample"),
        (("max", OUTPUTS, [0, 3]), r"lengths must lie in 1..3, not 0..3"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        decide(*arguments)
