"""Which layers the quantiser makes stochastic, with which streams; run-time changes."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.params.errors import UserError
from hdl.params.sc.dense import Streams
from mapping.graph import Graph
from mapping.quantise import Quantisation, quantise
from mapping.storage import load, save
from mapping.streams import relative_tolerance, with_run_time
from mapping.validate import problems
from sim.golden.network import Golden
from tests.kit import random_program
from tests.kit_stochastic import stochastic
from tests.mapping.models import model, neurons, spikes, synapses
from tests.mapping.test_quantise import dense, events_of


def two_layers(seed: int = 0, **changes) -> Graph:
    """12 inputs, 8 LIF "a" that feed themselves, 3 LIF "b"; nodes in_a, a_a, a_b."""
    rng = np.random.default_rng(seed)
    return model(
        12,
        [neurons("a", 8, 1), neurons("b", 3, 2, **changes)],
        [
            synapses("in", "a", rng.normal(0, 0.4, (8, 12))),
            synapses("a", "a", rng.normal(0, 0.2, (8, 8)), delay=1),
            synapses("a", "b", rng.normal(0, 0.5, (3, 8))),
        ],
        ["b"],
    )


DATA = spikes(4, 20, 12)


def made(settings: Quantisation, graph: Graph | None = None, data=DATA):
    return quantise(graph or two_layers(), data, settings)[0]


def dendrites(settings: Quantisation, graph: Graph | None = None, data=DATA):
    return {p.name: p.dendrites for p in made(settings, graph, data).populations}


def test_event_driven_is_the_rule():
    assert dendrites(Quantisation()) == {"a": None, "b": None}


def test_streams_of_spikes_are_exact_by_default():
    program = made(Quantisation(engine="stochastic"))
    assert not problems(program)
    exact = made(Quantisation())
    for p in program.populations:
        into = [q for q in program.projections if q.target == p.name]
        largest = max(int(np.abs(q.weights).max()) << q.exponent for q in into)
        s = p.dendrites
        assert largest <= 1 << s.weight_bits < 2 * largest
        assert (s.value_bits, s.source_bits) == (0, s.weight_bits)
        assert s.log2_length == s.source_bits
        assert (s.tolerance, s.generator, s.generators) == (-1, "sobol", 1)
    events = events_of(program, DATA)
    assert (Golden(program).run(events).outputs == Golden(exact).run(events).outputs).all()


def test_streams_of_values_hold_the_payload():
    graph = two_layers()
    data = np.random.default_rng(1).normal(0, 1, (4, 20, 12))
    found = dendrites(Quantisation(engine="stochastic", payload_bits=6), graph, data)
    assert found["a"].value_bits == 5
    assert found["a"].source_bits == found["a"].weight_bits + 5
    assert 1 << found["a"].log2_length == min(1 << found["a"].source_bits, 256)
    assert found["b"].value_bits == 0


@pytest.mark.parametrize("bits", ["binary", "ternary", 2, 4, 16])
def test_any_weight_width(bits):
    program = made(Quantisation(engine="stochastic", weight_bits={"a_b": bits, "*": 4}))
    assert not problems(program)
    s = program.population("b").dendrites
    largest = np.abs(dense(program, 2)).max()
    assert s.weight_bits == int(largest - 1).bit_length()
    if bits in ("binary", "ternary"):
        assert (s.weight_bits, s.log2_length) == (0, 0)


def test_settings_by_layer_and_node():
    settings = Quantisation(
        engine={"a_b": "stochastic"},
        stream_length={"b": 4, "*": 32},
        generators={"*": 2},
        tolerance={"b": 0.25},
        margin={"a_b": 3},
    )
    found = dendrites(settings)
    assert found["a"] is None
    s = found["b"]
    assert (s.log2_length, s.generators, s.first, s.margin) == (2, 2, 2, 3)
    assert s.tolerance == 2**s.weight_bits // 4
    assert relative_tolerance(s) == 0.25
    found = dendrites(Quantisation(engine={"*": "stochastic", "a": "event"}))
    assert found["a"] is None
    assert isinstance(found["b"], Streams)


def test_lfsr_and_early_termination():
    settings = Quantisation(
        engine="stochastic", generator="lfsr", generators=4, tolerance=0, first_length=32
    )
    s = dendrites(settings)["a"]
    assert (s.generator, s.generators, s.tolerance, s.first) == ("lfsr", 4, 0, 4)
    assert relative_tolerance(s) == 0
    assert relative_tolerance(dendrites(Quantisation(engine="stochastic"))["a"]) is None


def test_a_length_beyond_one_layer_is_its_full_period():
    settings = Quantisation(engine="stochastic", stream_length=64, weight_bits={"a_b": 3, "*": 8})
    program = made(settings)
    assert program.population("a").dendrites.log2_length == 6
    assert program.population("b").dendrites.log2_length == 2
    assert {
        "node": "b",
        "change": "streams of 4 bits, not 64",
        "effect": "that is the full period of the numbers: more bits repeat them",
    } in program.notes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stream_length": 0}, "stream_length: must be a power of two in 1..65536, not 0"),
        ({"stream_length": 100}, "stream_length: must be a power of two in 1..65536, not 100"),
        ({"stream_length": {"a": 1 << 17}}, "must be a power of two in 1..65536, not 131072"),
        ({"stream_length": True}, "must be a power of two in 1..65536, not True"),
        ({"generator": "dice"}, "generator: must be sobol or lfsr, not 'dice'"),
        ({"generators": 3}, "generators: must be a power of two in 1..16, not 3"),
        ({"engine": "magic"}, "must be event or stochastic or crossbar or ssm, not 'magic'"),
        ({"tolerance": -1.0}, "tolerance: must be a number of at least 0, not -1.0"),
        ({"tolerance": "x"}, "tolerance: must be a number of at least 0, not 'x'"),
        ({"margin": -1}, "margin: must be in 0..255, not -1; change the setting"),
        ({"margin": 256}, "margin: must be in 0..255, not 256"),
        ({"margin": {"b": 1.0}}, "margin: must be in 0..255, not 1.0"),
        ({"margin": {"zz": 1}}, "margin: no layer or node is called 'zz'"),
        ({"first_length": 1}, "first_length: must be a power of two in 2..65536, not 1"),
        ({"engine": {"zz": "stochastic"}},
         "engine: no layer or node is called 'zz'; there are *, a, a_a, a_b, b, in_a"),
        ({"stream_length": {"zz": 8}}, "stream_length: no layer or node is called 'zz'"),
        ({"stream_length": 4096},
         "a stream length of 4096 is longer than the source of every stochastic layer; the "
         "longest has 256 bits (--stream-length 256)"),
        ({"stream_length": {"b": 4096}},
         "b: a stream length of 4096 is longer than its source, 128 bits; its full period is "
         "enough"),
        ({"generator": "lfsr", "weight_bits": "ternary"},
         "a: an LFSR has 3 bits or more, weights and values have 1 here; use generator 'sobol'"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(values, message):
    with pytest.raises(UserError) as caught:
        made(Quantisation(**{"engine": "stochastic", **values}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_too_far_apart_for_streams():
    graph = two_layers()
    far = [
        replace(c, matrix=c.matrix * (1e-4 if c.node == "a_a" else 1)) for c in graph.connections
    ]
    graph = replace(graph, connections=tuple(far))
    with pytest.raises(UserError, match=r"a: its weights need \d+ bits in streams, 15 available"):
        made(Quantisation(engine="stochastic", weight_bits=8), graph)


def test_parallel_connections_are_added_up():
    graph = two_layers()
    more = synapses("in", "a", np.random.default_rng(4).normal(0, 0.3, (8, 12)), node="more")
    graph = replace(graph, connections=(*graph.connections, more))
    program = made(Quantisation(engine="stochastic"), graph)
    exact = made(Quantisation(), graph)
    assert not problems(program)
    assert len(exact.projections) == 4
    assert len(program.projections) == 3
    events = events_of(program, DATA)
    assert (Golden(program).run(events).outputs == Golden(exact).run(events).outputs).all()


def test_it_is_stored(tmp_path):
    program = made(Quantisation(engine="stochastic", stream_length={"*": 16}, tolerance=0.5))
    save(program, tmp_path)
    again = load(tmp_path)
    assert [p.dendrites for p in again.populations] == [p.dendrites for p in program.populations]


def test_a_margin_at_run_time_needs_hardware():
    settings = Quantisation(engine="stochastic", margin={"b": 2})
    program = made(settings)
    assert {p.name: p.dendrites.margin for p in program.populations} == {"a": -1, "b": 2}
    for margin, expected in ((0, 0), (255, 255), (-1, -1), (-9, -1)):
        changed = with_run_time(program, margin=margin)
        assert {p.name: p.dendrites.margin for p in changed.populations} == {"a": -1, "b": expected}
    both = with_run_time(program, 4, 0.5, 1).population("b").dendrites
    assert (both.log2_length, both.margin) == (2, 1)
    assert both.tolerance == 2 ** (both.weight_bits - 1)
    plain = made(Quantisation(engine="stochastic"))
    assert with_run_time(plain, margin=-1).population("b").dendrites.margin == -1
    with pytest.raises(UserError, match=r"no layer has a margin in hardware.*--margin"):
        with_run_time(plain, margin=0)
    with pytest.raises(UserError, match=r"margin: must be in 0\.\.255, not 256"):
        with_run_time(program, margin=256)
    with pytest.raises(UserError, match="no layer is stochastic"):
        with_run_time(random_program(1), margin=1)


def test_run_time_changes():
    program = stochastic(random_program(1), ("pop1_0", "pop3_0"), generator="sobol")
    assert with_run_time(program) is program
    changed = with_run_time(program, 4, 0.5)
    assert changed.population("pop2_0").dendrites is None
    for name in ("pop1_0", "pop3_0"):
        s = changed.population(name).dendrites
        assert (s.log2_length, s.tolerance) == (2, 2 ** (s.weight_bits - 1))
    assert with_run_time(changed, tolerance=-1).population("pop1_0").dendrites.tolerance == -1
    longest = max(p.dendrites.source_bits for p in program.populations if p.dendrites)
    for p in with_run_time(program, 1 << longest).populations:
        if p.dendrites:
            assert p.dendrites.log2_length == p.dendrites.source_bits
    with pytest.raises(UserError, match="is longer than the source of every stochastic layer"):
        with_run_time(program, 2 << longest)
    for wrong in (0, 12):
        with pytest.raises(UserError, match=rf"must be a power of two in 1\.\.65536, not {wrong}"):
            with_run_time(program, wrong)
    with pytest.raises(UserError, match="no layer is stochastic, so there is no stream length"):
        with_run_time(random_program(1), 8)
