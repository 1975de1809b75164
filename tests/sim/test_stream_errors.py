"""The measured error of stochastic layers, against the golden network and closed forms."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from hdl.params.neuron import Emit
from sim.golden.network import Golden
from sim.streams import stream_errors
from tests.kit import random_events, random_program
from tests.kit_stochastic import stochastic


@pytest.mark.parametrize("graded", [False, True])
def test_full_periods_have_no_error(graded):
    program = stochastic(random_program(2, graded=graded))
    found = stream_errors(program, random_events(2, program, 3, 10))
    assert [f.node for f in found] == [p.name for p in program.populations]
    for f in found:
        assert f.rms_error == 0
        assert f.rms_drive > 0
        assert f.relative_error == 0
        assert f.stream_length == f.full_period == f.mean_length
    assert stream_errors(random_program(2), random_events(2, program, 1, 3)) == []


def test_errors_fall_with_the_length():
    program = random_program(5, (40, 30, 6), graded=True, weight_bits=8, exponents=0)
    events = random_events(5, program, 4, 30)
    errors = []
    for k in (2, 4, 6, 8, 10, 12):
        found = stream_errors(stochastic(program, length=k), events)
        errors.append(found[0].relative_error)
    assert all(b < 0.6 * a for a, b in pairwise(errors)), errors


def test_the_error_is_that_of_the_golden_network():
    """Neurons that keep nothing but their input, which the outputs then show."""
    program = random_program(6, (12, 9), recurrent=False, skip=False, weight_bits=8, emit=3)
    program.populations[0].fields.update(
        membrane_decay=np.zeros(9, np.int64), bias=np.zeros(9, np.int64),
        shift=np.full(9, 2), threshold=np.full(9, 10**4),
    )  # fmt: skip
    events = random_events(6, program, 3, 20)
    lengths = np.array([20, 3, 11])
    short = stochastic(program, length=2, tolerance=30, first=0)
    right = Golden(program).run(events, lengths).outputs
    wrong = Golden(short).run(events, lengths)
    scale = program.populations[0].membrane_scale
    valid = np.arange(20) < lengths[:, None]
    error = (((wrong.outputs - right) * scale) ** 2)[valid].mean() ** 0.5
    (found,) = stream_errors(short, events, lengths)
    assert found.rms_error == pytest.approx(error)
    assert found.rms_drive == pytest.approx(((right * scale) ** 2)[valid].mean() ** 0.5)
    assert found.mean_length == pytest.approx(wrong.stream_bits["pop1_0"].sum() / lengths.sum() / 9)
    assert 1 < found.mean_length < 4
    assert found.threshold_share is None


@pytest.mark.parametrize("cuba", [False, True])
def test_a_margin_is_counted_as_in_the_golden_network(cuba):
    program = random_program(7, (9, (6, 4), 5), cuba=cuba, weight_bits=8, emit=Emit.SPIKE)
    short = stochastic(program, margin=1, first=1)
    events = random_events(7, program, 3, 25)
    lengths = np.array([25, 3, 11])
    bits = Golden(short).run(events, lengths).stream_bits
    for f in stream_errors(short, events, lengths):
        size = program.population(f.node).size
        assert f.mean_length == pytest.approx(bits[f.node].sum() / lengths.sum() / size)
        assert f.margin == 1
        assert 2 <= f.mean_length < f.stream_length
        assert f.rms_error > 0


def test_delayed_inputs_count_a_step_later():
    program = stochastic(random_program(8, (6, 5, 3)), length=2)
    late = {q.delay for q in program.projections if q.target == "pop1_0"}
    assert late == {0, 1}
    events = random_events(8, program, 2, 12)
    found = stream_errors(program, events)[0]
    assert found.threshold_share > 0
    alone = replace(program, projections=tuple(q for q in program.projections if not q.delay))
    assert stream_errors(alone, events)[0].rms_drive != found.rms_drive
