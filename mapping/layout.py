"""A partition on tiles: slots, tags and encoded rows of every core, within the limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hdl.params.crossbar.dendrites import Crossbar
from hdl.params.errors import UserError
from hdl.params.sc.dense import Streams
from hdl.params.ssm.diagonal import Diagonal
from hdl.params.ssm.gate import Gate
from mapping.banks import Banks, encode_banks
from mapping.columns import Columns, Head, encode_columns, encode_head
from mapping.connectivity import Capacity
from mapping.images import Rows, Synapses, encode_rows
from mapping.kinds import kinds_of, partition
from mapping.mapped import Target
from mapping.network import Network
from mapping.place import place
from mapping.program import Program
from mapping.states import Gates, States, encode_gates, encode_states
from mapping.tables import Routing, route_sources

__all__ = ["Contents", "Core", "Layout", "fit", "reach"]

#: What stands in a core's memories, by the kind of its dendrites.
Contents = Rows | Columns | Head | Banks | States | Gates


@dataclass(frozen=True, kw_only=True, eq=False)
class Core:
    """One core before its parameters are fixed."""

    tile: int
    axons: int
    neurons: np.ndarray  #: neuron numbers, in slot order
    slot: np.ndarray  #: their slots
    slots: int
    synapses: Synapses
    source: np.ndarray  #: source number of each synapse
    widest: int  #: weight bits of its widest projection
    rows: Contents

    @property
    def held(self) -> int:
        """Memory bits as a partition counts them (mapping/connectivity.py: Capacity)."""
        if isinstance(self.rows, Banks | States | Gates):
            return self.rows.held
        return len(self.source) * self.widest


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    width: int
    height: int
    tile_of: np.ndarray  #: tile of each neuron
    slot_of: np.ndarray  #: slot of each neuron
    cores: list[Core]
    routing: Routing
    reached: np.ndarray  #: [sources, cores] whether a source reaches a core


def fit(
    program: Program,
    network: Network,
    target: Target,
    mesh: tuple[int, int],
    spikes: np.ndarray,
) -> Layout:
    """A layout within the limits; what asks to stand apart does so if that fits."""
    try:
        return _fit(program, network, target, mesh, spikes, apart=True)
    except UserError:
        if not any(p.apart for p in program.populations):
            raise
        return _fit(program, network, target, mesh, spikes, apart=False)


def _fit(
    program: Program,
    network: Network,
    target: Target,
    mesh: tuple[int, int],
    spikes: np.ndarray,
    apart: bool,
) -> Layout:
    """A layout within the limits.

    The first partition only sees the weights' bits. While encoded rows (indices, headers,
    pointers, padding) overflow a core, the next one may put fewer weights in each core; that one
    is in layer order, which mixes the fewest weight widths.
    """
    kinds = kinds_of(program, apart)
    limits = [
        Capacity(
            cores=target.cores or 1,
            lanes=target.lanes if kind.dendrites is None else 1,
            slots=target.neurons,
            synapse_bits=target.synapse_bits,
        )
        for kind in kinds
    ]
    kind_of = {number: k for k, kind in enumerate(kinds) for number in kind.populations}
    problem: UserError | None = None
    for attempt in range(10):
        seed = target.seed if attempt == 0 else None
        try:
            core_of = partition(program, network, kinds, limits, target, spikes, seed)
        except UserError as error:
            raise problem or error from None
        layout = _lay_out(program, network, core_of, target, mesh, spikes)
        short = [c for c in layout.cores if _over(c, target)]
        if not short:
            return layout
        worst = max(short, key=lambda c: c.rows.bits)
        if problem is None:
            problem = UserError(_overflow(program, network, worst, target))
        if not target.synapse_bits or worst.rows.bits <= target.synapse_bits:
            raise problem
        if attempt:
            k = kind_of[int(network.population[worst.neurons[0]])]
            bits = min(
                limits[k].synapse_bits or worst.held,
                worst.held * target.synapse_bits // worst.rows.bits,
            )
            limits[k] = replace(limits[k], synapse_bits=bits)
    assert problem is not None
    raise problem


def reach(network: Network, core: np.ndarray, cores: int) -> np.ndarray:
    """[sources, cores]: whether the source has a synapse in the core."""
    reached = np.zeros((network.sources, cores), dtype=bool)
    reached[network.source, core[network.target]] = True
    return reached


def _quiet(program: Program, network: Network, core: np.ndarray, cores: int) -> np.ndarray:
    """Cores of populations that stand apart: what is not for them would wake them for nothing."""
    apart = np.array([bool(p.apart) for p in program.populations])[network.population]
    return np.flatnonzero(np.bincount(core, weights=~apart, minlength=cores) == 0)


def _slots(network: Network, members: np.ndarray, lanes: int) -> np.ndarray:
    """Slots of a core's neurons (ordered by level, population): populations start on a word."""
    population = network.population[members]
    starts = np.flatnonzero(np.r_[True, population[1:] != population[:-1]])
    sizes = np.diff(np.r_[starts, len(members)])
    padded = -(-sizes // lanes) * lanes
    begin = np.cumsum(padded) - padded
    return np.repeat(begin - starts, sizes) + np.arange(len(members))


def _lay_out(
    program: Program,
    network: Network,
    core_of: np.ndarray,
    target: Target,
    mesh: tuple[int, int],
    spikes: np.ndarray,
) -> Layout:
    """Tiles, slots, tags and encoded rows of a partition."""
    width, height = mesh
    count = int(core_of.max()) + 1
    reached = reach(network, core_of, count)
    tile = place(_traffic(network, core_of, reached, spikes), width, height, target.seed)
    tile_of = tile[core_of]
    quiet = _quiet(program, network, core_of, count)
    routing = route_sources(network, reached, tile, tile_of, width, height, target.routes, quiet)
    slot_of = np.zeros(network.neurons, dtype=np.int64)
    order = np.argsort(core_of[network.target].astype(np.int32), kind="stable")
    ends = np.searchsorted(core_of[network.target][order], np.arange(count + 1))
    cores = []
    for k in range(count):
        members = np.flatnonzero(core_of == k)
        members = members[np.argsort(network.level[members], kind="stable")]
        population = program.populations[int(network.population[members[0]])]
        dendrites = population.dendrites
        lanes = target.lanes if dendrites is None else 1
        slot = _slots(network, members, lanes)
        slot_of[members] = slot
        slots = -(-(int(slot[-1]) + 1) // lanes) * lanes
        used = np.zeros(slots, dtype=bool)
        used[slot] = True
        mine = order[ends[k] : ends[k + 1]]
        s = Synapses(
            axon=routing.axon(network.source[mine], int(tile[k])),
            slot=slot_of[network.target[mine]],
            weight=network.weight[mine],
            exponent=network.exponent[mine],
        )
        axons = max(routing.axons[tile[k]], 1)
        first = int(members[0]) + network.inputs - network.first[population.name]
        present = np.unique(network.projection[mine])
        bits = int(network.weight_bits[present].max(initial=1))
        rows: Contents
        if dendrites is None:
            rows = encode_rows(s, axons, lanes, used, bits, target.index, target.synapse_bits)
        elif isinstance(dendrites, Streams):
            number = network.number[mine]
            rows = encode_columns(dendrites, s, number, slots, axons, target.stream_lanes)
        elif isinstance(dendrites, Crossbar):
            block, blocks = first // dendrites.neurons, dendrites.blocks(slots)
            rows = encode_banks(population, block, blocks, network.number[mine], axons)
        elif isinstance(dendrites, Diagonal):
            rows = encode_states(population, first, slots, axons, target.state_lanes)
        elif isinstance(dendrites, Gate):
            rows = encode_gates(population, slots, axons)
        else:
            rows = encode_head(dendrites, axons)
        cores.append(
            Core(
                tile=int(tile[k]),
                axons=axons,
                neurons=members,
                slot=slot,
                slots=slots,
                synapses=s,
                source=network.source[mine],
                widest=bits,
                rows=rows,
            )
        )
    return Layout(
        width=width,
        height=height,
        tile_of=tile_of,
        slot_of=slot_of,
        cores=cores,
        routing=routing,
        reached=reached,
    )


def _traffic(
    network: Network, core_of: np.ndarray, reached: np.ndarray, spikes: np.ndarray
) -> np.ndarray:
    """Events per step between cores, the host last."""
    count = reached.shape[1]
    flow = np.zeros((count + 1, count + 1))
    weighted = reached * spikes[:, None]
    flow[-1, :count] = weighted[: network.inputs].sum(axis=0)
    np.add.at(flow[:, :count], core_of, weighted[network.inputs :])
    sent = np.where(network.output >= 0, spikes[network.inputs :], 0.0)
    flow[:count, -1] = np.bincount(core_of, weights=sent, minlength=count)
    return flow


def _over(core: Core, target: Target) -> bool:
    return (
        (target.neurons is not None and core.slots > target.neurons)
        or (target.synapse_bits is not None and core.rows.bits > target.synapse_bits)
        or (target.axons is not None and core.axons > target.axons)
    )


def _overflow(program: Program, network: Network, core: Core, target: Target) -> str:
    """What is short in a core, who takes most of it, what would help."""
    fan_in = np.bincount(network.population[core.neurons])
    if len(core.synapses.slot):
        fan_in = np.bincount(network.population[_owner(core)], minlength=len(fan_in))
    name = program.populations[int(fan_in.argmax())].name
    if isinstance(core.rows, Head):
        for need, limit, what, option in (
            (core.slots, target.neurons, "neuron slots", "--neurons"),
            (core.axons, target.axons, "axons", "--axons"),
            (core.rows.bits, target.synapse_bits, "bits of synapse memory", "--synapse-bits"),
        ):
            if limit is not None and need > limit:
                return (
                    f"core at tile {core.tile}: {need} {what} needed, {limit} available (all for "
                    f"{name}); an attention head takes one core: allow more in it ({option})"
                )
    if target.synapse_bits is not None and core.rows.bits > target.synapse_bits:
        other = "fewer weight bits (--weight-bits)"
        if isinstance(core.rows, Banks):
            other = "a narrower array (--array)"
        elif isinstance(core.rows, States):
            other = "fewer pole bits (--pole-bits)"
        elif isinstance(core.rows, Gates):
            other = "allow more in a core (--synapse-bits)"
        return (
            f"core at tile {core.tile}: {core.rows.bits} bits of synapse memory needed, "
            f"{target.synapse_bits} available (most for {name}); "
            f"use more cores (--cores) or {other}"
        )
    if target.axons is not None and core.axons > target.axons:
        return (
            f"core at tile {core.tile}: {core.axons} axons needed, {target.axons} available "
            f"(most for {name}); use more cores (--cores) or prune inputs"
        )
    return (
        f"core at tile {core.tile}: {core.slots} neuron slots needed, {target.neurons} available "
        f"(most for {name}); use more cores (--cores) or fewer lanes (--lanes)"
    )


def _owner(core: Core) -> np.ndarray:
    """Neuron number of each synapse of a core."""
    neuron = np.zeros(core.slots, dtype=np.int64)
    neuron[core.slot] = core.neurons
    return neuron[core.synapses.slot]
