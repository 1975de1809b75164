"""What of a mapped network decides its cycles, as flat arrays for `codesign/cost/ticks.py`.

All of it is read from what the hardware is made of (core parameters, memory images, input routes):
which neurons stand in which words, how many cycles an event of each axon takes, which flits a
source sends, and which links, turns and doors these pass.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any, NamedTuple

import numpy as np

from codesign.cost.sums import axon_times, sum_times
from hdl.params.neuron import CoreParams, Emit, sends_value
from hdl.params.noc import Memory
from mapping.mapped import Mapped, Route

__all__ = ["Wiring", "routes_of", "wire"]

#: Flits that a resource holds, by its kind: a turn one, the buffers of all others two
#: (hdl/noc/router.py). The queue of a core has its own depth.
PLACES = {"turn": 1, "queue": 0}


class Wiring(NamedTuple):
    """Arrays, int64; core c is the c-th tile that has one, source k as in `mapping.network`.

    Ranges, axons and fixed sums of core c are `first[:, c]` .. `first[:, c + 1]` (in that order),
    flits of source k `flit_ptr[k]` .. `flit_ptr[k + 1]`, hops and ends of path p `paths[:2, p]` ..
    `paths[:2, p + 1]`. A hop takes a flit into a resource, a buffer behind a link, at a turn, at a
    door of the network, in front of a core: from its parent (-1: from the source), a flit a cycle.
    An end is a core behind a hop.
    """

    tile: np.ndarray  #: of each core
    cores: np.ndarray  #: kind of dendrites (codesign/cost/sums.py), cycles of an update's pipeline,
    #: cycles from a scanned word to its first flit at the router
    first: np.ndarray
    ranges: np.ndarray  #: level, words, first place in `neurons` [3, ranges + 1]
    neurons: np.ndarray  #: core after core, in slot order: number, word
    sends: np.ndarray  #: of each number: takes a cycle of every scan, sends in every update
    axons: np.ndarray  #: cycles until the next event is taken, until the core is idle again, the
    #: tile of streams or devices that its events touch (-1: none)
    numbers: np.ndarray  #: [cores, 12], see codesign/cost/sums.py
    sums: np.ndarray  #: cycles from an update's start to its sums, where they are always the same
    flit_ptr: np.ndarray
    flits: np.ndarray  #: tag, path
    paths: np.ndarray  #: first hop, first end, the hop to the host (-1 without) [3, paths + 1]
    hops: np.ndarray  #: resource, parent, whether it crosses a link
    ends: np.ndarray  #: core, hop
    places: np.ndarray  #: of each resource: flits that it holds


def _rows(*rows: Any) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def _pointers(parts: Sequence[Sized]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)


def _late(core: CoreParams) -> int:
    """Cycles from a scanned word to its first flit at the router's local input: 4 in the emitter
    (hdl/neuron/emit.py), those of `Payload`, 2 in the interface."""
    emit = core.shared.get("emit")
    kinds = emit if isinstance(emit, tuple) else (emit,)
    values = emit is None or any(bool(sends_value(k)) for k in kinds)
    if not (core.emission_bits and values):
        return 6
    differ = not isinstance(core.shared.get("value_shift"), int)
    payload = (4 if differ else 3) if core.table_bits else (3 if differ else 1)
    return 6 + payload + core.changes


class _Paths:
    """Trees of hops, numbered as they are met."""

    def __init__(self, mapped: Mapped, core_of: dict[int, int]) -> None:
        self.flit, self.core_of = mapped.mesh.flit, core_of
        self.queued = mapped.mesh.fifo + 1 if mapped.mesh.fifo else 0
        self.known: dict[tuple[int, int, int, int], int] = {}
        self.resources: dict[tuple, int] = {}
        self.places: list[int] = []
        self.hops: list[np.ndarray] = []  # [hops, 3]: resource, parent, is a link
        self.ends: list[np.ndarray] = []  # [ends, 2]: core, hop
        self.host: list[int] = []
        self.before = 0

    def of(self, source: int, tile: int, rows: int, columns: int) -> int:
        """The path of a flit for rows x columns from a tile; source: a core, or -1, the host."""
        key = source, tile, rows, columns
        if key not in self.known:
            self.known[key] = len(self.hops)
            self._add(source, tile, rows, columns)
        return self.known[key]

    def _add(self, source: int, tile: int, rows: int, columns: int) -> None:
        y, x = divmod(tile, self.flit.width)
        hops: list[tuple[int, int, int]] = []
        ends: list[tuple[int, int]] = []

        def hop(name: tuple, parent: int, link: bool = False) -> int:
            if name not in self.resources:
                self.resources[name] = len(self.resources)
                self.places.append(PLACES.get(name[0], 2) or self.queued)
            hops.append((self.resources[name], parent, link))
            return len(hops) - 1 + self.before

        at: dict[tuple, int] = {("x", x): hop(("source", source), -1)}  # the hop to a place
        there = [i for i in range(self.flit.width) if columns >> i & 1]
        reached = [j - 1 for j in range(self.flit.height + 1) if rows >> j & 1]  # -1: the host
        for i in [*range(x + 1, max(there) + 1), *range(x - 1, min(there) - 1, -1)]:
            before = i - 1 if i > x else i + 1
            at["x", i] = hop((before, y, i, y), at["x", before], True)
        for i in there:
            at[i, y] = hop(("turn", i, y), at["x", i])
            for j in [*range(y + 1, max(reached) + 1), *range(y - 1, min(reached) - 1, -1)]:
                before = j - 1 if j > y else j + 1
                at[i, j] = hop((i, before, i, j), at[i, before], True)
        for target, core in self.core_of.items():
            to_y, to_x = divmod(target, self.flit.width)
            if to_y in reached and to_x in there:
                door = hop(("door", target), at[to_x, to_y])
                ends.append((core, hop(("queue", target), door) if self.queued else door))
        self.hops.append(np.array(hops, np.int64).reshape(-1, 3))
        self.ends.append(np.array(ends, np.int64).reshape(-1, 2))
        self.host.append(at[0, -1] if -1 in reached and 0 in there else -1)
        self.before += len(hops)


def routes_of(mapped: Mapped, tile: int) -> list[list[Route]]:
    """Of each slot of a tile the flits that an event of it takes, from the route table's image."""
    flit, entries = mapped.mesh.flit, mapped.mesh.entries[tile]
    images = mapped.images[tile]
    assert images is not None
    fields = (flit.tag_bits, flit.rows_bits, flit.columns_bits, 1)
    found: list[list[Route]] = []
    table = images[Memory.ROUTE]
    for first in range(0, len(table), entries):
        routes = []
        for word in table[first : first + entries]:
            values = []
            for bits in fields:
                values.append(word & ((1 << bits) - 1))
                word >>= bits
            if word:  # valid
                routes.append((values[0], values[1], values[2]))
            if values[3]:  # last
                break
        found.append(routes)
    return found


