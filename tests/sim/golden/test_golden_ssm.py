"""States, gates and emissions in the golden network, against the equations in plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.params.neuron import Emit, Reset, sends_changes
from hdl.params.sc.lfsr import LfsrParams, seed_of, successor
from hdl.params.ssm.diagonal import Diagonal
from mapping.program import Formats
from mapping.validate import problems
from sim.golden.network import Golden
from sim.golden.network_rows import build_rows
from sim.golden.network_states import build_recurrences
from tests.kit import random_events
from tests.kit_ssm import ssm_program
from tests.sim.golden.test_network import assert_equal_to_brute_force

LFSR = LfsrParams(width=32, steps=32)


class PlainStates:
    """One sample of a Diagonal population, in Python integers; its states after every step."""

    def __init__(self, program, p):
        self.d, self.p = p.dendrites, p
        states = self.d.states(p.size)
        self.x = [(0, 0)] * states
        self.u = [0] * p.size
        self.w = [seed_of(self.d.seed, k, 32) for k in range(states)]
        self.clipped = 0
        self.trace = {"states": [], "draws": [], "held": []}

    def sat(self, x):
        y = min(max(x, -(2 ** (self.d.state_bits - 1))), 2 ** (self.d.state_bits - 1) - 1)
        self.clipped += y != x
        return y

    def pair(self, name, k):
        row = [int(v) for v in self.p.arrays[name][k]]
        return row if len(row) == 2 else (*row, 0)

    def sums(self, values, _):
        d, pole_bits = self.d, self.d.pole_bits
        for n, value in enumerate(values[0]):
            self.u[n] = self.u[n] + value if d.held else value
        for k in range(len(self.x)):
            (re, im), (ar, ai) = self.x[k], self.pair("pole", k)
            e = d.drive_shift + int(self.p.arrays["gain"][k])
            if d.mixed or d.real:
                p, q = self.u[k // d.order], 0
            else:
                p, q = self.u[2 * k], self.u[2 * k + 1]
            half, other = 2 ** (pole_bits - 1), 2 ** (pole_bits - 1)
            if d.stochastic:
                half = (self.w[k] % 2**16 * 2**pole_bits) >> 16
                other = (self.w[k] // 2**16 * 2**pole_bits) >> 16
                self.w[k] = successor(LFSR, self.w[k])
            new = self.sat((ar * re - ai * im + p * 2**e + half) >> pole_bits)
            if d.real:
                self.x[k] = new, 0
            else:
                self.x[k] = new, self.sat((ar * im + ai * re + q * 2**e + other) >> pole_bits)
        self.trace["states"].append([list(x[: d.parts]) for x in self.x])
        self.trace["draws"].append(list(self.w))
        self.trace["held"].append(list(self.u))
        if not d.mixed:
            return [part for x in self.x for part in x[: d.parts]]
        found = []
        for n in range(self.p.size):
            total = (1 << d.mix_shift) >> 1
            for k in range(n * d.order, (n + 1) * d.order):
                (re, im), (cr, ci) = self.x[k], self.pair("mix", k)
                total += cr * re - ci * im
            found.append(total >> d.mix_shift)
        return found


class PlainGate:
    """One sample of a gate."""

    def __init__(self, program, p):
        self.gate, self.clipped = p.dendrites, 0
        self.ports = [q.port for q in program.projections if q.target == p.name]
        self.values = [[0, 0] for _ in range(p.size)]
        self.trace = {"held": []}

    def sums(self, values, _):
        for port, row in zip(self.ports, values, strict=True):
            for n, value in enumerate(row):
                k = ("left", "right").index(port)
                self.values[n][k] = value + (self.values[n][k] if self.gate.held else 0)
        self.trace["held"].append([list(pair) for pair in self.values])
        half = (1 << self.gate.shift) >> 1
        return [(left * right + half) >> self.gate.shift for left, right in self.values]


def check(program, events, lengths=None, threads=1):
    """Bit for bit, all that is remembered in every step included."""
    assert not problems(program)
    made = {}

    def plain(program):
        found = {}
        for p in program.populations:
            if p.dendrites:
                kind = PlainStates if isinstance(p.dendrites, Diagonal) else PlainGate
                made.setdefault(p.name, []).append(kind(program, p))
                found[p.name] = made[p.name][-1].sums
        return found

    result = assert_equal_to_brute_force(program, events, lengths, threads, plain)
    for p in program.populations:
        d, keys = p.dendrites, set()
        keys |= {"sent"} if sends_changes(p.fields["emit"]).any() else set()
        keys |= {"states"} if isinstance(d, Diagonal) else set()
        keys |= {"draws"} if isinstance(d, Diagonal) and d.stochastic else set()
        keys |= {"held"} if d and d.held else set()
        assert set(result.inner[p.name]) == set(result.inner_state[p.name]) == keys
    for name, models in made.items():
        for s, model in enumerate(models):
            for key, trace in model.trace.items():
                if key in result.inner[name]:
                    found = result.inner_state[name][key][s]
                    assert found[: len(trace)].tolist() == trace, (name, key)
                    assert not found[len(trace) :].any()
                    if trace:
                        assert result.inner[name][key][s].tolist() == trace[-1]
            if name in result.state_saturations:
                assert result.state_saturations[name][s] == model.clipped
    return result


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1, 2, 3, 5]),
    changes=st.booleans(),
    mixed=st.booleans(),
    real=st.booleans(),
    payload_bits=st.integers(4, 12),
    threshold=st.sampled_from([None, 0]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_bit_follows_the_equations(seed, size, changes, mixed, real, payload_bits, threshold):
    if not mixed and not real:
        size = 2 * size
    formats = Formats(
        membrane_bits=18, current_bits=18 if changes or seed % 2 else 0, decay_bits=8,
        payload_bits=payload_bits, table_bits=3,
    )  # fmt: skip
    program = ssm_program(
        seed, (2, size, 2), changes=changes, mixed=mixed, real=real, formats=formats,
        threshold=threshold,
    )  # fmt: skip
    check(program, random_events(seed, program, 2, 6, 0.5))


@given(seed=st.integers(0, 2**32 - 1), mixed=st.booleans(), top=st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_widest_parameters_are_exact(seed, mixed, top):
    """Widths, shifts and gains at their ends: the float64 of the loop must lose no bit."""
    formats = Formats(membrane_bits=32, payload_bits=18, table_bits=1)
    program = ssm_program(
        seed, (2, 4, 1), formats=formats, mixed=mixed, order=40 if mixed else 1, real=False,
        state_bits=18, pole_bits=17, mix_bits=18, mix_shift=(0, 31)[seed % 2],
        drive_shift=31 if top else int(seed % 32),
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    arrays = program.populations[1].arrays
    arrays["gain"][:] = rng.choice([0, 7], len(arrays["gain"]))
    if mixed:
        arrays["mix"][:] = rng.choice([-(1 << 17), (1 << 17) - 1], arrays["mix"].shape)
    check(program, random_events(seed, program, 1, 5, 0.7))


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("stochastic", [False, True])
def test_bits_depend_neither_on_threads_nor_on_company(changes, stochastic):
    program = ssm_program(3, (3, 6, 2), changes=changes, stochastic=stochastic)
    events, lengths = random_events(4, program, 5, 12, 0.5), [12, 0, 1, 12, 7]
    alone = check(program, events, lengths)
    shared = Golden(program).run(events, lengths, threads=3)
    assert (shared.outputs == alone.outputs).all()
    for name, kept in alone.inner.items():
        for key, value in kept.items():
            assert (shared.inner[name][key] == value).all()
    last = Golden(program).run(events[4:], lengths[4:])
    assert (last.outputs[0] == alone.outputs[4]).all()


@pytest.mark.parametrize(
    ("changes", "source", "target", "port"),
    [
        (False, "gate", "ssm", ""),
        (True, "gate", "ssm", ""),
        (False, "gate", "gate", "left"),
        (True, "gate", "gate", "left"),
        (False, "in", "ssm", ""),
    ],
)
def test_states_and_gates_take_what_comes_a_step_later(changes, source, target, port):
    program = ssm_program(9, (4, 4, 2), changes=changes, mixed=True)
    projections = tuple(
        replace(q, source=source, delay=1) if (q.target, q.port) == (target, port) else q
        for q in program.projections
    )
    program = replace(program, projections=projections)
    check(program, random_events(9, program, 3, 15, 0.5), [15, 1, 8])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("changes", [False, True])
def test_loops_that_vectorise_do_what_the_general_one_does(seed, changes):
    """A delayed reset by 0 changes nothing, but is left to the loop for all neurons."""
    program = ssm_program(seed, (3, 6, 2), changes=changes, mixed=True)
    delayed = replace(
        program,
        populations=tuple(
            replace(p, fields=p.fields | {"reset": np.full(p.size, int(Reset.DELAYED))})
            for p in program.populations
        ),
    )
    assert build_rows(program).plain.all()
    assert not build_rows(delayed).plain.any()
    events = random_events(seed, program, 3, 40, 0.5)
    one = Golden(program).run(events, record_state=True)
    other = Golden(delayed).run(events, record_state=True)
    assert (one.outputs == other.outputs).all()
    for name, state in one.state.items():
        assert (state.membrane == other.state[name].membrane).all()
        assert (one.events[name] == other.events[name]).all()
        assert one.saturations[name].membrane.tolist() == other.saturations[name].membrane.tolist()
        for key, value in one.inner_state[name].items():
            assert (value == other.inner_state[name][key]).all()


def test_a_clear_lets_generators_start_at_their_seeds():
    program = ssm_program(5, stochastic=True, seed=77)
    result = Golden(program).run(np.zeros((2, 0, 3), np.int64))
    states = build_recurrences(program).seeds
    expected = [seed_of(77, k, 32) for k in range(len(states))]
    assert result.inner["ssm"]["draws"].tolist() == [expected] * 2
    assert not result.inner["ssm"]["states"].any()


def test_random_programs_are_active():
    """The kit's promise: layers send something in most steps, states saturate now and then."""
    rates, clipped = {False: [], True: []}, 0
    for seed in range(30):
        for changes in rates:
            program = ssm_program(seed, changes=changes)
            result = Golden(program).run(random_events(seed, program, 2, 30, 0.5))
            for name in ("enc", "ssm", "gate"):
                size = program.population(name).size
                rates[changes].append(result.events[name].sum() / 60 / size)
            clipped += bool(result.state_saturations["ssm"].any())
    assert 0.7 < np.median(rates[False]) <= 1
    assert 0.05 < np.median(rates[True]) < 0.5
    assert np.mean(np.array(rates[False] + rates[True]) == 0) < 0.1
    assert 15 < clipped < 55


