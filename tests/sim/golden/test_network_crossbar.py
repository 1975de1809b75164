"""Crossbar populations in the golden network, against plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.params.crossbar.dendrites import Crossbar
from sim.golden.network import Golden
from tests.crossbar.test_crossbar_product_model import PlainSums
from tests.kit import random_events, random_program
from tests.kit_devices import crossbar_program, on_crossbar
from tests.kit_stochastic import stochastic
from tests.sim.golden.test_network import assert_equal_to_brute_force


def plain_dendrites(made):
    """Sums of each crossbar population, of a sample that begins; `made` gathers the models."""

    def make(program):
        found = {}
        for p in program.populations:
            if isinstance(p.dendrites, Crossbar):
                into = [q for q in program.projections if q.target == p.name]
                sources = sum(len(q.indptr) - 1 for q in into)
                plain = PlainSums(p.dendrites, p.arrays, p.size, sources)
                made.setdefault(p.name, []).append(plain)
                found[p.name] = lambda values, state, plain=plain: plain.sums(
                    [v for part in values for v in part]
                )
        return found

    return make


def check(program, events, lengths=None, threads=1):
    made = {}
    result = assert_equal_to_brute_force(program, events, lengths, threads, plain_dendrites(made))
    assert set(made) == set(result.cell_reads) == set(result.conversions)
    for name, models in made.items():
        columns = program.population(name).dendrites.columns
        assert result.cell_reads[name].tolist() == [m.rows * columns for m in models]
        assert result.conversions[name].tolist() == [m.codes for m in models]
    return result


@given(
    seed=st.integers(0, 2**16),
    sizes=st.sampled_from([(1, 1), (3, 2, 1), (5, (3, 4), 2), ((2, 3), 4, 3)]),
    graded=st.booleans(),
    recurrent=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_crossbar_populations_follow_the_equations(seed, sizes, graded, recurrent):
    program = crossbar_program(seed, sizes, graded=graded, recurrent=recurrent)
    check(program, random_events(seed, program, 2, 4, 0.4))


def test_samples_of_different_lengths_and_threads():
    program = crossbar_program(3, (6, (4, 5), 3))
    events = random_events(4, program, 4, 10, 0.5)
    result = check(program, events, [10, 0, 7, 10], threads=3)
    assert sum(reads.sum() for reads in result.cell_reads.values()) > 0
    alone = Golden(program).run(events[3:])
    for name, state in alone.final.items():
        assert (state.membrane[0] == result.final[name].membrane[3]).all()


def test_a_sample_draws_what_every_sample_draws():
    """The generators begin again; another seed of the crossbar gives another answer."""
    program = random_program(5, (8, 6), recurrent=False, emit=3)
    made = on_crossbar(program, ("pop1_0",), Crossbar(rows=8, columns=16, adc_bits=12), 1)
    events = np.repeat(random_events(6, made, 1, 8, 0.5), 2, axis=0)
    first = Golden(made).run(events).outputs
    assert (first[0] == first[1]).all()
    p = made.populations[0]
    other = replace(p, dendrites=replace(p.dendrites, seed=99))
    found = Golden(replace(made, populations=(other,))).run(events).outputs
    assert (found != first).any()


def test_a_row_whose_weights_are_left_out_is_read_too():
    """Whether a weight is 0, or not there: the device is, with its noise."""
    program = random_program(7, (6, 4), recurrent=False, skip=False, emit=3)
    full = on_crossbar(program, ("pop1_0",), Crossbar(rows=4, columns=8, adc_bits=10), 2)
    q = full.projections[0]
    none = replace(
        q, indptr=np.zeros(7, np.int64), indices=np.zeros(0, np.int64),
        weights=np.zeros(0, np.int64),
    )  # fmt: skip
    events = random_events(8, full, 2, 6, 0.5)
    one, two = (
        Golden(replace(full, projections=(projection,))).run(events) for projection in (q, none)
    )
    assert (one.outputs == two.outputs).all()
    assert one.outputs.any()
    assert (one.cell_reads["pop1_0"] == two.cell_reads["pop1_0"]).all()
    assert (two.synaptic_operations == 0).all()


def test_all_kinds_of_dendrites_together():
    """Exact, stochastic and crossbar populations in one network don't disturb each other."""
    program = random_program(9, (10, (6, 5), (4, 3)), recurrent=False, skip=False)
    names = [p.name for p in program.populations]
    last = on_crossbar(program, (names[2],), Crossbar(rows=8, columns=8), 3)
    mixed = stochastic(program)
    mixed = replace(
        last,
        populations=(mixed.populations[0], *last.populations[1:]),
    )
    events = random_events(10, program, 3, 12, 0.4)
    exact, found = (Golden(p).run(events, record_state=True) for p in (program, mixed))
    for name in names[:2]:
        assert (exact.state[name].membrane == found.state[name].membrane).all()
    assert (exact.state[names[3]].membrane == found.state[names[3]].membrane).all()
    assert (exact.state[names[2]].membrane != found.state[names[2]].membrane).any()
    assert list(found.cell_reads) == [names[2]]
    assert list(found.stream_bits) == [names[0]]


def wrong(program, message, name="pop1_0", **arrays):
    p = program.population(name)
    changed = replace(p, arrays={**p.arrays, **arrays})
    populations = tuple(changed if o.name == name else o for o in program.populations)
    with pytest.raises(ValueError, match=message):
        Golden(replace(program, populations=populations))


def test_wrong_data_are_refused():
    program = random_program(1, (4, 3), recurrent=False)
    made = on_crossbar(program, ("pop1_0",), Crossbar(rows=4, columns=8), 1)
    wrong(made, "pop1_0: arrays must be conductance, exponent", other=np.zeros(1, np.int64))
    wrong(made, r"pop1_0: age must be of shape \(3,\), not \(2,\)", age=np.zeros(2, np.int64))
    column = made.populations[0].arrays["column"] + 8
    wrong(made, r"pop1_0: column must be in 0\.\.7", column=column)
    graded = random_program(1, (4, 3), recurrent=False, skip=False, graded=True)
    made = on_crossbar(graded, ("pop1_0",), Crossbar(rows=4, columns=8), 1)
    p = made.populations[0]
    small = replace(p, dendrites=replace(p.dendrites, value_bits=4))
    with pytest.raises(ValueError, match="in0_0 -> pop1_0: values reach 128, 15 is allowed there"):
        Golden(replace(made, populations=(small,)))
