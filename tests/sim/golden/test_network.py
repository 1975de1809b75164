"""The golden network against the equations in plain Python, and against closed forms."""

import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from hdl.params.neuron import FIELDS, Emit, Reset, sends_changes
from mapping.program import Formats, Input, Population, Program, Projection
from sim.golden.network import Golden
from tests.kit import random_events, random_program


def brute_force(program, events, other_sums=None):
    """One sample by the docstring of hdl/params/neuron.py, in Python integers.

    Returns outputs [steps][output], states [steps][population][neuron] = (membrane, current),
    and counts: operations, events per population, clamped membranes and currents; its "sent" is
    [steps][population][neuron], what neurons that send changes sent last. `other_sums`:
    for populations with dendrites, a function from the values of each projection's sources in
    one step, and each neuron's (membrane, current) before it, to the neurons' sums.
    """
    f = program.formats
    count = {
        "operations": 0,
        "events": {p.name: 0 for p in program.populations},
        "membrane": {p.name: 0 for p in program.populations},
        "current": {p.name: 0 for p in program.populations},
        "sent": [],
    }

    def scale(x, factor):
        return (x * factor + 2 ** (f.decay_bits - 1)) >> f.decay_bits

    def sat(x, bits, kind=None, name=None):
        y = min(max(x, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)
        if kind and y != x:
            count[kind][name] += 1
        return y

    def deliver(name, values, delay, acc):
        for q in program.projections:
            if q.source != name or q.delay != delay:
                continue
            for source, value in enumerate(values):
                if value == 0:
                    continue
                for k in range(q.indptr[source], q.indptr[source + 1]):
                    count["operations"] += 1
                    if special[q.target]:
                        inbox[q.target][id(q)][source] = value
                        continue
                    weight = int(q.weights[k]) << q.exponent
                    acc[q.target][int(q.indices[k])] += weight * value

    special = {p.name: p.dendrites for p in program.populations}
    state = {p.name: [(0, 0)] * p.size for p in program.populations}
    sent = {p.name: [0] * p.size for p in program.populations}
    last, inbox = {}, {}
    outputs, states = [], []
    for step in events:
        acc = {p.name: [0] * p.size for p in program.populations}
        for p in program.populations:
            into = [q for q in program.projections if q.target == p.name]
            inbox[p.name] = {id(q): [0] * (len(q.indptr) - 1) for q in into}
        for name, values in last.items():
            deliver(name, values, 1, acc)
        last, first = {}, 0
        for i in program.inputs:
            last[i.name] = [int(v) for v in step[first : first + i.size]]
            first += i.size
            deliver(i.name, last[i.name], 0, acc)
        for p in program.populations:
            emitted = []
            if special[p.name]:
                acc[p.name] = other_sums[p.name](list(inbox[p.name].values()), state[p.name])
            for n in range(p.size):
                field = {name: int(p.fields[name][n]) for name in FIELDS}
                membrane, current = state[p.name][n]
                x = acc[p.name][n] * 2 ** field["shift"]
                if f.current_bits > 0:
                    total = scale(current, field["current_decay"]) + x
                    x = current = sat(total, f.current_bits, "current", p.name)
                late = 0
                if field["reset"] == Reset.DELAYED and membrane > field["threshold"]:
                    late = field["reset_value"]
                total = scale(membrane, field["membrane_decay"]) + x + field["bias"] - late
                v = sat(total, f.membrane_bits, "membrane", p.name)
                spike = field["emit"] == Emit.SPIKE and v > field["threshold"]
                membrane = v
                if spike and field["reset"] == Reset.SET:
                    membrane = field["reset_value"]
                elif spike and field["reset"] == Reset.SUBTRACT:
                    membrane = sat(v - field["reset_value"], f.membrane_bits, "membrane", p.name)
                state[p.name][n] = membrane, current
                if field["emit"] == Emit.NONE:
                    emitted.append(0)
                elif field["emit"] == Emit.SPIKE:
                    emitted.append(int(spike))
                elif field["emit"] == Emit.STATE:
                    emitted.append(membrane)
                else:
                    value = plain_value(f, p.arrays.get("table"), membrane, field)
                    if Emit(field["emit"]).name.endswith("DELTA"):
                        change = value - sent[p.name][n]
                        if abs(change) > field["threshold"]:
                            emitted.append(change)
                            sent[p.name][n] = value
                        else:
                            emitted.append(0)
                    else:
                        emitted.append(value)
                if field["emit"] != Emit.STATE:
                    count["events"][p.name] += emitted[-1] != 0
            last[p.name] = emitted
            deliver(p.name, emitted, 0, acc)
        outputs.append([v for name in program.outputs for v in last[name]])
        states.append([list(state[p.name]) for p in program.populations])
        count["sent"].append([list(sent[p.name]) for p in program.populations])
    return outputs, states, count


def plain_value(formats, table, membrane, field):
    """The value of a neuron that sends values or changes of them."""
    name = Emit(field["emit"]).name
    bits = formats.payload_bits - name.endswith("DELTA")
    q = math.floor(Fraction(membrane, 2 ** field["value_shift"]) + Fraction(1, 2))
    if name.startswith("TABLE"):
        half = 2 ** (formats.table_bits - 1)
        return int(table[min(max(q, -half), half - 1) + half])
    low = 0 if name.startswith("RELU") else -(2 ** (bits - 1))
    return min(max(q, low), 2 ** (bits - 1) - 1)


def assert_equal_to_brute_force(
    program, events, lengths=None, threads=1, other_sums=lambda program: None
):
    result = Golden(program).run(events, lengths, record_state=True, threads=threads)
    samples, steps, _ = events.shape
    lengths = [steps] * samples if lengths is None else lengths
    for s, length in enumerate(lengths):
        outputs, states, count = brute_force(program, events[s, :length], other_sums(program))
        assert result.outputs[s, :length].tolist() == outputs
        assert not result.outputs[s, length:].any()
        assert result.synaptic_operations[s] == count["operations"]
        assert result.neuron_updates[s] == length * sum(p.size for p in program.populations)
        assert result.input_events[s] == np.count_nonzero(events[s, :length])
        for k, p in enumerate(program.populations):
            for part in (0, 1):
                expected = [[n[part] for n in states[t][k]] for t in range(length)]
                assert result.state[p.name][part][s, :length].tolist() == expected
                assert not result.state[p.name][part][s, length:].any()
                final = expected[-1] if length else [0] * p.size
                assert result.final[p.name][part][s].tolist() == final
            sent = [step[k] for step in count["sent"]]
            if "sent" in result.inner[p.name]:
                assert result.inner_state[p.name]["sent"][s, :length].tolist() == sent
                assert result.inner[p.name]["sent"][s].tolist() == (sent or [[0] * p.size])[-1]
            else:
                assert not np.any(sent)
            assert result.events[p.name][s] == count["events"][p.name]
            assert result.saturations[p.name].membrane[s] == count["membrane"][p.name]
            assert result.saturations[p.name].current[s] == count["current"][p.name]
    return result


SIZES = st.sampled_from([(1, 1), (2, 3), (3, 2, 1), (1, 1, 1, 1), (5, (3, 4), 2), ((2, 3), 4, 7)])


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=SIZES,
    graded=st.booleans(),
    cuba=st.booleans(),
    recurrent=st.booleans(),
    reset=st.sampled_from([None, *Reset]),
    emit=st.sampled_from([None, Emit.NONE, Emit.SPIKE, Emit.VALUE, Emit.STATE, Emit.RELU]),
    weight_bits=st.sampled_from([1, 2, 4, 8, 16]),
    widths=st.tuples(st.integers(4, 32), st.integers(3, 32), st.integers(1, 16)),
    steps=st.integers(1, 12),
)
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_bit_follows_the_equations(
    seed, sizes, graded, cuba, recurrent, reset, emit, weight_bits, widths, steps
):
    if emit in (Emit.VALUE, Emit.RELU) and not graded:
        emit = Emit.STATE
    formats = Formats(
        membrane_bits=widths[0],
        current_bits=widths[1] if cuba else 0,
        decay_bits=widths[2],
        payload_bits=6 if graded else 0,
    )
    program = random_program(
        seed, sizes, graded=graded, cuba=cuba, recurrent=recurrent, reset=reset, emit=emit,
        weight_bits=weight_bits, formats=formats,
    )  # fmt: skip
    assert_equal_to_brute_force(program, random_events(seed, program, 2, steps, 0.4))


