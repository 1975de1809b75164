"""Reports of mappings: what they count is what plain Python loops count."""

import itertools

import numpy as np
import pytest

from codesign.dryrun import fewest_cores, map_graph, measure, over
from hdl.params.errors import UserError
from mapping.connectivity import Capacity, Connectivity
from tests.bench.families import conv_like, experts, random_layers, sheet


def graph_of(targets, inputs=0, sizes=None, spikes=None, bits=8):
    """From a list of targets for each source."""
    neurons = len(targets) - inputs
    indices = np.array([t for row in targets for t in row], np.int32)
    sizes = sizes or [neurons]
    return Connectivity(
        inputs=inputs,
        indptr=np.cumsum([0, *map(len, targets)]),
        indices=indices,
        spikes=np.ones(len(targets), np.float32) if spikes is None else np.float32(spikes),
        population=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        synapse_bits=np.bincount(indices, minlength=neurons) * bits,
        names=tuple(f"p{i}" for i in range(len(sizes))),
    )


def rows(graph):
    return [graph.indices[a:b].tolist() for a, b in itertools.pairwise(graph.indptr)]


def random_small(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, rng.integers(1, 4)).tolist()
    inputs, neurons = int(rng.integers(0, 5)), sum(sizes)
    hits = rng.random((inputs + neurons, neurons)) < rng.choice([0, 0.2, 0.6])
    targets = [np.flatnonzero(row).tolist() for row in hits]
    return graph_of(targets, inputs, sizes, rng.choice([0, 0.5, 1, 3], inputs + neurons))


