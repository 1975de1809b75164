"""Graphs of the mapping benchmarks, as mapping.connectivity.Connectivity; a seed gives one graph.

All are lean (int32, made in stretches of sources): they take little more memory than they fill.
"""

import numpy as np
from scipy.optimize import brentq

from mapping.connectivity import Connectivity

__all__ = ["conv_like", "experts", "random_layers", "sheet"]

#: Of a sheet: share of synapses that go anywhere, and the rest's deviation in roots of the fan-out.
FAR, SPREAD = 0.1, 0.47
STRETCH = 1 << 22  #: synapses that are drawn at once
BITS = 8  #: of a weight


def _graph(inputs, rows, population, spikes=None, names=()) -> Connectivity:
    """From stretches of targets [sources, draws]: -1 is none, repeated ones are one."""
    counts, indices = [], []
    for drawn in rows:
        drawn.sort(axis=1)
        kept = drawn >= 0
        kept[:, 1:] &= drawn[:, 1:] != drawn[:, :-1]
        counts.append(kept.sum(axis=1))
        indices.append(drawn[kept])
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    joined = np.empty(indptr[-1], dtype=np.int32)
    at = 0
    while indices:
        part = indices.pop(0)
        joined[at : at + len(part)] = part
        at += len(part)
    neurons = len(population)
    fan_in = np.zeros(neurons, dtype=np.int64)
    for a in range(0, at, STRETCH):
        fan_in += np.bincount(joined[a : a + STRETCH], minlength=neurons)
    return Connectivity(
        inputs=inputs,
        indptr=indptr,
        indices=joined,
        spikes=np.ones(inputs + neurons, np.float32) if spikes is None else spikes,
        population=np.asarray(population, dtype=np.int32),
        synapse_bits=fan_in * BITS,
        names=names,
    )


