"""The network's model: closed forms, counts by the law of the routes, and cycle-accurate RTL."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.cost.noc import Drain, burst, latency, saturation, zero_load
from codesign.cost.noc_traffic import Flows, flows_of, rates
from mapping.mapped import Target
from mapping.mapper import map_program
from tests.kit import random_program
from tests.noc.mesh_kit import OPPOSITE, STEP, law
from tests.noc.traffic_kit import (
    bernoulli,
    drained,
    mean_latency,
    measured_saturation,
    pattern,
    run,
)

SIDES = (("east", "west"), ("north", "south"))  # outputs 0 and 1 of the two stages


def column(height: int, rate_of: dict[int, float], goal: int) -> Flows:
    """Tiles of a column that all send to one of them."""
    matrix = np.zeros((height + 1, height + 1))
    for tile, rate in rate_of.items():
        matrix[tile, goal] = rate
    return Flows.unicast(matrix, 1, height)


def mean_wait(flows: Flows) -> float:
    empty, copies = zero_load(flows.width, flows.height), flows.deliveries()
    return float(latency(flows).mean[0] - (empty * copies).sum() / copies.sum())


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.3), (0.1, 0.7), (0.05, 0.0), (0.49, 0.5)])
def test_two_streams_that_meet_once_wait_as_at_one_server(a, b):
    """From below and from above: rho (1 - shares squared) / (2 (1 - rho)), here a b / rho / (1 -
    rho)."""
    rho = a + b
    expected = a * b / rho / (1 - rho)
    assert mean_wait(column(3, {0: a, 2: b}, 1)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("height", [2, 3, 8, 32])
@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_what_waits_in_a_tree_of_servers_is_what_waits_at_its_root(height, rho):
    """A column that sends to its top: in all as at one server of all sources; M/D/1 with many."""
    rate = rho / (height - 1)
    wait = mean_wait(column(height, dict.fromkeys(range(height - 1), rate), height - 1))
    one = rho * (1 - 1 / (height - 1)) / (2 * (1 - rho))
    assert wait == pytest.approx(one, rel=1e-6, abs=1e-12)
    assert wait <= rho / (2 * (1 - rho))


@pytest.mark.parametrize(("width", "height", "seed"), [(1, 1, 1), (3, 2, 2), (4, 4, 3), (2, 5, 4)])
def test_rates_follow_the_law_of_the_routes(width, height, seed):
    """Copies of each output, counted router by router."""
    rng = np.random.default_rng(seed)
    count, tiles = 40, width * height
    source = rng.integers(0, tiles + 1, count)
    rows, columns = rng.integers(2, 2 << height, count), rng.integers(1, 1 << width, count)
    rows[: seed % 2 * 4] = 1
    columns[rows == 1] = 1
    flows = Flows(
        width=width, height=height, source=source, rows=rows, columns=columns,
        rate=rng.random(count),
    )  # fmt: skip
    links = np.zeros((2, tiles, 3))
    arrived = np.zeros((tiles + 1, tiles + 1))
    for flow in range(count):
        home = source[flow]
        at = (0, 0, "south") if home == tiles else (home % width, home // width, "local")
        flit = {"rows": int(rows[flow]), "columns": int(columns[flow])}
        todo = [at]
        while todo:
            x, y, side = todo.pop()
            rate = flows.rate[flow]
            outputs = law(flit, x, y, side, width, height)
            vertical = outputs & {"north", "south", "local"}
            injected = side == "local" or (x, y, side) == (0, 0, "south")
            if vertical and (injected or side in ("east", "west")):
                links[0, y * width + x, 2] += rate
            for out in outputs:
                if out == "local":
                    links[1, y * width + x, 2] += rate
                    arrived[home, y * width + x] += rate
                    continue
                for stage, names in enumerate(SIDES):
                    if out in names:
                        links[stage, y * width + x, names.index(out)] += rate
                dx, dy = STEP[out]
                if y + dy < 0:
                    arrived[home, tiles] += rate
                else:
                    todo.append((x + dx, y + dy, OPPOSITE[out]))
    found = rates(flows)
    counted = found.copies.sum(axis=2)
    np.testing.assert_allclose(counted[1], links[1])
    np.testing.assert_allclose(counted[0, :, :2], links[0, :, :2])
    # A turn also takes flits that name its column but no row of it, and drops them.
    assert (counted[0, :, 2] >= links[0, :, 2] - 1e-9).all()
    if (rows > 1).all():
        np.testing.assert_allclose(counted[0, :, 2], links[0, :, 2])
    np.testing.assert_allclose(flows.deliveries(), arrived)
    np.testing.assert_allclose(latency(flows, 0.01).links[0], counted * 0.01)


@pytest.mark.parametrize("kind", ["uniform", "hotspot", "products", "host"])
def test_latency_grows_with_load_and_has_an_end(kind):
    flows = pattern(kind, 3, 3, seed=2)
    most = saturation(flows)
    found = rates(flows)
    assert 0 < most <= 1 / max(found.copies.sum(axis=2).max(), found.store.max())
    below = latency(flows, np.linspace(0, most, 20))
    assert (np.diff(below.mean) > 0).all()
    assert np.isfinite(below.mean).all()
    assert np.isinf(latency(flows, most * 1.01).mean).all()
    assert below.mean[0] == pytest.approx(
        (below.zero_load * flows.deliveries()).sum() / flows.deliveries().sum()
    )
    doubled = replace(flows, rate=flows.rate * 2)
    assert saturation(doubled) == pytest.approx(most / 2, rel=2e-3)


def test_one_stream_alone_never_waits():
    flows = column(2, {0: 1.0}, 1)
    assert mean_wait(replace(flows, rate=flows.rate * 0.99)) == 0
    assert saturation(flows) == pytest.approx(1, rel=2e-3)
    nothing = column(2, {}, 1)
    assert saturation(nothing) == np.inf
    assert latency(nothing).mean[0] == 0
    assert burst(nothing) == 0
    assert Drain.of(nothing).cycles(np.zeros((2, 0))).tolist() == [0, 0]


def test_an_empty_mesh_takes_exactly_these_cycles():
    """All pairs of a 4x4 mesh and the host, one flit at a time, in the RTL."""
    flows = Flows.unicast(1 - np.diag([0.0] * 16 + [1.0]), 4, 4)
    number = np.arange(len(flows.source))
    got = run(flows, number * 12, number)
    assert len(got.event) == len(number)
    empty = zero_load(4, 4)
    source = flows.source[got.event]
    np.testing.assert_array_equal(got.latency, empty[source, got.end])


@pytest.mark.parametrize("seed", [5])
def test_the_tree_of_servers_in_rtl(seed):
    """Column 0 of a 4x4 mesh sends to its top: the closed form holds in the RTL."""
    matrix = np.zeros((17, 17))
    matrix[[0, 4, 8], 12] = 0.8 / 3
    flows = Flows.unicast(matrix, 4, 4)
    expected = 0.8 * (2 / 3) / (2 * 0.2) + (4 + 5 + 6) / 3
    assert latency(flows).mean[0] == pytest.approx(expected)
    assert mean_latency(flows, 1.0, 60_000, seed) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("kind", "seed"), [("uniform", 1), ("products", 2)])
def test_the_model_tells_the_rtl_s_latency(kind, seed):
    flows = pattern(kind, 4, 4, seed)
    most = measured_saturation(flows, 8000, seed)
    assert saturation(flows) == pytest.approx(most, rel=0.1)
    for load, error in ((0.5, 0.01), (0.8, 0.05)):
        ours = latency(flows, load * most).mean[0]
        theirs = mean_latency(flows, load * most, 40_000, seed)
        assert ours == pytest.approx(theirs, rel=error), f"seed {seed}, load {load}"


@pytest.mark.parametrize("seed", [7])
def test_bursts_drain_no_sooner_than_the_bound(seed):
    rng = np.random.default_rng(seed)
    flows = pattern("products", 4, 4, seed)
    size = rng.integers(0, 12, 40)
    flits = rng.integers(0, size[:, None] + 1, (40, len(flows.source)))
    flits[0], flits[1] = 0, 0
    flits[1, 5] = 1
    bound = Drain.of(flows).cycles(flits)
    rtl = drained(flows, flits, gap=400)
    assert bound[0] == rtl[0] == 0
    assert (rtl >= bound).all(), f"seed {seed}"
    assert np.corrcoef(rtl, bound)[0, 1] >= 0.97, f"seed {seed}"
    expected = [burst(replace(flows, rate=row)) for row in flits[:12]]
    assert np.mean(expected[2:]) == pytest.approx(rtl[2:12].mean(), rel=0.15), f"seed {seed}"


def test_the_flows_of_a_network_are_its_routes():
    mapped = map_program(random_program(3, (6, 9, 4)), Target(cores=4))
    flows, use = flows_of(mapped)
    program = mapped.program
    routes = [*mapped.input_routes, *mapped.delayed_routes]
    neurons = sum(p.size for p in program.populations)
    assert use.shape == (len(flows.source), len(routes) + neurons)
    assert use[:, : len(routes)].sum() == sum(map(len, routes))
    one = use[:, : len(routes)] @ np.ones(len(routes))
    assert (flows.source[one > 0] == flows.tiles).all()
    assert len({*zip(flows.source, flows.rows, flows.columns, strict=True)}) == len(flows.source)
    outputs = program.population(program.outputs[0]).size
    to_host = (flows.source < flows.tiles) & (flows.rows & 1 == 1) & (flows.columns & 1 == 1)
    assert (use[to_host].sum(axis=0) > 0).sum() == outputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be an integer in 1..32, not 0"),
        ({"source": [5]}, "source must be in 0..4, not 5..5"),
        ({"rows": [8]}, "rows must be in 1..7, not 8..8"),
        ({"columns": [0]}, "columns must be in 1..3, not 0..0"),
        ({"rate": [-1.0]}, "rate must be finite and at least 0, not -1.0..-1.0"),
        ({"rate": [np.nan]}, "rate must be finite"),
        ({"rate": [1.0, 1.0]}, "source, rows, columns and rate must be of one length"),
        ({"rows": [1], "columns": [2]}, "the host alone .* stands in column 0"),
    ],
)
def test_wrong_flows_are_refused(change, message):
    right = {"source": [0], "rows": [2], "columns": [1], "rate": [0.5]}
    made = {name: np.array(value) if isinstance(value, list) else value
            for name, value in ({"width": 2, "height": 2} | right | change).items()}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        Flows(**made)


def test_a_wrong_matrix_and_too_much_traffic_are_refused():
    with pytest.raises(ValueError, match=r"is a matrix \(5, 5\), not \(4, 4\)"):
        Flows.unicast(np.zeros((4, 4)), 2, 2)
    with pytest.raises(ValueError, match="source 0 sends at most 1 event a cycle, not 2"):
        bernoulli(column(2, {0: 1.0}, 1), 2.0, 10, 1)