@pytest.mark.parametrize("seed", range(12))
def test_a_report_counts_as_plain_loops_do(seed, tmp_path):
    graph = random_small(seed)
    rng = np.random.default_rng(seed + 100)
    cores = int(rng.integers(1, 7))
    width, height = 3, 2
    core = rng.integers(0, cores, graph.neurons).astype(np.int32)
    tile = rng.permutation(width * height)[:cores]
    capacity = Capacity(cores=cores, lanes=int(rng.choice([1, 2, 4])))
    report = measure(graph, capacity, core, tile, width, height, start="given")

    populations = int(graph.population[-1]) + 1
    reach = [sorted({int(core[t]) for t in row}) for row in rows(graph)]
    home = [-1] * graph.inputs + core.tolist()
    sources, load, bits = [0] * cores, [0] * cores, [0] * cores
    sent, received = [0.0] * populations, [0.0] * populations
    unicast = 0.0
    for s, row in enumerate(rows(graph)):
        events = float(graph.spikes[s])
        here = (0, -1) if home[s] < 0 else (tile[home[s]] % width, tile[home[s]] // width)
        for c in reach[s]:
            sources[c] += 1
            if c != home[s]:
                away = abs(here[0] - tile[c] % width) + abs(here[1] - tile[c] // width)
                unicast += events * away
                if home[s] >= 0:
                    sent[graph.population[s - graph.inputs]] += events
                for p in {int(graph.population[t]) for t in row if core[t] == c}:
                    received[p] += events
        for t in row:
            load[core[t]] += 1
    for n in range(graph.neurons):
        bits[core[n]] += int(graph.synapse_bits[n])
    found = report.occupancy
    for name, values in (("fan_in", sources), ("synapses", load), ("synapse_bits", bits)):
        assert found[name] == {
            "min": min(values), "mean": pytest.approx(np.mean(values)), "max": max(values),
            "capacity": None,
        }, name  # fmt: skip
    assert [p["sent"] for p in report.by_population] == pytest.approx(sent)
    assert [p["received"] for p in report.by_population] == pytest.approx(received)
    assert report.traffic["unicast"] == pytest.approx(unicast)
    assert report.traffic["multicast"] <= unicast + 1e-9

    slots = report.slot
    for c in range(cores):
        inside = np.flatnonzero(core == c)
        assert len(set(slots[inside])) == len(inside)
        for p in range(populations):
            part = slots[inside][graph.population[inside] == p]
            assert not len(part) or part.min() % capacity.lanes == 0
            assert np.array_equal(np.sort(part), part.min(initial=99) + np.arange(len(part)))
    report.write(tmp_path / "m.npz", graph)
    with np.load(tmp_path / "m.npz") as written:
        ends = written["reach_indptr"]
        assert [written["reach_cores"][a:b].tolist() for a, b in itertools.pairwise(ends)] == reach
        assert np.array_equal(written["core"], core)
        assert np.array_equal(written["tile"], tile)
        assert written["mesh"].tolist() == [width, height]
        for s, cores_of in enumerate(reach):
            tiles = set()
            for k in range(written["flit_indptr"][s], written["flit_indptr"][s + 1]):
                ys, xs = int(written["rows"][k]), int(written["columns"][k])
                tiles |= {y * width + x for y in range(height) for x in range(width)
                          if ys >> y & 1 and xs >> x & 1}  # fmt: skip
            assert {int(tile[c]) for c in cores_of} <= tiles <= set(tile.tolist())
        assert len(written["tag"]) == written["flit_indptr"][-1]


def test_a_chain_on_a_line():
    """Neuron i to i + 1, one a core, on 1 x 4 tiles in order: every event takes one link."""
    graph = graph_of([[1], [2], [3], []])
    report = measure(graph, Capacity(cores=4, lanes=1), np.arange(4), np.arange(4), 4, 1, start="")
    assert report.km1 == pytest.approx(3 / 4)
    assert report.hops == {"event": 1, "delivery": 1}
    assert report.traffic == {"multicast": 3, "unicast": 3, "flits": 3, "layer order": 3}
    assert report.heaviest["flits"] == 1


def test_a_multicast_shares_links():
    """One neuron to three others in a row: three links as a tree, 1 + 2 + 3 one by one."""
    graph = graph_of([[1, 2, 3], [], [], []], spikes=[5, 1, 1, 1])
    report = measure(graph, Capacity(cores=4, lanes=1), np.arange(4), np.arange(4), 4, 1, start="")
    assert report.traffic["multicast"] == 15
    assert report.traffic["unicast"] == 30
    assert report.heaviest["flits"] == 5
    assert report.heaviest["link"] in ("0,0>1,0", "1,0>2,0", "2,0>3,0")
    assert report.km1 == pytest.approx(15 / 8)


@pytest.mark.parametrize("family", [sheet, conv_like, random_layers, experts])
def test_the_families_keep_capacities_and_beat_layer_order(family):
    graph = family(1000, 6000)
    capacity = Capacity(cores=8, slots=200, lanes=4, synapse_bits=14_000, fan_in=900)
    report = map_graph(graph, capacity, seed=3)
    assert over(graph, report.core, capacity) == []
    for name in ("slots", "synapse_bits", "fan_in"):
        assert report.occupancy[name]["max"] <= report.occupancy[name]["capacity"]
    if report.naive_km1 is not None:
        assert report.km1 <= report.naive_km1 + 1e-9
    assert sorted(set(report.tile.tolist())) == sorted(report.tile.tolist())
    again = map_graph(graph, capacity, seed=3)
    assert np.array_equal(report.core, again.core)
    assert np.array_equal(report.tile, again.tile)


def test_an_inactive_expert_costs_nothing():
    """Traffic into the inner layer of an expert falls in proportion to how often it is chosen."""
    graph = experts(3000, 40_000, experts=8, active=2)
    core = np.arange(graph.neurons) * 16 // graph.neurons

    def received(spikes):
        silent = Connectivity(**{**vars(graph), "spikes": spikes.astype(np.float32)})
        report = measure(silent, Capacity(cores=16), core.astype(np.int32), np.arange(16), 4, 4,
                         start="layer order")  # fmt: skip
        return {p["name"]: p["received"] for p in report.by_population}, report

    inner = "layer16"  # the inner layer of the last of 8 experts
    first = int(np.flatnonzero(graph.population == 15)[0]) + graph.inputs
    own = slice(first, first + int((graph.population >= 15).sum() - (graph.population == 17).sum()))
    spikes = graph.spikes.copy()
    spikes[own] = 1
    whole, busy = received(spikes)
    assert whole[inner] > 0
    for share in (0.5, 0.25, 0.0):
        spikes[own] = share
        part, quiet = received(spikes)
        assert part[inner] == pytest.approx(share * whole[inner])
        assert part["layer2"] == whole["layer2"]  # the others' traffic stays
    assert quiet.traffic["multicast"] < busy.traffic["multicast"]


def test_the_fewest_cores_hold_it():
    graph = random_layers(600, 6000)
    for limits in ({"slots": 64}, {"synapse_bits": 4000}, {"fan_in": 100}, {"slots": 1}):
        capacity = Capacity(cores=1, **limits)
        cores = fewest_cores(graph, capacity, lambda text: None)
        report = map_graph(graph, Capacity(cores=cores, **limits))
        assert over(graph, report.core, Capacity(cores=cores, **limits)) == []
    assert fewest_cores(graph, Capacity(cores=1), lambda text: None) == 1
    with pytest.raises(UserError, match="one neuron's weights need"):
        fewest_cores(graph, Capacity(cores=1, synapse_bits=8), lambda text: None)


@pytest.mark.parametrize(
    ("capacity", "mesh", "message"),
    [
        ({"cores": 5}, (2, 2), "mesh: 5 cores need as many tiles, 2 x 2 available"),
        ({"cores": 70_000}, (None, None), "265 x 265 tiles, at most 65536 are mapped onto"),
        ({"cores": 2, "slots": 3}, (None, None), "neurons: .* needed .*--cores"),
    ],
)
def test_what_does_not_fit_says_what_would(capacity, mesh, message):
    graph = graph_of([[1], [2], [3], [4], [5], [6], [7], []])
    with pytest.raises(UserError, match=message):
        map_graph(graph, Capacity(**capacity), mesh)


@pytest.mark.parametrize(
    ("mesh", "note"),
    [
        ((33, 1), "33 x 1 can't be built yet: at most 32 a side"),
        (
            (32, 32),
            "32 x 32 tiles can't be built yet: words of the host need 87 bits, 64 available",
        ),
        ((8, 8), None),
    ],
)
def test_what_the_hardware_cannot_hold_is_noted(mesh, note):
    graph = graph_of([[1], []])
    report = map_graph(graph, Capacity(cores=2), mesh)
    assert len(report.notes) == (note is not None)
    assert note is None or note in report.notes[0]
