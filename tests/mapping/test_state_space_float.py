"""Float semantics of state-space layers and gates against scipy and explicit convolution."""

import time

import numpy as np
import pytest
from scipy.signal import lfilter

from hdl.params.errors import UserError
from mapping.graph import StateSpace
from mapping.quantise import quantise
from mapping.ranges import measure
from mapping.reference import simulate
from tests.mapping.models import model, synapses
from tests.mapping.state_layers import gate, identity, linear, random_poles, ssm


def one_layer(layer, drive):
    """in -> u = drive @ in -> layer."""
    size = len(drive)
    return model(
        len(drive[0]),
        [linear("u", size, 1), layer],
        [synapses("in", "u", drive), identity("u", layer.name, size)],
        [layer.name],
    )


@pytest.mark.parametrize(("size", "order"), [(1, 1), (2, 1), (3, 5), (5, 4)])
def test_mixed_states_are_a_convolution_with_their_kernel(size, order):
    """y = sum over tau of K[tau] u[t - tau], K[tau] = Re sum c a^tau, plus D u (a pole of 0)."""
    rng = np.random.default_rng(size)
    a, c = random_poles(rng, (size, order)), rng.normal(size=(size, order, 2)) @ [1, 1j]
    feed = rng.normal(size=size)
    poles = np.concatenate([a, np.zeros((size, 1))], 1)
    mix = np.concatenate([2 * c, feed[:, None]], 1)
    drive, bias = rng.normal(size=(size, 2)), rng.normal(size=size)
    data = rng.normal(size=(4, 31, 2))
    graph = one_layer(ssm("x", 2, poles, mix, bias=bias), drive)
    found = simulate(graph, data).outputs
    u = data @ drive.T
    kernel = 2 * (c[:, :, None] * a[:, :, None] ** np.arange(31)).sum(1).real
    wanted = np.array(
        [[np.convolve(s[:, n], kernel[n])[:31] for n in range(size)] for s in u]
    ).transpose(0, 2, 1)
    assert found == pytest.approx(wanted + feed * u + bias, abs=1e-12)


@pytest.mark.parametrize("states", [1, 2, 5])
def test_states_as_neurons_are_complex_filters(states):
    rng = np.random.default_rng(states)
    a, drive = random_poles(rng, states), rng.normal(size=(2 * states, 3))
    data = rng.normal(size=(2, 40, 3))
    found = simulate(one_layer(ssm("x", 2, a), drive), data).outputs
    u = data @ drive.T
    for k in range(states):
        x = lfilter([1], [1, -a[k]], u[..., 2 * k] + 1j * u[..., 2 * k + 1], axis=1)
        assert found[..., 2 * k] == pytest.approx(x.real, abs=1e-12)
        assert found[..., 2 * k + 1] == pytest.approx(x.imag, abs=1e-12)


@pytest.mark.parametrize("mixed", [False, True])
def test_real_poles_are_real_filters(mixed):
    a, c = np.array([0.9, -0.5, 0.0]), np.array([2.0, -1.0, 3.0])
    data = np.random.default_rng(0).normal(size=(2, 40, 3))
    layer = ssm("x", 2, a[:, None], c[:, None]) if mixed else ssm("x", 2, a)
    assert layer.dendrites.real
    found = simulate(one_layer(layer, np.eye(3)), data).outputs
    for n in range(3):
        wanted = lfilter([c[n] if mixed else 1.0], [1, -a[n]], data[..., n], axis=1)
        assert found[..., n] == pytest.approx(wanted, abs=1e-12)


def test_lengths_and_batches_do_not_mix():
    rng = np.random.default_rng(1)
    graph = one_layer(ssm("x", 2, random_poles(rng, 3)), rng.normal(size=(6, 2)))
    samples = [rng.normal(size=(n, 2)) for n in (3, 0, 9, 1)]
    together = simulate(graph, samples).outputs
    for i, sample in enumerate(samples):
        assert not together[i, len(sample) :].any()
        if len(sample):
            alone = simulate(graph, sample[None]).outputs[0]
            assert together[i, : len(sample)] == pytest.approx(alone, abs=1e-13)


def test_gates_multiply_their_ports():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 3, 2))
    graph = model(
        2,
        [linear("a", 3, 1), linear("b", 3, 1, activation="sigmoid"), gate("g", 3, 2, bias=0.5)],
        [synapses("in", "a", a), synapses("in", "b", b), identity("a", "g", 3, "left"),
         identity("b", "g", 3, "right")],
        ["g"],
    )  # fmt: skip
    data = rng.normal(size=(3, 7, 2))
    wanted = (data @ a.T) / (1 + np.exp(-data @ b.T)) + 0.5
    assert simulate(graph, data).outputs == pytest.approx(wanted)
    found = measure(graph, data)["g"].membrane
    assert found[1] == pytest.approx(np.maximum(wanted.max((0, 1)), 0))
    assert found[0] == pytest.approx(np.minimum(wanted.min((0, 1)), 0))