# What is refused.


def changed(program, name, **values):
    populations = tuple(replace(p, **values) if p.name == name else p for p in program.populations)
    return replace(program, populations=populations)


def with_array(program, name, key, value):
    return changed(program, name, arrays=program.population(name).arrays | {key: value})


def with_field(program, name, key, value):
    p = program.population(name)
    return changed(program, name, fields=p.fields | {key: np.full(p.size, value)})


def without(program, source, target):
    kept = tuple(q for q in program.projections if (q.source, q.target) != (source, target))
    return replace(program, projections=kept)


PLAIN = ssm_program(2, mixed=True, real=False, order=3, emit=Emit.TABLE)
HELD = ssm_program(2, changes=True, mixed=True, real=False, order=3)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (with_array(PLAIN, "ssm", "pole", np.zeros((11, 2), np.int64)), "pole must be of shape"),
        (with_array(PLAIN, "ssm", "gain", np.full(12, 8)), "ssm: gain must be in 0..7"),
        (
            with_array(PLAIN, "ssm", "pole", np.full((12, 2), 1 << 17)),
            "ssm: pole must be in",
        ),
        (with_array(PLAIN, "ssm", "table", np.full(32, 200)), r"ssm: table must be in -128..127"),
        (with_array(PLAIN, "ssm", "table", np.zeros(16, int)), "must have 2\\*\\*table_bits"),
        (without(PLAIN, "enc", "ssm"), "ssm: needs one projection into no port"),
        (without(PLAIN, "ssm", "gate"), "gate: needs one projection into each port, left, right"),
        (
            changed(PLAIN, "ssm", dendrites=replace(PLAIN.population("ssm").dendrites,
                                                    value_bits=7)),
            "enc -> ssm: values reach 128, 64 is allowed there",
        ),
        (with_field(HELD, "enc", "emit", Emit.VALUE), "enc -> ssm: must send changes"),
        (with_field(HELD, "enc", "threshold", -1), "changes need payload_bits >= 3, threshold"),
        (with_field(PLAIN, "out", "emit", 12), "out: emit must be one of 0, 1, 2, 3, 6, 10, 18"),
    ],
)  # fmt: skip
def test_malformed_programs_are_refused(program, message):
    with pytest.raises(ValueError, match=message):
        Golden(program)


def test_an_unstable_pole_is_refused():
    one = 1 << PLAIN.population("ssm").dendrites.pole_bits
    pole = PLAIN.population("ssm").arrays["pole"].copy()
    pole[4] = one - 1, one // 2
    with pytest.raises(ValueError, match=f"ssm: pole must be of magnitude below {one}"):
        Golden(with_array(PLAIN, "ssm", "pole", pole))
