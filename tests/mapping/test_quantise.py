from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.params.errors import UserError
from hdl.params.neuron import Emit, Reset
from mapping.formats import bits_needed, decay_integers, threshold_integer, threshold_integers
from mapping.program import Program
from mapping.quantise import Quantisation, quantise
from mapping.reference import simulate
from mapping.scales import Flat, exact_scale, integers, scales
from mapping.storage import digest
from mapping.validate import problems
from sim.golden.network import Golden
from tests.mapping.models import model, neurons, spikes, synapses


def dense(program: Program, number: int = 0) -> np.ndarray:
    """Integer weights [source size, target size] of a projection, exponent applied."""
    q = program.projections[number]
    sizes = {p.name: p.size for p in (*program.inputs, *program.populations)}
    full = np.zeros((sizes[q.source], sizes[q.target]), np.int64)
    for row in range(len(full)):
        part = slice(q.indptr[row], q.indptr[row + 1])
        full[row, q.indices[part]] = q.weights[part] << q.exponent
    return full


def flat(values: np.ndarray, low: int, high: int) -> Flat:
    n = len(values)
    return Flat(values, np.zeros(n, int), 1, np.full(n, float(low)), np.full(n, float(high)))


def one_layer(matrix: np.ndarray, **changes):
    matrix = np.asarray(matrix, float)
    layer = neurons("a", matrix.shape[0], 1, **changes)
    return model(matrix.shape[1], [layer], [synapses("in", "a", matrix)], ["a"])


def events_of(program: Program, data: np.ndarray) -> np.ndarray:
    """Real input values as the host quantises them (mapping.program.Input)."""
    parts, at = [], 0
    for i in program.inputs:
        part = data[..., at : at + i.size]
        at += i.size
        if i.graded:
            half = 1 << (program.formats.payload_bits - 1)
            part = np.clip(np.floor(part / i.scale + 0.5), -half, half - 1)
        parts.append(part)
    return np.concatenate(parts, -1).astype(np.int64)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("low", "high", "bits", "stored"),
    [(-7, 7, 4, 4), (-8, 7, 4, 4), (-7, 7, 8, 4), (-3, 3, 3, 3), (-1, 1, "ternary", 2),
     (-1, 1, 8, 2), (-127, 127, 8, 8), (-32767, 32767, 16, 16)],
)  # fmt: skip
def test_trained_integers_are_recovered(low, high, bits, stored, seed):
    rng = np.random.default_rng(seed)
    k = rng.integers(low, high + 1, (20, 30))
    k[0, :2] = low, high
    scale = np.float32(rng.uniform(1e-3, 3))
    matrix = (scale * k.astype(np.float32)).astype(np.float64)
    program, reports = quantise(one_layer(matrix), spikes(2, 5, 30), Quantisation(weight_bits=bits))
    assert np.array_equal(dense(program), k.T), f"seed {seed}"
    assert program.projections[0].weight_bits == stored
    weights = reports[0].weights[0]
    assert weights.exact
    assert weights.sqnr_db is None
    assert weights.scale == pytest.approx(float(scale), rel=1e-6)


def test_a_common_factor_of_the_integers_goes_into_the_scale():
    program, reports = quantise(one_layer([[2.0, -4.0, 6.0]]), spikes(2, 5, 3))
    assert dense(program).T.tolist() == [[1, -2, 3]]
    assert reports[0].weights[0].scale == pytest.approx(2.0)


def test_a_grid_times_a_gain_per_neuron_stays_exact():
    rng = np.random.default_rng(3)
    k = rng.integers(-7, 8, (6, 40))
    k[:, :2] = 7, 6
    gain = rng.uniform(0.5, 2, 6)
    program, reports = quantise(
        one_layer(0.0371 * k * gain[:, None]), spikes(2, 5, 40), Quantisation(weight_bits=4)
    )
    assert reports[0].weights[0].exact
    assert np.array_equal(dense(program).T, k)
    population = program.population("a")
    ratio = population.membrane_scale / (0.0371 * gain)
    assert ratio == pytest.approx(np.full(6, ratio[0]))


