import numpy as np
import pytest

from mapping.connectivity import Connectivity
from mapping.place import mean_hops, place
from mapping.traffic import core_traffic, deliveries, destinations, route_all


def graph_of(rng, inputs, neurons, most):
    """Random targets, from none to all, and random spikes, some silent."""
    fan = rng.integers(0, most + 1, inputs + neurons)
    rows = [np.sort(rng.permutation(neurons)[:k]).astype(np.int32) for k in fan]
    spikes = rng.integers(0, 4, inputs + neurons).astype(np.float32)
    return Connectivity(
        inputs=inputs,
        indptr=np.append(0, np.cumsum([len(r) for r in rows])),
        indices=np.concatenate([*rows, np.zeros(0, np.int32)]),
        spikes=spikes,
        population=np.zeros(neurons, np.int32),
        synapse_bits=np.zeros(neurons, np.int64),
    )


def targets(graph, source):
    return graph.indices[graph.indptr[source] : graph.indptr[source + 1]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("neurons", "cores"), [(1, 1), (7, 3), (60, 12), (60, 90)])
def test_traffic_counts_each_core_of_a_source_once(seed, neurons, cores):
    rng = np.random.default_rng(seed)
    graph = graph_of(rng, 5, neurons, neurons)
    core = rng.integers(cores, size=neurons).astype(np.int32)
    wanted = np.zeros((cores + 1, cores + 1))
    first, reached = destinations(graph, core, cores)
    for source in range(graph.sources):
        home = cores if source < 5 else core[source - 5]
        mine = sorted(set(core[targets(graph, source)].tolist()))
        assert reached[first[source] : first[source + 1]].tolist() == mine
        wanted[home, mine] += graph.spikes[source]
    assert np.array_equal(core_traffic(graph, core, cores).toarray(), wanted)


@pytest.mark.parametrize("mesh", [(1, 1), (3, 1), (2, 3), (4, 4), (7, 5)])
def test_routes_reach_all_and_loads_add_up(mesh):
    width, height = mesh
    tiles = width * height
    rng = np.random.default_rng(tiles)
    cores = max(tiles - 2, 1)
    graph = graph_of(rng, 9, 6 * cores, 20)
    core = rng.integers(cores, size=6 * cores).astype(np.int32)
    tile = rng.permutation(tiles)[:cores]
    routes = route_all(graph, core, tile, width, height)
    flow = core_traffic(graph, core, cores)
    # Unicast: links are events times hops, which placement knows from the traffic alone.
    gone = flow.sum() - flow.diagonal().sum()
    assert routes.unicast.total == pytest.approx(mean_hops(flow, tile, width) * gone)
    assert routes.tree.total <= min(routes.unicast.total, routes.flits.total)
    assert routes.packets == flow.sum()
    assert routes.events == graph.spikes[np.diff(graph.indptr) > 0].sum()
    # What each source's flits reach: all its cores' tiles, once, and no tile without a core.
    p = routes.products
    indptr, hit = deliveries(p.first, p.rows, p.columns, width)
    heard = [set() for _ in range(tiles)]
    for source in range(graph.sources):
        mine = hit[indptr[source] : indptr[source + 1]].tolist()
        wanted = set(tile[core[targets(graph, source)]].tolist())
        assert len(set(mine)) == len(mine)
        assert wanted <= set(mine) <= set(tile.tolist())
        assert routes.reached[source] == len(wanted)
        assert routes.entries[source] == p.first[source + 1] - p.first[source] <= len(wanted)
        for k in range(p.first[source], p.first[source + 1]):
            for t in deliveries(np.array([k, k + 1]), p.rows, p.columns, width)[1].tolist():
                assert routes.tag[k] not in heard[t], "two flits with one tag"
                heard[t].add(int(routes.tag[k]))
    assert [max(h, default=-1) + 1 for h in heard] == routes.axons.tolist()
    link, load = routes.flits.heaviest
    assert routes.heaviest == {"link": link, "load": load}
    assert load == routes.flits.loads.max() == routes.flits.named().get(link, 0)


def test_silent_sources_have_routes_but_no_traffic():
    rng = np.random.default_rng(0)
    graph = graph_of(rng, 3, 40, 10)
    graph.spikes[:] = 0
    core = (np.arange(40) % 4).astype(np.int32)
    routes = route_all(graph, core, np.arange(4), 2, 2)
    assert (routes.events, routes.packets, routes.traffic, routes.flits.total) == (0, 0, 0, 0)
    assert routes.entries.sum() > 0
    assert core_traffic(graph, core, 4).nnz == 0


def test_meshes_too_wide_for_masks_have_trees_only():
    rng = np.random.default_rng(0)
    graph = graph_of(rng, 2, 80, 5)
    core = np.arange(80, dtype=np.int32)
    routes = route_all(graph, core, np.arange(80), 80, 1)
    assert routes.products is routes.tag is routes.axons is None
    assert routes.flits.total == routes.tree.total > 0
    assert np.array_equal(routes.entries, routes.reached)  # in one row, a column is a core


def test_a_graph_without_synapses_has_no_routes():
    graph = graph_of(np.random.default_rng(0), 1, 3, 0)
    routes = route_all(graph, np.zeros(3, np.int32), np.arange(1), 1, 1)
    assert routes.traffic == routes.events == routes.entries.sum() == 0
    assert place(core_traffic(graph, np.zeros(3, np.int32), 1), 1, 1).tolist() == [0]


def test_products_take_fewer_entries_than_cores():
    """Blocks of 2 x 2 cores that all hear each other: one flit instead of four."""
    width = 6
    core = np.arange(36, dtype=np.int32)
    block = core // width // 2 * 3 + core % width // 2
    rows = [np.flatnonzero(block == b).astype(np.int32) for b in block]
    graph = Connectivity(
        inputs=0, indptr=np.arange(37) * 4, indices=np.concatenate(rows),
        spikes=np.ones(36, np.float32), population=np.zeros(36, np.int32),
        synapse_bits=np.zeros(36, np.int64),
    )  # fmt: skip
    routes = route_all(graph, core, core, width, width)
    assert (routes.entries == 1).all()
    assert (routes.reached == 4).all()
    assert (routes.axons == 4).all()
    assert routes.flits.total == routes.tree.total == 36 * 3
    assert routes.unicast.total == 36 * 4
