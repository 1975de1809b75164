"""The quantiser of states and gates: formats, integers, what they lose."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from hdl.params.errors import UserError
from hdl.params.neuron import Emit
from mapping.graph import StateSpace
from mapping.quantise import Quantisation, quantise
from mapping.reference import simulate
from mapping.state_space import pole_integers
from mapping.storage import digest, load, save
from mapping.validate import problems
from sim.golden.network import Golden
from tests.mapping.models import model, neurons, spikes, synapses
from tests.mapping.plain_program import Plain
from tests.mapping.state_layers import gate, identity, linear, random_poles, s4d_lin, ssm
from tests.mapping.test_quantise import events_of


def sqnr(real: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10((real**2).sum() / ((real - found) ** 2).sum()))


def real_values(program, run: Plain, name: str) -> np.ndarray:
    return run.values[name] * program.population(name).emission_scale


def alone(poles, mix=None, **changes):
    """A state-space layer that takes the input as it is."""
    layer = ssm("x", 1, poles, mix, **changes)
    return model(layer.size, [layer], [identity("in", "x", layer.size)], ["x"])


def stored(program, graph):
    """The Graph with the poles and coefficients that the integers of "x" stand for."""
    p = program.population("x")
    d, payload = p.dendrites, program.inputs[0].scale
    a = (p.arrays["pole"] @ [1, 1j][: d.parts]) / 2.0**d.pole_bits
    unit = payload * 2.0 ** (d.pole_bits - d.drive_shift - p.arrays["gain"])
    mix = None
    if d.mixed:
        mix = p.arrays["mix"] @ [1, 1j][: d.parts] * (p.membrane_scale[0] / 2.0**d.mix_shift)
        mix = (mix / unit).reshape(-1, d.order)
        a = a.reshape(-1, d.order)
    space = StateSpace(poles=a.astype(complex), mix=None if mix is None else mix.astype(complex))
    return dataclasses.replace(graph, layers=(dataclasses.replace(graph.layers[0],
                                                                  dendrites=space),))  # fmt: skip


def on_grid(rng, shape, top=127):
    """Inputs that a payload of 8 bits holds exactly."""
    data = rng.integers(-top, top + 1, shape) / 64
    data.flat[:2] = top / 64, 1 / 64
    return data


@given(
    radius=st.floats(0, 1, exclude_max=True), turn=st.floats(0, 2 * np.pi), bits=st.integers(2, 17)
)
def test_poles_are_rounded_to_nearest_and_stay_stable(radius, turn, bits):
    pole = radius * np.exp(1j * turn)
    if abs(pole) >= 1:
        return
    re, im = pole_integers(np.array([pole]), bits)[0].tolist()
    assert re * re + im * im < 4**bits
    off = np.hypot(re - pole.real * 2**bits, im - pole.imag * 2**bits)
    near = np.floor([pole.real * 2.0**bits + 0.5, pole.imag * 2.0**bits + 0.5])
    assert off <= np.sqrt(0.5) + 1e-9 or (near**2).sum() >= 4**bits
    assert off < np.sqrt(2)


@pytest.mark.parametrize(
    ("slowest", "bits"), [(0.5, 8), (0.9, 8), (0.99, 11), (0.9995, 15), (0.999999, 17)]
)
def test_fraction_bits_of_poles_follow_the_slowest(slowest, bits):
    graph = alone([[0.1, slowest]], [[1.0, 1.0]])
    program, reports = quantise(graph, np.ones((1, 9, 1)))
    assert program.population("x").dendrites.pole_bits == bits == reports[0].states.pole_bits
    assert any("slowest" in n["change"] for n in program.notes) == (slowest > 0.9999)
    program, _ = quantise(graph, np.ones((1, 9, 1)), Quantisation(pole_bits={"x": 12}))
    assert program.population("x").dendrites.pole_bits == 12


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("real", [False, True])
def test_a_state_bit_is_six_decibels(mixed, real):
    rng = np.random.default_rng(5)
    a = random_poles(rng, (6, 4) if mixed else 6, 0.995)
    a = np.abs(a) if real else a
    mix = rng.normal(size=(6, 4)) if mixed else None
    size = 12 if not (mixed or real) else 6
    graph = alone(a, mix if real or mix is None else mix + 1j * mix[::-1])
    data = on_grid(rng, (20, 200, size))
    found = []
    for bits in (8, 10, 12, 14):
        settings = Quantisation(state_bits=bits, weight_bits=16, membrane_bits=24, pole_bits=17)
        program, reports = quantise(graph, data, settings)
        assert not problems(program)
        assert reports[0].states.fullest <= 0.5, "head-room is at least twice the peak"
        run = Plain(program, data)
        found.append(sqnr(simulate(stored(program, graph), data).outputs,
                          real_values(program, run, "x")))  # fmt: skip
    assert found[3] - found[0] == pytest.approx(6 * 6.02, abs=2), found
    assert np.diff(found).min() > 9
    assert found[0] > 17


def test_published_widths_of_s4d_lin():
    """Measured elsewhere for N = 32, T = 784, one draw: here means over draws, in integers.

    State fraction bits 4, 8, 12: 24.3, 50.1, 72.3 dB (step 1e-3); 27.9, 51.5, 75.8 (1e-2); 25.1,
    49.8, 73.2 (1e-1). Pole fraction bits 12, 15: 38.2, 56.2 (1e-2); 60.2, 79.4 (1e-1). Flooring
    at step 1e-3: 8.1, 32.8, 56.6.
    """
    published = {
        1e-3: ((24.3, 50.1, 72.3), None),
        1e-2: ((27.9, 51.5, 75.8), (38.2, 56.2)),
        1e-1: ((25.1, 49.8, 73.2), (60.2, 79.4)),
    }
    rng = np.random.default_rng(0)
    for step, (states, poles) in published.items():
        a, _ = s4d_lin(32, step)
        c = rng.normal(size=(12, 32, 2)) @ [1, 1j]
        u = np.rint(0.5 * rng.normal(size=(12, 784)) * 4096) / 4096

        def output(x, c=c):
            return np.einsum("sk,kst->st", c, x).real

        def filtered(a, u=u):
            return output(np.array([lfilter([1], [1, -k], u) for k in a]))

        def decibels(real, found):
            return np.mean([sqnr(y, z) for y, z in zip(real, found, strict=True)])

        whole = pole_integers(a, 17)
        real = filtered(whole @ [1, 1j] / 2**17)
        rounded, floored = (
            [decibels(real, output(integer_states(whole, u, f, half))) for f in (4, 8, 12)]
            for half in (1 << 16, 0)
        )
        assert rounded == pytest.approx(states, abs=3), step
        if poles:
            exact = filtered(a)
            coarse = [decibels(exact, filtered(pole_integers(a, f) @ [1, 1j] / 2**f))
                      for f in (12, 15)]  # fmt: skip
            assert coarse == pytest.approx(poles, abs=2.5), step
        else:
            assert floored == pytest.approx([8.1, 32.8, 56.6], abs=3)
            assert np.subtract(rounded, floored).min() > 11, "flooring costs more than 2 bits"


def integer_states(whole, u, fraction, half):
    """The recurrence of hdl/params/ssm/diagonal.py [states, samples, steps]; poles of 17 bits."""
    re = im = np.zeros((len(whole), len(u)), np.int64)
    ar, ai = whole.T[:, :, None]
    out = np.empty((*re.shape, u.shape[1]), complex)
    drive = np.rint(u * 4096).astype(np.int64) << (17 - 12 + fraction)
    for t in range(u.shape[1]):
        re, im = (
            (ar * re - ai * im + drive[:, t] + half) >> 17,
            (ar * im + ai * re + half) >> 17,
        )
        out[..., t] = re + 1j * im
    return out * 2.0**-fraction


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_coefficients_keep_the_bits_of_weights(bits):
    rng = np.random.default_rng(bits)
    poles = random_poles(rng, (30, 9), 0.97)
    poles[:, -1] = 0
    mix = rng.normal(size=(30, 9)) + 1j * rng.normal(size=(30, 9))
    mix[:, -1] = 30 * rng.normal(size=30)
    mix *= rng.uniform(0.2, 5, (30, 1))
    graph = alone(poles, mix)
    program, reports = quantise(graph, on_grid(rng, (4, 30, 30)), Quantisation(weight_bits=bits))
    kept = stored(program, graph).layers[0].dendrites.mix
    # A uniform quantiser of normal numbers, and of single numbers to so many significant bits.
    for part in (slice(0, 8), slice(8, 9)):
        assert sqnr(np.abs(mix[:, part]), np.abs(kept[:, part])) > 6.02 * bits - 5
    assert sqnr(np.abs(mix[:, :8]), np.abs(kept[:, :8])) < 6.02 * bits + 3
    d = program.population("x").dendrites
    assert d.mix_bits <= 18
    assert reports[0].states.mix_bits == d.mix_bits
    assert not problems(program)


def test_trained_grids_of_coefficients_are_kept():
    rng = np.random.default_rng(0)
    poles = random_poles(rng, (10, 5), 0.97)
    poles[:, -1] = 0
    scale = rng.uniform(0.5, 2, (10, 1))
    mix = scale * (rng.integers(-7, 8, (10, 5)) + 1j * rng.integers(-7, 8, (10, 5)))
    mix[:, 0] = scale[:, 0] * (7 - 7j)
    mix[:, -1] = 3.7 * rng.integers(-7, 8, 10)
    mix[0, -1] = 7 * 3.7
    graph = alone(poles, mix)
    program, reports = quantise(graph, on_grid(rng, (4, 30, 10)), Quantisation(weight_bits=4))
    assert reports[0].states.mix_sqnr_db > 45, "4 bits alone are 20 dB"
    assert program.population("x").dendrites.mix_bits < 18


@pytest.mark.parametrize(("size", "order"), [(1, 1), (1, 3), (2, 1), (3, 7)])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_small_layers_are_what_the_golden_model_runs(size, order, rounding):
    rng = np.random.default_rng(size)
    poles = random_poles(rng, (size, order))
    graph = model(
        2,
        [linear("u", size, 1), ssm("x", 2, poles, poles**2, activation="relu"),
         linear("v", 2 * size, 3), ssm("y", 4, random_poles(rng, size)), linear("o", 2, 5)],
        [synapses("in", "u", rng.normal(size=(size, 2))), identity("u", "x", size),
         synapses("x", "v", rng.normal(size=(2 * size, size))), identity("v", "y", 2 * size),
         synapses("y", "o", rng.normal(size=(2, 2 * size)))],
        ["o"],
    )  # fmt: skip
    data = rng.normal(size=(5, 30, 2))
    settings = Quantisation(rounding=rounding, state_seed=3, payload_bits=12, weight_bits=12)
    program, reports = quantise(graph, data, settings)
    assert not problems(program)
    run = Plain(program, data)
    golden = Golden(program).run(events_of(program, data), record_state=True)
    for name, membranes in run.membranes.items():
        assert np.array_equal(golden.state[name].membrane, membranes), name
    real = simulate(graph, data)
    for name in ("x", "y", "o"):
        assert sqnr(real.layers[name], real_values(program, run, name)) > 40, name
    kinds = {p.name: p.dendrites for p in program.populations}
    assert (kinds["x"].mixed, kinds["x"].order) == (True, order)
    assert not kinds["y"].mixed
    assert {d.seed for d in kinds.values() if d} == {3 + 1, 3 + 3}
    assert [r.states is not None for r in reports] == [False, True, False, True, False]


def test_states_far_apart_have_scales_of_their_own():
    """Rows of B and columns of C in ratios of 2**10 must not cost the small ones their bits."""
    rng = np.random.default_rng(7)
    states, strength = 6, 4.0 ** -np.arange(6)
    b = rng.normal(size=(2 * states, 4)) * strength.repeat(2)[:, None]
    c = rng.normal(size=(5, 2 * states)) / strength.repeat(2)
    graph = model(
        4,
        [linear("u", 2 * states, 1), ssm("x", 2, random_poles(rng, states)), linear("y", 5, 3)],
        [synapses("in", "u", b), identity("u", "x", 2 * states), synapses("x", "y", c)],
        ["y"],
    )
    data = on_grid(rng, (20, 50, 4))
    program, _ = quantise(graph, data)
    run, real = Plain(program, data), simulate(graph, data)
    for name in ("u", "x"):
        values = real_values(program, run, name)
        for n in range(2 * states):
            assert sqnr(real.layers[name][..., n], values[..., n]) > 25, (name, n)
        scale = program.population(name).emission_scale.reshape(-1, 2)
        assert (scale[:, 0] == scale[:, 1]).all()
        assert scale.max() / scale.min() >= 2**7
        assert (np.log2(scale / scale[0, 0]) % 1 == 0).all()
        assert program.population(name).payload_scale == scale.max()
    assert sqnr(real.layers["y"], real_values(program, run, "y")) > 25


def test_outputs_of_states_have_one_unit():
    rng = np.random.default_rng(8)
    graph = model(
        2,
        [linear("u", 6, 1), ssm("x", 2, np.array([0.99, 0.9, 0.1, 0.5, 0.2, 0.7]))],
        [synapses("in", "u", rng.normal(size=(6, 2)) * 4.0 ** -np.arange(6)[:, None]),
         identity("u", "x", 6)],
        ["x"],
    )  # fmt: skip
    data = rng.normal(size=(5, 30, 2))
    program, _ = quantise(graph, data, Quantisation(payload_bits=10))
    p = program.population("x")
    assert (p.fields["emit"] == Emit.STATE).all()
    assert (p.membrane_scale == p.membrane_scale[0]).all()
    assert program.readout == "last"
    found = Plain(program, data).membranes["x"] * p.membrane_scale
    assert sqnr(simulate(graph, data).outputs, found) > 40


def test_a_readout_of_the_model_is_honoured():
    graph = dataclasses.replace(alone([[0.5]], [[1.0]]), readout="mean")
    assert quantise(graph, np.ones((1, 4, 1)))[0].readout == "mean"
    settings = Quantisation(readout="max")
    assert quantise(graph, np.ones((1, 4, 1)), settings)[0].readout == "max"


@pytest.mark.parametrize("payload", [6, 8, 12])
def test_gates_shift_as_their_range_asks(payload):
    rng = np.random.default_rng(payload)
    graph = model(
        2,
        [linear("a", 3, 1), linear("b", 3, 1, activation="sigmoid"), gate("g", 3, 2),
         linear("o", 1, 3)],
        [synapses("in", "a", rng.normal(size=(3, 2))), synapses("in", "b", rng.normal(size=(3, 2))),
         identity("a", "g", 3, "left"), identity("b", "g", 3, "right"),
         synapses("g", "o", np.ones((1, 3)))],
        ["o"],
    )  # fmt: skip
    data = rng.normal(size=(20, 20, 2))
    settings = Quantisation(payload_bits=payload, weight_bits=12, table_bits=12)
    program, _ = quantise(graph, data, settings)
    assert not problems(program)
    d = program.population("g").dendrites
    assert d.shift == (0 if payload < 9 else pytest.approx(6, abs=2))
    run = Plain(program, data)
    found = run.membranes["g"] * program.population("g").membrane_scale
    assert np.abs(run.membranes["g"]).max() < 1 << 15
    assert sqnr(simulate(graph, data).layers["g"], found) > 6 * payload - 14


def test_programs_are_stored_and_equal(tmp_path):
    graph = alone(random_poles(np.random.default_rng(0), 3), activation="gelu")
    data = np.random.default_rng(1).normal(size=(3, 9, 6))
    program, _ = quantise(graph, data)
    assert digest(program) == digest(quantise(graph, data)[0])
    save(program, tmp_path / "p")
    again = load(tmp_path / "p")
    assert np.array_equal(again.population("x").arrays["table"], program.population("x").arrays[
        "table"])  # fmt: skip
    assert digest(again) == digest(program)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"state_bits": 1}, "state_bits: must be 2..18, not 1"),
        ({"state_bits": {"x": 19}}, "state_bits: must be 2..18, not 19"),
        ({"state_bits": {"z": 8}}, "state_bits: no layer or node is called 'z'"),
        ({"pole_bits": 18}, "pole_bits: must be 2..17, not 18"),
        ({"rounding": "floor"}, "rounding: must be one of nearest, stochastic, not 'floor'"),
        ({"state_seed": -1}, "state_seed: must be 0..4294967295, not -1"),
        ({"table_bits": 13}, "table_bits: must be 8..12, not 13"),
        ({"activation": "none"}, "activation: must be one of table, relu"),
        ({"delta": -0.1}, "delta: must be in 0..1, not -0.1"),
        ({"delta": True}, "delta: must be in 0..1, not True"),
        ({"delta": 0.1, "payload_bits": 2}, "delta: changes need payload_bits of at least 3"),
        ({"membrane_bits": 12}, "x: its states leave as neurons, so membrane_bits (12) must be at "
         "least state_bits (16); change one of the settings"),
        ({"engine": {"x": "stochastic"}}, "engine: x is a layer of kind SSM, which has a core"),
    ],
)  # fmt: skip
def test_wrong_settings_by_their_message(values, message):
    with pytest.raises(UserError) as caught:
        quantise(alone([0.5 + 0.1j]), np.ones((1, 4, 2)), Quantisation(**values))
    assert message in str(caught.value)


def test_spikes_may_drive_states():
    rng = np.random.default_rng(4)
    graph = model(
        3,
        [neurons("s", 5, 1), ssm("x", 2, random_poles(rng, (5, 2)), np.ones((5, 2))),
         linear("o", 2, 3)],
        [synapses("in", "s", rng.normal(size=(5, 3))), identity("s", "x", 5),
         synapses("x", "o", rng.normal(size=(2, 5)))],
        ["o"],
    )  # fmt: skip
    data = spikes(6, 40, 3)
    program, _ = quantise(graph, data, Quantisation(payload_bits=12, weight_bits=12, pole_bits=17))
    assert not problems(program)
    assert program.population("x").dendrites.value_bits == 2
    golden = Golden(program).run(data.astype(np.int64), record_state=True)
    values = golden.state["x"].membrane * program.population("x").membrane_scale
    assert sqnr(simulate(graph, data).layers["x"], values) > 55


def test_states_that_never_move_have_formats():
    graph = alone([[0.5, 0.99], [0.2, 0.0]], [[1, 1j], [0, 0]])
    program, reports = quantise(graph, np.zeros((1, 4, 2)), Quantisation(graded=True))
    assert not problems(program)
    assert reports[0].states.fullest == 0
    quantise(graph, np.zeros((2, 4, 2)), lengths=np.zeros(2, int))


def test_a_residual_path_meets_its_states_on_one_grid():
    """The units of states' sums are powers of two times the payload that goes round them."""
    rng = np.random.default_rng(6)
    poles = random_poles(rng, (8, 3))
    graph = model(
        3,
        [linear("enc", 8, 1), ssm("x", 2, poles, rng.normal(size=(8, 3)), activation="relu"),
         linear("o", 8, 3)],
        [synapses("in", "enc", rng.normal(size=(8, 3))), identity("enc", "x", 8),
         synapses("x", "o", np.eye(8)), synapses("enc", "o", np.eye(8))],
        ["o"],
    )  # fmt: skip
    program, reports = quantise(graph, on_grid(rng, (4, 30, 3)), Quantisation(weight_bits=4))
    assert [w.exact for w in reports[2].weights] == [True, True]
    ratio = program.population("x").payload_scale / program.population("enc").payload_scale
    assert np.log2(ratio) % 1 == 0