def test_grids_in_a_ratio_of_a_power_of_two_share_a_scale():
    rng = np.random.default_rng(4)
    k = rng.integers(-7, 8, (8, 20))
    j = rng.integers(-7, 8, (8, 8))
    graph = model(
        20,
        [neurons("a", 8, 1)],
        [synapses("in", "a", 0.4 * k), synapses("a", "a", 0.05 * j, delay=1)],
        ["a"],
    )
    program, _ = quantise(graph, spikes(2, 5, 20), Quantisation(weight_bits=4))
    assert np.array_equal(dense(program, 0).T, k * 8)
    assert np.array_equal(dense(program, 1).T, j)
    assert program.notes == ()


def test_a_grid_that_has_to_give_way_is_noted():
    rng = np.random.default_rng(5)
    graph = model(
        20,
        [neurons("a", 8, 1)],
        [
            synapses("in", "a", 0.4 * rng.integers(-7, 8, (8, 20))),
            synapses("a", "a", 0.0711 * rng.integers(-7, 8, (8, 8)), delay=1),
        ],
        ["a"],
    )
    program, reports = quantise(graph, spikes(2, 5, 20), Quantisation(weight_bits=4))
    lost = [w.node for w in reports[0].weights if not w.exact]
    assert len(lost) == 1
    assert [(n["node"], n["change"]) for n in program.notes] == [
        (lost[0], "its integer grid is rounded to the common scale of a")
    ]


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 8, 10, 12])
def test_uniform_weights_reach_six_decibels_a_bit(bits):
    matrix = np.random.default_rng(bits).uniform(-1, 1, (100, 200))
    _, reports = quantise(one_layer(matrix), spikes(1, 2, 200), Quantisation(weight_bits=bits))
    # Levels -2**(b-1) .. 2**(b-1)-1 cost at most 20 log10(2**b / (2**b - 1)) of it.
    loss = 20 * np.log10(2**bits / (2**bits - 1))
    assert 6.0206 * bits - loss - 0.1 < reports[0].weights[0].sqnr_db < 6.0206 * bits + 0.1


def test_the_search_is_not_worse_than_ternary_weight_networks():
    value = np.random.default_rng(0).normal(size=20000)
    one = flat(value, -1, 1)
    scale, exact = scales(one)
    assert not exact[0]
    error = ((value - integers(one, scale) * scale[0]) ** 2).sum()
    big = np.abs(value) > 0.7 * np.abs(value).mean()  # arXiv 1605.04711, eq. 6
    alpha = np.abs(value[big]).mean()
    assert error <= ((value - alpha * np.sign(value) * big) ** 2).sum()


def test_clip_max_clips_nothing():
    matrix = np.random.default_rng(1).normal(size=(20, 50))
    _, cut = quantise(one_layer(matrix), spikes(1, 2, 50), Quantisation(weight_bits=3))
    _, whole = quantise(
        one_layer(matrix), spikes(1, 2, 50), Quantisation(weight_bits=3, clip="max")
    )
    assert cut[0].weights[0].clipped > 0
    assert whole[0].weights[0].clipped == 0
    assert cut[0].weights[0].sqnr_db > whole[0].weights[0].sqnr_db


def test_scales_per_neuron_lose_less():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(20, 50)) * rng.uniform(0.1, 1, (20, 1))
    sqnr = [
        quantise(one_layer(matrix), spikes(1, 2, 50), Quantisation(weight_bits=4, scale=scale))[1][
            0
        ].weights[0].sqnr_db
        for scale in ("layer", "neuron")
    ]  # fmt: skip
    assert sqnr[1] > sqnr[0] + 1


def test_binary_weights_are_signs_times_the_mean():
    matrix = np.random.default_rng(2).normal(size=(6, 9))
    program, reports = quantise(
        one_layer(matrix), spikes(1, 3, 9), Quantisation(weight_bits="binary")
    )
    assert np.array_equal(dense(program).T, np.sign(matrix))
    assert program.projections[0].weight_bits == 1
    assert reports[0].weights[0].scale == pytest.approx(np.abs(matrix).mean())
    matrix[0, 0] = 0
    with pytest.raises(UserError, match="in_a: binary weights need a full matrix, but 1 weights"):
        quantise(one_layer(matrix), spikes(1, 3, 9), Quantisation(weight_bits="binary"))


