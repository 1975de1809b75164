"""State-space models read: their meaning, their names, their settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ssm_models import answer, load, load_torch, run_s4d, s4d

from mapping.discretise import diagonal
from mapping.importers.load import inspect_file, load_graph
from mapping.reference import simulate


def inputs(seed, steps=12, channels=2):
    return np.random.default_rng(seed).normal(0, 1, (steps, channels))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [{}, {"layers": 3}, {"size": 1, "order": 1, "inputs": 1},
                                   {"size": 5, "order": 7, "classes": 1}])  # fmt: skip
def test_a_model_is_its_plain_loops(seed, sizes, tmp_path):
    model = s4d(seed, **sizes)
    x = inputs(seed, channels=sizes.get("inputs", 2))
    expected = run_s4d(model, x)
    for read in (load, load_torch):
        graph = read(tmp_path, model)
        found = simulate(graph, x[None]).outputs[0]
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max(), f"seed {seed}"
        assert np.abs(answer(graph, x) - expected.mean(0)).max() < 1e-9
    assert graph.readout == "mean"


def test_layers_of_a_model(tmp_path):
    """The feed-through is a state; the residual is an identity; matrices stay as trained."""
    model = s4d(layers=2, order=4)
    graph = load(tmp_path, model)
    assert [(x.name, x.kind, x.level, x.activation) for x in graph.layers] == [
        ("enc", "Linear", 1, ""), ("l.0", "SSM", 2, "relu"), ("o.0", "Linear", 3, ""),
        ("l.1", "SSM", 4, "relu"), ("o.1", "Linear", 5, ""), ("dec", "Linear", 6, ""),
    ]  # fmt: skip
    space = graph.layers[1].dendrites
    assert space.poles.shape == space.mix.shape == (3, 5)
    assert not space.poles[:, 4].any()
    assert (space.mix[:, 4] == model["l.0.D"]).all()
    links = {(c.source, c.target): c.matrix.toarray() for c in graph.connections}
    assert (links["l.0", "o.0"] == model["o.0.weight"]).all()
    assert (links["enc", "o.0"] == np.eye(3)).all()
    assert (links["o.1", "dec"] == model["dec.weight"]).all()
    assert graph.outputs == ("dec",)
    graph = load(tmp_path, {**model, "l.0.D": np.zeros(3, np.float32)})
    assert graph.layers[1].dendrites.poles.shape == (3, 4)


def test_poles_on_the_real_axis_are_known_as_such(tmp_path):
    model = s4d()
    model["l.0.im"] *= 0
    model["l.0.C"][..., 1] = 0
    assert load(tmp_path, model).layers[1].dendrites.real
    model["l.0.C"][0, 0, 1] = 1
    assert not load(tmp_path, model).layers[1].dendrites.real


@pytest.mark.parametrize("prefix", ["net.", "a.b.0.", "module.l.3."])
def test_any_prefix(prefix, tmp_path):
    x = inputs(1)
    plain, deep = load(tmp_path, s4d(1)), load(tmp_path, s4d(1, prefix=prefix))
    assert (answer(plain, x) == answer(deep, x)).all()
    assert [layer.name for layer in deep.layers] == [prefix + layer.name for layer in plain.layers]


def test_layers_count_by_their_numbers_not_by_their_place(tmp_path):
    model = s4d(2, layers=11, size=2, order=1)
    turned = dict(sorted(model.items(), reverse=True))
    x = inputs(2)
    assert (answer(load(tmp_path, model), x) == answer(load(tmp_path, turned), x)).all()


def test_precomputed_poles_and_kernels_are_compared(tmp_path):
    model = s4d(3, layers=2)
    rate = -np.exp(model["l.1.lre"].astype(float)) + 1j * model["l.1.im"]
    poles, gain = diagonal(rate, np.exp(model["l.1.logdt"].astype(float))[:, None], "zoh")
    kernel = (model["l.1.C"][..., 0] + 1j * model["l.1.C"][..., 1]) * gain
    model |= {"Abar1": poles.astype(np.complex64), "K1": kernel.astype(np.complex64)}
    assert load(tmp_path, model).outputs == ("dec",)


def test_complex_numbers_may_be_pairs_or_complex(tmp_path):
    model, x = s4d(4), inputs(4)
    expected = answer(load(tmp_path, model), x)
    model["l.0.C"] = (model["l.0.C"][..., 0] + 1j * model["l.0.C"][..., 1]).astype(np.complex64)
    for read in (load, load_torch):
        assert (answer(read(tmp_path, model), x) == expected).all()


def test_settings_come_from_the_caller_the_file_or_the_default(tmp_path):
    model = s4d(5)

    def notes(**settings):
        graph = load(tmp_path, model, **settings)
        return graph, {n["change"]: n["effect"] for n in graph.notes}

    graph, found = notes()
    assert found == {
        "pooling: mean": "the default; the file has no config.pooling",
        "activation: relu": "the default; the file has no config.activation",
        "discretisation: zoh": "the default; the file has no config.discretisation",
    }
    model |= {"config.pooling": np.int64(1), "config.activation": np.array([2])}
    model |= {"config.discretisation": np.float32(1)}
    graph, found = notes()
    assert found == dict.fromkeys(
        ["pooling: last", "activation: gelu", "discretisation: bilinear"], "as the file says"
    )
    assert (graph.readout, graph.layers[1].activation) == ("last", "gelu")
    graph, found = notes(pooling="none", activation="none", discretisation="dirac")
    assert found == dict.fromkeys(
        ["pooling: none", "activation: none", "discretisation: dirac"], "as it was set"
    )
    assert (graph.readout, graph.layers[1].activation) == ("none", "")
    assert graph.options.discretisation == "dirac"


@pytest.mark.parametrize("method", ["zoh", "bilinear", "dirac"])
def test_discretisations_differ_in_poles_and_gains(method, tmp_path):
    model = s4d(6)
    space = load(tmp_path, model, discretisation=method).layers[1].dendrites
    rate = -np.exp(model["l.0.lre"].astype(float)) + 1j * model["l.0.im"]
    dt = np.exp(model["l.0.logdt"].astype(float))[:, None]
    poles = (1 + rate * dt / 2) / (1 - rate * dt / 2) if method == "bilinear" else np.exp(rate * dt)
    gain = {"zoh": (poles - 1) / rate, "bilinear": dt / (1 - rate * dt / 2), "dirac": 1}[method]
    c = model["l.0.C"][..., 0] + 1j * model["l.0.C"][..., 1]
    assert np.abs(space.poles[:, :-1] - poles).max() < 1e-12
    assert np.abs(space.mix[:, :-1] - 2 * c * gain).max() < 1e-12


def s5(draw, size, states, prefix="", norm=""):
    rng = np.random.default_rng(draw)
    made = {
        "Lambda": rng.uniform(-2, -0.1, states) + 1j * rng.uniform(-3, 3, states),
        "C": rng.normal(0, 1, (size, states, 2)),
        "B": rng.normal(0, 1, (states, size, 2)),
        "D": rng.normal(0, 1, size),
        "log_step": rng.uniform(-3, 0, states),
    }
    made = {f"{prefix}seq.{name}": value for name, value in made.items()}
    norms = {"weight": rng.uniform(0.5, 2, size), "bias": rng.normal(0, 1, size)}
    if norm == "batch":
        norms |= {"running_mean": rng.normal(0, 1, size), "running_var": rng.uniform(0.1, 2, size)}
    return made | ({f"{prefix}norm.{k}": v for k, v in norms.items()} if norm else {})


def run_s5(model, prefix, x):
    pair = {k: model[f"{prefix}seq.{k}"][..., 0] + 1j * model[f"{prefix}seq.{k}"][..., 1]
            for k in "BC"}  # fmt: skip
    rate, step = model[f"{prefix}seq.Lambda"], np.exp(model[f"{prefix}seq.log_step"])
    a = np.exp(rate * step)
    state, out = np.zeros(len(a), complex), []
    for u in x:
        state = a * state + ((a - 1) / rate)[:, None] * pair["B"] @ u
        out.append((pair["C"] @ state).real + model[f"{prefix}seq.D"] * u)
    return np.array(out)


@pytest.mark.parametrize("residual", ["no", "yes"])
@pytest.mark.parametrize("prenorm", ["no", "yes"])
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_layers_alone_with_norms_and_residuals(residual, prenorm, norm, tmp_path):
    model = s5(0, 3, 4, "a.", norm) | s5(1, 3, 1, "b.", norm)
    settings = {"residual": residual, "prenorm": prenorm, "activation": "tanh"}
    graph = load(tmp_path, model, **settings)

    def normal(prefix, x):
        p = {k: model.get(f"{prefix}norm.{k}") for k in ("weight", "bias", "running_mean")}
        mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        if norm == "batch":
            mean, variance = p["running_mean"], model[f"{prefix}norm.running_var"]
        return (x - mean) / np.sqrt(variance + 1e-5) * p["weight"] + p["bias"]

    x = expected = inputs(7, channels=3)
    for prefix in ("a.", "b."):
        z = normal(prefix, expected) if prenorm == "yes" else expected
        z = np.tanh(run_s5(model, prefix, z)) + (expected if residual == "yes" else 0)
        expected = z if prenorm == "yes" else normal(prefix, z)
    assert graph.readout == "none"
    assert np.abs(answer(graph, x) - expected).max() < 1e-9
    kinds = [layer.kind for layer in graph.layers]
    assert kinds.count("LayerNorm") == (2 if norm == "layer" else 0)


def lmu(order, hidden=3, theta=10.0):
    rng = np.random.default_rng(8)
    i, j = np.indices((order, order))
    rate = (2 * np.arange(order)[:, None] + 1) / theta
    from scipy.signal import cont2discrete

    matrix = rate * np.where(i < j, -1, (-1.0) ** (i - j + 1))
    inputs_ = rate * (-1.0) ** np.arange(order)[:, None]
    a, b = cont2discrete((matrix, inputs_, np.eye(order), inputs_ * 0), 1.0)[:2]
    shapes = {"e_x": (1, 2), "e_h": (1, hidden), "e_m": (1, order), "W_x": (hidden, 2),
              "W_h": (hidden, hidden), "W_m": (hidden, order)}  # fmt: skip
    weights = {name: rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    return {f"cell.{k}": v for k, v in {**weights, "A": a, "B": b}.items()}


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_a_memory_in_diagonal_form_is_the_memory(order, tmp_path):
    """By its own equations, with e_m, for odd orders too (a real pole)."""
    model, x = lmu(order), inputs(9, 40)
    e_x, e_h, e_m, w_x, w_h, w_m, a, b = (
        model[f"cell.{k}"] for k in ("e_x", "e_h", "e_m", "W_x", "W_h", "W_m", "A", "B")
    )
    h, m, expected = np.zeros(3), np.zeros(order), []
    for row in x:
        u = e_x @ row + e_h @ h + e_m @ m
        m = a @ m + b @ u
        h = np.tanh(w_x @ row + w_h @ h + w_m @ m)
        expected.append(h)
    graph = load(tmp_path, model, pooling="none")
    assert np.abs(answer(graph, x) - expected).max() < 1e-9
    assert load(tmp_path, model).readout == "last"


def test_the_kind_of_a_file_is_told_by_its_tensors(tmp_path):
    """By load.py: .npz and .pt; a file of no known kind names what was expected."""
    path = tmp_path / "m.npz"
    np.savez(path, **s4d())
    assert load_graph(path).name == "m"
    found = inspect_file(path)
    assert [n["name"] for n in found.nodes] == ["input", "enc", "l.0", "o.0", "dec"]
    assert found.parameters == sum(v.size for v in s4d().values())
    assert not found.problems
    np.savez(path, x=np.ones(3))
    assert inspect_file(path).problems[0].startswith("holds no state-space layer; expected are ")


def test_real_step_of_a_pole_near_one_is_kept(tmp_path):
    """exp and expm1 in float64: a slow pole of float32 parameters isn't lost."""
    model = s4d(10, size=1, order=1)
    model |= {"l.0.logdt": np.float32([math.log(1e-5)]), "l.0.lre": np.float32([[math.log(0.01)]])}
    model["l.0.im"] *= 0
    space = load(tmp_path, model).layers[1].dendrites
    assert 1 - space.poles[0, 0].real == pytest.approx(1e-7, rel=1e-6)
