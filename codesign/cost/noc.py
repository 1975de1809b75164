"""Latency, utilisation and saturation of the mesh without simulating it.

The model, in cycles; a flit takes one cycle for each store and link. Of the lambda_i flits a cycle
that pass store i, r_ik = lambda_i f_ik leave a copy at output k. N_i is the mean number that waits:

    N_i  = lambda_i (Q_i + H_i)
    A_ik = sum_{j != i} (lambda_j f_jk Q_j + r_jk A_jk + r_jk / 2)     others' turns at output k
    H_i  = mean of the longest A_ik of a flit's copies
    Q_i  = N_i + B_i (N_i + lambda_i) + E_i / lambda_i                 flits ahead in the store
    B_i  = mean of the longest (1 - f_ik) stall of a flit's copies; if output k leads to store d,
           that is N_d lambda_d; N_d if d is the turn, which has one place
    E_i  = sum_k (r_ik^2 - s_ik^2) / 2 * (rho_k - r_ik) / (1 - r_ik)

Without B and E and with one output this is the queue of a discrete M/D/1 server fed by several
links, rho (1 - sum of squared shares) / (2 (1 - rho)) (Karol, Hluchyj, Morgan, "Input versus output
queueing on a space-division packet switch", 1987). That a store keeps flits for several outputs
waiting is the contention matrix of Ogras, Bogdan, Marculescu ("An analytical approach for
network-on-chip performance analysis", 2010). Two terms are this router's own:

    E: a stream that merged before comes in bursts. rho_k is the load of output k, s^2 the sum over
       sources of their squared share of r; r^2 - s^2 is what merging added to the variance of a
       long window. Exact for a tree of servers without branches, where the total that waits does
       not depend on where it waits (Shalmon, Kaplan, "A tandem network of queues with deterministic
       service and intermediate arrivals", 1984).
    B: cycles for which the head of i finds d full: d's head waits (N_d) and a flit of that cycle
       took its second place (lambda_d). The flit itself waits no longer, here instead of there, nor
       do those behind it that want the same output; the others do.

Nothing is fitted. B needs only stores further on, so a few rounds of a 4 x 4 system for each router
stage solve all. Sources are independent and send at most one flit a cycle, at random; what waits
in front of a router, without limit, belongs to its first store. `tests/bench/bench_noc.py` prints
the model beside the RTL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from codesign.cost.noc_traffic import (
    EAST,
    HOST,
    LOCAL,
    NORTH,
    SOUTH,
    TO_EAST,
    TO_LOCAL,
    TO_NORTH,
    TO_SOUTH,
    TO_TURN,
    TO_WEST,
    TURN,
    WEST,
    Flows,
    Rates,
    X,
    Y,
    rates,
    visits,
)

__all__ = ["Drain", "Latency", "burst", "latency", "saturation", "zero_load"]


TINY = 1e-300
FULL = 1e6  # flits that stand for a queue without end
EXTRA = 8  # iterations more than the longest path: for flits with several copies


@dataclass(frozen=True, eq=False)
class Latency:
    """What traffic meets at each load; infinite where more comes than can leave.

    Members
    -------
    mean : [loads], mean cycles from a flit's offer to the delivery of each of its copies.
    pair : [loads, ends, ends], the same from each end to each other.
    links : [loads, 2, tiles, 3], utilisation of each output (stage, tile, output as in
        codesign/cost/noc_traffic.py).
    zero_load : [ends, ends], cycles in an empty mesh.
    """

    mean: np.ndarray
    pair: np.ndarray
    links: np.ndarray
    zero_load: np.ndarray


def _next_stores(width: int, height: int) -> np.ndarray:
    """Number of the store behind each output [2, tiles, 3]; 8 * tiles for those that leave."""
    tiles = width * height
    tile = np.arange(tiles)
    behind = np.full((2, tiles, 3), 8 * tiles)
    x, y = tile % width, tile // width
    for stage, output, inside, step, store in (
        (X, TO_EAST, x < width - 1, 1, WEST),
        (X, TO_WEST, x > 0, -1, EAST),
        (Y, TO_NORTH, y < height - 1, width, SOUTH),
        (Y, TO_SOUTH, y > 0, -width, NORTH),
    ):
        behind[stage, inside, output] = ((stage * tiles + tile + step) * 4 + store)[inside]
    behind[X, :, TO_TURN] = (tiles + tile) * 4 + TURN
    return behind


def _waits(r: Rates, width: int, height: int, loads: np.ndarray) -> np.ndarray:
    """Mean cycles that a copy waits in each store for each output, [loads, 2, tiles, 4, 3].

    Infinite for all if any store gets more than it can hand on.
    """
    behind = _next_stores(width, height)
    times = loads[:, None, None, None]
    flow, copies = r.store * times, r.copies * times[..., None]  # lambda; lambda f
    share = r.copies / np.maximum(r.store, TINY)[..., None]  # f
    sets = r.holding() / np.maximum(r.store, TINY)[..., None]
    output = copies.sum(axis=-2, keepdims=True)  # rho
    stable = (output < 1).all(axis=(1, 2, 3, 4)) & (flow < 1).all(axis=(1, 2, 3))
    flow, copies, output = (np.where(_wide(stable, a), a, 0) for a in (flow, copies, output))
    added = (r.copies**2 - r.square).clip(0) * times[..., None] ** 2
    bursts = (added / 2 * (output - copies) / (1 - copies)).sum(axis=-1)  # E

    # With q_j = lambda_j Q_j and V_k = sum_j (f_jk q_j + r_jk (V_k + 1/2)) / (1 + r_jk), linear in
    # q, A_ik = (V_k - f_ik q_i - r_ik / 2) / (1 + r_ik): here as queues . q + apart.
    fade = 1 / (1 + copies)
    scale = 1 / (1 - (copies * fade).sum(axis=-2, keepdims=True))
    apart = (scale * (copies / 2 * fade).sum(axis=-2, keepdims=True) - copies / 2) * fade
    from_all = (share * fade * scale)[..., None, :, :] * fade[..., :, None, :]  # [i, j, k]
    queues = from_all - np.eye(4)[..., None] * (share * fade)[..., None, :]
    others = 1 - np.minimum(share, 1)  # flits behind that want another output
    head = (queues * share[..., None, :]).sum(axis=-1)  # sum over k of f_ik A_ik, by q_j
    head_apart = (apart * share).sum(axis=-1)

    none = np.zeros((len(loads), 1))
    behind_head = np.zeros(flow.shape)  # q
    longest = np.ones(flow.shape)  # the wait for the last copy, by the sum over all
    waiting = np.zeros(flow.shape)  # N
    for _ in range(width + height + EXTRA):
        every = np.append(waiting.reshape(len(loads), -1), none, axis=1)
        full = every * np.append(flow.reshape(len(loads), -1), none, axis=1)
        stall = full[:, behind]
        stall[:, X, :, TO_TURN] = every[:, behind[X, :, TO_TURN]]
        blocked = _longest(sets, stall[..., None, :] * others)  # B
        matrix = np.eye(4) * (1 - flow * (1 + blocked))[..., None]
        weight = flow**2 * (1 + blocked) * longest
        matrix = matrix - weight[..., None] * head
        right = weight * head_apart + blocked * flow**2 + bursts
        behind_head = np.linalg.solve(matrix, right[..., None])[..., 0]
        # A matrix with these signs has an inverse without negative entries only while stable.
        over = (behind_head < -1e-9).any(axis=-1, keepdims=True) & (flow > 0)
        behind_head[over] = FULL
        behind_head = behind_head.clip(0)
        turns = ((queues * behind_head[..., None, :, None]).sum(axis=-2) + apart).clip(0)  # A
        last, total = _longest(sets, turns), (share * turns).sum(axis=-1)
        longest = np.where(total > 1e-12, last / np.maximum(total, TINY), 1.0)
        waiting = behind_head + flow * last
    found = (behind_head / np.maximum(flow, TINY))[..., None] + turns
    found[over.any(axis=(1, 2, 3)) | ~stable] = np.inf
    return found


def _wide(chosen: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A flag for each load, with the dimensions of `like`."""
    return chosen.reshape(-1, *[1] * (like.ndim - 1))


