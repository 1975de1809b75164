"""Multicast routes: sets of tiles as products of columns and rows, tags that tell events apart.

A set of tiles is a bit mask, bit y*width + x. One flit reaches a product. A set that is no
product is split into products by rows, or by columns; then two of them are united wherever the
extra deliveries (to cores that ignore the event: an empty row) cost less than a second flit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from hdl.params.noc import FlitParams

__all__ = ["HOST_ROUTE", "Product", "Router", "allocate_tags", "links", "pack_route"]

Product = tuple[int, int]  #: rows (tile row y is bit y + 1), columns

HOST_ROUTE: Product = (1, 1)  #: the host: row 0 of column 0

#: A flit more costs this many links: injection, and a wider route table.
FLIT_COST = 4.0

#: A delivery costs this many links: the core looks up a row, and has a row to look up.
DELIVERY_COST = 2.0


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def links(product: Product, x: int, y: int) -> list[tuple[int, int, int, int]]:
    """The links (x, y, next x, next y) that a flit from (x, y) takes, X first.

    The host is the tile (0, -1).
    """
    rows, columns = product
    path = []
    low = min(_bits(columns))
    high = columns.bit_length() - 1
    path += [(i, y, i + 1, y) for i in range(x, high)]
    path += [(i, y, i - 1, y) for i in range(x, low, -1)]
    bottom = min(_bits(rows)) - 1
    top = rows.bit_length() - 2
    for i in _bits(columns):
        path += [(i, j, i, j + 1) for j in range(y, top)]
        path += [(i, j, i, j - 1) for j in range(y, bottom, -1)]
    return path


def pack_route(
    flit: FlitParams, tag: np.ndarray, rows: np.ndarray, columns: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Valid entries of a route table (layout: FlitParams.route_bits), as Python integers."""
    word = np.asarray(tag).astype(object)
    shift = flit.tag_bits
    word = word + (np.asarray(rows).astype(object) << shift)
    shift += flit.rows_bits
    word = word + (np.asarray(columns).astype(object) << shift)
    shift += flit.columns_bits
    return word + (np.asarray(last).astype(int).astype(object) << shift) + (1 << (shift + 1))


@dataclass
class Router:
    """Covers sets of tiles on one mesh. `cores`: mask of the tiles that have a core."""

    width: int
    height: int
    cores: int
    limit: int | None = None  #: most flits per event
    _known: dict = field(default_factory=dict)

    def tiles(self, product: Product) -> int:
        """The tiles of a product, as a mask; the host is left out."""
        rows, columns = product
        return sum(columns << (y * self.width) for y in _bits(rows >> 1))

    def closure(self, tiles: int) -> Product:
        """The least product that holds all these tiles."""
        rows = columns = 0
        for tile in _bits(tiles):
            rows |= 2 << (tile // self.width)
            columns |= 1 << (tile % self.width)
        return rows, columns

    def cover(self, tiles: int, x: int, y: int) -> tuple[Product, ...]:
        """Disjoint products that reach all `tiles` from (x, y), no tile without a core.

        Raises ValueError if that takes more flits than `limit`.
        """
        key = tiles, x, y
        if key not in self._known:
            self._known[key] = self._cover(tiles, x, y)
        return self._known[key]

    def _cost(self, product: Product, x: int, y: int) -> float:
        hops = len(links(product, x, y))
        return FLIT_COST + hops + DELIVERY_COST * self.tiles(product).bit_count()

    def _split(self, tiles: int, by_row: bool) -> list[Product]:
        lines: dict[int, int] = {}
        for tile in _bits(tiles):
            y, x = divmod(tile, self.width)
            line, place = (y + 1, x) if by_row else (x, y + 1)
            lines[line] = lines.get(line, 0) | 1 << place
        groups: dict[int, int] = {}
        for line, places in lines.items():
            groups[places] = groups.get(places, 0) | 1 << line
        return [(line, places) if by_row else (places, line) for places, line in groups.items()]

    def _unite(self, products: list[Product], i: int, j: int) -> list[Product] | None:
        """Products i and j as one; those that it overlaps join it. None: a tile has no core."""
        rest = [p for k, p in enumerate(products) if k not in (i, j)]
        one = (products[i][0] | products[j][0], products[i][1] | products[j][1])
        while True:
            if self.tiles(one) & ~self.cores:
                return None
            hit = [p for p in rest if p[0] & one[0] and p[1] & one[1]]
            if not hit:
                return [one, *rest]
            rest = [p for p in rest if p not in hit]
            for p in hit:
                one = (one[0] | p[0], one[1] | p[1])

    def _cover(self, tiles: int, x: int, y: int) -> tuple[Product, ...]:
        if not tiles:
            return ()
        best: tuple[float, list[Product]] | None = None
        for by_row in (True, False):
            products = self._split(tiles, by_row)
            while len(products) > 1:
                price = sum(self._cost(p, x, y) for p in products)
                over = self.limit is not None and len(products) > self.limit
                choices = []
                for i in range(len(products)):
                    for j in range(i):
                        united = self._unite(products, i, j)
                        if united:
                            choices.append((sum(self._cost(p, x, y) for p in united), united))
                if not choices or (not over and min(choices)[0] > price):
                    break
                products = min(choices)[1]
            price = sum(self._cost(p, x, y) for p in products)
            fits = self.limit is None or len(products) <= self.limit
            if fits and (best is None or price < best[0]):
                best = price, products
        if best is None:
            raise ValueError(f"more than {self.limit} flits")
        return tuple(sorted(best[1]))


def allocate_tags(
    sets: Iterable[tuple[int, int]], tiles: int
) -> tuple[list[np.ndarray], list[int]]:
    """Tags for groups of sources, and the number of axons that each tile needs for them.

    A group (destination tiles, number of sources) gets that many distinct tags which no other
    source of any of its destinations has: the lowest that are free, widest groups first.
    """
    sets = list(sets)
    used = [np.zeros(64, dtype=bool) for _ in range(tiles)]
    out: list[np.ndarray] = [np.zeros(0, dtype=np.int64)] * len(sets)
    order = sorted(range(len(sets)), key=lambda i: (-sets[i][0].bit_count(), i))
    for i in order:
        mask, count = sets[i]
        where = list(_bits(mask))
        length = max((len(used[t]) for t in where), default=0) + count
        taken = np.zeros(length, dtype=bool)
        for t in where:
            taken[: len(used[t])] |= used[t]
        out[i] = np.flatnonzero(~taken)[:count]
        top = int(out[i][-1]) + 1 if count else 0
        for t in where:
            if top > len(used[t]):
                grown = np.zeros(max(top, 2 * len(used[t])), dtype=bool)
                grown[: len(used[t])] = used[t]
                used[t] = grown
            used[t][out[i]] = True
    axons = [int(np.flatnonzero(u)[-1]) + 1 if u.any() else 0 for u in used]
    return out, axons
