"""Stochastic populations and attention heads in the golden network, against plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.params.neuron import FIELDS, Emit, Reset
from hdl.params.sc.attention import PORTS, AttentionParams
from hdl.params.sc.dense import Streams
from mapping.program import Formats, Input, Population, Program, Projection
from sim.golden.network import Golden
from sim.golden.sc.lfsr import LfsrModel
from tests.kit import random_events, random_program
from tests.kit_stochastic import head_program, stochastic, stochastic_program
from tests.sim.golden.test_dense import plain_sums
from tests.sim.golden.test_network import assert_equal_to_brute_force

HEALTH = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def plain_streams(program, p, used):
    """Sums of a stochastic population by the equations; `used` gathers the k."""
    into = [q for q in program.projections if q.target == p.name]
    weights = np.zeros((sum(len(q.indptr) - 1 for q in into), p.size), np.int64)
    first = 0
    for q in into:
        rows = np.repeat(np.arange(len(q.indptr) - 1), np.diff(q.indptr))
        weights[first + rows, q.indices] = q.weights << q.exponent
        first += len(q.indptr) - 1
    streams = p.dendrites

    def act(values, state):
        table = plain_sums(streams, weights, np.concatenate(values))
        out = []
        for i in range(p.size):
            sums = [int(row[i]) for row in table]
            k = min(streams.first, streams.log2_length)
            lack = plain_distance(program, p, i, *state[i])
            while k < streams.log2_length:
                if streams.margin >= 0 and p.fields["emit"][i] == Emit.SPIKE:
                    shift = 2 ** int(p.fields["shift"][i])
                    place = 2 ** (streams.weight_bits + streams.value_bits - k)
                    if abs(sums[k] * shift - lack) > streams.margin * place * shift:
                        break
                if k > streams.first and abs(sums[k] - sums[k - 1]) <= streams.tolerance:
                    break
                k += 1
            used.append(k)
            out.append(sums[k])
        return out

    return act


def plain_distance(program, p, i, membrane, current):
    """What neuron i's shifted input must exceed to make it spike, in Python integers."""
    formats, field = program.formats, {name: int(p.fields[name][i]) for name in FIELDS}

    def scale(x, factor):
        return (x * factor + 2 ** (formats.decay_bits - 1)) >> formats.decay_bits

    rest = scale(membrane, field["membrane_decay"]) + field["bias"]
    if formats.current_bits:
        rest += scale(current, field["current_decay"])
    if field["reset"] == Reset.DELAYED and membrane > field["threshold"]:
        rest -= field["reset_value"]
    return field["threshold"] - rest


def plain_head(program, p):
    """Answers of an attention head by the equations."""
    head = p.dendrites
    ports = [q.port for q in program.projections if q.target == p.name]
    draws = [
        iter((LfsrModel(head.generator(n)).run(20_000)["value"] % 2**16).tolist()) for n in (0, 1)
    ]

    def act(values, state):
        q, k, v = (np.reshape(values[ports.index(name)], (head.tokens, head.dim)) for name in PORTS)
        out = []
        for i in range(head.tokens):
            seen = range(i + 1) if head.causal else range(head.tokens)
            s = [
                next(draws[0]) * head.dim < int(q[i] @ k[j]) << (16 + head.score_gain) for j in seen
            ]
            for d in range(head.dim):
                value = sum(int(v[j, d]) for j in seen if s[j])
                out.append(int(next(draws[1]) * len(seen) < value << (16 + head.value_gain)))
        return out

    return act


def plain_dendrites(used):
    def make(program):
        return {
            p.name: plain_head(program, p)
            if isinstance(p.dendrites, AttentionParams)
            else plain_streams(program, p, used[p.name])
            for p in program.populations
            if p.dendrites
        }

    return make


def check(program, events, lengths=None, threads=1):
    used = {p.name: [] for p in program.populations}
    result = assert_equal_to_brute_force(program, events, lengths, threads, plain_dendrites(used))
    for name, bits in result.stream_bits.items():
        assert int(bits.sum()) == sum(2**k for k in used[name])
    return result


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.sampled_from([(1, 1), (3, 2, 1), (5, (3, 4), 2), ((2, 3), 4, 3)]),
    graded=st.booleans(),
    recurrent=st.booleans(),
    weight_bits=st.sampled_from([1, 2, 4, 6]),
)
@settings(max_examples=120, **HEALTH)
def test_stochastic_populations_follow_the_equations(seed, sizes, graded, recurrent, weight_bits):
    program = stochastic_program(
        seed, sizes, graded=graded, recurrent=recurrent, weight_bits=weight_bits, exponents=2
    )
    check(program, random_events(seed, program, 2, 4, 0.4))


