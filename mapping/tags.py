"""Tags: the axon number that a flit carries, the same at all cores that it reaches.

Each flit of an event has its own, given after routing: flits that reach the same tiles draw from
one pool, and a source that needs several flits takes no tag at a tile that only the others reach.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mapping.cover import lowest

__all__ = ["first_fit"]

FULL = ~np.uint64(0)


@njit(cache=True, nogil=True)
def first_fit(indptr: np.ndarray, tiles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tag of each flit, and the axons that each of `count` tiles needs for them.

    indptr, tiles : the tiles that each flit reaches, CSR. Those with the most tiles come first;
    each gets the lowest tag that none before it has at any of its tiles; without tiles it is 0.
    """
    used = np.zeros((count, 16), np.uint64)
    front = np.zeros(count, np.int64)  # words below are full
    tag = np.zeros(len(indptr) - 1, np.int32)
    axons = np.zeros(count, np.int64)
    for n in np.argsort(indptr[:-1] - indptr[1:], kind="mergesort"):
        mine = tiles[indptr[n] : indptr[n + 1]]
        if not len(mine):
            continue
        word = 0
        for t in mine:
            word = max(word, front[t])
        taken = FULL
        while True:
            if word == used.shape[1]:
                wider = np.zeros((count, 2 * word), np.uint64)
                wider[:, :word] = used
                used = wider
            taken = np.uint64(0)
            for t in mine:
                taken |= used[t, word]
            if taken != FULL:
                break
            word += 1
        bit = lowest(~taken)
        tag[n] = 64 * word + bit
        for t in mine:
            used[t, word] |= np.uint64(1) << np.uint64(bit)
            axons[t] = max(axons[t], tag[n] + 1)
            while front[t] < used.shape[1] and used[t, front[t]] == FULL:
                front[t] += 1
    return tag, axons