@given(
    k=st.lists(st.integers(-8, 7).filter(bool), min_size=1, max_size=30),
    scale=st.floats(2.0**-20, 2.0**20, width=32),
)
def test_an_exact_scale_reproduces_every_weight(k, scale):
    value = (np.array(k, np.float32) * np.float32(scale)).astype(float)
    one = flat(value, -8, 7)
    found = exact_scale(one)
    assert found is not None
    assert np.allclose(integers(one, np.array([found])) * found, value, rtol=1e-6)
    assert found >= scale * (1 - 1e-6)


@pytest.mark.parametrize("compare", [">", ">="])
@given(threshold=st.floats(-100, 100), unit=st.floats(1e-2, 10))
def test_integer_thresholds_compare_as_real_ones(compare, threshold, unit):
    t = threshold_integer(threshold, unit, compare)
    near = round(threshold / unit)
    for v in range(near - 4, near + 5):
        real = Fraction(v) * Fraction(unit)
        fires = real > Fraction(threshold) if compare == ">" else real >= Fraction(threshold)
        assert (v > t) == fires


def test_thresholds_on_the_grid_survive_float32_noise():
    unit = np.full(3, float(np.float32(0.1)))
    assert threshold_integers(np.array([0.7, 0.8, 0.75]), unit, ">").tolist() == [7, 8, 7]
    assert threshold_integers(np.array([0.7, 0.8, 0.75]), unit, ">=").tolist() == [6, 7, 7]


@given(decay=st.floats(0, 1), bits=st.integers(8, 16))
def test_decay_rules(decay, bits):
    one = 1 << bits
    whole = int(decay_integers(np.array([decay]), bits, "factor", "a")[0])
    assert (whole == one) == (decay == 1)
    assert abs(whole - decay * one) <= (0.5 if whole < one - 1 else 1)
    power = int(decay_integers(np.array([decay]), bits, "shift", "a")[0])
    assert (power == one) == (decay == 1)
    assert (one - power) & (one - power - 1) == 0
    others = [one - (one >> k) for k in range(bits + 1)]
    assert decay == 1 or abs(power - decay * one) == min(abs(o - decay * one) for o in others)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_bits_needed_are_enough_and_not_too_many(a, b):
    low, high = min(a, b), max(a, b)
    bits = bits_needed(low, high)
    assert -(2 ** (bits - 1)) <= low
    assert high < 2 ** (bits - 1)
    assert bits == 2 or low < -(2 ** (bits - 2)) or high >= 2 ** (bits - 2)


RESETS = [
    ("set", 0.0, Reset.SET),
    ("subtract", 1.0, Reset.SUBTRACT),
    ("delayed", 1.0, Reset.DELAYED),
]


@pytest.mark.parametrize("compare", [">", ">="])
@pytest.mark.parametrize(("reset", "value", "code"), RESETS)
@pytest.mark.parametrize("current", [False, True])
def test_dyadic_models_are_reproduced_spike_by_spike(reset, value, code, current, compare):
    # Decay 0 or 1 and weights, thresholds on one grid: integers compute what floats compute.
    rng = np.random.default_rng(7)
    layers = [
        neurons("a", 12, 1, membrane_decay=1.0, threshold=1.0, reset=reset, reset_value=value,
                has_current=current, current_decay=0.0, bias=0.125, compare=compare),
        neurons("b", 5, 2, kind="LI", spiking=False, membrane_decay=1.0),
    ]  # fmt: skip
    graph = model(
        10,
        layers,
        [
            synapses("in", "a", rng.integers(-7, 8, (12, 10)) / 16),
            synapses("a", "a", rng.integers(-7, 8, (12, 12)) / 32, delay=1),
            synapses("a", "b", rng.integers(-7, 8, (5, 12)) / 8),
        ],
        ["a", "b"],
    )
    data = spikes(4, 30, 10)
    program, _ = quantise(graph, data)
    assert problems(program) == []
    assert (program.population("a").fields["reset"] == code).all()
    assert (program.formats.current_bits > 0) == current
    reference, golden = simulate(graph, data), Golden(program).run(data.astype(np.int64))
    assert reference.layers["a"].mean() > 0.02
    assert np.array_equal(golden.outputs[..., :12], reference.layers["a"])
    unit = program.population("b").membrane_scale
    assert golden.outputs[..., 12:] * unit == pytest.approx(reference.layers["b"], abs=1e-9)


