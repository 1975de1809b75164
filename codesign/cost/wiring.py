"""What of a mapped network decides its cycles, as flat arrays for `codesign/cost/ticks.py`.

All of it is read from what the hardware is made of (core parameters, memory images, input routes):
which neurons stand in which words, how many cycles an event of each axon takes, which flits a
source sends, and which links, turns and doors these pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codesign.cost.sums import axon_times, sum_times
from hdl.params.neuron import CoreParams, Emit, sends_value
from hdl.params.noc import Memory
from mapping.mapped import Mapped, Route
from mapping.route import links

__all__ = ["Wiring", "routes_of", "wire"]

#: Places of a path that crosses n links: 2 n + PLACES (forks of 2, a turn of 1), and a queue's.
PLACES = 5


class Wiring(NamedTuple):
    """Flat arrays; core c is the c-th tile that has one, source k as in `mapping.network`.

    Of ranges, neurons (in slot order), axons, sums: those of core c are `*_ptr[c]` ..
    `*_ptr[c + 1]`; of flits those of source k, of hops and ends those of path p. A hop passes a
    resource (link, turn, door, queue: a flit a cycle) a cycle after its parent (-1: the source's
    own door). An end is a core behind a hop; pair numbers who sends to whom.
    """

    tile: np.ndarray
    kind: np.ndarray  #: of the core's dendrites (codesign/cost/sums.py)
    depth: np.ndarray  #: cycles of an update's pipeline
    late: np.ndarray  #: cycles from a scanned word to its first flit at the router
    range_ptr: np.ndarray
    range_level: np.ndarray
    range_words: np.ndarray
    range_first: np.ndarray  #: first neuron of the range, [ranges + 1]
    neuron: np.ndarray  #: its number
    word: np.ndarray
    scans: np.ndarray  #: of each neuron number: takes a cycle of every scan
    always: np.ndarray  #: of each neuron number: sends in every update
    axon_ptr: np.ndarray
    service: np.ndarray  #: cycles until the next event is taken
    after: np.ndarray  #: cycles until the core is idle again
    bank: np.ndarray  #: the tile of streams or devices that the axon's events touch, -1: none
    numbers: np.ndarray  #: [cores, 12], see codesign/cost/sums.py
    sum_ptr: np.ndarray
    sums: np.ndarray  #: cycles from an update's start to its sums, where they are always the same
    flit_ptr: np.ndarray
    tag: np.ndarray
    path: np.ndarray
    hop_ptr: np.ndarray
    resource: np.ndarray
    parent: np.ndarray
    link: np.ndarray  #: whether the hop crosses a link
    host: np.ndarray  #: of each path: the hop to the host, -1 without
    end_ptr: np.ndarray
    end_core: np.ndarray
    end_hop: np.ndarray
    end_pair: np.ndarray
    places: np.ndarray  #: of each pair: flits that are on their way at once


def _pointers(parts: list[np.ndarray]) -> np.ndarray:
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
        self.pairs: dict[tuple[int, int], int] = {}
        self.places: list[int] = []
        self.hops: list[np.ndarray] = []  # [hops, 3]: resource, parent, is a link
        self.ends: list[np.ndarray] = []  # [ends, 3]: core, hop, pair
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
        ends: list[tuple[int, int, int]] = []
        at: dict[tuple, int] = {("x", x): -1}  # what is at a place, behind which hop
        host = -1

        def hop(name: tuple, parent: int, link: bool) -> int:
            number = self.resources.setdefault(name, len(self.resources))
            hops.append((number, parent, link))
            return len(hops) - 1 + self.before

        for i, j, to_i, to_j in links((rows, columns), x, y):
            if j == to_j:  # along the row
                at["x", to_i] = hop((i, j, to_i, to_j), at["x", i], True)
                continue
            if (i, j) not in at:
                at[i, j] = hop(("turn", i, j), at["x", i], False)
            at[i, to_j] = hop((i, j, to_i, to_j), at[i, j], True)
            if to_j < 0:
                host = at[i, to_j]
        for target, core in self.core_of.items():
            to_y, to_x = divmod(target, self.flit.width)
            if not (rows >> (to_y + 1) & 1 and columns >> to_x & 1):
                continue
            if (to_x, to_y) not in at:
                at[to_x, to_y] = hop(("turn", to_x, to_y), at["x", to_x], False)
            door = hop(("door", target), at[to_x, to_y], False)
            if self.queued:
                door = hop(("queue", target), door, False)
            pair = self.pairs.setdefault((source, core), len(self.pairs))
            if pair == len(self.places):
                crossed = abs(to_x - x) + abs(to_y - y)
                self.places.append(2 * crossed + PLACES + self.queued)
            ends.append((core, door, pair))
        self.hops.append(np.array(hops, np.int64).reshape(-1, 3))
        self.ends.append(np.array(ends, np.int64).reshape(-1, 3))
        self.host.append(host)
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
    ranges = [core.ranges for _, core in tiles]
    hops = np.concatenate([np.zeros((0, 3), np.int64), *paths.hops])
    ends = np.concatenate([np.zeros((0, 3), np.int64), *paths.ends])
    return Wiring(
        tile=np.array([tile for tile, _ in tiles]),
        kind=np.array([s.kind for s in sums]),
        depth=np.array([2 + (4 if core.current_bits else 3) for _, core in tiles]),
        late=np.array([_late(core) for _, core in tiles]),
        range_ptr=_pointers([np.arange(len(r)) for r in ranges]),
        range_level=np.array([r.level for own in ranges for r in own], np.int64),
        range_words=np.array([r.end - r.first for own in ranges for r in own], np.int64),
        range_first=np.array(range_first, np.int64),
        neuron=_joined(neurons),
        word=_joined(words),
        scans=sends_value(emit) | (emit == Emit.STATE),
        always=emit == Emit.STATE,
        axon_ptr=_pointers([a.service for a in axons]),
        service=_joined([a.service for a in axons]),
        after=_joined([a.after for a in axons]),
        bank=_joined([a.bank for a in axons]),
        numbers=np.array([s.numbers for s in sums], np.int64).reshape(len(sums), -1),
        sum_ptr=_pointers([s.ready for s in sums]),
        sums=_joined([s.ready for s in sums]),
        flit_ptr=np.cumsum([0, *map(len, sent)]).astype(np.int64),
        tag=flits[:, 0].copy(),
        path=flits[:, 1].copy(),
        hop_ptr=_pointers(paths.hops),
        resource=hops[:, 0].copy(),
        parent=hops[:, 1].copy(),
        link=hops[:, 2].copy(),
        host=np.array(paths.host, np.int64),
        end_ptr=_pointers(paths.ends),
        end_core=ends[:, 0].copy(),
        end_hop=ends[:, 1].copy(),
        end_pair=ends[:, 2].copy(),
        places=np.array(paths.places, np.int64),
    )
