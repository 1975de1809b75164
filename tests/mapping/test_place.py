from itertools import permutations

import numpy as np
import pytest
from scipy.sparse import csr_array

from mapping.links import add_unicast, no_loads
from mapping.place import distances, mean_hops, place
from mapping.starts import hilbert, spectral
from mapping.swaps import balance


def flow_of(rng, cores, share):
    size = cores + 1
    return rng.random((size, size)) * (rng.random((size, size)) < share)


def cost(flow, tile, width, height):
    at = np.append(tile, width * height)
    return float((flow * distances(width, height)[np.ix_(at, at)]).sum())


def grid(side, torus=False):
    """Traffic of a sheet of cores, in an order that says nothing."""
    x, y = np.arange(side**2) % side, np.arange(side**2) // side
    dx, dy = (np.abs(v[:, None] - v) for v in (x, y))
    if torus:
        dx, dy = np.minimum(dx, side - dx), np.minimum(dy, side - dy)
    order = np.random.default_rng(1).permutation(side**2)
    out = np.zeros((side**2 + 1, side**2 + 1))
    out[:-1, :-1] = (dx + dy == 1)[np.ix_(order, order)]
    return out


def heaviest(flow, tile, width, height):
    loads, pairs, at = no_loads(width, height), csr_array(flow).tocoo(), np.append(tile, -1)
    add_unicast(loads, at[pairs.row], at[pairs.col], pairs.data)
    return loads.max()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mesh", [(1, 1), (2, 1), (1, 3), (2, 2), (5, 1), (3, 2)])
def test_small_placements_are_the_best(mesh, seed):
    rng = np.random.default_rng(seed)
    width, height = mesh
    for cores in range(1, width * height + 1):
        flow = flow_of(rng, cores, (0.3, 0.6, 1.0)[seed])
        best = min(
            cost(flow, np.array(tiles), width, height)
            for tiles in permutations(range(width * height), cores)
        )
        tile = place(flow, width, height, seed)
        assert cost(flow, tile, width, height) == pytest.approx(best)


@pytest.mark.parametrize("torus", [False, True])
def test_a_sheet_is_laid_flat(torus):
    """Neighbours are 1 hop apart; a folded torus would be 1.83."""
    flow = grid(12, torus)
    tile = place(flow, 12, 12)
    assert len(set(tile.tolist())) == 144
    assert mean_hops(flow, tile, 12) <= (1.9 if torus else 1)
    assert np.array_equal(tile, place(csr_array(flow), 12, 12))


def test_few_cores_stay_close_to_their_host():
    flow = np.zeros((5, 5))
    flow[4, :4] = 1, 2, 3, 4
    tile = place(flow, 4, 4)
    assert tile[3] == 0
    assert sorted(tile[1:3].tolist()) == [1, 4]
    assert tile[0] in (2, 5, 8)


def test_mean_hops_leave_out_events_that_stay():
    flow = np.array([[7.0, 1, 2], [0, 5, 0], [4, 0, 0]])
    # Cores at tiles 0 and 5 of a mesh 4 wide, the host below tile 0: 2 hops, 1 hop, 1 hop.
    assert mean_hops(flow, np.array([0, 5]), 4) == (1 * 2 + 2 * 1 + 4 * 1) / 7
    assert mean_hops(np.diag([1.0, 2, 3]), np.array([0, 5]), 4) == 0


@pytest.mark.parametrize("mesh", [(1, 1), (1, 4), (2, 2), (8, 8), (5, 3), (4, 7), (6, 1), (9, 9)])
def test_a_hilbert_curve_visits_all_tiles_step_by_step(mesh):
    width, height = mesh
    path = hilbert(width, height)
    assert sorted(path.tolist()) == list(range(width * height))
    dx, dy = np.abs(np.diff(path % width)), np.abs(np.diff(path // width))
    assert ((dx + dy == 1) | ((dx == 1) & (dy == 1))).all()
    assert (dx + dy == 2).sum() <= (max(width, height) % 2 == 1 and min(width, height) % 2 == 0)


@pytest.mark.parametrize("mesh", [(32, 1), (1, 32)])
def test_slow_modes_lay_a_line_along_the_mesh(mesh):
    """The slowest mode of a path is a cosine, monotonous along it (Strang, SIAM Review 1999)."""
    line = np.diag(np.ones(31), 1)
    order = np.random.default_rng(0).permutation(32)
    flow = csr_array((line + line.T)[np.ix_(order, order)])
    tile = spectral(flow, *mesh, np.random.default_rng(0))
    assert np.abs(np.diff(tile[np.argsort(order)])).sum() == 31


@pytest.mark.parametrize("seed", range(2))
def test_slack_buys_a_lighter_heaviest_link(seed):
    rng = np.random.default_rng(seed)
    flow = grid(8, torus=True) + flow_of(rng, 64, 0.05) * 3
    short, even = place(flow, 8, 8, seed), place(flow, 8, 8, seed, slack=0.02)
    assert mean_hops(flow, even, 8) <= 1.0201 * mean_hops(flow, short, 8)
    assert heaviest(flow, even, 8, 8) < 0.99 * heaviest(flow, short, 8, 8)


def test_balancing_keeps_books_of_the_loads():
    """After many swaps, made and unmade, the loads are those of the placement that it ends with."""
    rng = np.random.default_rng(0)
    flow = np.rint(flow_of(rng, 12, 0.4) * 100)
    np.fill_diagonal(flow, 0)
    flow[-1, -1] = 0
    graph = csr_array(flow + flow.T)
    pairs = graph.tocoo()
    out = flow[pairs.row, pairs.col].astype(np.int32)
    x, y = (
        np.append(v, e).astype(np.int32)
        for v, e in ((np.arange(12) % 4, 0), (np.arange(12) // 4, -1))
    )
    loads, at = no_loads(4, 3), np.append(np.arange(12), -1)
    wires = csr_array(flow).tocoo()
    add_unicast(loads, at[wires.row], at[wires.col], wires.data)
    before = loads.copy()
    balance(
        graph.indptr.astype(np.uint64), graph.indices.astype(np.uint32), out,
        graph.data.astype(np.int32) - out, x, y, loads, 5000, 10**6, 0,
    )  # fmt: skip
    tile = y[:-1] * 4 + x[:-1]
    assert sorted(tile.tolist()) == list(range(12))
    after, at = no_loads(4, 3), np.append(tile, -1)
    add_unicast(after, at[wires.row], at[wires.col], wires.data)
    assert np.array_equal(loads, after)
    assert (after**4).sum() < (before**4).sum()


def test_no_traffic_places_in_order():
    assert place(np.zeros((4, 4)), 2, 2).tolist() == [0, 1, 2]
    assert place(np.zeros((1, 1)), 1, 1).tolist() == []


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (np.ones((6, 6)), r"traffic: \(6, 6\) does not fit 2 x 2 tiles"),
        (np.ones((2, 3)), r"traffic: \(2, 3\) does not fit 2 x 2 tiles"),
        (-np.ones((3, 3)), "traffic must be finite and not negative"),
        (np.full((3, 3), np.nan), "traffic must be finite and not negative"),
    ],
)
def test_bad_traffic_is_refused(flow, message):
    with pytest.raises(ValueError, match=message):
        place(flow, 2, 2)
