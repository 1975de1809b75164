"""Layers of packed streams."""

import numpy as np
import pytest

from sim.golden.sc.mac import mac
from sim.golden.sc.packed import pack


@pytest.mark.parametrize(
    ("neurons", "inputs", "length", "batch"),
    [(1, 1, 1, ()), (3, 5, 63, (2,)), (4, 1, 64, (3,)), (7, 64, 65, ()), (10, 3, 300, (2, 3))],
)
def test_against_a_matrix_product_of_bits(neurons, inputs, length, batch):
    rng = np.random.default_rng(neurons)
    w = rng.random((neurons, inputs, length)) < 0.6
    x = rng.random((*batch, inputs, length)) < 0.4
    expected = np.einsum("oil,...il->...o", w.astype(int), x.astype(int))
    assert (mac(pack(w), pack(x)) == expected).all()


def test_all_ones_count_everything():
    ones = pack(np.ones((5, 4, 4096)))
    assert (mac(ones, ones[0]) == 4 * 4096).all()


def test_shapes_must_match():
    with pytest.raises(ValueError, match="weights must be"):
        mac(np.zeros((2, 3, 1), np.uint64), np.zeros((4, 1), np.uint64))
