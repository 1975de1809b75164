"""Which core each neuron lives in.

First candidate: populations in order, cut into contiguous pieces of equal load (a neuron's load:
its share of all neurons plus its share of all synapses). `mapping.refine` may better it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hdl.params.errors import UserError
from mapping.network import Network

__all__ = ["Limits", "in_layer_order", "loads", "slots_needed", "weight_bits_of"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hard capacities of a core that a partition can see; None is no limit.

    `bits` are those of the weights alone, all as wide as the core's widest: the mapper lowers it
    until the encoded rows fit.
    """

    cores: int
    lanes: int
    neurons: int | None = None
    bits: int | None = None


def loads(network: Network) -> np.ndarray:
    """Load of each neuron, integers."""
    fan_in = np.bincount(network.target, minlength=network.neurons)
    return max(len(network.target), 1) + network.neurons * fan_in


def weight_bits_of(network: Network) -> np.ndarray:
    """Bits of each neuron's weights, without any index or padding."""
    if not len(network.weight_bits):
        return np.zeros(network.neurons, dtype=np.int64)
    weight = network.weight_bits[network.projection]
    return np.bincount(network.target, weights=weight, minlength=network.neurons).astype(np.int64)


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
    count = np.concatenate([[0], np.cumsum(fan_in)])
    width = np.zeros(n, dtype=np.int64)
    np.maximum.at(width, network.target, network.weight_bits[network.projection])

    def slots(a: int, b: int) -> int:
        inside = np.minimum(begin + sizes, b) - np.maximum(begin, a)
        return int((-(-np.maximum(inside, 0) // lanes) * lanes).sum())

    def fits(a: int, b: int) -> bool:
        """Whether neurons a..b keep the limits; the widest weight sets the width of all."""
        if limits.neurons is not None and slots(a, b) > limits.neurons:
            return False
        held = int(count[b] - count[a]) * int(width[a:b].max(initial=0))
        return limits.bits is None or held <= limits.bits

    def furthest(at: int, load: int) -> int:
        """The last cut that one core starting at cut `at` can reach."""
        a = int(cuts[at])
        end = int(np.searchsorted(total[cuts], total[a] + load, side="right")) - 1
        if end <= at or fits(a, int(cuts[end])):
            return end
        low = at
        while end - low > 1:
            middle = (low + end) // 2
            if fits(a, int(cuts[middle])):
                low = middle
            else:
                end = middle
        return low

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
        _refuse(network, limits, weight_bits_of(network), int((blocks * lanes).sum()))
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


def _refuse(network: Network, limits: Limits, bits: np.ndarray, slots: int) -> None:
    """Say which capacity is short."""
    cores = limits.cores
    if limits.neurons is not None and slots > cores * limits.neurons:
        raise UserError(
            f"neurons: {slots} slots needed (populations padded to {limits.lanes} lanes), "
            f"{cores} x {limits.neurons} available; "
            f"use more cores (--cores {-(-slots // limits.neurons)}) or fewer lanes (--lanes)"
        )
    if limits.bits is not None and int(bits.max()) > limits.bits:
        raise UserError(
            f"synapse memory: one neuron's weights need {int(bits.max())} bits, "
            f"{limits.bits} available; use fewer weight bits (--weight-bits)"
        )
    if limits.bits is not None and int(bits.sum()) > cores * limits.bits:
        total = int(bits.sum())
        raise UserError(
            f"synapse memory: the weights alone need {total} bits, {cores} x {limits.bits} "
            f"available; use more cores (--cores {-(-total // limits.bits)}) "
            "or fewer weight bits (--weight-bits)"
        )
    any_number = "any number of"
    raise UserError(
        f"{network.neurons} neurons do not fit {cores} cores with {limits.neurons or any_number} "
        f"neuron slots and {limits.bits or any_number} weight bits each; "
        "use more cores (--cores) or fewer lanes (--lanes)"
    )