def with_tables(seed, program):
    """Every population has a table of one bit less than payloads, as changes need."""
    rng, formats = np.random.default_rng(seed), program.formats
    top = 1 << (formats.payload_bits - 2)
    made = [
        {"table": rng.integers(-top, top, 1 << formats.table_bits)} for _ in program.populations
    ]
    pairs = zip(program.populations, made, strict=True)
    return replace(program, populations=tuple(replace(p, arrays=a) for p, a in pairs))


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_legal_fields_follow_the_equations(seed, data):
    """Fields drawn from their whole ranges, extremes included, neuron by neuron, or such that a
    population has no dynamics but sums that stay (and is updated by other loops)."""
    formats = Formats(
        membrane_bits=data.draw(st.integers(2, 32)),
        current_bits=data.draw(st.integers(0, 32)),
        decay_bits=data.draw(st.integers(1, 16)),
        payload_bits=data.draw(st.integers(3, 18)),
        table_bits=data.draw(st.integers(1, 5)),
    )
    program = random_program(seed, (3, (2, 3), 2), graded=True, formats=formats)
    program = with_tables(seed, program)
    half = 1 << (formats.membrane_bits - 1)
    signed = st.one_of(st.integers(-half, half - 1), st.sampled_from([-half, -1, 0, half - 1]))
    factor = st.integers(0, (2 << formats.decay_bits) - 1)
    strategy = {
        "membrane_decay": factor,
        "current_decay": factor,
        "bias": signed,
        "threshold": signed,
        "reset_value": signed,
        "shift": st.integers(0, 15),
        "value_shift": st.integers(0, 31),
        "reset": st.sampled_from(Reset),
        "emit": st.sampled_from(Emit),
    }
    for p in program.populations:
        for name in FIELDS:
            p.fields[name][:] = [int(data.draw(strategy[name])) for _ in range(p.size)]
        if data.draw(st.booleans()):
            p.fields["membrane_decay"][:] = 0
            p.fields["current_decay"][:] = data.draw(st.sampled_from([0, 1 << formats.decay_bits]))
            p.fields["reset"][:] = Reset.SET
            p.fields["emit"][:] = data.draw(st.sampled_from(Emit))
        changes = sends_changes(p.fields["emit"])
        p.fields["threshold"][changes] = [
            data.draw(st.sampled_from([0, 1, half - 1])) for _ in range(changes.sum())
        ]
    assert_equal_to_brute_force(program, random_events(seed, program, 1, 8, 0.6))


