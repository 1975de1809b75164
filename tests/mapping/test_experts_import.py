"""Mixtures of experts: the Graph computes what the formulas do; the rest is refused by name."""

import numpy as np
import pytest
from torch_files import save

from hdl.params.errors import UserError
from hdl.params.winners import Winners
from mapping.importers.load import inspect_file, load_graph
from mapping.quantise import Quantisation, quantise
from mapping.reference import simulate
from sim.golden.network import Golden
from tests.mapping.expert_models import expert_tensors, forward

SEED = 3


def load(folder, tensors):
    np.savez(folder / "model.npz", **tensors)
    return load_graph(folder / "model.npz")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"k": 3},
        {"experts": 1, "hidden": 1},
        {"experts": 5, "k": 2, "gate": 1, "mixtures": 2},
        {"k": 2, "biases": False, "residual": False},
        {"ends": False, "residual": False, "inputs": 1},
        {"k": 1, "gate": 2, "ends": False},
    ],
)
def test_graph_computes_the_formulas(tmp_path, settings):
    tensors = expert_tensors(SEED, **settings)
    graph = load(tmp_path, tensors)
    x = np.random.default_rng(SEED).normal(0, 1, (5, 9, graph.inputs[0].size))
    wanted, chosen = forward(tensors, x)
    found = simulate(graph, x)
    np.testing.assert_allclose(found.outputs, wanted, atol=1e-12)
    for n, best in enumerate(chosen):
        gates = found.layers[f"moe{n}.router"] != 0
        assert (np.take_along_axis(gates, best, -1)).all()
        assert (gates.sum(-1) == tensors["config.k"]).all()
    if "ends" in settings:
        return
    experts = [p for p in graph.layers if p.apart]
    count = len(tensors["moe0.router.weight"]) * len(chosen)
    assert [p.name for p in experts] == [f"{p.apart}.0" for p in experts]
    assert len({p.apart for p in experts}) == count


def test_integers_choose_as_floats_do(tmp_path):
    """Scores of 12 bits choose the same experts in nearly all steps; the answers stay near."""
    tensors = expert_tensors(SEED, experts=4, k=2, gate=1)
    graph = load(tmp_path, tensors)
    x = np.random.default_rng(SEED).normal(0, 1, (20, 10, 4))
    program, reports = quantise(graph, x, Quantisation(payload_bits=12, weight_bits=12))
    router = program.population("moe0.router")
    assert router.winners == Winners(count=2, group=4)
    assert len(np.unique(router.membrane_scale)) == 1
    values = np.floor(x / program.inputs[0].scale + 0.5).astype(np.int64)
    found = Golden(program).run(values, record_state=True)
    scores = found.state["moe0.router"].membrane
    wanted, (chosen,) = forward(tensors, x)
    best = np.argsort(-scores, -1, kind="stable")[..., :2]
    same = (np.sort(best, -1) == np.sort(chosen, -1)).all(-1)
    assert same.mean() > 0.98
    answers = found.outputs * program.population("dec").emission_scale
    error = (answers - wanted)[same]
    assert np.sqrt((error**2).mean()) < 0.01 * np.sqrt((wanted**2).mean())
    assert {r.node for r in reports} >= {"moe0.router", "moe0.copies", "moe0.experts.3.0"}


def test_torch_files_are_the_same(tmp_path):
    tensors = expert_tensors(SEED)
    save(tmp_path / "model.pt", tensors)
    x = np.random.default_rng(SEED).normal(0, 1, (2, 3, 4))
    graph = load_graph(tmp_path / "model.pt")
    np.testing.assert_allclose(simulate(graph, x).outputs, forward(tensors, x)[0], atol=1e-12)
    seen = inspect_file(tmp_path / "model.pt")
    assert seen.problems == ()
    kinds = {node["name"]: node["kind"] for node in seen.nodes}
    assert kinds["moe0.router"] == "Router"
    assert kinds["moe0.copies"] == "Gate"


def refusals(folder, tensors):
    with pytest.raises(UserError) as caught:
        load(folder, tensors)
    assert inspect_file(folder / "model.npz").problems
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config.k": 2.0, "config.gate": 2.0}, "a softmax over k = 2 chosen experts, which needs"),
        ({"config.k": 2.0, "config.gate": None}, "'config.gate' is missing; with k = 2 it"),
        ({"config.k": None}, "'config.k', how many experts are chosen, must be 1 or more"),
        ({"config.k": 4.0}, "'config.k' is 4, more than the 3 experts of moe0"),
        ({"config.k": 0.5}, r"'config.k' must be a whole number in 0..256, not 0.5"),
        ({"config.gate": 3.0}, "'config.gate' must be a whole number in 0..2, not 3.0"),
        ({"config.activation": 4.0}, "activation 'sigmoid' of experts behind one gates is not map"),
        (
            {"config.activation": 2.0, "config.gate": 1.0},
            "activation 'gelu' of experts behind sigmoid gates is not mapped",
        ),
        ({"moe0.experts.1.2.weight": None}, "'moe0.experts.1.2.weight' (linear) is missing"),
        ({"moe0.router.weight": np.ones((4, 5))}, "gives 4 scores for 3 experts; it must give one"),
        ({"moe0.experts.1.2.weight": np.ones((5, 7))}, "'moe0.experts.1.2' takes 7 values, where"),
        ({"moe0.experts.2.0.weight": np.ones((6, 4))}, "'moe0.experts.2.0' takes 4 values, where"),
        ({"dec.weight": np.ones((3, 4))}, "'dec' takes 4 values, where 5 arrive"),
        ({"norm.weight": np.ones(5)}, "has no place for 'norm.weight'; expected are NAME."),
        ({"moe0.experts.0.w3.weight": np.ones((6, 5))}, "no place for 'moe0.experts.0.w3.weight'"),
        ({"moe0.shared.scale": np.ones(2)}, "has no place for 'moe0.shared.scale'"),
        ({"config.discretisation": 0.0}, "discretisation means nothing in this model"),
    ],
)  # fmt: skip
def test_what_is_not_mapped_is_named(tmp_path, change, message):
    tensors = expert_tensors(SEED) | change
    for name in [name for name, value in tensors.items() if value is None]:
        del tensors[name]
    if "moe0.router.weight" in change:
        del tensors["moe0.router.bias"]
    assert message in refusals(tmp_path, tensors)


def test_residual_needs_equal_sizes(tmp_path):
    tensors = expert_tensors(SEED, ends=False, biases=False)
    for e in range(3):
        tensors[f"moe0.experts.{e}.2.weight"] = np.ones((2, 6), np.float32)
    assert "'moe0.experts.0.2' gives 2 values, where 4 fit" in refusals(tmp_path, tensors)
