"""Who sends to whom, and nothing else: what partition, placement and routes need of a network.

A million neurons with a hundred million synapses take .4 GB here; a `mapping.network.Network`,
which also holds weights, would take ten times that. Neurons and sources are numbered as there:
source ``inputs + n`` is neuron n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Capacity", "Connectivity", "Partition"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Connectivity:
    """A directed hypergraph: each source is a hyperedge from its home to all its targets.

    Parameters
    ----------
    inputs : sources that live in no core (the host sends for them).
    indptr, indices : CSR by source, indptr int64 [inputs + neurons + 1], indices int32: target
        neurons, sorted within a source, none twice.
    spikes : float32 [inputs + neurons], events per step that each source sends, from real stimulus
        or as given; 1 where nothing is known. A source with 0 (a silent expert) costs no traffic.
    population : int32 [neurons], number of the population (layer) of each neuron, ascending.
    synapse_bits : int64 [neurons], bits that a neuron's weights take in its core's memory.
    names : of the populations; empty for graphs without names.
    """

    inputs: int
    indptr: np.ndarray
    indices: np.ndarray
    spikes: np.ndarray
    population: np.ndarray
    synapse_bits: np.ndarray
    names: tuple[str, ...] = ()

    @property
    def neurons(self) -> int:
        return len(self.population)

    @property
    def sources(self) -> int:
        return self.inputs + self.neurons

    @property
    def synapses(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a core holds; None is no limit. Hard: no Partition ever exceeds it.

    slots : neuron slots; each population in a core starts at a multiple of `lanes`.
    synapse_bits : sum of its neurons' `synapse_bits`.
    fan_in : most distinct sources that reach the core (axons).
    load : most synapses. None: cores are about as loaded as in layer order, where a neuron's load
        is its share of all neurons plus its share of all synapses (`mapping.partition.loads`): none
        is above 1.05 times the mean, or above what layer order takes if that is more.
    """

    cores: int
    slots: int | None = None
    lanes: int = 1
    synapse_bits: int | None = None
    fan_in: int | None = None
    load: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """core : int32 [neurons]. km1 : mean number of other cores that an event must reach, weighted
    by spikes (an input counts from its second core on). start : what it was refined from ("layer
    order", "METIS", "METIS on shared inputs", ...). naive : km1 of layer order, None if layer order
    does not fit. seconds : by stage."""

    core: np.ndarray
    cores: int
    km1: float
    start: str
    naive: float | None
    seconds: dict[str, float]
