"""Links, trees and waits of routes against walks hop by hop and networkx."""

from itertools import product as cartesian

import networkx as nx
import numpy as np
import pytest

from mapping.deadlock import check, dependence_cycle, dependences
from mapping.links import (
    STEPS,
    Links,
    add_flits,
    add_trees,
    add_unicast,
    extents,
    name_of,
    no_loads,
)
from mapping.mapper import Target, map_program
from tests.kit import random_program
from tests.mapping.fabric import unpack, walk

MESHES = [(1, 1), (2, 1), (1, 3), (2, 2), (3, 3), (4, 3), (5, 7)]


def numbered(link):
    """(x, y, next x, next y) as direction, row, column."""
    a, b, c, d = link
    return STEPS.index((c - a, d - b)), b + 1, a


def random_flits(rng, width, height, count):
    """Products of random masks from random nodes: start, rows (row 0 is the host), columns."""
    start = rng.integers(-1, width * height, count)
    columns = rng.integers(1, 1 << width, count, dtype=np.uint64)
    rows = rng.integers(1, 1 << height, count, dtype=np.uint64) << np.uint64(1)
    out = rng.random(count) < 0.1
    return start, np.where(out, np.uint64(1), rows), np.where(out, np.uint64(1), columns)


def ways(start, rows, columns):
    """As links.add_flits and deadlock.dependences take them."""
    bottom, top = (e - 1 for e in extents(rows))
    return start, np.arange(len(start) + 1), bottom, top, columns


def path(start, rows, columns, width, height):
    y, x = divmod(max(int(start), 0), width)
    links = walk(int(rows), int(columns), x, y, width, height)[1]
    return [(0, -1, 0, 0)] * int(start < 0) + links