def wire(mapped: Mapped) -> Wiring:
    """The arrays of a mapped network."""
    program, mesh = mapped.program, mapped.mesh
    tiles = [(tile, core) for tile, core in enumerate(mesh.cores) if core is not None]
    core_of = {tile: number for number, (tile, _) in enumerate(tiles)}
    homes = [mapped.slots[p.name] for p in program.populations]
    home = _joined([tile for tile, _ in homes])
    slot = _joined([slots for _, slots in homes])
    emit = _joined([p.fields["emit"] for p in program.populations])

    paths = _Paths(mapped, core_of)
    tables = {tile: routes_of(mapped, tile) for tile, _ in tiles}
    sent = [[(tag, paths.of(-1, 0, rows, columns)) for tag, rows, columns in routes]
            for routes in (*mapped.input_routes, *mapped.delayed_routes)]  # fmt: skip
    sent += [
        [(tag, paths.of(core_of[tile], tile, rows, columns))
         for tag, rows, columns in tables[tile][own]]
        for tile, own in zip(home.tolist(), slot.tolist(), strict=True)
    ]  # fmt: skip
    flits = np.array([flit for routes in sent for flit in routes], np.int64).reshape(-1, 2)

    neurons: list[np.ndarray] = []
    words, axons, sums = [], [], []
    range_first = [0]
    for tile, core in tiles:
        mine = np.flatnonzero(home == tile)
        mine = mine[np.argsort(slot[mine])]
        word = slot[mine] // core.update_lanes
        before = sum(len(n) for n in neurons)
        range_first += [before + int(np.searchsorted(word, r.end)) for r in core.ranges]
        neurons.append(mine)
        words.append(word)
        axons.append(axon_times(core, mapped.images[tile] or {}))
        sums.append(sum_times(core))
    hops = np.concatenate([np.zeros((0, 3), np.int64), *paths.hops])
    ends = np.concatenate([np.zeros((0, 2), np.int64), *paths.ends])
    ranges = [core.ranges for _, core in tiles]
    rows = [(r.level, r.end - r.first) for own in ranges for r in own]
    always = emit == Emit.STATE
    return Wiring(
        tile=np.array([tile for tile, _ in tiles]),
        cores=_rows(
            [s.kind for s in sums],
            [2 + (4 if core.current_bits else 3) for _, core in tiles],
            [_late(core) for _, core in tiles],
        ),
        first=_rows(*(_pointers(x) for x in (ranges, [a.bank for a in axons],
                                            [s.ready for s in sums]))),
        ranges=_rows([level for level, _ in rows] + [0], [words for _, words in rows] + [0],
                     range_first),
        neurons=_rows(_joined(neurons), _joined(words)),
        sends=_rows(sends_value(emit) | always, always),
        axons=_rows(*(_joined([getattr(a, name) for a in axons])
                      for name in ("service", "after", "bank"))),
        numbers=np.array([s.numbers for s in sums], np.int64).reshape(len(sums), -1),
        sums=_joined([s.ready for s in sums]),
        flit_ptr=np.cumsum([0, *map(len, sent)]).astype(np.int64),
        flits=flits.T.copy(),
        paths=_rows(_pointers(paths.hops), _pointers(paths.ends), [*paths.host, -1]),
        hops=hops.T.copy(),
        ends=ends.T.copy(),
        places=np.array(paths.places, np.int64),
    )  # fmt: skip
