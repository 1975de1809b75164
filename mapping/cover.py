"""Sets of tiles as products of rows and columns, one flit each, in compiled loops.

A set that is no product is split by rows (those with equal columns are one product) or by columns;
then two products are united wherever the extra deliveries, to cores that ignore the event, cost
less than a second flit, and those that the union overlaps join it. The cheaper of both ways is
kept. Masks: tile row y is bit y, column x is bit x; so meshes have at most 64 x 64 tiles.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["DELIVERY_COST", "FLIT_COST", "bits_of", "columns_of", "cover_all", "highest", "lowest"]

#: A flit more costs this many links: injection, and a wider route table.
FLIT_COST = 4

#: A delivery costs this many links: the core looks up a row, and has a row to look up.
DELIVERY_COST = 2

ONE, NONE = np.uint64(1), np.uint64(0)


def columns_of(tile: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint64 [height]: the columns of these tiles, row by row."""
    masks = np.zeros(height, np.uint64)
    np.bitwise_or.at(masks, tile // width, ONE << (tile % width).astype(np.uint64))
    return masks


@njit(cache=True, nogil=True)
def bits_of(mask: np.uint64) -> int:
    """How many bits are set (Warren, Hacker's Delight, 5-1)."""
    mask = mask - ((mask >> ONE) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    mask = (mask & pairs) + ((mask >> np.uint64(2)) & pairs)
    mask = (mask + (mask >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    mask = (mask * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return np.int64(mask)  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def lowest(mask: np.uint64) -> int:
    """The number of the lowest bit that is set."""
    return bits_of((mask & (~mask + ONE)) - ONE)


@njit(cache=True, nogil=True)
def highest(mask: np.uint64) -> int:
    """The number of the highest bit that is set."""
    for shift in (1, 2, 4, 8, 16, 32):
        mask |= mask >> np.uint64(shift)
    return bits_of(mask) - 1


@njit(cache=True, nogil=True)
def _price(rows: np.uint64, columns: np.uint64, x: int, y: int) -> int:
    """A flit, its links from (x, y), its deliveries."""
    along = max(highest(columns) - x, 0) + max(x - lowest(columns), 0)
    across = max(highest(rows) - y, 0) + max(y - lowest(rows), 0)
    wide = bits_of(columns)
    return FLIT_COST + along + wide * (across + DELIVERY_COST * bits_of(rows))


@njit(cache=True, nogil=True)
def _split(lines: np.ndarray, count: int, one: np.ndarray, other: np.ndarray) -> int:
    """Groups lines of equal masks: the lines of each into `one`, the mask into `other`."""
    found = 0
    for k in range(count):
        if lines[k]:
            g = 0
            while g < found and other[g] != lines[k]:
                g += 1
            if g == found:
                one[g], other[g] = NONE, lines[k]
                found += 1
            one[g] |= ONE << np.uint64(k)
    return found


@njit(cache=True, nogil=True)
def _unite(
    rows: np.ndarray, columns: np.ndarray, price: np.ndarray, count: int, i: int, j: int,
    x: int, y: int, present: np.ndarray,
) -> tuple[np.uint64, np.uint64, int]:  # fmt: skip
    """Products i and j as one, with all that it overlaps, and what that saves.

    Row mask 0: a tile of it has no core.
    """
    r, c = rows[i] | rows[j], columns[i] | columns[j]
    saved, grown = 0, True
    while grown:
        saved, grown = 0, False
        for k in range(count):
            if k in (i, j) or (rows[k] & r and columns[k] & c):
                saved += price[k]
                grown |= (rows[k] | r) != r or (columns[k] | c) != c
                r, c = r | rows[k], c | columns[k]
    for k in range(lowest(r), highest(r) + 1):
        if (r >> np.uint64(k)) & ONE and c & ~present[k]:
            return NONE, c, 0
    return r, c, saved - _price(r, c, x, y)


@njit(cache=True, nogil=True)
def _merge(
    rows: np.ndarray, columns: np.ndarray, price: np.ndarray, count: int, x: int, y: int,
    present: np.ndarray, limit: int, pair_rows: np.ndarray, pair_columns: np.ndarray,
    gain: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Unites the pair that saves most while that costs nothing, or there are more than `limit`.

    Returns how many products remain (the others' rows are 0) and their price. What each pair would
    save is remembered until a union changes one of it or overlaps theirs.
    """
    for k in range(count):
        price[k] = _price(rows[k], columns[k], x, y)
    left, fresh = count, -1
    while left > 1:
        a = b = -1
        for i in range(count):
            if not rows[i]:
                continue
            for j in range(i):
                if not rows[j]:
                    continue
                overlaps = rows[fresh] & pair_rows[i, j] and columns[fresh] & pair_columns[i, j]
                if fresh in (-1, i, j) or overlaps:
                    r, c, saved = _unite(rows, columns, price, count, i, j, x, y, present)
                    pair_rows[i, j], pair_columns[i, j], gain[i, j] = r, c, saved
                if pair_rows[i, j] and (a < 0 or gain[i, j] > gain[a, b]):
                    a, b = i, j
        if a < 0 or (gain[a, b] < 0 and (limit < 0 or left <= limit)):
            break
        r, c = pair_rows[a, b], pair_columns[a, b]
        for k in range(count):
            if rows[k] & r and columns[k] & c:
                rows[k] = NONE
                left -= 1
        rows[a], columns[a], price[a] = r, c, _price(r, c, x, y)
        left, fresh = left + 1, a
    total = 0
    for k in range(count):
        if rows[k]:
            total += price[k]
    return left, total


@njit(cache=True, nogil=True)
def cover_all(
    start: np.ndarray, indptr: np.ndarray, tiles: np.ndarray, present: np.ndarray, width: int,
    height: int, limit: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Disjoint products that reach all tiles of each set, and no tile without a core.

    start : tile of each sender, -1 for the host, whose flits start at (0, 0). indptr, tiles : the
    sets, CSR. present : uint64 [height], columns that have a core. limit : most flits of each, -1
    is no limit. Returns the number of products of each (-1: more than its limit), their rows and
    their columns, one after the other.
    """
    most = max(width, height)
    rows, columns = np.zeros((2, most), np.uint64), np.zeros((2, most), np.uint64)
    price, gain = np.zeros(most, np.int64), np.zeros((most, most), np.int64)
    pair_rows, pair_columns = np.zeros((2, most, most), np.uint64)
    by_row, by_column = np.zeros(height, np.uint64), np.zeros(width, np.uint64)
    counts = np.zeros(len(start), np.int32)
    out_rows = np.empty(4 * len(start) + most, np.uint64)
    out_columns = np.empty_like(out_rows)
    end = 0
    for n in range(len(start)):
        if indptr[n] == indptr[n + 1]:
            continue
        by_row[:], by_column[:] = NONE, NONE
        for k in range(indptr[n], indptr[n + 1]):
            y, x = divmod(tiles[k], width)
            by_row[y] |= ONE << np.uint64(x)
            by_column[x] |= ONE << np.uint64(y)
        y, x = divmod(max(start[n], 0), width)
        best, cheapest, held = -1, 0, 0
        for way in range(2):
            if way == 0:
                count = _split(by_row, height, rows[0], columns[0])
            else:
                count = _split(by_column, width, columns[1], rows[1])
            left, total = _merge(
                rows[way], columns[way], price, count, x, y, present, limit[n], pair_rows,
                pair_columns, gain,
            )  # fmt: skip
            if (limit[n] < 0 or left <= limit[n]) and (best < 0 or total < cheapest):
                best, cheapest, held, counts[n] = way, total, count, left
        if best < 0:
            counts[n] = -1
            continue
        if end + most > len(out_rows):
            out_rows = np.append(out_rows, np.empty_like(out_rows))
            out_columns = np.append(out_columns, np.empty_like(out_columns))
        for k in range(held):
            if rows[best, k]:
                out_rows[end], out_columns[end] = rows[best, k], columns[best, k]
                end += 1
    return counts, out_rows[:end], out_columns[:end]
