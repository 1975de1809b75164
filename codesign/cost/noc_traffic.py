"""Traffic on the mesh, and the rates with which it meets in the routers' stores and outputs.

A router (hdl/noc/router.py) has two stages. Each has up to four stores, first in first out, and
three outputs; a flit waits at the head of a store until each output that it names has taken its
copy. An output leads to one store of the next router or stage, or out of the mesh.

    stage X: stores local, west, east, host;  outputs east, west, turn
    stage Y: stores turn, south, north;       outputs north, south, local

A store is named after the side that its flits come from. South of tile (0, 0), stage Y, is the
host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mapping.mapped import Mapped, Route

__all__ = ["Flows", "Rates", "flows_of", "rates", "visits"]

X, Y = 0, 1
LOCAL, WEST, EAST, HOST = range(4)
TURN, SOUTH, NORTH = range(3)
TO_EAST, TO_WEST, TO_TURN = range(3)
TO_NORTH, TO_SOUTH, TO_LOCAL = range(3)
SETS = np.arange(8)  # of outputs, a bit each


@dataclass(frozen=True, kw_only=True, eq=False)
class Flows:
    """Streams of flits, each from one end of the mesh to a product of rows and columns.

    Ends are numbered: tile y * width + x, then the host.

    Parameters
    ----------
    width, height : tiles of the mesh.
    source : int [flows], the end that sends.
    rows, columns : int [flows], destinations as in hdl/params/noc.py: row y is bit y + 1, and bit 0
        of `rows` the host (in column 0).
    rate : float [flows], flits per cycle; or flits, where a burst is meant.
    """

    width: int
    height: int
    source: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    rate: np.ndarray

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            size = getattr(self, name)
            if not isinstance(size, int) or not 1 <= size <= 32:
                raise ValueError(f"{name} must be an integer in 1..32, not {size!r}")
        source, rows, columns, rate = (
            np.asarray(getattr(self, name)) for name in ("source", "rows", "columns", "rate")
        )
        if not source.ndim == 1 or not source.shape == rows.shape == columns.shape == rate.shape:
            raise ValueError(
                "source, rows, columns and rate must be of one length, not "
                f"{source.shape}, {rows.shape}, {columns.shape}, {rate.shape}"
            )
        for name, values, low, end in (
            ("source", source, 0, self.ends),
            ("rows", rows, 1, 2 << self.height),
            ("columns", columns, 1, 1 << self.width),
        ):
            if source.size and not (values.min() >= low and values.max() < end):
                raise ValueError(
                    f"{name} must be in {low}..{end - 1}, not {values.min()}..{values.max()}"
                )
        if source.size and not (np.isfinite(rate).all() and rate.min() >= 0):
            raise ValueError(f"rate must be finite and at least 0, not {rate.min()}..{rate.max()}")
        if ((rows == 1) & (columns != 1)).any():
            raise ValueError("the host alone (rows 1) stands in column 0 (columns 1)")
        for name, values in (("source", source), ("rows", rows), ("columns", columns)):
            object.__setattr__(self, name, values.astype(np.int64))
        object.__setattr__(self, "rate", rate.astype(float))

    @property
    def tiles(self) -> int:
        return self.width * self.height

    @property
    def ends(self) -> int:
        return self.tiles + 1

    @classmethod
    def unicast(cls, matrix: np.ndarray, width: int, height: int) -> Flows:
        """From a traffic matrix [ends, ends]: flits per cycle from each end to each other."""
        matrix = np.asarray(matrix, float)
        ends = width * height + 1
        if matrix.shape != (ends, ends):
            raise ValueError(
                f"the traffic of a {width} x {height} mesh and the host is a matrix "
                f"({ends}, {ends}), not {matrix.shape}"
            )
        source, goal = np.nonzero(matrix)
        rows, columns = product(goal, width, height)
        return cls(width=width, height=height, source=source, rows=rows, columns=columns,
                   rate=matrix[source, goal])  # fmt: skip

    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """Column and row at which each flow enters; the host's enter at (0, 0)."""
        tile = np.where(self.source == self.tiles, 0, self.source)
        return tile % self.width, tile // self.width

    def deliveries(self) -> np.ndarray:
        """float [ends, ends]: copies per cycle that each end sends to each other."""
        found = np.zeros((self.ends, self.ends))
        for goal in range(self.ends):
            row, column = product(goal, self.width, self.height)
            hit = (self.rows & row != 0) & (self.columns & column != 0)
            found[:, goal] = np.bincount(self.source[hit], self.rate[hit], self.ends)
        return found


