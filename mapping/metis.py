"""METIS without holding up other threads: `pymetis` keeps Python's lock for as long as it runs.

The library within pymetis is called directly where its wheel lets us (Karypis and Kumar, SIAM J.
Sci. Comput. 20, 1998; METIS 5 manual, section 5), else through pymetis; the answer is the same.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from scipy.sparse import csr_array

__all__ = ["part_graph"]

OPTIONS = 40  #: METIS_NOPTIONS
OK = 1  #: METIS_OK


def part_graph(
    links: csr_array, weight: np.ndarray, parts: int, *, seed: int, ufactor: int
) -> np.ndarray:
    """int32 [nodes]: the part of each node of a symmetric graph, k-way, fewest weight cut.

    links : its data are weights from 1. weight : of each node, from 0.
    ufactor : thousandths that a part may be heavier than the mean.
    """
    import pymetis
    from pymetis import _internal

    nodes = links.shape[0]
    if parts == 1 or nodes < 2:
        return np.zeros(nodes, np.int32)
    options = pymetis.Options(seed=seed, ufactor=ufactor)
    wide = _internal._idx_type_width() == 64
    kind, number = (np.int64, ctypes.c_int64) if wide else (np.int32, ctypes.c_int32)
    begin, other, load, cost = (
        np.ascontiguousarray(array, dtype=kind)
        for array in (links.indptr, links.indices, weight, links.data)
    )
    run = getattr(ctypes.CDLL(_internal.__file__), "METIS_PartGraphKway", None)
    if run is None:
        return np.asarray(
            pymetis.part_graph(
                parts,
                adjacency=pymetis.CSRAdjacency(begin, other),
                vweights=load,
                eweights=cost,
                recursive=False,
                options=options,
            ).vertex_part,
            dtype=np.int32,
        )

    def one(value: int) -> Any:
        return ctypes.byref(number(value))

    def many(array: np.ndarray) -> ctypes.c_void_p:
        return array.ctypes.data_as(ctypes.c_void_p)

    chosen = (number * OPTIONS)(*(options._get(i) for i in range(OPTIONS)))
    part = np.zeros(nodes, kind)
    status = run(
        one(nodes), one(1), many(begin), many(other), many(load), None, many(cost), one(parts),
        None, None, chosen, one(0), many(part),
    )  # fmt: skip
    if status != OK:
        raise MemoryError(f"METIS gave up on {nodes} nodes, {links.nnz} links (status {status})")
    return part.astype(np.int32)