def _longest(sets: np.ndarray, waits: np.ndarray) -> np.ndarray:
    """Mean wait for the last copy, given that for each output [..., 3]: geometric and independent.

    The mean of the largest by inclusion-exclusion over `sets` of outputs [..., 8] (Rates.holding);
    the least of geometric waits with ratios x and y has the ratio x y.
    """
    ratio = waits / (1 + waits)
    total = np.zeros(np.broadcast_shapes(sets.shape[:-1], waits.shape[:-1]))
    for t in range(1, 8):
        both = np.prod(ratio[..., [k for k in range(3) if t >> k & 1]], axis=-1)
        total = total + sets[..., t] * both / (1 - both)
    return total


def _paths(waits: np.ndarray, width: int, height: int) -> np.ndarray:
    """Sums of waits along the path from each end to each other [loads, ends, ends]."""
    loads, tiles = len(waits), width * height
    w = waits.reshape(loads, 2, height, width, 4, 3)
    starts = [(x, w[:, X, :, x, LOCAL]) for x in range(width)] + [(0, w[:, X, :, 0, HOST])]
    across = np.zeros((loads, height, width + 1, width))  # row, from column or host, to column
    for n, (x, first) in enumerate(starts):
        across[:, :, n, x] = first[..., TO_TURN]
        for step, store, output in ((1, WEST, TO_EAST), (-1, EAST, TO_WEST)):
            total = first[..., output]
            for c in range(x + step, width if step > 0 else -1, step):
                across[:, :, n, c] = total + w[:, X, :, c, store, TO_TURN]
                total = total + w[:, X, :, c, store, output]
    along = np.zeros((loads, width, height, height + 1))  # column, from row, to row or host
    for y in range(height):
        along[:, :, y, y] = w[:, Y, y, :, TURN, TO_LOCAL]
        for step, store, output in ((1, SOUTH, TO_NORTH), (-1, NORTH, TO_SOUTH)):
            total = w[:, Y, y, :, TURN, output]
            for r in range(y + step, height if step > 0 else -1, step):
                along[:, :, y, r] = total + w[:, Y, r, :, store, TO_LOCAL]
                total = total + w[:, Y, r, :, store, output]
            if step < 0:
                along[:, 0, y, height] = total[:, 0]
    tile = np.arange(tiles)
    column, row = np.append(tile % width, 0), np.append(tile // width, 0)
    start, goal = np.append(tile % width, width), np.append(tile // width, height)
    first = across[:, row[:, None], start[:, None], column]
    return first + along[:, column, row[:, None], goal]


def zero_load(width: int, height: int) -> np.ndarray:
    """Cycles from each end to each other [ends, ends] in an empty mesh: a cycle each for the first
    store, the links, the turn, and (but to the host) the store at the exit."""
    tile = np.arange(width * height)
    x, y = np.append(tile % width, 0), np.append(tile // width, 0)
    distance = abs(x[:, None] - x) + abs(y[:, None] - y)
    return distance + np.append(np.full(len(tile), 3), 2)


def latency(flows: Flows, loads: np.ndarray | float = 1.0) -> Latency:
    """The model at each of `loads`, factors for all rates of `flows`."""
    factors = np.atleast_1d(np.asarray(loads, float))
    found = rates(flows)
    waits = _waits(found, flows.width, flows.height, factors)
    empty = zero_load(flows.width, flows.height)
    with np.errstate(invalid="ignore"):
        pair = empty + _paths(waits, flows.width, flows.height)
    copies = flows.deliveries()
    sent = copies > 0
    mean = (pair[:, sent] @ copies[sent]) / max(copies.sum(), 1e-300)
    links = found.copies.sum(axis=2) * factors[:, None, None, None]
    return Latency(mean, pair, links, empty)


def saturation(flows: Flows) -> float:
    """The load, as a factor of all rates, at which the first queue grows without end; to 0.1 %.

    At most where the busiest link or source would reach 1 flit a cycle; less where stores that
    keep flits for one output hold up others. Infinite without traffic.
    """
    found = rates(flows)
    most = max(found.copies.sum(axis=2).max(initial=0), found.store.max(initial=0))
    if not most:
        return np.inf
    low, high = 0.0, 1 / most
    while high - low > 1e-3 * high:
        tried = np.linspace(low, high, 18)[1:-1]
        waits = _waits(found, flows.width, flows.height, tried)
        finite = np.isfinite(waits).all(axis=(1, 2, 3, 4))
        last = len(tried) if finite.all() else int(finite.argmin())
        edges = [low, *tried, high]
        low, high = edges[last], edges[last + 1]
    return float(low)


def burst(flows: Flows) -> float:
    """Expected cycles in which `rate` flits of each flow leave the mesh, all offered at once.

    The network drains at the throughput that it can sustain in these proportions; and the last
    flit has a path to go. Not a bound (that is `Drain`): it knows that stores hold up one another.
    """
    copies = flows.deliveries()
    if not copies.any():
        return 0.0
    path = (zero_load(flows.width, flows.height) * copies).sum() / copies.sum()
    return 1 / saturation(flows) + float(path)


@dataclass(frozen=True, eq=False)
class Drain:
    """A lower bound for the cycles in which a burst leaves the mesh: max-affine in its flits.

    An output passes one flit a cycle. So the last delivery comes at least `flits - 1` cycles after
    the first flit could reach that output, and what the last one has left to go after it.

    Parameters
    ----------
    use : sparse [outputs, flows], 1 where a flow passes an output.
    offset : [outputs], least cycles to the output and from there to the exit, less one.
    """

    use: sparse.csr_array
    offset: np.ndarray

    @classmethod
    def of(cls, flows: Flows) -> Drain:
        """The bound for bursts along these flows, whatever their rates."""
        tiles, width = flows.tiles, flows.width
        x, y = flows.place()
        flow_of, output_of, head = [], [], []
        for flow, at, outputs in visits(flows):
            for k, taken in enumerate(outputs):
                f, store = flow[taken], at[taken]
                stage, tile = store // 4 // tiles, store // 4 % tiles
                flow_of.append(f)
                output_of.append(store // 4 * 3 + k)
                head.append(1 + stage + abs(tile % width - x[f]) + abs(tile // width - y[f]))
        f, o, h = (np.concatenate(part) for part in (flow_of, output_of, head))
        count = 6 * tiles
        first = np.full(count, np.inf)
        np.minimum.at(first, o, h)
        # From there: link, turn, exit; turn, exit (for the host, the exit has no store).
        least = np.repeat([[2, 2, 1], [1, 1, 1]], tiles, axis=0).reshape(-1)
        least[3 * tiles + TO_SOUTH] = 0
        use = sparse.csr_array((np.ones(len(f)), (o, f)), shape=(count, len(flows.source)))
        kept = np.isfinite(first)
        return cls(use[kept], first[kept] + least[kept] - 1)

    def cycles(self, flits: np.ndarray) -> np.ndarray:
        """Cycles from the first offer to the last delivery [steps] of bursts [steps, flows]."""
        flits = np.atleast_2d(np.asarray(flits, float))
        through = (self.use @ flits.T).T
        return np.where(through > 0, through + self.offset, 0).max(axis=1, initial=0)
