"""First placements, before any annealing: along a curve, or by the traffic's slowest modes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array, diags_array

__all__ = ["hilbert", "spectral"]

#: Planes through the slowest modes that are tried: turns of the first two and as many at random;
#: how many of the best are straightened, in how many steps.
TURNS, BEST, STEPS = 32, 4, 12


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
) -> np.ndarray | None:
    """Tile of each node; there are at most as many as tiles. None for fewer than eight.

    `flow`: symmetric, every node has some. The slowest modes of its Laplacian are
    coordinates in which nodes that talk lie close (Hall, Management Science 1970). A plane in the
    space of the four slowest is cut into strips of equal count, strips into tiles. Many planes are
    tried: a sheet's modes are the first two in any rotation, a torus has four alike. The best are
    straightened: again and again the plane is fitted to cosines of the columns and rows just found.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    count = flow.shape[0]
    if count < 8:
        return None
    degree = np.asarray(flow.sum(axis=1)).ravel()
    start = rng.random(count)
    try:
        turned = csr_array(flow + diags_array(2 * degree.max() - degree))
        values, modes = eigsh(turned, k=5, which="LA", v0=start, tol=0)
    except ArpackNoConvergence as stopped:
        values, modes = stopped.eigenvalues, stopped.eigenvectors
        if len(values) < 3:
            return None
    modes = modes[:, np.argsort(-values, kind="stable")[1:]]
    row, column = flow.tocoo().coords
    along = np.arange(count)

    def strips(plane: np.ndarray) -> tuple[float, np.ndarray]:
        # Rounded: the last bits of a sum may depend on the number of threads.
        p, q = np.round(modes @ plane, 9).T
        x, y = np.empty(count, np.int64), np.empty(count, np.int64)
        x[np.argsort(p, kind="stable")] = along // height
        y[np.lexsort((q, x))] = along % height
        ways = np.abs(x[row] - x[column]) + np.abs(y[row] - y[column])
        return float(flow.data @ ways), y * width + x

    angles = np.pi * np.arange(TURNS) / TURNS
    flat = np.zeros((TURNS, modes.shape[1], 2))
    flat[:, 0, 0], flat[:, 1, 0] = np.cos(angles), np.sin(angles)
    flat[:, 0, 1], flat[:, 1, 1] = -np.sin(angles), np.cos(angles)
    planes = [*flat, *np.linalg.qr(rng.standard_normal(flat.shape))[0]]
    found = sorted((strips(plane) for plane in planes), key=lambda strip: strip[0])[:BEST]
    for cost, tile in found.copy():
        for _ in range(STEPS):
            x, y = (tile % width + 0.5) / width, (tile // width + 0.5) / height
            cost, tile = strips(modes.T @ np.cos(np.pi * np.stack([x, y], axis=1)))
            found.append((cost, tile))
    return min(found, key=lambda strip: strip[0])[1]
