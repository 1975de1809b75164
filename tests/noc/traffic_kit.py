"""Timed traffic through a Verilated mesh of routers: events offered at given cycles, delivered
with time stamps. What waits for its router stands in a queue at its tile."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from codesign.cost.noc import zero_load
from codesign.cost.noc_traffic import Flows, rates
from hdl.emit import emit_verilog
from hdl.params.noc import FlitParams
from sim.verilated import Verilated
from tests.noc.mesh_kit import RouterMesh

__all__ = [
    "PATTERNS",
    "Deliveries",
    "bernoulli",
    "drained",
    "mean_latency",
    "measured_saturation",
    "pattern",
    "run",
    "simulate",
]

PATTERNS = ("uniform", "hotspot", "neighbour", "transpose", "products", "host")

#: Bits of an event's number, which is the flit's body.
NUMBER_BITS = 20


class TimedMesh(wiring.Component):
    """Routers with a queue at each entry. A lane of 64 bits a tile and a last one for the host.

    Parameters
    ----------
    flit : size of the mesh; 63 bits a flit at most.
    depth : places of a queue, a power of two.

    Members
    -------
    i : one word a cycle; a lane is a flit, and bit 63 if there is one. Not taken, so that time
        stands still for the sources, only while a queue is full.
    o : a word in each cycle with deliveries, always taken; a lane of 32 bits is a body, and bit 31.
    """

    def __init__(self, flit: FlitParams, depth: int = 256) -> None:
        self.flit, self.depth = flit, depth
        ends = flit.width * flit.height + 1
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(64, ends))),
                "o": Out(stream.Signature(data.ArrayLayout(32, ends))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.mesh = mesh = RouterMesh(self.flit)
        full, given = [], []
        ends = zip([*mesh.i, mesh.i_host], [*mesh.o, mesh.o_host], strict=True)
        for n, (entry, leave) in enumerate(ends):
            bits = self.flit.flit_bits
            memory = Memory(shape=bits, depth=self.depth, init=[])
            m.submodules[f"queue_{n}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            first = Signal(range(self.depth), name=f"first_{n}")
            level = Signal(range(self.depth + 1), name=f"level_{n}")
            lane = self.i.payload[n]
            comes = self.i.valid & self.i.ready & lane[63]
            leaves = entry.valid & entry.ready
            full.append(level == self.depth)
            m.d.comb += [
                write.addr.eq(first + level),
                write.data.eq(lane[:bits]),
                write.en.eq(comes),
                read.addr.eq(first),
                entry.valid.eq((level != 0) | comes),
                leave.ready.eq(1),
                self.o.payload[n].eq(Cat(leave.payload.body)),
                self.o.payload[n][31].eq(leave.valid),
            ]
            with m.If(level != 0):
                m.d.comb += Value.cast(entry.payload).eq(read.data)
            with m.Else():
                m.d.comb += Value.cast(entry.payload).eq(lane[:bits])
            m.d.sync += [level.eq(level + comes - leaves), first.eq(first + leaves)]
            given.append(leave.valid)
        m.d.comb += [self.i.ready.eq(~Cat(full).any()), self.o.valid.eq(Cat(given).any())]
        return m


def flit_params(width: int, height: int) -> FlitParams:
    """Flits whose body numbers an event."""
    return FlitParams(width=width, height=height, tag_bits=NUMBER_BITS, config_bits=18)


@functools.cache
def build(width: int, height: int) -> Verilated:
    """The mesh's simulator, from the cache of builds or made."""
    flit = flit_params(width, height)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in emit_verilog(TimedMesh(flit), "timed_mesh").items():
            (Path(folder) / name).write_text(text)
        return Verilated.build(sorted(Path(folder).iterdir()), "timed_mesh", optimise=False)


@dataclass(frozen=True)
class Deliveries:
    """Each copy that arrived: number of its event, the end (tile, or tiles for the host), cycles
    from its offer to its delivery, and the cycle of the delivery."""

    event: np.ndarray
    end: np.ndarray
    latency: np.ndarray
    cycle: np.ndarray


def simulate(
    width: int,
    height: int,
    cycle: Sequence[int] | np.ndarray,
    source: Sequence[int] | np.ndarray,
    rows: Sequence[int] | np.ndarray,
    columns: Sequence[int] | np.ndarray,
) -> Deliveries:
    """Offer each event at `cycle` at the end `source` (tiles: the host); until all is delivered.

    No two events have the same cycle and source. A full queue stops the clock of the sources; what
    follows is then offered that much later.
    """
    flit = flit_params(width, height)
    cycle, source = np.asarray(cycle, np.int64), np.asarray(source, np.int64)
    if len(cycle) > 1 << NUMBER_BITS:
        raise ValueError(f"at most {1 << NUMBER_BITS} events, not {len(cycle)}")
    tiles = width * height
    words = np.zeros((int(cycle.max(initial=-1)) + 1, tiles + 1), np.uint64)
    low = flit.body_bits + 1
    value = np.arange(len(cycle), dtype=np.uint64) | np.uint64(1 << 63)
    value |= np.asarray(rows, np.uint64) << np.uint64(low)
    value |= np.asarray(columns, np.uint64) << np.uint64(low + flit.rows_bits)
    if words[cycle, source].any() or len(np.unique(cycle * (tiles + 1) + source)) < len(cycle):
        raise ValueError("two events at one source in one cycle")
    words[cycle, source] = value
    with build(width, height).new() as model:
        model.reset()
        run = model.stream(words, idle_cycles=300)
    lanes = run.words_out.view(np.uint32).reshape(len(run.words_out), -1)[:, : tiles + 1]
    step, end = np.nonzero(lanes >> np.uint32(31))
    event = (lanes[step, end] & np.uint32((1 << NUMBER_BITS) - 1)).astype(np.int64)
    when = run.out_cycle[step].astype(np.int64)
    offered = run.in_cycle.astype(np.int64)[cycle[event]]
    return Deliveries(event, end, when - offered, when)