def sheet(neurons: int, synapses: int, seed: int = 0) -> Connectivity:
    """One population on a torus, numbered row by row, without inputs.

    A neuron's targets are drawn: a tenth anywhere, the others with a normal distribution about it,
    of .47 roots of the fan-out in x and in y, in as many draws as leave about `synapses` after
    repeated ones and itself are dropped.
    """
    rng = np.random.default_rng(seed)
    width = int(np.ceil(np.sqrt(neurons)))
    fan = synapses / neurons
    sigma = SPREAD * fan**0.5
    near = np.arange(-int(5 * sigma) - 1, int(5 * sigma) + 2)
    chance = np.exp(-(near**2) / (2 * sigma**2))
    cell = np.outer(chance, chance).ravel() / chance.sum() ** 2
    cell[len(cell) // 2] = 0
    most = int(brentq(lambda m: -np.expm1(-m * cell).sum() - (1 - FAR) * fan, 0, 100 * fan) + 0.5)
    far = round(FAR * fan)

    def rows():
        step = max(STRETCH // (most + far), 1)
        for a in range(0, neurons, step):
            own = np.arange(a, min(a + step, neurons), dtype=np.int32)[:, None]
            shape = len(own), most
            dx, dy = (
                np.rint(rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma))
                for _ in range(2)
            )
            x = (own % width + dx.astype(np.int32)) % width
            drawn = ((own // width + dy.astype(np.int32)) * width + x) % neurons
            away = rng.integers(neurons, size=(len(own), far), dtype=np.int32)
            drawn = np.concatenate([drawn, away], axis=1)
            drawn[drawn == own] = -1
            yield drawn

    return _graph(0, rows(), np.zeros(neurons))


def _layers(inputs: int, sizes, rows, spikes=None) -> Connectivity:
    population = np.repeat(np.arange(len(sizes)), sizes)
    names = tuple(f"layer{k}" for k in range(len(sizes)))
    return _graph(inputs, rows, population, spikes, names)


def conv_like(neurons: int, synapses: int, seed: int = 0, layers: int = 8) -> Connectivity:
    """Square maps of 5 channels, 5 x 5 kernels of all channels without wrapping, row by row.

    The first layer's neurons are sources only. Of the connections a random share is kept that
    leaves about `synapses` (all, if there are fewer).
    """
    rng = np.random.default_rng(seed)
    channels, reach = 5, 2
    width = max(round((neurons / layers / channels) ** 0.5), 1)
    size = width * width * channels
    offsets = np.arange(-reach, reach + 1)
    whole = (layers - 1) * (channels * (width * len(offsets) - reach * (reach + 1))) ** 2
    share = min(synapses / max(whole, 1), 1.0)

    def rows():
        place = np.arange(width * width, dtype=np.int32)
        y = place[:, None, None] // width + offsets[:, None]
        x = place[:, None, None] % width + offsets
        inside = (y >= 0) & (y < width) & (x >= 0) & (x < width)
        cells = np.where(inside, y * width + x, -1).reshape(len(place), -1)
        for layer in range(1, layers + 1):
            to = cells[:, :, None] * channels + np.arange(channels) + layer * size
            to = np.where(cells[:, :, None] < 0, -1, to).reshape(len(place), -1)
            to = np.repeat(to, channels, axis=0).astype(np.int32)
            to[(rng.random(to.shape) >= share) | (layer == layers)] = -1
            yield to

    return _layers(0, [size] * layers, rows())


def random_layers(neurons: int, synapses: int, seed: int = 0, layers: int = 10) -> Connectivity:
    """Equal layers, each neuron but the last layer's with random targets in the next layer."""
    rng = np.random.default_rng(seed)
    sizes = np.diff(np.arange(layers + 1) * neurons // layers)
    begin = np.cumsum(sizes) - sizes
    fan = synapses / max(neurons - sizes[-1], 1)

    def rows():
        for size, after, first in zip(sizes, [*sizes[1:], 0], [*begin[1:], 0], strict=True):
            share = min(fan / after, 1 - 1e-9) if after else 0.0
            draws = round(-np.log1p(-share) * after)
            step = max(STRETCH // max(draws, 1), 1)
            for a in range(0, size, step):
                shape = min(step, size - a), max(draws, 1)
                to = rng.integers(max(after, 1), size=shape, dtype=np.int32)
                yield to + np.int32(first) if draws else np.full(shape, -1, np.int32)

    return _layers(0, sizes, rows())


def experts(
    neurons: int, synapses: int, seed: int = 0, experts: int = 32, active: int = 2
) -> Connectivity:
    """Mixture of experts: inputs and a router reach all experts, each expert its own two layers.

    A tenth of the neurons' number are inputs, a tenth of the neurons gate, a tenth collects what
    the experts send. In a step `active` of the experts are chosen, expert e with chance
    proportional to 1 / (e + 1); the others are silent, so an expert's neurons send in proportion.
    Of each expert's neurons a half hears the inputs and the gate, and sends to the other half,
    which sends to the collecting layer. All connections are random with one fan-out.
    """
    rng = np.random.default_rng(seed)
    inputs = gate = max(neurons // 10, 1)
    half = max((neurons - 2 * gate) // (2 * experts), 1)
    sizes = [gate] + [half] * (2 * experts) + [gate]
    first = np.concatenate([[0], np.cumsum(sizes)])
    total = int(first[-1])
    fan = max(synapses // (inputs + total - gate), 1)
    hidden = np.arange(half)
    entry = np.concatenate([first[1 + 2 * e] + hidden for e in range(experts)])

    def rows():
        for size in (inputs, gate):
            to = entry[rng.integers(len(entry), size=(size, fan))].astype(np.int32)
            if size == inputs:
                to[:, 0] = rng.integers(gate, size=size)
            yield to
        for e in range(experts):
            yield rng.integers(half, size=(half, fan), dtype=np.int32) + np.int32(first[2 + 2 * e])
            yield rng.integers(gate, size=(half, fan), dtype=np.int32) + np.int32(first[-2])
        yield np.full((gate, 1), -1, np.int32)

    chance = 1 / np.arange(1, experts + 1)
    chance = np.minimum(active * chance / chance.sum(), 1.0)
    spikes = [np.ones(inputs + gate), np.repeat(chance, 2 * half), np.ones(gate)]
    graph = _layers(inputs, sizes, rows(), np.concatenate(spikes).astype(np.float32))
    assert graph.neurons == total
    return graph
