"""Better partitions: fewer cores that a spike must reach (km1)."""

from __future__ import annotations

import numpy as np

from mapping.network import Network
from mapping.partition import Limits

__all__ = ["km1", "reach", "refine"]


def reach(network: Network, core: np.ndarray, cores: int) -> np.ndarray:
    """[sources, cores]: whether the source has a synapse in the core."""
    reached = np.zeros((network.sources, cores), dtype=bool)
    reached[network.source, core[network.target]] = True
    return reached


def km1(reached: np.ndarray, home: np.ndarray, spikes: np.ndarray) -> float:
    """Mean number of other cores that an event must reach; `home` is -1 for inputs.

    An input, which lives in no core, counts from its second core on.
    """
    count = reached.sum(axis=1)
    own = (home >= 0) & reached[np.arange(len(home)), np.maximum(home, 0)]
    others = count - own - ((home < 0) & (count > 0))
    return float((others * spikes).sum() / max(spikes.sum(), 1e-12))


def refine(
    network: Network, core: np.ndarray, limits: Limits, spikes: np.ndarray, seed: int
) -> np.ndarray:
    return core
