"""Kinds of cores: which populations may share a core, and how many cores each kind gets.

A core has one kind of dendrites. Event-driven populations share cores freely; stochastic ones if
their streams and their levels are the same (and, with several generators, only if they are one
population: its inputs are counted through to deal the generators out); an attention head has a
core of its own; a population with a crossbar, states or products has cores of its own, each with a
stretch of it: whole blocks of a crossbar, both neurons of a complex state. Each kind is partitioned
by itself.
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
from mapping.banks import block_bits
from mapping.columns import MOST_LANES
from mapping.mapped import Target
from mapping.network import Network
from mapping.partition import Limits, in_layer_order
from mapping.program import Population, Program
from mapping.refine import refine
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


@dataclass(frozen=True)
class Kind:
    """dendrites: of its cores, None for event-driven ones. populations: their numbers."""

    dendrites: Streams | AttentionParams | Crossbar | Diagonal | Gate | None
    populations: tuple[int, ...]

    def describe(self, program: Program) -> str:
        name = NAMES[type(self.dendrites)]
        return f"{name} ({', '.join(program.populations[i].name for i in self.populations)})"


def kinds_of(program: Program) -> list[Kind]:
    """The kinds, in the order of their first populations."""
    found: dict[tuple, list[int]] = {}
    for number, p in enumerate(program.populations):
        key: tuple = (p.dendrites,)
        if isinstance(p.dendrites, Streams):
            key = p.dendrites, p.level if p.dendrites.generators == 1 else p.name
        elif p.dendrites is not None:
            key = p.dendrites, p.name
        found.setdefault(key, []).append(number)
    return [Kind(key[0], tuple(numbers)) for key, numbers in found.items()]


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
    kind: Kind, p: Population, part: Network, limits: Limits, target: Target, spikes: np.ndarray
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


def _fits(part: Network, limits: Limits) -> int:
    """The fewest cores, up to limits.cores, that hold it; UserError if that is not enough."""
    if limits.neurons is None and limits.bits is None:
        return 1
    low, high = 1, limits.cores
    in_layer_order(part, limits)
    while low < high:
        middle = (low + high) // 2
        try:
            in_layer_order(part, replace(limits, cores=middle))
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


def _block(p: Population, target: Target) -> _Block | None:
    """None: its cores are shared, or it isn't cut."""
    if isinstance(p.dendrites, Crossbar):
        neurons = min(p.dendrites.neurons, p.size)
        remedy = " or use a narrower array (--array)"
        return _Block(neurons, block_bits(p), "a block of its crossbar", remedy)
    if isinstance(p.dendrites, Diagonal | Gate):
        pair = isinstance(p.dendrites, Diagonal) and p.dendrites.neurons == 2
        neurons = 2 if pair else 1
        bits = held_bits(dendrites_of(p, target.state_lanes), neurons)
        return _Block(neurons, bits, "a complex state" if pair else "a neuron")
    return None


def _fits_blocks(p: Population, block: _Block, limit: Limits) -> int:
    """The fewest cores that hold whole blocks; UserError if one can't hold a block."""
    blocks = held = -(-p.size // block.neurons)
    if limit.neurons is not None and limit.neurons < p.size:
        held = limit.neurons // block.neurons
        if not held:
            raise UserError(
                f"{p.name}: {block.name} has {block.neurons} neurons, {limit.neurons} slots "
                f"available; allow more in a core (--neurons){block.remedy}"
            )
    if limit.bits is not None:
        held = min(held, limit.bits // block.bits)
        if not held:
            raise UserError(
                f"{p.name}: {block.name} takes {block.bits} bits of synapse memory, "
                f"{limit.bits} available; allow more in a core (--synapse-bits){block.remedy}"
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


def partition(
    program: Program,
    network: Network,
    kinds: list[Kind],
    limits: list[Limits],
    target: Target,
    spikes: np.ndarray,
    seed: int | None,
) -> np.ndarray:
    """The core of each neuron; cores of a kind have neighbouring numbers.

    `limits`: of a core of each kind, all with the number of cores that there are. `target`: lanes
    of streams and states. `seed`: of the refinement; None: layer order. UserError if the cores do
    not suffice.
    """

    def divide(part: Network, limit: Limits, weight: np.ndarray) -> np.ndarray:
        core = in_layer_order(part, limit)
        return core if seed is None else refine(part, core, limit, weight, seed)

    if len(kinds) == 1 and isinstance(kinds[0].dendrites, Streams | None):
        return divide(network, limits[0], spikes)
    groups = [np.flatnonzero(np.isin(network.population, kind.populations)) for kind in kinds]
    parts = [_part(network, members, spikes) for members in groups]
    firsts = [program.populations[kind.populations[0]] for kind in kinds]
    blocks = [_block(p, target) for p in firsts]
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
