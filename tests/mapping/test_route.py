from itertools import product as cartesian

import networkx as nx
import numpy as np
import pytest

from mapping.mapper import Target, map_program
from mapping.route import Router, allocate_tags, links
from tests.kit import random_program
from tests.mapping.fabric import unpack, walk

MESHES = [(1, 1), (2, 1), (1, 3), (2, 2), (3, 3), (4, 3)]


def bit_tiles(mask, width):
    return {(t % width, t // width) for t in range(mask.bit_length()) if mask >> t & 1}


@pytest.mark.parametrize("mesh", MESHES)
def test_links_are_those_of_a_walk(mesh):
    width, height = mesh
    rng = np.random.default_rng(1)
    for x, y in cartesian(range(width), range(height)):
        for _ in range(20):
            columns = int(rng.integers(1, 1 << width))
            rows = int(rng.integers(1, 1 << height)) << 1
            reached, path = walk(rows, columns, x, y, width, height)
            assert len(set(reached)) == len(reached)
            assert sorted(path) == sorted(links((rows, columns), x, y))


@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_a_cover_reaches_all_once_and_no_empty_tile(seed, limit):
    rng = np.random.default_rng(seed)
    for width, height in MESHES:
        tiles = width * height
        cores = int(rng.integers(1, 1 << tiles))
        router = Router(width, height, cores, limit)
        for _ in range(30):
            wanted = int(rng.integers(1 << tiles)) & cores
            x, y = int(rng.integers(width)), int(rng.integers(height))
            try:
                cover = router.cover(wanted, x, y)
            except ValueError:
                assert limit is not None
                continue
            assert limit is None or len(cover) <= limit
            seen = [t for p in cover for t in walk(*p, x, y, width, height)[0]]
            assert len(seen) == len(set(seen)), "delivered twice"
            assert set(seen) >= bit_tiles(wanted, width)
            assert set(seen) <= bit_tiles(cores, width)


def test_a_product_is_one_flit():
    router = Router(4, 4, (1 << 16) - 1)
    assert len(router.cover(0b0000_1010_0000_1010, 0, 0)) == 1


def test_a_near_product_takes_one_flit_and_an_empty_row():
    router = Router(2, 2, 0b1111)
    (one,) = router.cover(0b0111, 0, 0)
    assert router.tiles(one) == 0b1111


def test_a_near_product_over_a_tile_without_core_is_split():
    router = Router(2, 2, 0b0111)
    cover = router.cover(0b0111, 0, 0)
    assert sorted(router.tiles(p) for p in cover) in ([0b0001, 0b0110], [0b0011, 0b0100], [2, 5])


def test_a_diagonal_is_split_with_few_empty_rows():
    router = Router(8, 8, (1 << 64) - 1)
    cover = router.cover(sum(1 << (9 * i) for i in range(8)), 0, 0)
    assert 4 <= len(cover) <= 8
    assert sum(router.tiles(p).bit_count() for p in cover) <= 16


def test_a_limit_that_empty_tiles_forbid_is_refused():
    with pytest.raises(ValueError, match="more than 1 flits"):
        Router(2, 2, 0b0111, 1).cover(0b0111, 0, 0)


def test_tags_differ_wherever_two_sources_meet():
    rng = np.random.default_rng(0)
    sets = [(int(rng.integers(1, 1 << 9)), int(rng.integers(1, 40))) for _ in range(60)]
    tags, axons = allocate_tags(sets, 9)
    for tile in range(9):
        here = [t for (mask, _), t in zip(sets, tags, strict=True) if mask >> tile & 1]
        flat = np.concatenate(here) if here else np.zeros(0, int)
        assert len(np.unique(flat)) == len(flat)
        assert axons[tile] == (flat.max() + 1 if len(flat) else 0)
    assert [len(t) for t in tags] == [count for _, count in sets]


def test_tags_of_separate_tiles_start_at_0():
    tags, axons = allocate_tags([(1, 5), (2, 7)], 2)
    assert axons == [5, 7]
    assert tags[0].tolist() == list(range(5))


@pytest.mark.parametrize("mesh", [(2, 2), (3, 3), (4, 3)])
def test_channel_dependences_of_generated_tables_are_acyclic(mesh):
    """A flit that holds a link waits for the next ones: those waits never close a circle."""
    width, height = mesh
    program = random_program(5, (30, 40, 40, 20))
    mapped = map_program(program, Target(cores=width * height - 1, width=width, height=height))
    flit = mapped.mesh.flit
    starts = []
    for tile, images in enumerate(mapped.images):
        for route in images[4] if images else []:
            _, rows, columns, _, valid = unpack(
                route, flit.tag_bits, flit.rows_bits, flit.columns_bits, 1
            )
            if valid:
                starts.append((rows, columns, tile % width, tile // width))
    for routes in mapped.input_routes + mapped.delayed_routes:
        starts += [(rows, columns, 0, 0) for _, rows, columns in routes]
    graph = nx.DiGraph()
    for rows, columns, x, y in set(starts):
        path = walk(rows, columns, x, y, width, height)[1]
        into = {(c, d): (a, b, c, d) for a, b, c, d in path}
        for a, b, c, d in path:
            if (a, b) in into:
                graph.add_edge(into[a, b], (a, b, c, d))
            graph.add_node((a, b, c, d))
    assert graph.number_of_edges()
    assert nx.is_directed_acyclic_graph(graph)
