"""The dot product of two vectors by bit-streams, from its equation."""

from __future__ import annotations

import numpy as np
from numba import njit

from hdl.params.sc.dot import DATA_BITS, DotParams
from sim.golden.sc.checked import checked
from sim.golden.sc.dense import numbers
from sim.golden.sc.packed import unpack

__all__ = ["DotModel"]


@njit(cache=True, nogil=True)
def _run(write_a, write_b, plane, data, a_plane, b_plane, signed, a_bits, b_bits, count):  # type: ignore[no-untyped-def]
    """One run. data, and the planes inside: a bit each lane."""
    lanes = data.shape[1]
    a = np.zeros((a_bits + 2, lanes), np.uint8)
    b = np.zeros((b_bits + 2, lanes), np.uint8)
    begun, s, total = False, 0, 0
    for t in range(len(plane)):
        if not begun and (write_a[t] or write_b[t]):
            if write_a[t] and plane[t] < a_bits + 2:
                a[plane[t]] = data[t]
            if write_b[t] and plane[t] < b_bits + 2:
                b[plane[t]] = data[t]
        elif signed and not begun:
            begun = True
        else:
            begun = True
            x, y = a[a_plane[s]], b[b_plane[s]]
            for lane in range(lanes):
                if x[lane] and y[lane]:
                    minus = signed and a[a_bits + 1, lane] != b[b_bits + 1, lane]
                    total += -1 if minus else 1
            s = (s + 1) % len(a_plane)
        count[t] = total


class DotModel:
    """Golden twin of `hdl.sc.dot.Dot`. Vectors are zero at the beginning of each run."""

    def __init__(self, params: DotParams) -> None:
        self.params = params

    def planes(self, numbers_of: np.ndarray, width: int) -> np.ndarray:
        """The plane that each number selects."""
        zeros = self.params.source_bits - np.frexp(numbers_of.astype(float))[1]
        return np.where(zeros < width, width - 1 - zeros, width)

    @checked
    def run(self, length: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """write_a, write_b packed [..., words]; plane, data_n int64 [..., length].

        Returns {"count": int64 [..., length]}.
        """
        p = self.params
        period = (1 << p.source_bits) - (p.generator == "lfsr")
        u, v = (one[0][:period] for one in numbers(p.streams))
        names = ["plane", *(port.name for port in p.data_ports)]
        given = [unpack(inputs[name], length) for name in ("write_a", "write_b")]
        given += [np.asarray(inputs[name]) for name in names]
        shape = np.broadcast_shapes(*(x.shape for x in given))
        write_a, write_b, plane, *data = (
            np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1, length) for x in given
        )
        lane = np.arange(p.lanes)
        count = np.empty(write_a.shape, np.int64)
        for n in range(len(count)):
            word = np.stack([part[n] for part in data])[lane // DATA_BITS]
            bits = (word >> (lane % DATA_BITS)[:, None] & 1).T.astype(np.uint8)
            _run(
                write_a[n], write_b[n], plane[n].astype(np.int64), bits,
                self.planes(u, p.a_bits), self.planes(v, p.b_bits),
                p.signed, p.a_bits, p.b_bits, count[n],
            )  # fmt: skip
        span = 1 << p.count_bits
        count &= span - 1
        if p.signed:
            count -= (count >> (p.count_bits - 1)) << p.count_bits
        return {"count": count.reshape(shape)}
