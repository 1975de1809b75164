"""States of the golden network against closed forms and floats; sigma-delta; save and restore."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from hdl.params.errors import UserError
from hdl.params.neuron import FIELDS, Emit
from hdl.params.sc.attention import AttentionParams
from hdl.params.ssm.diagonal import Diagonal
from mapping.program import Formats, Input, Population, Program
from mapping.validate import problems
from sim.golden.network import Golden
from tests.kit import random_events, random_program
from tests.kit_devices import crossbar_program
from tests.kit_ssm import random_states, ssm_program
from tests.kit_stochastic import head_program, one_to_one

WIDE = Formats(membrane_bits=32, payload_bits=16)


def states_program(d, arrays, size, formats=WIDE, **fields):
    """Graded inputs, one to one into a layer of states whose membranes are its input sums."""
    values = dict.fromkeys(FIELDS, 0) | {"emit": int(Emit.STATE)} | fields
    ssm = Population(
        name="ssm", kind="SSM", size=size, level=1, dendrites=d, arrays=arrays,
        fields={name: np.full(size, value) for name, value in values.items()},
        membrane_scale=np.ones(size),
    )  # fmt: skip
    program = Program(
        name="states", formats=formats, inputs=(Input(name="in", size=size, graded=True),),
        populations=(ssm,), projections=(one_to_one("in", "ssm", size),), outputs=("ssm",),
        readout="last",
    )  # fmt: skip
    assert not problems(program)
    return program


@given(
    ar=st.integers(-4095, 4095),
    ai=st.integers(-4095, 4095),
    u=st.integers(-16, 16),
    stochastic=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_impulse_is_answered_by_powers_of_the_pole(ar, ai, u, stochastic):
    """x[t] = a**t * b u, exact in fractions, within what rounding adds: at most sum |a|**j / sqrt 2
    (nearest) or sum |a|**j * sqrt 2 (by draws)."""
    if ar**2 + ai**2 >= 4096**2:
        ar, ai = ar // 2, ai // 2
    d = Diagonal(
        mixed=False, state_bits=18, pole_bits=12, drive_shift=18, value_bits=16,
        stochastic=stochastic, seed=3,
    )  # fmt: skip
    pole = {"pole": np.array([[ar, ai]]), "gain": np.array([3])}
    events = np.zeros((1, 30, 2), np.int64)
    events[0, 0] = u, -2 * u
    out = Golden(states_program(d, pole, 2)).run(events).outputs[0]
    a, length = complex(ar, ai) / 4096, np.hypot(ar, ai) / 4096
    re, im = Fraction(u * 2**21, 4096), Fraction(-2 * u * 2**21, 4096)
    bound = 0.0
    for found in out.tolist():
        bound = length * bound + (2**0.5 if stochastic else 0.5**0.5)
        assert abs(complex(*found) - complex(re, im)) <= bound + 1e-6
        re, im = (re * ar - im * ai) / 4096, (re * ai + im * ar) / 4096
    assert abs(a) < 1


@pytest.mark.parametrize(("order", "seed"), [(1, 0), (4, 1), (9, 2)])
def test_mixed_states_are_a_filter(order, seed):
    """scipy's lfilter, one complex first-order section a state, within the rounding of all."""
    rng = np.random.default_rng(seed)
    d = Diagonal(
        order=order, state_bits=18, pole_bits=14, mix_bits=10, drive_shift=18, mix_shift=9,
        value_bits=16,
    )  # fmt: skip
    a = rng.uniform(0.5, 0.97, order) * np.exp(1j * rng.uniform(0, np.pi, order))
    pole = np.rint(np.stack([a.real, a.imag], 1) * 2**14).astype(np.int64)
    mix = rng.integers(-512, 512, (order, 2))
    arrays = {"pole": pole, "mix": mix, "gain": np.zeros(order, np.int64)}
    u = rng.integers(-150, 150, 300)
    result = Golden(states_program(d, arrays, 1)).run(u[None, :, None])
    assert result.state_saturations["ssm"].tolist() == [0]
    a = (pole @ [1, 1j]) / 2**14
    wanted, bound = 0.0, 0.5
    for k in range(order):
        x = lfilter([16.0], [1.0, -a[k]], u)
        wanted = wanted + (x * (mix[k] @ [1, 1j])).real / 2**9
        bound += np.hypot(*mix[k]) / 2**9 * 0.5**0.5 / (1 - abs(a[k]))
    error = np.abs(result.outputs[0, :, 0] - wanted).max()
    assert error <= bound
    assert np.abs(wanted).max() > 20 * bound


