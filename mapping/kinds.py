"""Kinds of cores: which populations may share a core, and how many cores each kind gets.

A core has one kind of dendrites. Event-driven populations share cores freely; stochastic ones if
their streams and their levels are the same (and, with several generators, only if they are one
population: its inputs are counted through to deal the generators out); an attention head has a
core of its own; a population with a crossbar, states, products or winners has cores of its own,
each with a stretch of it: whole blocks of a crossbar, both neurons of a complex state, a group of
winners. Populations that stand apart (experts) share cores with their own only, if there are enough
cores. Each kind is partitioned by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.sc.attention import AttentionParams
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal, DiagonalParams
from hdl.params.ssm.gate import Gate
from hdl.params.winners import Winners
from mapping.banks import block_bits
from mapping.columns import MOST_LANES
from mapping.connect import connectivity
from mapping.connectivity import Capacity
from mapping.cut import SLACK, cut
from mapping.mapped import Target
from mapping.network import Network
from mapping.partition import in_layer_order, widths_of
from mapping.program import Population, Program
from mapping.states import dendrites_of, held_bits

__all__ = ["Kind", "kinds_of", "partition"]

NAMES = {
    type(None): "event-driven",
    Streams: "stochastic",
    AttentionParams: "attention",
    Crossbar: "crossbar",
    Diagonal: "state-space",
    Gate: "gate",
}


#: Layer order, whose tables are the smallest, is left for at most this share of its km1.
WORTH = 0.99


@dataclass(frozen=True)
class Kind:
    """dendrites: of its cores, None for event-driven ones. populations: their numbers.

    winners: of its one population.
    """

    dendrites: Streams | AttentionParams | Crossbar | Diagonal | Gate | None
    populations: tuple[int, ...]
    winners: Winners | None = None

    def describe(self, program: Program) -> str:
        name = NAMES[type(self.dendrites)] if self.winners is None else "winners"
        return f"{name} ({', '.join(program.populations[i].name for i in self.populations)})"


def kinds_of(program: Program, apart: bool = True) -> list[Kind]:
    """The kinds, in the order of their first populations. `apart`: some stand apart if they ask."""
    found: dict[tuple, list[int]] = {}
    for number, p in enumerate(program.populations):
        key: tuple = (p.dendrites,)
        if isinstance(p.dendrites, Streams):
            key = p.dendrites, p.level if p.dendrites.generators == 1 else p.name
        elif p.dendrites is not None:
            key = p.dendrites, p.name
        elif p.winners is not None:
            key = None, p.name, p.winners
        elif apart and p.apart:
            key = None, p.apart
        found.setdefault(key, []).append(number)
    return [
        Kind(key[0], tuple(numbers), key[2] if len(key) > 2 else None)
        for key, numbers in found.items()
    ]


def _part(network: Network, members: np.ndarray, spikes: np.ndarray) -> tuple[Network, np.ndarray]:
    """The network of these neurons alone, all others made inputs, and the spikes of its sources."""
    mine = np.zeros(network.neurons, dtype=bool)
    mine[members] = True
    outside = np.concatenate([np.ones(network.inputs, dtype=bool), ~mine])
    order = np.concatenate([np.flatnonzero(outside), network.inputs + members])
    number = np.empty(network.sources, dtype=np.int64)
    number[order] = np.arange(network.sources)
    kept = np.flatnonzero(mine[network.target])
    source = number[network.source[kept]]
    kept = kept[np.argsort(source, kind="stable")]
    inputs = network.sources - len(members)
    _, population = np.unique(network.population[members], return_inverse=True)
    part = replace(
        network,
        inputs=inputs,
        neurons=len(members),
        population=population,
        level=network.level[members],
        graded=network.graded[order],
        output=network.output[members],
        source=number[network.source[kept]],
        target=number[network.target[kept] + network.inputs] - inputs,
        weight=network.weight[kept],
        exponent=network.exponent[kept],
        projection=network.projection[kept],
        number=network.number[kept],
    )
    return part, spikes[order]


def _load(
    kind: Kind, p: Population, part: Network, limits: Capacity, target: Target, spikes: np.ndarray
) -> float:
    """Cycles of a step, roughly, if one core did it all. `p`: the first population of the kind."""
    if isinstance(kind.dendrites, Streams):
        tiles = -(-len(np.unique(part.source)) // (target.stream_lanes or MOST_LANES))
        return part.neurons * tiles * 2.0**kind.dendrites.log2_length
    if isinstance(kind.dendrites, Crossbar):
        c = kind.dendrites
        banks = c.blocks(part.neurons) * c.tiles(len(np.unique(part.source)))
        return float(banks * (c.rows + c.columns) * max(c.value_bits, c.train, 1))
    if isinstance(kind.dendrites, Diagonal | Gate):
        params = dendrites_of(p, target.state_lanes)
        words = params.state_words(part.neurons) if isinstance(params, DiagonalParams) else 0
        return float(words + part.neurons)
    return float(spikes[part.source].sum()) / limits.lanes + part.neurons


def _fits(part: Network, limits: Capacity) -> int:
    """The fewest cores, up to limits.cores, that hold it; UserError if that is not enough."""
    if limits.slots is None and limits.synapse_bits is None:
        return 1
    graph, width = connectivity(part, np.ones(part.sources)), widths_of(part)
    low, high = 1, limits.cores
    in_layer_order(graph, limits, width)
    while low < high:
        middle = (low + high) // 2
        try:
            in_layer_order(graph, replace(limits, cores=middle), width)
            high = middle
        except UserError:
            low = middle + 1
    return high


@dataclass(frozen=True)
class _Block:
    """What a population with cores of its own isn't cut within, if only of `neurons` neurons."""

    neurons: int
    bits: int
    name: str
    remedy: str = ""