def test_leaky_networks_agree_with_the_float_model():
    rng = np.random.default_rng(8)
    layers = [
        neurons("a", 64, 1, kind="CubaLIF", has_current=True, current_decay=0.8,
                reset="subtract", reset_value=1.0, bias=rng.normal(size=64) * 0.01),
        neurons("b", 10, 2, kind="LI", spiking=False, membrane_decay=0.95),
    ]  # fmt: skip
    graph = model(
        32,
        layers,
        [
            synapses("in", "a", rng.integers(-7, 8, (64, 32)) * 0.0213),
            synapses("a", "b", rng.integers(-7, 8, (10, 64)) * 0.0317),
        ],
        ["b"],
    )
    data = spikes(20, 40, 32)
    program, reports = quantise(graph, data, Quantisation(weight_bits=4))
    reference = simulate(graph, data)
    golden = Golden(program).run(data.astype(np.int64), record_state=True)
    real = golden.outputs * program.population("b").membrane_scale
    size = np.abs(reference.outputs).max()
    assert np.abs(real - reference.outputs).mean() < 0.01 * size
    assert all(s.membrane.sum() + s.current.sum() == 0 for s in golden.saturations.values())
    assert reports[0].fraction_bits > 4
    assert program.formats.membrane_bits <= 24


def test_graded_values_travel_with_their_scale():
    rng = np.random.default_rng(9)
    layers = [
        neurons("a", 16, 1, kind="LI", spiking=False, membrane_decay=0.8),
        neurons("b", 6, 2, kind="LI", spiking=False, membrane_decay=0.5),
    ]
    graph = model(
        8,
        layers,
        [
            synapses("in", "a", rng.normal(size=(16, 8))),
            synapses("a", "a", rng.normal(size=(16, 16)) * 0.05, delay=1),
            synapses("a", "b", rng.normal(size=(6, 16))),
        ],
        ["b"],
    )
    data = rng.normal(size=(6, 25, 8))
    program, _ = quantise(graph, data, Quantisation(payload_bits=12, weight_bits=12))
    assert program.inputs[0].graded
    assert (program.population("a").fields["emit"] == Emit.VALUE).all()
    assert (program.population("b").fields["emit"] == Emit.STATE).all()
    assert program.readout == "last"
    golden = Golden(program).run(events_of(program, data))
    real = golden.outputs * program.population("b").membrane_scale
    reference = simulate(graph, data).outputs
    assert np.abs(real - reference).max() < 0.01 * np.abs(reference).max()


def test_a_graded_input_on_a_grid_keeps_its_values():
    data = np.random.default_rng(0).integers(0, 17, (4, 6, 5)) / 16
    program, _ = quantise(one_layer(np.ones((2, 5))), data)
    assert program.inputs[0].scale == pytest.approx(1 / 16)
    assert np.array_equal(events_of(program, data), data * 16)


@pytest.mark.parametrize("source", ["in", "a", "b"])
@pytest.mark.parametrize("delay", [1, 2, 4])
@pytest.mark.parametrize("graded", [False, True])
def test_long_delays_become_relays(source, delay, graded):
    rng = np.random.default_rng(10)
    sizes = {"in": 6, "a": 8, "b": 5}
    kind = {"membrane_decay": 1.0 - graded, "spiking": not graded}
    graph = model(
        6,
        [neurons("a", 8, 1, **kind), neurons("b", 5, 2, **kind)],
        [
            synapses("in", "a", rng.integers(-7, 8, (8, 6)) / 8),
            synapses("a", "b", rng.integers(-7, 8, (5, 8)) / 8),
            synapses(source, "b", rng.integers(-7, 8, (5, sizes[source])) / 64, delay=delay),
        ],
        ["b"],
    )
    data = spikes(3, 20, 6) * (1 if not graded else rng.integers(-3, 4, (3, 20, 6)))
    wide = Quantisation(payload_bits=18, weight_bits=16)
    program, _ = quantise(graph, data, wide if graded else Quantisation())
    assert problems(program) == []
    relays = [p.name for p in program.populations if p.kind == "Delay"]
    count = {"in": delay if delay > 1 else 0, "a": delay, "b": delay - 1}[source]
    assert relays == [f"{source}.delay{n + 1}" for n in range(count)]
    assert len(program.notes) == (1 if relays else 0)
    golden = Golden(program).run(events_of(program, data)).outputs
    reference = simulate(graph, data).outputs
    if graded:
        b = program.population("b")
        golden = golden * (b.payload_scale if source == "b" else b.membrane_scale)
        assert np.abs(golden - reference).max() < 1e-3 * np.abs(reference).max()
    else:
        assert np.array_equal(golden, reference)


