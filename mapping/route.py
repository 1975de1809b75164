"""A route: one flit, which reaches a product of rows and columns. Words of route tables."""

from __future__ import annotations

import numpy as np

from hdl.params.noc import FlitParams

__all__ = ["HOST_ROUTE", "Product", "pack_route"]

Product = tuple[int, int]  #: rows (tile row y is bit y + 1), columns

HOST_ROUTE: Product = (1, 1)  #: the host: row 0 of column 0


def pack_route(
    flit: FlitParams, tag: np.ndarray, rows: np.ndarray, columns: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Valid entries of a route table (layout: FlitParams.route_bits), as Python integers."""
    word = np.asarray(tag).astype(object)
    shift = flit.tag_bits
    word = word + (np.asarray(rows).astype(object) << shift)
    shift += flit.rows_bits
    word = word + (np.asarray(columns).astype(object) << shift)
    shift += flit.columns_bits
    return word + (np.asarray(last).astype(int).astype(object) << shift) + (1 << (shift + 1))