@pytest.mark.parametrize("kind", ["spiking", "graded", "cuba", "graded cuba"])
def test_bits_depend_neither_on_threads_nor_on_company(kind):
    program = random_program(
        7, (20, (9, 16), 5), graded="graded" in kind, cuba="cuba" in kind, density=0.3
    )
    events = random_events(8, program, 7, 15)
    lengths = [15, 0, 1, 14, 7, 15, 3]
    alone = assert_equal_to_brute_force(program, events, lengths)
    shared = assert_equal_to_brute_force(program, events, lengths, threads=3)
    np.testing.assert_array_equal(alone.outputs, shared.outputs)
    for s, length in enumerate(lengths):
        one = Golden(program).run(events[s : s + 1, :length])
        np.testing.assert_array_equal(one.outputs[0], alone.outputs[s, :length])


def test_spikes_are_outputs_that_are_not_zero():
    program = random_program(3, emit=Emit.SPIKE)
    result = Golden(program).run(random_events(3, program))
    assert result.spikes.dtype == np.uint8
    np.testing.assert_array_equal(result.spikes, result.outputs)
    assert result.state is None


@pytest.mark.parametrize(("graded", "cuba"), list(product((False, True), repeat=2)))
def test_random_programs_fire_healthily(graded, cuba):
    """The kit's promise to the tests of the hardware: activity in most populations, never all."""
    rates, clamped = [], 0
    for seed in range(40):
        program = random_program(seed, graded=graded, cuba=cuba)
        result = Golden(program).run(random_events(seed, program, 3, 30))
        for p in program.populations:
            if p.fields["emit"][0] == Emit.SPIKE:
                rates.append(result.events[p.name].sum() / (90 * p.size))
        clamped += any(s.membrane.any() or s.current.any() for s in result.saturations.values())
    assert 0.03 < np.median(rates) < 0.4
    assert np.mean(np.array(rates) == 0) < 0.15
    assert np.mean(np.array(rates) > 0.9) < 0.05
    assert 5 < clamped <= 40


