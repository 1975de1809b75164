"""First placements, before any annealing: along a curve, or by the traffic's slowest modes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array, diags_array

__all__ = ["hilbert", "spectral"]

#: Rotations of the spectral coordinates that are tried.
ROTATIONS = 64


def hilbert(width: int, height: int) -> np.ndarray:
    """All tiles in the order of a Hilbert curve over any rectangle.

    Neighbours on the curve are neighbours on the mesh, but for one diagonal step if the longer
    side is odd and the other even (generalised Hilbert curve: github.com/jakubcerveny/gilbert).
    """

    def half(a: int) -> int:
        return int(a / 2)

    def sign(a: int) -> int:
        return (a > 0) - (a < 0)

    def walk(x: int, y: int, ax: int, ay: int, bx: int, by: int) -> Iterator[int]:
        long, wide = abs(ax + ay), abs(bx + by)
        step, side = (sign(ax), sign(ay)), (sign(bx), sign(by))
        if wide == 1 or long == 1:
            dx, dy = step if wide == 1 else side
            for _ in range(max(long, wide)):
                yield y * width + x
                x, y = x + dx, y + dy
            return
        ax2, ay2, bx2, by2 = half(ax), half(ay), half(bx), half(by)
        if 2 * long > 3 * wide:
            if abs(ax2 + ay2) % 2 and long > 2:
                ax2, ay2 = ax2 + step[0], ay2 + step[1]
            yield from walk(x, y, ax2, ay2, bx, by)
            yield from walk(x + ax2, y + ay2, ax - ax2, ay - ay2, bx, by)
            return
        if abs(bx2 + by2) % 2 and wide > 2:
            bx2, by2 = bx2 + side[0], by2 + side[1]
        yield from walk(x, y, bx2, by2, ax2, ay2)
        yield from walk(x + bx2, y + by2, ax, ay, bx - bx2, by - by2)
        x, y = x + ax - step[0] + bx2 - side[0], y + ay - step[1] + by2 - side[1]
        yield from walk(x, y, -bx2, -by2, ax2 - ax, ay2 - ay)

    flat = width >= height
    path = walk(0, 0, width, 0, 0, height) if flat else walk(0, 0, 0, height, width, 0)
    return np.fromiter(path, np.int64, width * height)


def spectral(
    flow: csr_array, width: int, height: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Placements of the nodes with traffic: tile of each; there are no more of them than tiles.

    `flow`: symmetric. The slowest modes of the normalised Laplacian are coordinates in which nodes
    that talk lie close (Hall, Management Science 1970); a plane in the space of the four slowest is
    cut into strips, strips into tiles. A sheet's modes come in any mixture, a torus has four alike,
    so random planes are tried. None for fewer than eight nodes.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    count = flow.shape[0]
    if count < 8:
        return
    scale = diags_array(1 / np.sqrt(np.asarray(flow.sum(axis=1)).ravel()))
    start = rng.random(count)
    try:
        values, modes = eigsh(scale @ flow @ scale, k=5, which="LA", v0=start, tol=1e-3)
    except ArpackNoConvergence as stopped:
        values, modes = stopped.eigenvalues, stopped.eigenvectors
        if len(values) < 3:
            return
    modes = scale @ modes[:, np.argsort(-values, kind="stable")[1:]]
    along = np.arange(count)
    for _ in range(ROTATIONS):
        plane, _ = np.linalg.qr(rng.standard_normal((modes.shape[1], 2)))
        # Rounded: the last bits of a sum may depend on the number of threads.
        p, q = np.round(modes @ plane / np.abs(modes).max(), 6).T
        column = np.empty(count, np.int64)
        column[np.argsort(p, kind="stable")] = along // height
        tile = np.empty(count, np.int64)
        tile[np.lexsort((q, column))] = along % height * width + along // height
        yield tile