@pytest.mark.parametrize(
    "head",
    [
        AttentionParams(tokens=3, dim=4, seed=1),
        AttentionParams(tokens=5, dim=2, causal=True, score_gain=2, value_gain=1),
        AttentionParams(tokens=1, dim=1),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_attention_heads_follow_the_equations(head, own):
    program = head_program(head, 3, own)
    result = check(program, random_events(4, program, 3, 12, 0.6), [12, 0, 7], threads=2)
    assert result.events["head"].sum() > 0 or head.size == 1


def test_one_population_may_feed_all_ports_of_a_head():
    program = head_program(AttentionParams(tokens=2, dim=3), 5)
    program = replace(
        program,
        projections=tuple(
            replace(q, source="pop1_0") if q.port else q for q in program.projections
        ),
    )
    check(program, random_events(5, program, 2, 10, 0.6))


def test_full_periods_compute_what_exact_sums_do():
    for seed, graded in ((1, False), (2, True), (3, True)):
        program = random_program(seed, graded=graded)
        events = random_events(seed, program, 3, 15, 0.3)
        right = Golden(program).run(events, record_state=True)
        for options in ({}, {"generators": 4}):
            found = Golden(stochastic(program, **options)).run(events, record_state=True)
            assert (found.outputs == right.outputs).all()
            for name, state in right.state.items():
                assert (found.state[name].membrane == state.membrane).all()


def test_bits_depend_neither_on_threads_nor_on_company():
    for program in (
        stochastic_program(7, (20, (9, 16), 5), graded=True),
        head_program(AttentionParams(tokens=4, dim=3)),
    ):
        events, lengths = random_events(8, program, 7, 12, 0.3), np.array([12, 3, 0, 12, 7, 1, 12])
        golden = Golden(program)
        alone = golden.run(events, lengths)
        shared = golden.run(events, lengths, threads=3)
        assert (alone.outputs == shared.outputs).all()
        last = golden.run(events[6:], lengths[6:])
        assert (last.outputs[0] == alone.outputs[6]).all()
        for name in alone.final:
            assert (last.final[name].membrane[0] == alone.final[name].membrane[6]).all()
            assert (shared.final[name].membrane == alone.final[name].membrane).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    graded=st.booleans(),
    cuba=st.booleans(),
    reset=st.sampled_from([None, *Reset]),
    emit=st.sampled_from([None, Emit.SPIKE, Emit.SPIKE, Emit.STATE]),
    exponents=st.integers(0, 3),
    widths=st.tuples(st.integers(4, 20), st.integers(3, 20), st.integers(1, 16)),
    streams=st.fixed_dictionaries(
        {
            "margin": st.sampled_from([0, 0, 1, 2, 5, 255]),
            "tolerance": st.sampled_from([-1, -1, 0, 3, 20]),
            "first": st.integers(0, 5),
            "length": st.integers(0, 9),
            "generators": st.sampled_from([1, 4]),
        }
    ),
)
@settings(max_examples=60, **HEALTH)
def test_decided_sums_follow_the_equations(
    seed, graded, cuba, reset, emit, exponents, widths, streams
):
    formats = Formats(
        membrane_bits=widths[0],
        current_bits=widths[1] if cuba else 0,
        decay_bits=widths[2],
        payload_bits=6 if graded else 0,
    )
    program = random_program(
        seed, (4, (2, 3), 3), graded=graded, cuba=cuba, reset=reset, emit=emit,
        exponents=exponents, weight_bits=6, formats=formats,
    )  # fmt: skip
    for p in program.populations:
        p.fields["shift"][:] = np.random.default_rng(seed).integers(0, 4, p.size)
    check(stochastic(program, **streams), random_events(seed, program, 2, 5, 0.4))


@pytest.mark.parametrize("cuba", [False, True])
def test_a_margin_above_the_error_changes_no_spike(cuba):
    """Sobol's numbers err by less than one last place a synapse: beyond that nothing changes.

    A margin of as many last places as a neuron has inputs is beyond; membranes differ, but only
    those of neurons that keep them, which these do not.
    """
    program = random_program(
        11, (24, 16), recurrent=False, skip=False, cuba=cuba, weight_bits=8, emit=1, exponents=0
    )
    for p in program.populations:
        for name in ("membrane_decay", "current_decay"):
            p.fields[name][:] = 0
        p.fields["reset"][:] = Reset.SET
        p.fields["reset_value"][:] = 0
    events = random_events(11, program, 4, 50, 0.4)
    exact = Golden(program).run(events)
    assert 0.02 < exact.outputs.mean() < 0.5
    whole = Golden(stochastic(program)).run(events).stream_bits
    used, wrong = [], []
    for margin in (0, 1, 2, 4, 24):
        found = Golden(stochastic(program, margin=margin, first=0)).run(events)
        used.append(sum(bits.sum() for bits in found.stream_bits.values()))
        wrong.append(int((found.outputs != exact.outputs).sum()))
    assert wrong[-1] == 0
    assert wrong[0] > wrong[1] >= wrong[2] >= wrong[3]
    assert used == sorted(used)
    assert used[-1] < sum(bits.sum() for bits in whole.values())


def test_populations_without_spikes_ignore_the_margin():
    program = random_program(4, graded=True, emit=Emit.VALUE)
    events = random_events(4, program, 2, 10)
    right = Golden(stochastic(program, length=4)).run(events)
    found = Golden(stochastic(program, length=4, margin=0, first=0)).run(events)
    assert (found.outputs == right.outputs).all()
    for name, bits in right.stream_bits.items():
        assert (found.stream_bits[name] == bits).all()


def test_early_termination_uses_fewer_bits():
    program = stochastic(random_program(3), length=4)
    events = random_events(3, program, 2, 10)
    neurons = {p.name: p.size for p in program.populations}
    whole = Golden(program).run(events).stream_bits
    assert {name: bits.tolist() for name, bits in whole.items()} == {
        name: [16 * 10 * size] * 2 for name, size in neurons.items()
    }
    short = Golden(stochastic(random_program(3), length=4, tolerance=4, first=0)).run(events)
    assert all((short.stream_bits[name] < whole[name]).all() for name in neurons)


def wrong(program, message):
    with pytest.raises(ValueError, match=message):
        Golden(program)


def test_wrong_dendrites_are_refused():
    program = stochastic(random_program(1))
    first = program.populations[0]
    small = replace(first.dendrites, weight_bits=1, source_bits=1, log2_length=1)
    wrong(
        replace(program, populations=(replace(first, dendrites=small), *program.populations[1:])),
        r"pop1_0: weights must be at most 2\*\*weight_bits of its streams",
    )
    program = stochastic(random_program(1, graded=True))
    first = program.populations[0]
    small = replace(first.dendrites, value_bits=6, source_bits=4, log2_length=1)
    wrong(
        replace(program, populations=(replace(first, dendrites=small), *program.populations[1:])),
        "in0_0 -> pop1_0: values reach 128, 64 is allowed there",
    )
    program = head_program(AttentionParams(tokens=2, dim=2))
    q = next(q for q in program.projections if q.port == "key")
    rest = tuple(other for other in program.projections if other is not q)
    wrong(replace(program, projections=rest), "head: needs one projection into each port")
    mixed = replace(q, indices=q.indices[::-1].copy())
    wrong(replace(program, projections=(*rest, mixed)), "-> head: must be one to one, weights of 1")
    program = random_program(1)
    q = replace(program.projections[0], port="key")
    wrong(
        replace(program, projections=(q, *program.projections[1:])),
        "pop1_0: has no ports, but a projection names one",
    )


@pytest.mark.parametrize(
    ("threshold", "shift", "bits"),
    [(23, 0, 8), (24, 0, 16), (40, 0, 16), (41, 0, 8), (28, 0, 32), (32, 0, 64), (48, 1, 16),
     (47, 1, 8), (56, 1, 32)],
)  # fmt: skip
def test_as_far_as_the_margin_is_not_decided(threshold, shift, bits):
    """A weight of 32 of 64 is a sum of 32 at any length; a last place is 8, 4, 2 from 8 bits on."""
    values = dict.fromkeys(FIELDS, 0) | {"emit": 1, "threshold": threshold, "shift": shift}
    streams = Streams(weight_bits=6, source_bits=6, log2_length=6, margin=1, first=3)
    fields = {name: np.array([value]) for name, value in values.items()}
    neuron = Population(
        name="n", kind="LIF", size=1, level=1, fields=fields, membrane_scale=np.ones(1),
        dendrites=streams,
    )  # fmt: skip
    synapse = Projection(
        source="i", target="n", indptr=np.array([0, 1]), indices=np.array([0]),
        weights=np.array([32]), weight_bits=7,
    )  # fmt: skip
    program = Program(
        name="one", formats=Formats(), inputs=(Input(name="i", size=1),), populations=(neuron,),
        projections=(synapse,), outputs=("n",),
    )  # fmt: skip
    found = Golden(program).run(np.ones((1, 1, 1), np.uint8))
    assert found.stream_bits["n"].tolist() == [bits]
    assert found.outputs.item() == (32 << shift > threshold)