def test_layers_without_weights_and_odd_parameters_work():
    layers = [
        neurons("a", 1, 1, bias=0.3, membrane_decay=1.0),
        neurons("b", 3, 2, threshold=[-0.5, 0.0, np.inf], reset_value=[2.0, -3.0, 0.0]),
        neurons("c", 2, 3, membrane_decay=[0.0, 1.0], threshold=[0.5, 2.0]),
    ]
    graph = model(
        4,
        layers,
        [
            synapses("in", "a", np.zeros((1, 4))),
            synapses("a", "b", np.ones((3, 1))),
            synapses("b", "c", [[0, 0, 0], [1.0, 0.5, 0.0]]),
        ],
        ["a", "b", "c"],
    )
    data = spikes(2, 40, 4)
    program, _ = quantise(graph, data, Quantisation(scale="neuron"))
    assert problems(program) == []
    assert [n["change"] for n in program.notes] == ["dropped: all its weights are 0"]
    golden = Golden(program).run(data.astype(np.int64)).outputs
    reference = simulate(graph, data).outputs
    assert np.array_equal(golden, reference)
    assert golden[..., 3].sum() == 0


def test_emissions_follow_the_use_of_a_layer():
    layers = [
        neurons("a", 2, 1),
        neurons("b", 2, 1),
        neurons("c", 2, 2, spiking=False),
        neurons("d", 2, 3, spiking=False),
    ]
    links = [("in", "a"), ("in", "b"), ("a", "c"), ("c", "d")]
    graph = model(2, layers, [synapses(a, b, np.eye(2)) for a, b in links], ["c", "d"])
    program, _ = quantise(graph, spikes(2, 9, 2))
    emits = {p.name: Emit(p.fields["emit"][0]).name for p in program.populations}
    assert emits == {"a": "SPIKE", "b": "NONE", "c": "VALUE", "d": "STATE"}
    assert program.formats.payload_bits == 8
    assert program.readout == "none"
    assert program.notes[-1]["change"] == "no decision: the outputs have different units"


def test_without_calibration_the_guess_is_noted_and_repeatable():
    graph = one_layer(np.random.default_rng(0).normal(size=(4, 6)))
    program, _ = quantise(graph)
    assert program.notes[0]["change"] == "no calibration data: random input, 4 x 64 steps"
    assert digest(program) == digest(quantise(graph)[0])


