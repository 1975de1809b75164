"""Wrong inputs of twins."""

import numpy as np
import pytest

from hdl.params.sc.multiply import MultiplyParams
from hdl.params.sc.sng import SngParams
from sim.golden.sc.multiply import MultiplyModel
from sim.golden.sc.packed import pack
from sim.golden.sc.sng import SngModel

RANDOM = np.zeros(8, np.int64)


@pytest.mark.parametrize(
    ("length", "value", "random", "error", "message"),
    [
        (8, 257, RANDOM, ValueError, "value must be in 0..256, not 257"),
        (8, [3, -1], RANDOM, ValueError, "value must be in 0..256, not -1"),
        (8, 0.5, RANDOM, TypeError, "value must be integers, not float64"),
        (8, 4, RANDOM + 256, ValueError, "random must be in 0..255, not 256"),
        (0, 4, RANDOM[:0], ValueError, "length must be at least 1, not 0: an empty stream"),
    ],
)
def test_a_number_outside_its_range(length, value, random, error, message):
    with pytest.raises(error, match=message):
        SngModel(SngParams(width=8)).run(length, value=np.asarray(value), random=random)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (np.zeros(1, np.uint64), "b must be a packed stream of 70 bits, uint64"),
        (np.zeros(70, np.uint8), "b must be a packed stream of 70 bits"),
        (pack(np.ones(71)), "b has ones beyond its length of 70 bits"),
        (pack(np.ones(140)), "b has ones beyond its length of 70 bits"),
    ],
)
def test_a_stream_of_another_length(stream, message):
    with pytest.raises(ValueError, match=message):
        MultiplyModel(MultiplyParams()).run(70, pack(np.ones(70)), stream)


def test_right_inputs_pass():
    one = pack(np.ones(70))
    assert (MultiplyModel(MultiplyParams()).run(70, a=one, b=one)["y"] == one).all()
    assert SngModel(SngParams(width=8)).run(8, value=256, random=RANDOM)["y"] == 255
