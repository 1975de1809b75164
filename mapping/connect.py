"""The connectivity of a Network: what partition, placement and routes need of it."""

from __future__ import annotations

import numpy as np

from mapping.connectivity import Connectivity
from mapping.network import Network
from mapping.partition import weight_bits_of

__all__ = ["connectivity"]


def connectivity(network: Network, spikes: np.ndarray, names: tuple[str, ...] = ()) -> Connectivity:
    """Who sends to whom; `spikes`: events per step of each source, `names`: of the populations."""
    order = np.lexsort((network.target, network.source))
    count = np.bincount(network.source, minlength=network.sources)
    return Connectivity(
        inputs=network.inputs,
        indptr=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        indices=network.target[order].astype(np.int32),
        spikes=np.asarray(spikes, dtype=np.float32),
        population=network.population.astype(np.int32),
        synapse_bits=weight_bits_of(network),
        names=names,
    )
