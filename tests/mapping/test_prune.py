"""Pruning: counts by hand, ties, names, and that what is pruned is gone from the Program."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from hdl.params.errors import UserError
from mapping.prune import pruned, weights_of
from mapping.quantise import Quantisation, quantise
from mapping.storage import digest
from sim.golden.network import Golden
from tests.mapping.models import model, neurons, spikes, synapses


def matrices(graph, **settings):
    """Matrices and notes after pruning."""
    notes: list[dict[str, str]] = []
    made = pruned(graph, Quantisation(**settings), notes)
    return [c.matrix.toarray() for c in made.connections], notes


def two_layers(seed: int = 0, first=(6, 5), second=(3, 6)):
    rng = np.random.default_rng(seed)
    layers = [neurons("a", first[0], 1), neurons("b", second[0], 2)]
    connections = [
        synapses("in", "a", rng.normal(0.3, 1, first), node="fc1"),
        synapses("a", "b", rng.normal(0.3, 1, second), node="fc2"),
    ]
    return model(first[1], layers, connections, ["b"])


@pytest.mark.parametrize("share", [0.1, 0.29, 0.5, 0.7, 0.999])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (7, 10), (20, 5)])
def test_exactly_that_share_of_the_smallest_weights_goes(shape, share):
    rng = np.random.default_rng(shape)
    full = rng.normal(size=shape)
    graph = model(shape[1], [neurons("a", shape[0], 1)], [synapses("in", "a", full)], ["a"])
    (left,), notes = matrices(graph, prune=share)
    if shape == (1, 1):
        assert left == full  # one to one
        return
    gone = int(Fraction(str(share)) * full.size)
    assert (left == 0).sum() == gone
    assert (left[left != 0] == full[left != 0]).all()
    if gone:
        assert np.abs(full[left == 0]).max() < np.abs(left[left != 0]).min()
        lost = 100 * (full[left == 0] ** 2).sum() / (full**2).sum()
        assert notes == [
            {
                "node": "in_a",
                "change": f"pruned to {full.size - gone} of {full.size} weights, {gone} removed",
                "effect": notes[0]["effect"],
            }
        ]
        assert notes[0]["effect"].startswith(f"{lost:.3g} % of the squared weights are gone")


def test_weights_that_are_0_already_count():
    full = np.arange(1.0, 21).reshape(4, 5)
    full[0] = 0  # a neuron without input, and 5 weights of 20
    graph = model(5, [neurons("a", 4, 1)], [synapses("in", "a", full)], ["a"])
    (left,), _ = matrices(graph, prune=0.5)
    assert (left == 0).sum() == 10
    assert left.max() == 20
    (left,), notes = matrices(graph, prune=0.25)
    assert (left == full).all()
    assert not notes


def test_neurons_that_lose_all_inputs_are_counted():
    full = np.array([[1.0, 1.0], [5.0, 6.0], [7.0, 8.0]])
    graph = model(2, [neurons("a", 3, 1)], [synapses("in", "a", full)], ["a"])
    (left,), notes = matrices(graph, prune=0.34)
    assert left.tolist() == [[0, 0], [5, 6], [7, 8]]
    assert "1 of 3 neurons have no input left here" in notes[0]["effect"]


def test_ties_are_broken_the_same_way_each_time_and_evenly():
    full = np.sign(np.random.default_rng(1).normal(size=(32, 32)))
    graph = model(32, [neurons("a", 32, 1)], [synapses("in", "a", full)], ["a"])
    (left,), _ = matrices(graph, prune=0.5)
    (again,), _ = matrices(graph, prune=0.5)
    assert (left == again).all()
    assert (left != 0).sum() == 512
    for axis in (0, 1):  # 16 each, if it were perfectly even
        kept = (left != 0).sum(axis)
        assert kept.min() >= 12
        assert kept.max() <= 20


def test_blocks_and_convolutions_count_their_own_weights():
    rng = np.random.default_rng(2)
    block = rng.normal(size=(3, 4))
    c = synapses("in", "a", np.kron(np.eye(5), block), node="proj")
    assert weights_of(c, {"proj": "Linear"}) == 60
    assert weights_of(c, {"proj": "Conv1d"}) == weights_of(c, {}) == 60
    band = sparse.diags_array([1.0, 2, 3], offsets=[0, 1, 2], shape=(8, 10)).toarray()
    c = synapses("in", "a", band, node="conv+pool")
    assert weights_of(c, {"conv": "Conv1d", "pool": "SumPool2d"}) == 24
    assert weights_of(c, {}) == 80
    graph = model(10, [neurons("a", 8, 1)], [c], ["a"])
    kinds = ({"name": "conv", "kind": "Conv1d"},)
    (left,), _ = matrices(dataclasses.replace(graph, nodes=kinds), prune=0.25)
    assert (left != 0).sum() == 18
    assert set(left[left != 0]) <= {1.0, 2, 3}
    assert (left == 1).sum() == 2


def test_one_to_one_connections_stay():
    graph = model(4, [neurons("a", 4, 1)], [synapses("in", "a", np.diag([1.0, 2, 3, 4]))], ["a"])
    (left,), notes = matrices(graph, prune=0.9)
    assert (left == np.diag([1, 2, 3, 4])).all()
    assert not notes


def test_names_of_layers_and_nodes():
    graph = two_layers()
    for by_name, gone in (
        ({"fc1": 0.5}, (15, 0)), ({"a": 0.5}, (15, 0)), ({"b": 0.5, "*": 0.2}, (6, 9)),
        ({"fc2": 0, "*": 0.1}, (3, 0)), ({"fc1": 0.2, "a": 0.9}, (6, 0)),
    ):  # fmt: skip
        left, _ = matrices(graph, prune=by_name)
        assert tuple((m == 0).sum() for m in left) == gone, by_name


def test_a_pruned_model_is_that_of_the_pruned_matrices():
    graph, data = two_layers(3, (12, 9), (4, 12)), spikes(4, 20, 9, seed=3)
    plain, _ = quantise(graph, data)
    half, _ = quantise(graph, data, Quantisation(prune=0.5))
    by_hand = pruned(graph, Quantisation(prune=0.5), [])
    same, _ = quantise(by_hand, data)
    for a, b in zip(half.projections, same.projections, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.indices, b.indices)
        assert len(a.weights) == (54 if a.source == "in" else 24)
    events = data.astype(np.int64)
    outputs = [Golden(p).run(events).outputs for p in (plain, half, same)]
    np.testing.assert_array_equal(outputs[1], outputs[2])
    assert (outputs[0] != outputs[1]).any()
    assert sum("pruned" in note["change"] for note in half.notes) == 2


def test_no_pruning_changes_nothing():
    graph, data = two_layers(), spikes(2, 10, 5)
    plain = quantise(graph, data)[0]
    for nothing in (0, 0.0, {}, {"*": 0}, {"fc1": 0.0}):
        found = quantise(graph, data, Quantisation(prune=nothing))[0]
        found = dataclasses.replace(found, options=plain.options)  # where the setting stands
        assert digest(found) == digest(plain)


@pytest.mark.parametrize("engine", ["stochastic", "ssm"])
def test_other_engines_take_pruned_weights(engine):
    graph, data = two_layers(5), spikes(2, 10, 5)
    program, _ = quantise(graph, data, Quantisation(prune=0.5, engine=engine))
    assert [len(q.weights) for q in program.projections] == [15, 9]


@pytest.mark.parametrize("value", [1, 1.0, -0.1, True, "half", {"fc1": 1.5}, float("nan")])
def test_wrong_shares_are_refused(value):
    with pytest.raises(UserError, match="prune: must be at least 0 and less than 1, not"):
        Quantisation(prune=value)


def test_unknown_names_and_binary_weights_are_refused():
    graph, data = two_layers(), spikes(2, 10, 5)
    with pytest.raises(
        UserError, match=r"prune: no layer or node is called 'fc3'; there are .*fc1"
    ):
        quantise(graph, data, Quantisation(prune={"fc3": 0.5}))
    with pytest.raises(UserError, match="prune: fc1 has binary weights, which are never 0"):
        quantise(graph, data, Quantisation(prune=0.5, weight_bits={"fc1": "binary"}))