@pytest.mark.parametrize("mixed", [False, True])
def test_ranges_see_states_inputs_and_values(mixed):
    rng = np.random.default_rng(3)
    a = random_poles(rng, (4, 3) if mixed else 4)
    layer = ssm("x", 2, a, np.ones((4, 3)) if mixed else None, activation="relu")
    drive = rng.normal(size=(layer.size, 2))
    data, lengths = rng.normal(size=(70, 12, 2)), rng.integers(1, 13, 70)
    data[np.arange(12) >= lengths[:, None]] = 1e6  # what lies behind a sample must not count
    graph = one_layer(layer, drive)
    found = measure(graph, data, lengths)["x"]
    u = data @ drive.T
    live = np.arange(12) < lengths[:, None]
    into = u[..., None] if mixed else u[..., 0::2] + 1j * u[..., 1::2]
    x = np.zeros((70, 12, *a.shape), complex)
    state = np.zeros((70, *a.shape), complex)
    for t in range(12):
        state = a * state + into[:, t]
        x[:, t] = state
    x = x.reshape(70, 12, -1)[live]
    assert found.states.peak == pytest.approx(np.abs(np.stack([x.real, x.imag], -1)).max(0))
    assert found.states.rms == pytest.approx(np.sqrt((np.abs(x) ** 2).mean(0)))
    wanted = np.broadcast_to(np.sqrt((np.abs(into[live]) ** 2).mean(0)), a.shape).reshape(-1)
    assert found.states.input_rms == pytest.approx(wanted)
    out = simulate(graph, [s[:n] for s, n in zip(data, lengths, strict=True)]).outputs
    assert found.value[1] == pytest.approx(out.max((0, 1)))
    assert not found.value[0].any()
    assert found.membrane[0].min() < 0


def test_a_thousand_states_take_about_a_second():
    rng = np.random.default_rng(4)
    layers = [ssm("x", 2, random_poles(rng, (64, 16)), rng.normal(size=(64, 16)))]
    graph = one_layer(layers[0], rng.normal(size=(64, 1)))
    start = time.perf_counter()
    simulate(graph, rng.normal(size=(360, 64, 1)))
    assert time.perf_counter() - start < 6


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"poles": [[0.5], [1.0]]},
            r"x: the pole of state \[1, 0\] is 1\+0j, \|a\| = 1: ",
        ),
        ({"poles": [[0.5], [0.8 + 0.8j]]}, r"state \[1, 0\] is 0.8\+0.8j, \|a\| = 1.13137"),
        ({"poles": [[np.nan], [0]]}, r"x: poles hold NaN or infinity at state \[0, 0\]; mend"),
        ({"mix": [[1], [np.inf]]}, r"x: mix hold NaN or infinity at state \[1, 0\]"),
        ({"poles": [0.5, 0.5]}, r"x: poles and mix must be \[2, order\], not \(2,\), \(2, 1\)"),
        ({"poles": [0.5], "mix": None}, r"x: poles must be 2 real or 1 complex numbers, not \(1,"),
    ],
)
def test_wrong_poles_by_their_message(change, text):
    space = StateSpace(
        **{k: None if v is None else np.asarray(v, complex)
           for k, v in ({"poles": [[0.5], [0.5]], "mix": [[1], [1]]} | change).items()}
    )  # fmt: skip
    graph = one_layer(linear("x", 2, 2, kind="SSM", dendrites=space), np.eye(2))
    with pytest.raises(UserError, match=text):
        quantise(graph, np.ones((1, 2, 2)))


def test_wrong_wiring_by_its_message():
    layers = [linear("u", 2, 1), ssm("x", 2, [0.5, 0.25])]
    for connections, text in (
        ([], "x: a layer of kind SSM takes one connection, not 0"),
        ([identity("u", "x", 2), identity("u", "x", 2)], "takes one connection, not 2"),
        ([synapses("u", "x", 2 * np.eye(2))], "x: its input u must be one to one with weight 1"),
        ([synapses("u", "x", np.eye(2), delay=1)], "x: its input u comes 1 steps late"),
        ([identity("u", "x", 2, "left")], r"takes one connection, not 1 at \['left'\]"),
    ):
        graph = model(2, layers, [synapses("in", "u", np.eye(2)), *connections], ["x"])
        with pytest.raises(UserError, match=text):
            quantise(graph, np.ones((1, 2, 2)))
    graph = model(2, [gate("g", 2, 1)], [identity("in", "g", 2, "left")], ["g"])
    with pytest.raises(UserError, match="g: a layer of kind Gate takes one connection at each of"):
        quantise(graph, np.ones((1, 2, 2)))
