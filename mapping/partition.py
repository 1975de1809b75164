"""Which core each neuron lives in.

First candidate: populations in order, cut into contiguous pieces of equal load (a neuron's load:
its share of all neurons plus its share of all synapses). `mapping.refine` may better it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.errors import UserError
from mapping.network import Network

__all__ = ["Limits", "in_layer_order", "loads", "slots_needed"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hard capacities of a core that a partition can see; None is no limit.

    `synapses` is a number of synapses: the mapper lowers it until the encoded rows fit.
    """

    cores: int
    lanes: int
    neurons: int | None = None
    synapses: int | None = None


def loads(network: Network) -> np.ndarray:
    """Load of each neuron, integers."""
    fan_in = np.bincount(network.target, minlength=network.neurons)
    return max(len(network.target), 1) + network.neurons * fan_in


def slots_needed(network: Network, core: np.ndarray, cores: int, lanes: int) -> np.ndarray:
    """Slots that each core needs: every population starts at a multiple of `lanes`."""
    populations = int(network.population[-1]) + 1
    sizes = np.bincount(core * populations + network.population, minlength=cores * populations)
    return (-(-sizes // lanes) * lanes).reshape(cores, populations).sum(axis=1)


def in_layer_order(network: Network, limits: Limits) -> np.ndarray:
    """Core of each neuron: contiguous pieces of equal load within the limits, else UserError."""
    n, lanes = network.neurons, limits.lanes
    cores = min(limits.cores, n)
    sizes = np.bincount(network.population)
    begin = np.cumsum(sizes) - sizes
    blocks = -(-sizes // lanes)
    if int(blocks.sum()) >= 4 * cores:
        pieces = [b + np.arange(0, s, lanes) for b, s in zip(begin, sizes, strict=True)]
        cuts = np.concatenate([*pieces, [n]])
    else:
        cuts = np.arange(n + 1)
    total = np.concatenate([[0], np.cumsum(loads(network))])
    fan_in = np.bincount(network.target, minlength=n)
    synapses = np.concatenate([[0], np.cumsum(fan_in)])

    def slots(a: int, b: int) -> int:
        inside = np.minimum(begin + sizes, b) - np.maximum(begin, a)
        return int((-(-np.maximum(inside, 0) // lanes) * lanes).sum())

    def furthest(at: int, load: int) -> int:
        """The last cut that one core starting at cut `at` can reach."""
        a = int(cuts[at])
        end = int(np.searchsorted(total[cuts], total[a] + load, side="right")) - 1
        if limits.synapses is not None:
            most = int(np.searchsorted(synapses[cuts], synapses[a] + limits.synapses, "right")) - 1
            end = min(end, most)
        if limits.neurons is not None and end > at and slots(a, int(cuts[end])) > limits.neurons:
            low, high = at, end
            while high - low > 1:
                middle = (low + high) // 2
                if slots(a, int(cuts[middle])) <= limits.neurons:
                    low = middle
                else:
                    high = middle
            end = low
        return end

    def fill(load: int, even: bool) -> list[int] | None:
        """Cuts that use at most `cores` cores of that load; `even`: no core takes more than
        what is left for it if all took the same."""
        path = [0]
        for k in range(cores):
            at = path[-1]
            end = furthest(at, load)
            if even:
                left = -(-int(total[-1] - total[cuts[at]]) // (cores - k))
                fair = int(np.searchsorted(total[cuts], total[cuts[at]] + left))
                end = min(end, max(fair, at + 1), len(cuts) - cores + k)
            if end == at:
                return None
            path.append(end)
            if end == len(cuts) - 1:
                return path
        return None

    low, high = 0, int(total[-1])
    if fill(high, even=False) is None:
        _refuse(network, limits, fan_in, int((blocks * lanes).sum()))
    while high - low > 1:
        middle = (low + high) // 2
        if fill(middle, even=False) is None:
            low = middle
        else:
            high = middle
    path = fill(high, even=True) or fill(high, even=False)
    assert path is not None
    core = np.zeros(n, dtype=np.int64)
    core[cuts[path[1:-1]]] = 1
    return np.cumsum(core)


def _refuse(network: Network, limits: Limits, fan_in: np.ndarray, slots: int) -> None:
    """Say which capacity is short."""
    cores = limits.cores
    if limits.neurons is not None and slots > cores * limits.neurons:
        raise UserError(
            f"neurons: {slots} slots needed (populations padded to {limits.lanes} lanes), "
            f"{cores} x {limits.neurons} available; "
            f"use more cores (--cores {-(-slots // limits.neurons)}) or fewer lanes (--lanes)"
        )
    if limits.synapses is not None and len(network.target) > cores * limits.synapses:
        raise UserError(
            f"synapses: {len(network.target)} needed, {cores} x {limits.synapses} fit; "
            "use more cores (--cores) or fewer weight bits (--weight-bits)"
        )
    if limits.synapses is not None and int(fan_in.max(initial=0)) > limits.synapses:
        raise UserError(
            f"synapses: one neuron has {int(fan_in.max())}, {limits.synapses} fit a core; "
            "use fewer weight bits (--weight-bits) or prune"
        )
    raise UserError(
        f"{network.neurons} neurons do not fit {cores} cores with {limits.neurons} neuron slots "
        f"and {limits.synapses} synapses each; use more cores (--cores) or fewer lanes (--lanes)"
    )