def flows_of(mapped: Mapped) -> tuple[Flows, sparse.csr_array]:
    """The distinct routes of a mapped network, of rate 0, and who uses them: [flows, sources],
    flits of one event of each input (delayed ones behind all others), then of each neuron."""
    from codesign.cost.wiring import routes_of

    width = mapped.mesh.flit.width
    host = width * mapped.mesh.flit.height
    sources: list[tuple[int, Sequence[Route]]] = [
        (host, own) for own in (*mapped.input_routes, *mapped.delayed_routes)
    ]
    tables = {
        tile: routes_of(mapped, tile)
        for tile, core in enumerate(mapped.mesh.cores)
        if core is not None
    }
    for population in mapped.program.populations:
        tiles, slots = (part.tolist() for part in mapped.slots[population.name])
        sources += [(t, tables[t][slot]) for t, slot in zip(tiles, slots, strict=True)]
    number: dict[tuple[int, int, int], int] = {}
    flow, source = [], []
    for k, (tile, own) in enumerate(sources):
        for _, rows, columns in own:
            flow.append(number.setdefault((tile, rows, columns), len(number)))
            source.append(k)
    found = np.array(list(number), np.int64).reshape(-1, 3)
    use = sparse.csr_array((np.ones(len(flow)), (flow, source)), shape=(len(found), len(sources)))
    flows = Flows(
        width=width,
        height=mapped.mesh.flit.height,
        source=found[:, 0],
        rows=found[:, 1],
        columns=found[:, 2],
        rate=np.zeros(len(found)),
    )
    return flows, use


def product(end: np.ndarray | int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that name one end."""
    end = np.asarray(end)
    host = end == width * height
    rows = np.where(host, 1, np.int64(2) << np.where(host, 0, end // width))
    return rows, np.where(host, 1, np.int64(1) << end % width)


@dataclass(frozen=True, eq=False)
class Rates:
    """Flits per cycle, by [stage, tile, store] and more.

    subsets : [..., 8], flits by the set of outputs that take a copy (bit k: output k).
    square : [..., output], sum over the sources of the square of their share of `copies`.
    """

    subsets: np.ndarray
    square: np.ndarray

    @property
    def store(self) -> np.ndarray:
        """Flits that pass a store."""
        return self.subsets.sum(axis=-1)

    @property
    def copies(self) -> np.ndarray:
        """Copies that a store hands to an output, [..., output]."""
        return np.stack([self.subsets[..., SETS >> k & 1 == 1].sum(axis=-1) for k in range(3)], -1)

    def holding(self) -> np.ndarray:
        """[..., 8]: flits whose outputs contain that set, with the sign of inclusion-exclusion."""
        every = [self.subsets[..., SETS & t == t].sum(axis=-1) for t in SETS]
        return np.stack(every, -1) * [0, 1, 1, -1, 1, -1, -1, 1]


def visits(flows: Flows) -> list[tuple[np.ndarray, np.ndarray, list[np.ndarray]]]:
    """Each stop of the flows: (flow, store number, a mask per output that takes a copy).

    A store's number is (stage * tiles + tile) * 4 + store.
    """
    width, height, tiles = flows.width, flows.height, flows.tiles
    x, y = flows.place()
    entry = np.where(flows.source == tiles, HOST, LOCAL)
    columns, found = flows.columns, []
    for c in range(width):
        here, east, west = columns >> c & 1 != 0, columns >> (c + 1), columns & ((1 << c) - 1)
        passes = (x == c) | ((x < c) & (columns >> c != 0)) | ((x > c) & (here | (west != 0)))
        f = np.flatnonzero(passes)
        came = np.where(x[f] == c, entry[f], np.where(x[f] < c, WEST, EAST))
        outputs = [(x <= c) & (east != 0), (x >= c) & (west != 0), here]
        found.append((f, (y[f] * width + c) * 4 + came, [out[f] for out in outputs]))
        f = np.flatnonzero(here)
        rows, start = flows.rows[f] & (~0 if c == 0 else ~1), y[f]
        for r in range(height):
            mine = rows >> (r + 1) & 1 != 0
            above, below = rows >> (r + 2), rows & ((2 << r) - 1)
            passes = (
                (start == r) | ((start < r) & (rows >> (r + 1) != 0))
                | ((start > r) & (mine | (below != 0)))
            )  # fmt: skip
            came = np.where(start == r, TURN, np.where(start < r, SOUTH, NORTH))
            outputs = [(start <= r) & (above != 0), (start >= r) & (below != 0), mine]
            at = (tiles + r * width + c) * 4 + came
            found.append((f[passes], at[passes], [out[passes] for out in outputs]))
    return found


def rates(flows: Flows) -> Rates:
    """Where the flows meet."""
    stores = 2 * flows.tiles * 4
    subsets, square = np.zeros(stores * 8), np.zeros((stores, 3))
    for flow, at, outputs in visits(flows):
        rate, source = flows.rate[flow], flows.source[flow]
        subset = sum(taken.astype(np.int64) << k for k, taken in enumerate(outputs))
        subsets += np.bincount(at * 8 + subset, rate, len(subsets))
        for k, taken in enumerate(outputs):
            # A store meets all flows of a source in one visit.
            one, number = np.unique(at[taken] * flows.ends + source[taken], return_inverse=True)
            share = np.bincount(number, rate[taken], len(one))
            square[:, k] += np.bincount(one // flows.ends, share**2, stores)
    shape = (2, flows.tiles, 4)
    return Rates(subsets.reshape(*shape, 8), square.reshape(*shape, 3))