def bernoulli(flows: Flows, load: float, cycles: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cycle and flow number of events: each source sends at most one a cycle, at random, so that
    each flow has `load` times its rate."""
    rng = np.random.default_rng(seed)
    when, which = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for source in np.unique(flows.source):
        mine = np.flatnonzero(flows.source == source)
        total = flows.rate[mine].sum()
        if total * load > 1:
            raise ValueError(f"source {source} sends at most 1 event a cycle, not {total * load}")
        cycle = np.flatnonzero(rng.random(cycles) < total * load)
        when.append(cycle)
        which.append(rng.choice(mine, len(cycle), p=flows.rate[mine] / total))
    return np.concatenate(when), np.concatenate(which)


def run(flows: Flows, when: np.ndarray, which: np.ndarray) -> Deliveries:
    """The events of `bernoulli`, or others, through the RTL."""
    source, rows, columns = flows.source[which], flows.rows[which], flows.columns[which]
    return simulate(flows.width, flows.height, when, source, rows, columns)


def mean_latency(flows: Flows, load: float, cycles: int, seed: int, warm: int = 2000) -> float:
    """Mean cycles from offer to delivery in the RTL, of copies delivered from cycle `warm` on and
    before sources fall silent; of at most as many cycles as there are numbers for events."""
    most = int(0.95 * (1 << NUMBER_BITS) / max(flows.rate.sum() * load, 1e-9))
    cycles = min(cycles, most)
    got = run(flows, *bernoulli(flows, load, cycles, seed))
    return float(got.latency[(got.cycle >= warm) & (got.cycle < cycles)].mean())


def measured_saturation(flows: Flows, cycles: int, seed: int) -> float:
    """The load at which the mean latency of some source's events is ten times that of the empty
    mesh; among the last third of the events of a run of so many cycles, in the RTL."""
    copies = flows.deliveries()
    empty = (zero_load(flows.width, flows.height) * copies).sum() / copies.sum()
    found = rates(flows)
    low, high = 0.0, 1 / max(found.copies.sum(axis=2).max(), found.store.max())
    for _ in range(8):
        load = (low + high) / 2
        when, which = bernoulli(flows, load, cycles, seed)
        got = run(flows, when, which)
        late = when[got.event] >= cycles * 2 // 3
        source = flows.source[which[got.event[late]]]
        count = np.bincount(source, minlength=flows.ends)
        total = np.bincount(source, got.latency[late], flows.ends)
        if (total[count > 20] > 10 * empty * count[count > 20]).any():
            high = load
        else:
            low = load
    return (low + high) / 2


def drained(flows: Flows, flits: np.ndarray, gap: int) -> np.ndarray:
    """Cycles from the first offer to the last delivery of each burst [bursts, flows] in the RTL.

    Each source offers a flit a cycle, its flows in turn; bursts begin `gap` cycles apart.
    """
    when, which, burst = [], [], []
    for k, row in enumerate(np.asarray(flits, np.int64)):
        for source in np.unique(flows.source):
            mine = np.flatnonzero(flows.source == source)
            turn = np.concatenate([np.arange(row[f]) for f in mine])
            order = np.repeat(mine, row[mine])[np.argsort(turn, kind="stable")]
            when.append(k * gap + np.arange(len(order)))
            which.append(order)
            burst.append(np.full(len(order), k))
    number = np.concatenate(burst)
    got = run(flows, np.concatenate(when), np.concatenate(which))
    last = np.zeros(len(flits), np.int64)
    np.maximum.at(last, number[got.event], got.cycle - number[got.event] * gap)
    if (last >= gap).any():
        raise ValueError(f"a burst took {last.max()} cycles, more than the gap of {gap}")
    return last


def pattern(kind: str, width: int, height: int, seed: int = 0) -> Flows:
    """One flit a cycle and sending tile: uniform, hotspot (the middle tile gets four times as
    much), neighbour, transpose, products (three random products a tile), host (a quarter of
    all goes to the host, which sends twice as much as a tile)."""
    tiles = width * height
    matrix = np.zeros((tiles + 1, tiles + 1))
    tile = np.arange(tiles)
    x, y = tile % width, tile // width
    body = matrix[:tiles, :tiles]
    if kind == "transpose":
        body[tile, (x % height) * width + y % width] = 1
    elif kind == "neighbour":
        body[:] = abs(x[:, None] - x) + abs(y[:, None] - y) == 1
    else:
        body[:] = 1
    if kind == "hotspot":
        body[:, (height // 2) * width + width // 2] *= 4
    np.fill_diagonal(body, 0)
    body /= np.maximum(body.sum(axis=1, keepdims=True), 1)
    if kind == "host":
        body *= 0.75
        matrix[:tiles, tiles], matrix[tiles, :tiles] = 0.25 / tiles, 2 / tiles
    if kind != "products":
        return Flows.unicast(matrix, width, height)
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 1 << height, 3 * tiles) << 1
    columns = rng.integers(1, 1 << width, 3 * tiles)
    return Flows(
        width=width, height=height, source=np.repeat(tile, 3), rows=rows, columns=columns,
        rate=np.full(3 * tiles, 1 / 3),
    )  # fmt: skip