def test_widths_can_be_fixed():
    graph = one_layer(np.random.default_rng(0).normal(size=(4, 6)))
    data = spikes(4, 20, 6)
    program, reports = quantise(graph, data, Quantisation(membrane_bits=12, weight_bits=4))
    assert program.formats.membrane_bits == 12
    assert reports[0].used_bits <= 12
    assert "fewer than the rule asks" in program.notes[0]["change"]
    program, reports = quantise(graph, data, Quantisation(fraction_bits=3, weight_bits=4))
    assert reports[0].fraction_bits == 3
    assert (program.population("a").fields["shift"] == 3).all()
    program, reports = quantise(graph, data, Quantisation(membrane_bits=6, weight_bits=8))
    assert program.formats.membrane_bits == 6
    assert reports[0].used_bits <= 7
    assert "weight scale made 2**" in program.notes[0]["change"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_bits": 17}, "weight_bits: must be 1..16, 'ternary' or 'binary', not 17"),
        ({"weight_bits": {"fc": "four"}}, "weight_bits: must be 1..16"),
        ({"scale": "row"}, "scale: must be one of layer, neuron, not 'row'"),
        ({"decay_bits": 7}, "decay_bits: must be 8..16, not 7"),
        ({"membrane_bits": 33}, "membrane_bits: must be 2..32, not 33"),
        ({"payload_bits": True}, "payload_bits: must be 2..18, not True"),
        ({"clip": "none"}, "clip: must be one of mse, max, not 'none'"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        Quantisation(**changes)


def test_all_problems_of_a_model_come_at_once():
    graph = model(
        2,
        [neurons("a", 2, 1, membrane_decay=1.5, bias=[0, np.nan]), neurons("b", 2, 2)],
        [
            synapses("in", "a", [[1, np.inf], [0, 1]]),
            synapses("b", "a", np.eye(2)),
            synapses("a", "b", np.ones((2, 3))),
            synapses("a", "z", np.eye(2)),
        ],
        ["q"],
    )
    with pytest.raises(UserError) as caught:
        quantise(graph, settings=Quantisation(weight_bits={"fc9": 4}))
    message = str(caught.value)
    for part in (
        "a: membrane_decay 1.5 is outside 0..1",
        "a: bias holds NaN or infinity",
        "in_a: weights hold NaN or infinity",
        "b_a: delay 0 from level 2 to level 1 can't be computed within a step",
        "a_b: the matrix must be (2, 2), not (2, 3)",
        "a_z: connects a to z, which is not a layer",
        "q: the output is not a layer",
        "weight_bits: no connection or layer is called 'fc9'",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("data", "lengths", "graded", "message"),
    [
        (np.zeros((2, 3)), None, None, r"must be \[samples, steps, 2\], not \[2, 3\]"),
        (np.full((1, 2, 2), np.nan), None, None, "holds NaN or infinity"),
        (np.full((1, 2, 2), 0.5), None, False, "inputs are said to be spikes"),
        (np.zeros((1, 2, 2)), [3], None, r"lengths must be 1 numbers in 0..2"),
    ],
)
def test_wrong_calibration_is_named(data, lengths, graded, message):
    with pytest.raises(UserError, match=message):
        quantise(one_layer(np.eye(2)), data, Quantisation(graded=graded), lengths=lengths)


def test_a_model_that_explodes_is_named():
    layer = neurons("a", 2, 1, spiking=False, membrane_decay=1.0)
    links = [synapses("in", "a", np.eye(2)), synapses("a", "a", 1e30 * np.eye(2), delay=1)]
    with pytest.raises(UserError, match=r"a: its membrane grows beyond 1e\+18"):
        quantise(model(2, [layer], links, ["a"]), spikes(2, 40, 2))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_model_gives_a_valid_program_and_always_the_same(seed):
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 8, 4)]
    names = ["in", "a", "b", "c"]

    def matrix(i: int, j: int) -> np.ndarray:
        return rng.normal(size=(sizes[j], sizes[i])) * (rng.random((sizes[j], sizes[i])) < 0.7)

    layers, links = [], []
    for i in (1, 2, 3):
        spiking = bool(rng.random() < 0.6)
        layers.append(
            neurons(
                names[i], sizes[i], i, spiking=spiking, has_current=bool(rng.random() < 0.3),
                membrane_decay=rng.choice([0, 0.3, 0.95, 1], sizes[i]),
                current_decay=rng.choice([0, 0.5, 0.9], sizes[i]),
                bias=rng.normal(size=sizes[i]) * 0.1, threshold=rng.normal(size=sizes[i]),
                reset=rng.choice(["set", "subtract", "delayed"]),
                reset_value=rng.normal(size=sizes[i]),
            )
        )  # fmt: skip
        links.append(synapses(names[i - 1], names[i], matrix(i - 1, i)))
        if rng.random() < 0.5:
            j = int(rng.integers(1, i + 1))
            links.append(
                synapses(names[i], names[j], 0.1 * matrix(i, j), delay=int(rng.integers(1, 4)))
            )
    graph = model(sizes[0], layers, links, ["c"])
    data = rng.normal(size=(2, 8, sizes[0])) if rng.random() < 0.5 else spikes(2, 8, sizes[0])
    chosen = Quantisation(
        weight_bits=[2, 4, 8, 16, "ternary"][rng.integers(5)],
        scale=["layer", "neuron"][rng.integers(2)],
        decay=["factor", "shift"][rng.integers(2)],
        decay_bits=int(rng.integers(8, 17)),
    )
    program, _ = quantise(graph, data, chosen)
    assert problems(program) == []
    Golden(program).run(events_of(program, data))
    assert digest(program) == digest(quantise(graph, data, chosen)[0])
