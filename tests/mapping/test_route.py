from itertools import combinations
from itertools import product as cartesian

import numpy as np
import pytest

from mapping.cover import DELIVERY_COST, FLIT_COST, bits_of, columns_of, cover_all, highest, lowest
from mapping.tags import first_fit
from tests.mapping.fabric import walk

MESHES = [(1, 1), (2, 1), (1, 3), (2, 2), (3, 3), (4, 3), (5, 7)]


def cover(wanted, start, width, height, cores=None, limit=-1):
    """Products [(rows, columns)] of tile masks that reach the wanted tiles; None: too many."""
    cores = np.arange(width * height) if cores is None else np.asarray(cores)
    wanted = np.asarray(wanted, np.int32)
    count, rows, columns = cover_all(
        np.array([start]), np.array([0, len(wanted)]), wanted, columns_of(cores, width, height),
        width, height, np.array([limit]),
    )  # fmt: skip
    assert count[0] in (-1, len(rows))
    return None if count[0] < 0 else list(zip(rows.tolist(), columns.tolist(), strict=True))


def reached(products, start, width, height):
    """Tiles and links that flits reach, hop by hop."""
    y, x = divmod(start, width)
    ways = [walk(rows << 1, columns, x, y, width, height) for rows, columns in products]
    return [cy * width + cx for tiles, _ in ways for cx, cy in tiles], [
        k for _, w in ways for k in w
    ]


def price(products, start, width, height):
    tiles, links = reached(products, start, width, height)
    return FLIT_COST * len(products) + len(links) + DELIVERY_COST * len(tiles)


def cheapest(wanted, start, width, height):
    """Over all ways to part the wanted tiles, each part's least product: the least price."""
    wanted = list(wanted)
    best = np.inf

    def part(left, blocks):
        nonlocal best
        if left:
            for i in range(len(blocks)):
                part(left[1:], [*blocks[:i], [*blocks[i], left[0]], *blocks[i + 1 :]])
            part(left[1:], [*blocks, [left[0]]])
            return
        products = []
        for block in blocks:
            rows = columns = 0
            for tile in block:
                rows, columns = rows | 1 << tile // width, columns | 1 << tile % width
            products.append((rows, columns))
        if all(not (a & c and b & d) for (a, b), (c, d) in combinations(products, 2)):
            best = min(best, price(products, start, width, height))

    part(wanted, [])
    return best


@pytest.mark.parametrize("mask", [1, 2, 3, 0b1011000, (1 << 64) - 1, 1 << 63, 0x8000000100000001])
def test_bits_of_masks(mask):
    word = np.uint64(mask)
    assert bits_of(word) == mask.bit_count()
    assert lowest(word) == (mask & -mask).bit_length() - 1
    assert highest(word) == mask.bit_length() - 1


@pytest.mark.parametrize("limit", [-1, 1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_cover_reaches_all_once_and_no_empty_tile(seed, limit):
    rng = np.random.default_rng(seed)
    for width, height in MESHES:
        tiles = width * height
        for _ in range(30):
            cores = np.flatnonzero(rng.random(tiles) < rng.choice([0.5, 0.9, 1]))
            wanted = rng.permutation(cores)[: rng.integers(tiles + 1)]
            start = int(rng.integers(-1, tiles))
            products = cover(wanted, start, width, height, cores, limit)
            if products is None:
                assert limit > 0
                continue
            assert limit < 0 or len(products) <= limit
            seen, _ = reached(products, max(start, 0), width, height)
            assert len(seen) == len(set(seen)), "delivered twice"
            assert set(wanted.tolist()) <= set(seen) <= set(cores.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_covers_are_close_to_the_cheapest(seed):
    rng = np.random.default_rng(seed)
    ratio = []
    for _ in range(25):
        start, wanted = int(rng.integers(16)), rng.choice(16, int(rng.integers(1, 7)), False)
        best = cheapest(wanted.tolist(), start, 4, 4)
        found = price(cover(wanted, start, 4, 4), start, 4, 4)
        assert found >= best
        ratio.append(found / best)
    assert max(ratio) <= 1.25
    assert np.mean(ratio) <= 1.02


def test_sets_are_covered_one_by_one():
    rng = np.random.default_rng(0)
    sets = [rng.choice(12, k, False).astype(np.int32) for k in (3, 0, 12, 1, 0, 5)]
    start = np.array([0, 3, -1, 11, 5, 5])
    indptr = np.append(0, np.cumsum([len(s) for s in sets]))
    count, rows, columns = cover_all(
        start, indptr, np.concatenate(sets), columns_of(np.arange(12), 4, 3), 4, 3, np.full(6, -1)
    )
    alone = [cover(s, p, 4, 3) for s, p in zip(sets, start, strict=True)]
    assert count.tolist() == [len(a) for a in alone]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [p for a in alone for p in a]


def test_masks_hold_64_columns_and_rows():
    corner = [0, 63, 64 * 63, 64 * 64 - 1]
    assert cover(corner, 0, 64, 64) == [(1 | 1 << 63, 1 | 1 << 63)]


def test_a_product_is_one_flit():
    assert cover([1, 3, 9, 11], 0, 4, 4) == [(0b101, 0b1010)]


def test_a_near_product_takes_one_flit_and_an_empty_row():
    assert cover([0, 1, 2], 0, 2, 2) == [(0b11, 0b11)]


def test_a_near_product_over_a_tile_without_core_is_split():
    products = cover([0, 1, 2], 0, 2, 2, cores=[0, 1, 2])
    assert sorted(products) in ([(1, 2), (3, 1)], [(1, 3), (2, 1)])


def test_a_diagonal_is_split_with_few_empty_rows():
    products = cover([9 * i for i in range(8)], 0, 8, 8)
    assert 4 <= len(products) <= 8
    assert len(reached(products, 0, 8, 8)[0]) <= 16


def test_a_limit_that_empty_tiles_forbid_is_refused():
    assert cover([0, 1, 2], 0, 2, 2, cores=[0, 1, 2], limit=1) is None


@pytest.mark.parametrize("seed", range(3))
def test_tags_differ_wherever_two_flits_meet(seed):
    rng = np.random.default_rng(seed)
    sets = [np.flatnonzero(rng.random(9) < rng.random()) for _ in range(3000)]
    indptr, tiles = np.append(0, np.cumsum([len(s) for s in sets])), np.concatenate(sets)
    tag, axons = first_fit(indptr, tiles, 9)
    owner = np.repeat(tag, np.diff(indptr))
    for tile in range(9):
        here = owner[tiles == tile]
        assert len(np.unique(here)) == len(here)
        assert axons[tile] == here.max() + 1
    assert axons.max() < 1.05 * np.bincount(tiles).max()


def test_tags_of_separate_tiles_start_at_0():
    tag, axons = first_fit(np.arange(13), np.repeat([0, 1], [5, 7]), 3)
    assert axons.tolist() == [5, 7, 0]
    assert tag.tolist() == [*range(5), *range(7)]


def test_flits_without_tiles_take_no_tag():
    tag, axons = first_fit(np.array([0, 0, 1, 1]), np.array([0]), 1)
    assert (tag.tolist(), axons.tolist()) == ([0, 0, 0], [1])


@pytest.mark.parametrize("mesh", list(cartesian((1, 3), (1, 2))))
def test_a_host_starts_at_the_first_tile(mesh):
    everywhere = range(mesh[0] * mesh[1])
    assert cover(everywhere, -1, *mesh) == cover(everywhere, 0, *mesh)
