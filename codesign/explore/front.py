"""Fronts of designs: who dominates whom, end points, hypervolume, and why nothing is feasible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from codesign.explore.outcome import OBJECTIVES, Outcome
from codesign.explore.plan import Constraint
from hdl.params.errors import CheckFailed

__all__ = [
    "Infeasible",
    "best_rows",
    "end_points",
    "front",
    "hypervolume",
    "knee",
    "losses",
    "spread",
]


class Infeasible(CheckFailed):
    """No design keeps all constraints; the message says which to loosen, and by how much."""

    @classmethod
    def among(cls, outcomes: Sequence[Outcome], constraints: Sequence[Constraint]) -> Infeasible:
        """The error for designs of which none is feasible."""
        tried = [o for o in outcomes if o.failed is None]
        if not tried:
            reason = outcomes[0].failed if outcomes else "none was tried"
            return cls(
                f"no feasible design: all {len(outcomes)} trials failed, the first: {reason}"
            )
        ways = []
        for c in constraints:
            others = [o for o in tried if not set(o.broken) - {str(c)}]
            if not others:
                continue
            values = [o.values[c.name] for o in others]
            best = max(values) if c.least else min(values)
            share = 100 * c.broken(best)
            ways.append((share, f"{c} to {_number(best)} ({share:.3g} %)"))
        if ways:
            text = " or ".join(way for _, way in sorted(ways))
            return cls(f"no feasible design of {len(tried)}: loosen {text}")
        near = min(tried, key=lambda o: (sum(o.broken.values()), o.number))
        bounds = {str(c): c for c in constraints}
        text = " and ".join(
            f"{name} to {_number(near.values[bounds[name].name])} ({100 * share:.3g} %)"
            for name, share in near.broken.items()
        )
        return cls(
            f"no feasible design of {len(tried)}: loosening one constraint is not enough; "
            f"nearest is design {near.number}: loosen {text}"
        )


def _number(value: float) -> str:
    return f"{value:.6g}"


def losses(outcomes: Iterable[Outcome], objectives: Sequence[str]) -> np.ndarray:
    """[designs, objectives], each to be made small."""
    signs = [-1.0 if OBJECTIVES[name].maximise else 1.0 for name in objectives]
    rows = [
        [sign * o.values[name] for sign, name in zip(signs, objectives, strict=True)]
        for o in outcomes
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(signs))


def front(outcomes: Iterable[Outcome], objectives: Sequence[str]) -> list[Outcome]:
    """The feasible designs that no other dominates, by number; of equal ones the first."""
    able = sorted((o for o in outcomes if o.feasible), key=lambda o: o.number)
    return [able[i] for i in best_rows(losses(able, objectives))]


def best_rows(loss: np.ndarray) -> list[int]:
    """Rows [designs, objectives] that no other dominates, ascending; of equal ones the first."""
    # In the order of their sums a design can only be dominated by an earlier one.
    order = np.argsort(_scaled(loss).sum(axis=1), kind="stable")
    kept: list[int] = []
    for i in order.tolist():
        if not (loss[kept] <= loss[i]).all(axis=1).any():
            kept.append(i)
    return sorted(kept)


def _scaled(loss: np.ndarray) -> np.ndarray:
    """Each objective over 0..1."""
    if not len(loss):
        return loss
    low, high = loss.min(axis=0), loss.max(axis=0)
    return (loss - low) / np.where(high > low, high - low, 1.0)


def end_points(found: Sequence[Outcome], objectives: Sequence[str]) -> list[Outcome]:
    """The best design of each objective, of equal ones the best otherwise; none twice."""
    if not found:
        return []
    loss = _scaled(losses(found, objectives))
    ends = [min(range(len(found)), key=lambda i: (loss[i, k], loss[i].sum(), found[i].number))
            for k in range(len(objectives))]  # fmt: skip
    return [found[i] for i in dict.fromkeys(ends)]


def knee(found: Sequence[Outcome], objectives: Sequence[str]) -> Outcome | None:
    """The design nearest to the best of all objectives, each scaled to 0..1 over the front."""
    if not found:
        return None
    far = (_scaled(losses(found, objectives)) ** 2).sum(axis=1)
    return found[int(np.argmin(far))]


def spread(
    found: Sequence[Outcome], objectives: Sequence[str], taken: Iterable[int] = ()
) -> list[Outcome]:
    """All designs of a front in the order that covers it best: the end points, the knee, then
    always the one that is farthest from those before; `taken` (numbers) are before all."""
    if not found:
        return []
    loss = _scaled(losses(found, objectives))
    middle = knee(found, objectives)
    assert middle is not None
    first = [o.number for o in end_points(found, objectives)] + [middle.number]
    place = {o.number: i for i, o in enumerate(found)}
    have = [place[n] for n in taken if n in place]
    order = [i for i in dict.fromkeys(place[n] for n in first) if i not in have]
    far = np.full(len(found), np.inf)
    for i in (*have, *order):
        far = np.minimum(far, ((loss - loss[i]) ** 2).sum(axis=1))
    while len(have) + len(order) < len(found):
        far[[*have, *order]] = -1.0
        i = int(np.argmax(far))
        order.append(i)
        far = np.minimum(far, ((loss - loss[i]) ** 2).sum(axis=1))
    return [found[i] for i in order]


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Volume that points [designs, objectives], all to be made small, dominate up to a reference.

    Exact, by slices along the last objective; for the few hundred points of a front.
    """
    points = np.asarray(points, np.float64)
    points = points[(points < reference).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    if points.shape[1] == 2:
        lowest = np.minimum.accumulate(points[:, 0])
        heights = np.diff(np.append(points[:, 1], reference[1]))
        return float(((reference[0] - lowest) * heights).sum())
    edges = np.append(points[:, -1], reference[-1])
    total, kept = 0.0, np.empty((0, points.shape[1] - 1))
    for point, (low, high) in zip(points[:, :-1], pairwise(edges), strict=True):
        if not (kept <= point).all(axis=1).any():
            kept = np.vstack([kept[~(point <= kept).all(axis=1)], point])
        if high > low:
            total += (high - low) * hypervolume(kept, reference[:-1])
    return total