def _block(program: Program, p: Population, target: Target) -> _Block | None:
    """None: its cores are shared, or it isn't cut."""
    if p.winners is not None:
        into = [q for q in program.projections if q.target == p.name]
        bits = sum(len(q.weights) * q.weight_bits for q in into) * p.winners.group // p.size
        return _Block(p.winners.group, max(bits, 1), "a group of winners")
    if isinstance(p.dendrites, Crossbar):
        neurons = min(p.dendrites.neurons, p.size)
        remedy = " or use a narrower array (--array)"
        return _Block(neurons, block_bits(p), "a block of its crossbar", remedy)
    if isinstance(p.dendrites, Diagonal | Gate):
        neurons, name = 1, "a neuron"
        if isinstance(p.dendrites, Gate) and p.dendrites.spread:
            neurons, name = p.dendrites.stretch, "a stretch of its gate"
        elif isinstance(p.dendrites, Diagonal) and p.dendrites.neurons == 2:
            neurons, name = 2, "a complex state"
        bits = held_bits(dendrites_of(p, target.state_lanes), neurons)
        return _Block(neurons, bits, name)
    return None


def _fits_blocks(p: Population, block: _Block, limit: Capacity) -> int:
    """The fewest cores that hold whole blocks; UserError if one can't hold a block."""
    blocks = held = -(-p.size // block.neurons)
    if limit.slots is not None and limit.slots < p.size:
        held = limit.slots // block.neurons
        if not held:
            raise UserError(
                f"{p.name}: {block.name} has {block.neurons} neurons, {limit.slots} slots "
                f"available; allow more in a core (--neurons){block.remedy}"
            )
    if limit.synapse_bits is not None:
        held = min(held, limit.synapse_bits // block.bits)
        if not held:
            raise UserError(
                f"{p.name}: {block.name} takes {block.bits} bits of synapse memory, "
                f"{limit.synapse_bits} available; "
                f"allow more in a core (--synapse-bits){block.remedy}"
            )
    return -(-blocks // held)


def _share(
    program: Program, kinds: list[Kind], least: list[int], most: list[int], loads: list[float],
    cores: int,
) -> list[int]:  # fmt: skip
    """Cores of each kind, `least`..`most`, the heaviest first; UserError if there are too few."""
    if sum(least) > cores:
        each = "; ".join(
            f"{n} {kind.describe(program)}" for n, kind in zip(least, kinds, strict=True)
        )
        raise UserError(
            f"cores: {sum(least)} needed, {cores} available; by kind: {each}; "
            f"use more cores (--cores {sum(least)})"
        )
    counts = list(least)
    for _ in range(cores - sum(least)):
        able = [i for i in range(len(kinds)) if counts[i] < most[i]]
        if able:
            counts[max(able, key=lambda i: loads[i] / counts[i])] += 1
    return counts


def _stored_bits(network: Network, core: np.ndarray) -> int:
    """Bits of all weights: a core stores all of its weights at the width of its widest."""
    where = core[network.target]
    width = np.zeros(int(core.max()) + 1, dtype=np.int64)
    np.maximum.at(width, where, network.weight_bits[network.projection])
    return int((width * np.bincount(where, minlength=len(width))).sum())


def partition(
    program: Program,
    network: Network,
    kinds: list[Kind],
    limits: list[Capacity],
    target: Target,
    spikes: np.ndarray,
    seed: int | None,
) -> np.ndarray:
    """The core of each neuron; cores of a kind have neighbouring numbers.

    `limits`: of a core of each kind, all with the number of cores that there are. `target`: lanes
    of streams and states. `seed`: of the refinement; None: layer order. UserError if the cores do
    not suffice.
    """

    def divide(part: Network, limit: Capacity, weight: np.ndarray) -> np.ndarray:
        graph = connectivity(part, weight)
        core = in_layer_order(graph, limit, widths_of(part))
        if seed is None:
            return core
        try:
            made = cut(graph, replace(limit, fan_in=target.axons), seed=seed, first=core)
        except UserError:  # too many axons in some core: the layout says in which
            return core
        wider = _stored_bits(part, made.core) > SLACK * _stored_bits(part, core)
        if made.naive is None or (made.km1 <= WORTH * made.naive and not wider):
            return made.core
        return core

    only = kinds[0].winners is None and isinstance(kinds[0].dendrites, Streams | None)
    if len(kinds) == 1 and only:
        return divide(network, limits[0], spikes)
    groups = [np.flatnonzero(np.isin(network.population, kind.populations)) for kind in kinds]
    parts = [_part(network, members, spikes) for members in groups]
    firsts = [program.populations[kind.populations[0]] for kind in kinds]
    blocks = [_block(program, p, target) for p in firsts]
    least, most, loads = [], [], []
    for kind, p, block, limit, (part, weight) in zip(
        kinds, firsts, blocks, limits, parts, strict=True
    ):
        if isinstance(kind.dendrites, AttentionParams):
            least.append(1)
            most.append(1)
        elif block is not None:
            least.append(_fits_blocks(p, block, limit))
            most.append(-(-p.size // block.neurons))
        else:
            least.append(_fits(part, limit))
            most.append(part.neurons)
        loads.append(_load(kind, p, part, limit, target, weight))
    counts = _share(program, kinds, least, most, loads, limits[0].cores)
    core_of = np.zeros(network.neurons, dtype=np.int64)
    first = 0
    for kind, members, count, block, limit, (part, weight) in zip(
        kinds, groups, counts, blocks, limits, parts, strict=True
    ):
        if block is not None:
            number = np.arange(part.neurons) // block.neurons
            core_of[members] = number * count // (number[-1] + 1)
        elif not isinstance(kind.dendrites, AttentionParams):
            core_of[members] = divide(part, replace(limit, cores=count), weight)
        core_of[members] += first
        first = int(core_of[members].max()) + 1
    return core_of
