"""Hardware forms: fixed norms, rectifiers in place of smooth ones, integrators as states."""

import dataclasses

import numpy as np
import pytest

from hdl.params.errors import UserError
from mapping.activations import activate
from mapping.forms import hardware_forms, with_states
from mapping.norms import static_norms
from mapping.quantise import Quantisation, quantise
from mapping.reference import simulate
from mapping.validate import problems
from sim.golden.network import Golden
from tests.mapping.models import model, neurons, spikes, synapses
from tests.mapping.plain_program import Plain
from tests.mapping.state_layers import linear
from tests.mapping.test_quantise import events_of


def normed(size, seed=0, depth=1):
    rng = np.random.default_rng(seed)
    layers, connections, before, width = [], [], "in", 3
    for k in range(depth):
        bias = rng.normal(size=size)
        layers.append(linear(f"n{k}", size, k + 1, activation="layernorm", bias=bias))
        connections.append(synapses(before, f"n{k}", rng.normal(size=(size, width))))
        before, width = f"n{k}", size
    layers.append(linear("o", 2, depth + 1))
    connections.append(synapses(before, "o", rng.normal(size=(2, size))))
    return model(3, layers, connections, ["o"])


@pytest.mark.parametrize("size", [2, 3, 8])
def test_the_scale_is_the_least_squares_one(size):
    graph, data = normed(size), np.random.default_rng(1).normal(size=(12, 9, 3))
    lengths = np.random.default_rng(2).integers(1, 10, 12)
    data[np.arange(9) >= lengths[:, None]] = 1e3  # not part of a sample
    fixed, notes = static_norms(graph, data, lengths)
    (layer, _), w = fixed.layers, graph.connections[0].matrix.toarray()
    assert (layer.kind, layer.activation) == ("Linear", "")
    v = (data @ w.T + graph.layers[0].bias)[np.arange(9) < lengths[:, None]]
    norm = activate("layernorm", v)
    matrix = fixed.connections[0].matrix.toarray()

    def error(scale):
        return ((scale * (v - v.mean(1, keepdims=True)) - norm) ** 2).sum()

    centred = w - w.mean(0)
    c = float((matrix / centred).flat[np.abs(centred).argmax()])
    assert matrix == pytest.approx(c * centred)
    bias = graph.layers[0].bias
    assert layer.bias == pytest.approx(c * (bias - bias.mean()))
    assert all(error(c) < error(c * f) for f in (0.99, 1.01))
    kept = 10 * np.log10((norm**2).sum() / error(c))
    assert notes == [
        {
            "node": "n0",
            "change": f"layer norm became a fixed scale, 1 / {1 / c:.4g}, of centred weights",
            "effect": f"its values are kept to {kept:.1f} dB on the calibration data",
        }
    ]
    found = simulate(fixed, data[:, :1]).layers["n0"][:, 0]
    assert found == pytest.approx(c * data[:, 0] @ centred.T + layer.bias)


def test_values_of_one_deviation_are_kept_exactly():
    """Rotations of one vector all have the same deviation."""
    turns = np.linspace(0, 6, 40)[:, None] + 2 * np.pi / 3 * np.arange(3)
    data = np.cos(turns)[None]
    graph = model(
        3,
        [linear("n", 3, 1, activation="layernorm")],
        [synapses("in", "n", 2 * np.eye(3) + 5)],
        ["n"],
    )
    fixed, notes = static_norms(graph, data)
    assert simulate(fixed, data).outputs == pytest.approx(simulate(graph, data).outputs, abs=1e-9)
    assert "1 / 1.414" in notes[0]["change"]


def test_norms_are_fixed_one_behind_the_other_and_told():
    graph, data = normed(8, depth=3), np.random.default_rng(1).normal(size=(12, 9, 3))
    program, _ = quantise(graph, data, Quantisation(weight_bits=12, payload_bits=12))
    assert not problems(program)
    assert [n["node"] for n in program.notes[:3]] == ["n0", "n1", "n2"]
    texts = {n["change"]: n["effect"] for n in program.notes}
    assert "calibration decisions (last) the same" in texts["all 3 layer norms are fixed"]
    assert "hardware forms in all" in texts
    fixed, _ = static_norms(graph, data)
    found = Plain(program, data).values["o"] * program.population("o").emission_scale
    real = simulate(fixed, data).outputs
    assert 10 * np.log10((real**2).sum() / ((real - found) ** 2).sum()) > 45
    first, _ = static_norms(normed(8, depth=3), data)
    alone = dataclasses.replace(graph, layers=(*graph.layers[:2], first.layers[2], graph.layers[3]))
    assert simulate(alone, data).outputs != pytest.approx(real, abs=1e-3)


