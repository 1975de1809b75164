import numpy as np
import pytest

from mapping.connectivity import Capacity
from mapping.cut import cut, km1
from mapping.levels import GROWTH, UNEVEN, coarsen
from mapping.partition import loads
from mapping.pins import pins_of
from tests.bench.families import conv_like, experts
from tests.mapping.test_cut import graph_of, random_graph

GRAPHS = [
    random_graph(0, 60, inputs=9, populations=3, density=0.1),
    random_graph(1, 1, inputs=1, density=1.0),
    graph_of(0, [[]] * 5, [0, 0, 1, 1, 1]),
    conv_like(640, 12_000, 2, layers=4),
    experts(400, 4000, experts=4),
]


def plain_cost(pins, core) -> float:
    """Sum over nets of their weight times the cores that they touch less one."""
    units = np.repeat(np.arange(len(pins.first) - 1), np.diff(pins.first))
    return sum(
        float(weight) * (len(set(core[units[pins.net == e]].tolist())) - 1)
        for e, weight in enumerate(pins.weight)
    )


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_level_costs_what_its_neurons_cost(graph, merge):
    levels, labels = coarsen(pins_of(graph, False, loads(graph)), 8, merge, seed=3)
    rng = np.random.default_rng(3)
    core = rng.integers(4, size=len(levels[-1].population))
    for k in range(len(levels) - 1, -1, -1):
        full = core
        for label in labels[:k][::-1]:
            full = full[label]
        expected = km1(graph, full, 4) * float(graph.spikes.sum())
        assert plain_cost(levels[k], core) == pytest.approx(expected, rel=1e-4, abs=1e-6)
        core = core[labels[k - 1]] if k else core


@pytest.mark.parametrize("graph", GRAPHS)
def test_clusters_keep_to_size_population_and_core(graph):
    core = (np.arange(graph.neurons) % 2).astype(np.int32)
    count = 8
    levels, labels = coarsen(pins_of(graph, False, loads(graph)), count, True, 0, core)
    whole = levels[0].needs.sum(axis=0)
    for fine, coarse, label in zip(levels, levels[1:], labels, strict=False):
        assert np.array_equal(coarse.needs.sum(axis=0), whole)
        assert np.array_equal(coarse.population[label], fine.population)
        assert all(len(set(core[label == c])) == 1 for c in range(len(coarse.population)))
        size = (coarse.needs[:, [0, 2]] / whole[[0, 2]]).sum(axis=1) / 2
        joined = np.bincount(label) > 1
        units = len(fine.population)
        assert (size[joined] <= min(GROWTH / units, UNEVEN / count) + 1e-12).all()
        core = np.array([core[label == c][0] for c in range(len(coarse.population))])


def test_neurons_that_hear_the_same_are_joined():
    # Groups of 4 neurons, each with 3 inputs of its own, in any order; some source-only neurons
    # reach one group each, so that only what they reach tells them apart.
    rng = np.random.default_rng(5)
    place = rng.permutation(40)
    group = place.reshape(10, 4)
    targets = [group[k // 3].tolist() for k in range(30)] + [[]] * 40
    targets += [group[k // 4].tolist() for k in range(40)]
    graph = graph_of(30, targets, [0] * 40 + [1] * 40)
    levels, labels = coarsen(pins_of(graph, False, loads(graph)), 20, True, 0)
    last = np.arange(80)
    for label in labels:
        last = label[last]
    for k in range(10):
        assert len(set(last[group[k]].tolist())) == 1
    alone = [len(set(last[40 + 4 * k : 44 + 4 * k].tolist())) for k in range(10)]
    assert max(alone) == 1, alone
    assert len(levels[-1].weight) == 10  # of each group's sources; its inputs reach nothing else


def test_a_convolution_is_cut_from_level_to_level():
    graph, cores = conv_like(2000, 100_000, 2, layers=4), 6
    made = cut(graph, Capacity(cores=cores))
    assert made.start == "levels"
    assert made.km1 == pytest.approx(km1(graph, made.core, cores))
    assert made.km1 < 0.85 * made.naive, (made.km1, made.naive)
    again = cut(graph, Capacity(cores=cores))
    assert np.array_equal(made.core, again.core)