def xy(start, tile, width):
    """The links from a node to a tile or (-1) the host, X first."""
    at, links = (0, -1) if start < 0 else (start % width, start // width), []
    goal = (0, -1) if tile < 0 else (tile % width, tile // width)
    while at != goal:
        dx, dy = np.sign(goal[0] - at[0]), np.sign(goal[1] - at[1])
        step = (0, 1) if at[1] < 0 else (int(dx), 0) if dx else (0, int(dy))
        links.append((*at, at[0] + step[0], at[1] + step[1]))
        at = links[-1][2:]
    return links


def waits(paths):
    """networkx: each link of a flit, and the links of its copies that it asks for."""
    graph = nx.DiGraph()
    for links in paths:
        into = {link[2:]: link for link in links}
        graph.add_edges_from((into[link[:2]], link) for link in links if link[:2] in into)
    return graph


def marked(pairs, width, height):
    found = np.zeros((4, height + 1, width, 4), bool)
    for held, asked in pairs:
        found[(*numbered(held), numbered(asked)[0])] = True
    return found


@pytest.mark.parametrize("mesh", MESHES)
def test_links_and_waits_of_flits_are_those_of_a_walk(mesh):
    width, height = mesh
    rng = np.random.default_rng(1)
    start, rows, columns = random_flits(rng, width, height, 100)
    own = [k for k in range(100) if not (start[k] < 0 and rows[k] & np.uint64(1))]
    start, rows, columns = start[own], rows[own], columns[own]
    events = rng.integers(1, 9, len(own)).astype(float)
    loads, wanted, paths = no_loads(width, height), no_loads(width, height), []
    add_flits(loads, *ways(start, rows, columns), events)
    for s, r, c, e in zip(start, rows, columns, events, strict=True):
        paths.append(path(s, r, c, width, height))
        for link in paths[-1]:
            wanted[numbered(link)] += e
    assert np.array_equal(loads, wanted)
    graph, found = waits(paths), dependences(width, height, *ways(start, rows, columns))
    assert np.array_equal(found, marked(graph.edges, width, height))
    assert nx.is_directed_acyclic_graph(graph)
    assert dependence_cycle(found) is None


@pytest.mark.parametrize("mesh", MESHES)
def test_trees_are_the_union_of_ways_x_first(mesh):
    width, height = mesh
    rng = np.random.default_rng(2)
    for _ in range(40):
        start = int(rng.integers(-1, width * height))
        tiles = np.flatnonzero(rng.random(width * height) < rng.random()).astype(np.int32)
        ends, each = np.array([0, len(tiles)]), np.full(len(tiles), start)
        tree, unicast = no_loads(width, height), no_loads(width, height)
        columns = add_trees(tree, np.array([start]), ends, tiles, np.array([2.0]))
        add_unicast(unicast, each, tiles, np.full(len(tiles), 2.0))
        parts = [xy(start, int(t), width) for t in tiles]
        union = no_loads(width, height)
        for link in {link for part in parts for link in part}:
            union[numbered(link)] = 2
        assert np.array_equal(tree, union)
        assert columns[0] == len({int(t) % width for t in tiles})
        assert unicast.sum() == 2 * sum(map(len, parts))
        assert 2 * max(map(len, parts), default=0) <= tree.sum() <= unicast.sum()


def test_flits_to_the_host_leave_at_the_first_tile():
    loads = no_loads(3, 2)
    add_unicast(loads, np.array([5, -1, -1]), np.array([-1, -1, 4]), np.array([1.0, 2.0, 3.0]))
    assert Links(loads).named() == {
        "2,1>1,1": 1, "1,1>0,1": 1, "0,1>0,0": 1, "0,0>host": 1,
        "host>0,0": 3, "0,0>1,0": 3, "1,0>1,1": 3,
    }  # fmt: skip
    assert Links(loads).heaviest == ("0,0>1,0", 3.0)
    assert Links(loads).total == 13
    assert name_of(3, 1, 0) == "0,0>host"


@pytest.mark.parametrize("mesh", [(2, 2), (3, 3), (4, 3), (1, 5)])
def test_generated_tables_wait_in_no_circle(mesh):
    width, height = mesh
    program = random_program(5, (30, 40, 40, 20))
    mapped = map_program(program, Target(cores=width * height, width=width, height=height))
    flit, sent = mapped.mesh.flit, []
    for tile, images in enumerate(mapped.images):
        for route in images[4] if images else []:
            _, rows, columns, _, valid = unpack(
                route, flit.tag_bits, flit.rows_bits, flit.columns_bits, 1
            )
            if valid:
                sent.append((tile, rows, columns))
    for routes in mapped.input_routes + mapped.delayed_routes:
        sent += [(-1, rows, columns) for _, rows, columns in routes]
    sent = sorted(set(sent))
    graph = waits(path(*flit, width, height) for flit in sent)
    assert graph.number_of_edges()
    assert nx.is_directed_acyclic_graph(graph)
    start, rows, columns = (np.array(part) for part in zip(*sent, strict=True))
    way = ways(start, rows.astype(np.uint64), columns.astype(np.uint64))
    found = dependences(width, height, *way)
    assert np.array_equal(found, marked(graph.edges, width, height))
    check(found)


def test_ways_that_turn_both_ways_are_found():
    """All flits X first, and one from (1, 1) to (0, 0) and one from (0, 0) to (1, 1) Y first."""
    flits = [(s, 2 << t // 2, 1 << t % 2) for s, t in cartesian(range(4), range(4)) if s != t]
    paths = [path(*flit, 2, 2) for flit in flits]
    one_turn = [*paths, [(0, 0, 0, 1), (0, 1, 1, 1)]]
    for some in (paths, one_turn):
        assert dependence_cycle(marked(waits(some).edges, 2, 2)) is None
    found = marked(waits([*one_turn, [(1, 1, 1, 0), (1, 0, 0, 0)]]).edges, 2, 2)
    circle = dependence_cycle(found)
    assert circle is not None
    for (direction, row, column), (way, *end) in zip(circle, [*circle[1:], circle[0]], strict=True):
        assert found[direction, row, column, way]
        assert end == [row + STEPS[direction][1], column + STEPS[direction][0]]
    with pytest.raises(RuntimeError, match=r"^routes can deadlock: \d,\d>\d,\d, "):
        check(found)


@pytest.mark.parametrize("seed", range(20))
def test_circles_are_those_that_networkx_finds(seed):
    rng = np.random.default_rng(seed)
    found = rng.random((4, 5, 4, 4)) < 0.15
    for direction, row, column, way in np.argwhere(found):
        x, y = column + STEPS[direction][0], row + STEPS[direction][1]
        inside = 0 <= x < 4 and 1 <= y < 5 and row > 0
        found[direction, row, column, way] = inside
    graph = nx.DiGraph()
    for direction, row, column, way in np.argwhere(found):
        dx, dy = STEPS[direction]
        graph.add_edge((direction, row, column), (way, row + dy, column + dx))
    circle = dependence_cycle(found)
    assert (circle is None) == nx.is_directed_acyclic_graph(graph)
    if circle:
        assert all(
            graph.has_edge(a, b) for a, b in zip(circle, circle[1:] + circle[:1], strict=True)
        )