# Anchors outside of the equations' own wording.


def one_neuron(formats=None, weights=(1,), *, graded=False, delay=0, exponent=0, **fields):
    """Inputs that each feed one neuron; fields default to a perfect integrator's."""
    formats = formats or Formats(membrane_bits=24)
    one = 1 << formats.decay_bits
    values = dict.fromkeys(FIELDS, 0) | {"membrane_decay": one, "emit": Emit.STATE} | fields
    return Program(
        name="one",
        formats=formats,
        inputs=(Input(name="in", size=len(weights), graded=graded),),
        populations=(
            Population(
                name="out",
                kind="LIF",
                size=1,
                level=1,
                fields={name: np.array([int(values[name])]) for name in FIELDS},
                membrane_scale=np.ones(1),
            ),
        ),
        projections=(
            Projection(
                source="in",
                target="out",
                indptr=np.arange(len(weights) + 1),
                indices=np.zeros(len(weights), np.int64),
                weights=np.array(weights),
                weight_bits=16,
                exponent=exponent,
                delay=delay,
            ),
        ),
        outputs=("out",),
    )


@given(w=st.integers(1, 400), threshold=st.integers(400, 3000), steps=st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_an_integrator_spikes_once_per_threshold(w, threshold, steps):
    """n steps of weight w <= t give floor(n*w / t) spikes; v >= t is stored as v > t - 1."""
    program = one_neuron(
        weights=(w,), emit=Emit.SPIKE, reset=Reset.SUBTRACT, threshold=threshold - 1,
        reset_value=threshold,
    )  # fmt: skip
    result = Golden(program).run(np.ones((1, steps, 1), np.uint8))
    assert result.outputs.sum() == steps * w // threshold
    assert result.final["out"].membrane[0, 0] == steps * w % threshold


@given(w=st.integers(1, 400), threshold=st.integers(400, 3000), steps=st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_a_reset_to_zero_gives_a_fixed_period(w, threshold, steps):
    program = one_neuron(
        weights=(w,), emit=Emit.SPIKE, reset=Reset.SET, threshold=threshold - 1, reset_value=0
    )
    spikes = Golden(program).run(np.ones((1, steps, 1), np.uint8)).outputs[0, :, 0]
    period = math.ceil(threshold / w)
    assert np.flatnonzero(spikes).tolist() == list(range(period - 1, steps, period))


def test_a_delayed_reset_spikes_as_often_and_stays_above_for_a_step():
    """Subtracting one step later (snnTorch) moves no spike: the membrane sums the same terms."""
    drive = np.ones((1, 200, 1), np.uint8)
    made = {}
    for reset in (Reset.SUBTRACT, Reset.DELAYED):
        program = one_neuron(
            weights=(37,), emit=Emit.SPIKE, reset=reset, threshold=99, reset_value=100
        )
        made[reset] = Golden(program).run(drive, record_state=True)
    np.testing.assert_array_equal(made[Reset.SUBTRACT].outputs, made[Reset.DELAYED].outputs)
    gap = made[Reset.DELAYED].state["out"].membrane - made[Reset.SUBTRACT].state["out"].membrane
    np.testing.assert_array_equal(gap, 100 * made[Reset.SUBTRACT].outputs)


@given(decay=st.integers(1, 4095), w=st.integers(-300, 300), steps=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_a_leaky_integrator_sums_a_geometric_series(decay, w, steps):
    """Each step rounds by at most 1/2, so the error stays below 1/2 * 1/(1 - a)."""
    program = one_neuron(weights=(w,), membrane_decay=decay, shift=6)
    out = Golden(program).run(np.ones((1, steps, 1), np.uint8)).outputs[0, :, 0]
    a = Fraction(decay, 4096)
    bound = Fraction(1, 2) / (1 - a)
    for n, v in enumerate(out.tolist(), 1):
        assert abs(v - 64 * w * (1 - a**n) / (1 - a)) <= bound


@given(a=st.integers(0, 4095), b=st.integers(0, 4095), w=st.integers(-3000, 3000))
@settings(max_examples=60, deadline=None)
def test_a_current_answers_an_impulse_with_two_exponentials(a, b, w):
    """v[n] = w * sum of b**j * a**(n-j), exact in fractions, within the rounding of both."""
    program = one_neuron(
        Formats(membrane_bits=28, current_bits=28), weights=(w,), membrane_decay=a,
        current_decay=b, shift=8,
    )  # fmt: skip
    events = np.zeros((1, 40, 1), np.uint8)
    events[0, 0] = 1
    out = Golden(program).run(events).outputs[0, :, 0].tolist()
    fa, fb = Fraction(a, 4096), Fraction(b, 4096)
    bound = (Fraction(1, 2) + Fraction(1, 2) / (1 - fb)) / (1 - fa)
    for n, v in enumerate(out):
        exact = 256 * w * sum(fb**j * fa ** (n - j) for j in range(n + 1))
        assert abs(v - exact) <= bound


def test_a_leaky_integrator_is_a_first_order_filter():
    """scipy's lfilter in float64 on graded input, within the rounding bound."""
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (1, 400, 1))
    program = one_neuron(
        Formats(membrane_bits=24, payload_bits=8), weights=(3,), graded=True, exponent=2,
        membrane_decay=3900, shift=3,
    )  # fmt: skip
    out = Golden(program).run(x).outputs[0, :, 0]
    expected = lfilter([96.0], [1.0, -3900 / 4096], x[0, :, 0])
    assert np.abs(out - expected).max() <= 0.5 / (1 - 3900 / 4096) + 1e-6


@pytest.mark.parametrize("decay", [1, 5, 7, 8, 11, 16, 31])
def test_decay_rounds_half_up(decay):
    """For all 4096 membranes: floor(m*f / 2**D + 1/2), in fractions."""
    program = one_neuron(
        Formats(membrane_bits=16, decay_bits=4, payload_bits=12), graded=True, membrane_decay=decay
    )
    values = np.arange(-2048, 2048)
    events = np.zeros((len(values), 2, 1), np.int64)
    events[:, 0, 0] = values
    out = Golden(program).run(events).outputs
    expected = [math.floor(Fraction(int(v) * decay, 16) + Fraction(1, 2)) for v in values]
    assert out[:, 0, 0].tolist() == values.tolist()
    assert out[:, 1, 0].tolist() == expected


@pytest.mark.parametrize("shift", [0, 1, 2, 5])
def test_values_round_half_up_and_saturate(shift):
    program = one_neuron(
        Formats(membrane_bits=16, payload_bits=6), weights=(16, 1), graded=True,
        emit=Emit.VALUE, value_shift=shift,
    )  # fmt: skip
    values = np.arange(-500, 500)
    events = np.zeros((len(values), 1, 2), np.int64)
    events[:, 0, 0], events[:, 0, 1] = np.divmod(values, 16)
    events[:, 0, 0] = np.clip(events[:, 0, 0], -32, 31)
    membrane = events[:, 0] @ [16, 1]
    out = Golden(program).run(events).outputs[:, 0, 0]
    exact = [math.floor(Fraction(int(m), 2**shift) + Fraction(1, 2)) for m in membrane]
    assert out.tolist() == [min(max(e, -32), 31) for e in exact]


def test_saturation_is_counted_and_the_sum_itself_never_saturates():
    """+2000 and -2000 in one step cancel although each alone would leave 8 bits."""
    program = one_neuron(Formats(membrane_bits=8), weights=(2000, -2000, 100))
    events = np.array([[[1, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]], np.uint8)
    result = Golden(program).run(events)
    assert result.outputs[0, :, 0].tolist() == [0, 100, 127, -128, -128]
    assert result.saturations["out"].membrane.tolist() == [3]
    assert result.synaptic_operations.tolist() == [6]


def test_delay_one_delivers_in_the_next_step():
    events = np.array([[[1], [0], [0], [1]]], np.uint8)
    outputs = {d: Golden(one_neuron(delay=d)).run(events).outputs[0, :, 0] for d in (0, 1)}
    assert outputs[0].tolist() == [1, 1, 1, 2]
    assert outputs[1].tolist() == [0, 1, 1, 1]


def test_a_value_of_zero_is_no_event():
    program = one_neuron(Formats(payload_bits=4), weights=(1, 1), graded=True)
    result = Golden(program).run(np.array([[[0, 0], [3, 0], [-3, 7]]]))
    assert result.synaptic_operations.tolist() == [3]
    assert result.outputs[0, :, 0].tolist() == [0, 3, 7]


# What is refused.


def _with_field(program, name, value):
    fields = program.populations[0].fields | {name: np.array([value])}
    return replace(program, populations=(replace(program.populations[0], fields=fields),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: _with_field(p, "shift", 16), r"out: shift must be in 0..15"),
        (lambda p: _with_field(p, "membrane_decay", -1), r"out: membrane_decay must be in 0..8191"),
        (lambda p: _with_field(p, "threshold", 1 << 23), r"out: threshold must be in -8388608"),
        (lambda p: _with_field(p, "emit", 2), r"out: emits values, but payload_bits is 0"),
        (
            lambda p: replace(p, formats=Formats(membrane_bits=40)),
            r"membrane_bits must be in 2..32",
        ),
        (lambda p: _with_projection(p, delay=2), r"in -> out: delay must be 0 or 1, not 2"),
        (lambda p: _with_projection(p, source="out"), r"out -> out: a projection with delay 0"),
        (lambda p: _with_projection(p, target="in"), r"an input can't be a target"),
        (lambda p: _with_projection(p, indices=np.array([1])), r"targets must be in 0..0"),
        (lambda p: _with_projection(p, indptr=np.array([0, 2])), r"indptr must have 2 entries"),
        (lambda p: _with_projection(p, weights=np.array([1, 2])), r"weights and indices must"),
        (lambda p: _with_projection(p, exponent=31), r"weight << exponent must fit 32 bits"),
    ],
)
def test_a_malformed_program_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Golden(change(one_neuron()))


def _with_projection(program, **changes):
    return replace(program, projections=(replace(program.projections[0], **changes),))


@pytest.mark.parametrize(
    ("events", "lengths", "message"),
    [
        (np.zeros((2, 3, 2), int), None, r"events must be \[samples, steps, 1\]"),
        (np.full((2, 3, 1), 2), None, r"event of input 0 in step 0 must be in 0..1, not 2"),
        (np.full((2, 3, 1), -1), None, r"must be in 0..1, not -1"),
        (np.zeros((2, 3, 1), int), [3, 4], r"lengths must be 2 numbers in 0..3"),
        (np.zeros((2, 3, 1), int), [3], r"lengths must be 2 numbers in 0..3"),
    ],
)
def test_malformed_events_are_refused(events, lengths, message):
    with pytest.raises(ValueError, match=message):
        Golden(one_neuron()).run(events, lengths)


def test_real_events_are_refused():
    with pytest.raises(TypeError, match="events must be integers, not float64"):
        Golden(one_neuron()).run(np.zeros((1, 1, 1)))


def test_importing_the_golden_model_compiles_nothing():
    code = "import sys, sim.golden.network; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