def test_norms_of_neurons_with_states_are_refused():
    layer = linear("n", 2, 1, activation="layernorm", membrane_decay=0.5)
    graph = model(2, [layer], [synapses("in", "n", np.eye(2))], ["n"])
    with pytest.raises(UserError, match="n: a layer norm of neurons with states of their own"):
        quantise(graph, np.ones((1, 3, 2)))


def test_smooth_rectifiers_become_relu_where_asked():
    rng = np.random.default_rng(0)
    layers = [linear("a", 6, 1, activation="gelu"), linear("b", 6, 1, activation="sigmoid"),
              linear("o", 3, 2)]  # fmt: skip
    graph = model(
        3, layers,
        [synapses("in", "a", rng.normal(size=(6, 3))), synapses("in", "b", rng.normal(size=(6, 3))),
         synapses("a", "o", rng.normal(size=(3, 6))), synapses("b", "o", rng.normal(size=(3, 6)))],
        ["o"],
    )  # fmt: skip
    data = rng.normal(size=(10, 8, 3))
    same, notes = hardware_forms(graph, data, None, Quantisation())
    assert same is graph
    assert notes == []
    made, notes = hardware_forms(graph, data, None, Quantisation(activation="relu"))
    assert [p.activation for p in made.layers] == ["relu", "sigmoid", ""]
    a, b = simulate(graph, data), simulate(made, data)
    kept = 10 * np.log10((a.outputs**2).sum() / ((a.outputs - b.outputs) ** 2).sum())
    agree = int((a.outputs[:, -1].argmax(1) == b.outputs[:, -1].argmax(1)).sum())
    assert notes == [
        {
            "node": "a",
            "change": "gelu replaced by relu",
            "effect": f"outputs keep {kept:.1f} dB, {agree} of 10 calibration decisions (last) "
            "the same",
        }
    ]


def integrators(hidden="LI"):
    rng = np.random.default_rng(3)
    li = {"kind": "LI", "spiking": False, "threshold": np.inf}
    return model(
        4,
        [neurons("h", 5, 1, **li, membrane_decay=rng.uniform(0.5, 0.99, 5), bias=0.02),
         neurons("s", 6, 2, threshold=0.3), neurons("o", 3, 3, **li)],
        [synapses("in", "h", 0.2 * rng.normal(size=(5, 4))),
         synapses("h", "s", rng.normal(size=(6, 5))), synapses("s", "o", rng.normal(size=(3, 6))),
         synapses("s", "s", 0.1 * rng.normal(size=(6, 6)), delay=1)],
        ["o"],
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["ssm", {"h": "ssm"}])
def test_integrators_become_states(engine):
    graph, data = integrators(), spikes(8, 60, 4)
    settings = Quantisation(engine=engine, payload_bits=12, weight_bits=12)
    notes = []
    made = with_states(graph, settings, notes)
    names = ["h.drive", "h", "s", "o.drive", "o"] if engine == "ssm" else ["h.drive", "h", "s", "o"]
    assert [p.name for p in made.layers] == names
    assert [p.level for p in made.layers] == list(range(1, len(names) + 1))
    assert [n["node"] for n in notes] == [n for n in ("h", "o") if f"{n}.drive" in names]
    a, b = simulate(graph, data), simulate(made, data)
    assert a.layers["h"] == pytest.approx(b.layers["h"], abs=1e-12)
    assert a.outputs == pytest.approx(b.outputs, abs=1e-12)
    program, reports = quantise(graph, data, settings)
    assert not problems(program)
    assert [p.name for p in program.populations if p.dendrites] == [n["node"] for n in notes]
    assert program.population("h").dendrites.real
    found = Golden(program).run(events_of(program, data), record_state=True)
    values = found.state["h"].membrane * program.population("h").membrane_scale
    real = a.layers["h"]
    assert 10 * np.log10((real**2).sum() / ((real - values) ** 2).sum()) > 38
    assert {r.node for r in reports if r.states} == {n["node"] for n in notes}


def test_what_is_no_integrator_is_left_or_refused():
    graph = integrators()
    with pytest.raises(UserError, match="engine: s can't be a state-space layer: its neurons"):
        quantise(graph, spikes(2, 5, 4), Quantisation(engine={"s": "ssm"}))
    still = dataclasses.replace(graph.layers[0], membrane_decay=np.ones(5))
    graph = dataclasses.replace(graph, layers=(still, *graph.layers[1:]))
    with pytest.raises(UserError, match="h can't be a state-space layer: its decay is 1"):
        quantise(graph, spikes(2, 5, 4), Quantisation(engine={"h": "ssm"}))
    program, _ = quantise(graph, spikes(2, 5, 4), Quantisation(engine="ssm"))
    assert program.population("h").dendrites is None