def test_stochastic_rounding_is_right_on_average():
    """A pole of 1 - 2**-9 lets rounding to nearest stall below 2**8; draws let it decay."""
    d = Diagonal(mixed=False, real=True, state_bits=16, pole_bits=9, drive_shift=9, value_bits=16)
    size = 256
    arrays = {"pole": np.full((size, 1), 511), "gain": np.zeros(size, np.int64)}
    events = np.zeros((1, 400, size), np.int64)
    events[0, 0] = 200
    means = {}
    for stochastic in (False, True):
        program = states_program(replace(d, stochastic=stochastic, seed=11), arrays, size)
        means[stochastic] = Golden(program).run(events).outputs[0].mean(1)
    exact = 200 * (511 / 512) ** np.arange(400)
    assert (means[False] == 200).all()
    assert np.abs(means[True] - exact).max() < 4


@given(
    order=st.integers(1, 7), real=st.booleans(), bits=st.integers(2, 4), mix_bits=st.integers(2, 4),
    shift=st.integers(0, 12),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_sums_fit_the_bits_that_they_are_said_to_need(order, real, bits, mix_bits, shift):
    """The largest sum of any states and mix, by all corners."""
    d = Diagonal(order=order, real=real, state_bits=bits, mix_bits=mix_bits, mix_shift=shift)
    s, m = 1 << (bits - 1), 1 << (mix_bits - 1)
    corners = [(c, x) for c in (-m, m - 1) for x in (-s, s - 1)]
    high = max(c * x for c, x in corners) - (0 if real else min(c * x for c, x in corners))
    low = min(c * x for c, x in corners) - (0 if real else max(c * x for c, x in corners))
    half = (1 << shift) >> 1
    most, least = (order * high + half) >> shift, (order * low + half) >> shift
    assert -(1 << (d.acc_bits - 1)) <= least <= most < 1 << (d.acc_bits - 1)


def values_of(program):
    """The same Program, its changes sent as values; nothing held, and currents forget."""
    plain = {Emit.DELTA: Emit.VALUE, Emit.RELU_DELTA: Emit.RELU, Emit.TABLE_DELTA: Emit.TABLE}
    populations = []
    for p in program.populations:
        emit = np.array([int(plain.get(Emit(e), Emit(e))) for e in p.fields["emit"].tolist()])
        fields = p.fields | {"emit": emit, "current_decay": np.zeros(p.size, np.int64)}
        dendrites = replace(p.dendrites, held=False) if p.dendrites else None
        populations.append(replace(p, fields=fields, dendrites=dendrites))
    return replace(
        program,
        formats=replace(program.formats, payload_bits=program.formats.payload_bits - 1),
        populations=tuple(populations),
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    mixed=st.booleans(),
    real=st.booleans(),
    stochastic=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_changes_above_nothing_are_the_values(seed, mixed, real, stochastic):
    """With thresholds of 0 the event-driven network computes what the dense one does, in states,
    gates and sums, as long as no current saturates."""
    formats = Formats(
        membrane_bits=22, current_bits=24, decay_bits=8, payload_bits=8, table_bits=4
    )  # fmt: skip
    program = ssm_program(
        seed, (3, 4, 2), changes=True, threshold=0, formats=formats, mixed=mixed, real=real,
        stochastic=stochastic,
    )  # fmt: skip
    plain = values_of(program)
    assert not problems(program)
    assert not problems(plain)
    events = np.clip(random_events(seed, plain, 2, 25, 0.5), -64, 63)
    found = Golden(program).run(events, record_state=True)
    right = Golden(plain).run(events, record_state=True)
    assert not any(s.current.any() for s in found.saturations.values())
    assert (found.outputs == right.outputs).all()
    assert (found.inner_state["ssm"]["states"] == right.inner_state["ssm"]["states"]).all()
    for name in ("enc", "ssm", "gate", "out"):
        assert (found.state[name].membrane == right.state[name].membrane).all()


def test_a_threshold_bounds_what_a_value_is_off():
    """What was sent is within the threshold of the value, in every step."""
    program = ssm_program(8, changes=True, threshold=5, emit=Emit.RELU)
    p = program.population("enc")
    result = Golden(program).run(random_events(8, program, 3, 60, 0.5), record_state=True)
    shift = p.fields["value_shift"]
    value = (result.state["enc"].membrane + ((1 << shift) >> 1)) >> shift
    gap = np.clip(value, -64, 63) - result.inner_state["enc"]["sent"]
    assert 3 <= np.abs(gap).max() <= 5
    assert (result.inner_state["ssm"]["held"] == result.inner_state["enc"]["sent"]).all()


# Save and restore.


def pieces(program, events, cuts, threads=1):
    """Runs of consecutive steps, each from where the one before ended."""
    golden, start, found = Golden(program), None, []
    for a, b in zip([0, *cuts], [*cuts, events.shape[1]], strict=True):
        result = golden.run(events[:, a:b], start=start, threads=threads)
        found.append(result.outputs)
        start = result.snapshot()
    return np.concatenate(found, axis=1), start


@given(seed=st.integers(0, 2**32 - 1), changes=st.booleans(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_run_in_pieces_is_the_run(seed, changes, data):
    program = ssm_program(seed, (2, 4, 2), changes=changes)
    events = random_events(seed, program, 3, 17, 0.5)
    cuts = sorted(data.draw(st.lists(st.integers(0, 17), max_size=4)))
    whole = Golden(program).run(events)
    outputs, last = pieces(program, events, cuts, threads=2)
    assert (outputs == whole.outputs).all()
    for name, kept in whole.snapshot().items():
        for key, value in kept.items():
            assert (last[name][key] == value).all(), (name, key)


def test_spiking_networks_and_samples_of_any_length_go_on_too():
    program = random_program(6, recurrent=False, skip=False, cuba=True)
    events = random_events(6, program, 3, 20, 0.4)
    whole = Golden(program).run(events)
    outputs, _ = pieces(program, events, [7, 8])
    assert (outputs == whole.outputs).all()
    golden, lengths = Golden(program), np.array([3, 0, 9])
    first = golden.run(events[:, :9], lengths)
    for s, length in enumerate(lengths):
        start = {n: {k: v[s : s + 1] for k, v in kept.items()}
                 for n, kept in first.snapshot().items()}  # fmt: skip
        rest = golden.run(events[s : s + 1, length:], start=start)
        assert (rest.outputs[0] == whole.outputs[s, length:]).all()


def test_a_start_is_not_changed():
    program = ssm_program(1, changes=True, stochastic=True)
    events = random_events(1, program, 2, 8, 0.5)
    golden = Golden(program)
    start = golden.run(events).snapshot()
    before = {n: {k: v.copy() for k, v in kept.items()} for n, kept in start.items()}
    one, two = golden.run(events, start=start), golden.run(events, start=start)
    assert (one.outputs == two.outputs).all()
    assert all((start[n][k] == v).all() for n, kept in before.items() for k, v in kept.items())


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (random_program(1, skip=False), r"arrives a step later; a state holds no events"),
        (head_program(AttentionParams(tokens=2, dim=2)), r"head: an attention head draws numbers"),
        (crossbar_program(1, (2, 2), recurrent=False, skip=False), r"a crossbar draws numbers"),
    ],
)
def test_what_can_not_go_on_is_refused(program, message):
    events = random_events(1, program, 1, 2)
    golden = Golden(program)
    start = golden.run(events).snapshot()
    with pytest.raises(UserError, match=message):
        golden.run(events, start=start)


START = ssm_program(1, changes=True, stochastic=True)


def broken(change):
    start = Golden(START).run(np.zeros((2, 3, 3), np.int64)).snapshot()
    change(start)
    return start


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("gate"),
         "gate: a state to start from has membrane, current, sent, held, not nothing; take"),
        (lambda s: s["ssm"].pop("draws"),
         "ssm: a state to start from has membrane, current, sent, states, draws, held, not memb"),
        (lambda s: s["enc"].update(states=np.zeros(3)), "enc: a state to start from has membrane"),
        (lambda s: s.update(other={}), "a state to start from names other, which there isn't"),
        (lambda s: s["enc"].update(sent=np.zeros((1, 4), int)),
         r"enc: sent to start from must be integers of shape \(2, 4\), not int64 \(1, 4\)"),
        (lambda s: s["enc"].update(sent=np.zeros((2, 4))), r"not float64 \(2, 4\)"),
        (lambda s: s["enc"].update(sent=np.full((2, 4), 64)), "sent to start from must be in -64"),
        (lambda s: s["ssm"]["draws"].fill(0), r"draws to start from must be in 1..4294967295"),
        (lambda s: s["ssm"]["states"].fill(1 << 20), "ssm: states to start from must be in"),
        (lambda s: s["gate"]["held"].fill(-65), "gate: held to start from must be in -64..63"),
        (lambda s: s["out"]["current"].fill(1 << 19), "current to start from must be in -524288.."),
    ],
)  # fmt: skip
def test_starts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        Golden(START).run(np.zeros((2, 3, 3), np.int64), start=broken(change))


def test_arrays_of_the_kit_are_what_is_allowed():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        d = Diagonal(order=5, pole_bits=2 + seed % 16, real=bool(seed % 2))
        pole = random_states(rng, d, 30)["pole"]
        assert ((pole**2).sum(1) < 4**d.pole_bits).all()
