"""How far answers can be trusted: calibration, and uncertainty, of an ensemble's class scores.

Scores are [members, samples, classes]: spike counts, summed membranes, any numbers of which the
largest wins. Member m gives p_m = softmax(scores_m / T), the ensemble their mean p. Everything is
in nats.

Conformal sets hold the label with probability 1 - alpha at least, whatever the model, for samples
exchangeable with those that set the threshold (Vovk et al. 2005). A class's score s is low where
the model believes in it; the set are all classes with s <= q, q the ceil((n + 1)(1 - alpha))-th
smallest of the n labels' own scores (infinite, all classes, if n is less than that)::

    "lac"   s = 1 - p(class)                                     Sadinle et al. 2019
    "aps"   s = p of all classes more probable than it, and its own (Romano et al. 2020, without
            draws: sets are larger than need be). The most probable class is always in the set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from hdl.params.errors import UserError

__all__ = ["BINS", "Trust", "accuracy", "auroc", "brier", "conformal_sets",
           "conformal_threshold", "coverage", "entropy", "expected_calibration_error",
           "fit_temperature", "halves", "member_probabilities", "mutual_information",
           "negative_log_likelihood", "summary", "trust"]  # fmt: skip

#: Bins of the expected calibration error, as in Guo et al. 2017 (arXiv 1706.04599).
BINS = 15
#: Temperatures that a fit may give, relative to the spread of the scores.
SPAN = (1e-3, 1e3)


def _numbers(name: str, values: Any, axes: str) -> np.ndarray:
    """Finite float64 values of the given axes ("samples, classes"), none of them empty."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name} must hold numbers, not {array.dtype}")
    if array.ndim != len(axes.split(", ")) or not array.size:
        raise UserError(f"{name} must be [{axes}], none of them 0, not {list(array.shape)}")
    if not np.isfinite(array).all():
        first = np.argwhere(~np.isfinite(array))[0].tolist()
        raise UserError(f"{name}{first} is {array[tuple(first)]}, not a finite number")
    return array.astype(np.float64)


def _probabilities(values: Any) -> np.ndarray:
    """Probabilities [samples, classes] with rows that sum to 1."""
    p = _numbers("probabilities", values, "samples, classes")
    if p.min() < 0 or (wrong := np.abs(p.sum(1) - 1) > 1e-6).any():
        row = int(np.argmax(p.min(1) < 0)) if p.min() < 0 else int(np.argmax(wrong))
        raise UserError(f"probabilities of sample {row} must be 0..1 with the sum 1")
    return p


def _labels(values: Any, samples: int, classes: int) -> np.ndarray:
    labels = np.asarray(values)
    if labels.shape != (samples,) or labels.dtype.kind not in "iu":
        raise UserError(f"labels must be {samples} integers, one a sample")
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"labels must be 0..{classes - 1}, not {labels.min()}..{labels.max()}")
    return labels


def member_probabilities(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """softmax(scores / temperature) over the classes, [members, samples, classes]."""
    z = _numbers("scores", scores, "members, samples, classes")
    if not (np.isfinite(temperature) and temperature > 0):
        raise UserError(f"temperature must be a positive number, not {temperature}")
    z = np.exp((z - z.max(axis=2, keepdims=True)) / temperature)
    return z / z.sum(axis=2, keepdims=True)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose largest probability, the first of equal ones, is the label's."""
    p = _probabilities(probabilities)
    return float((p.argmax(1) == _labels(labels, *p.shape)).mean())


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -ln p(label); a probability of 0 counts as the smallest double, 2.2e-308."""
    p = _probabilities(probabilities)
    own = p[np.arange(len(p)), _labels(labels, *p.shape)]
    return float(-np.log(np.maximum(own, np.finfo(float).tiny)).mean())


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the samples of sum over classes (p - [class is the label])^2, 0..2 (Brier 1950)."""
    p = _probabilities(probabilities)
    right = np.eye(p.shape[1])[_labels(labels, *p.shape)]
    return float(((p - right) ** 2).sum(1).mean())


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> float:
    """sum over bins of |bin| / n * |accuracy - mean confidence| (Naeini et al. 2015).

    Bin b holds confidences (largest probabilities) in (b / bins, (b + 1) / bins].
    """
    p = _probabilities(probabilities)
    labels = _labels(labels, *p.shape)
    if not isinstance(bins, int) or bins < 1:
        raise UserError(f"bins must be a positive integer, not {bins!r}")
    confidence = p.max(1)
    place = np.searchsorted(np.arange(1, bins) / bins, confidence)
    gap = np.bincount(place, (p.argmax(1) == labels) - confidence, bins)
    return float(np.abs(gap).sum() / len(p))


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The T with the smallest negative log-likelihood of the ensemble's mean probabilities.

    Fit it on data that were neither trained on nor are judged. Labels that always have the largest
    score want T = 0: T is at least SPAN[0] times the spread (standard deviation) of the scores.
    """
    z = _numbers("scores", scores, "members, samples, classes")
    labels = _labels(labels, *z.shape[1:])
    spread = float((z - z.mean(axis=2, keepdims=True)).std())
    if not spread:
        return 1.0

    def loss(logarithm: float) -> float:
        p = member_probabilities(z, spread * np.exp(logarithm)).mean(0)
        return negative_log_likelihood(p, labels)

    low, high = np.log(SPAN)
    grid = np.linspace(low, high, 29)
    best = int(np.argmin([loss(x) for x in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return spread * float(np.exp(minimize_scalar(loss, bounds=bounds, options={"xatol": 1e-8}).x))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """-sum p ln p over the last axis; of an ensemble's mean p it is the total uncertainty."""
    p = np.asarray(probabilities, dtype=np.float64)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)


def mutual_information(members: np.ndarray) -> np.ndarray:
    """What the members' answers [members, samples, classes] disagree about, [samples].

    The entropy of their mean less the mean of their entropies (BALD, Houlsby et al. 2011, arXiv
    1112.5745): 0 where all say the same, at most ln(members).
    """
    p = _numbers("probabilities", members, "members, samples, classes")
    return np.maximum(entropy(p.mean(0)) - entropy(p).mean(0), 0.0)


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive's score is above a negative's, ties counting half.

    With the uncertainty of data from elsewhere as positives and of familiar data as negatives,
    .5 says that it can't tell them apart.
    """
    above = _numbers("positive scores", positive, "samples")
    below = np.sort(_numbers("negative scores", negative, "samples"))
    ranks = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
    return float(ranks.mean() / (2 * len(below)))


def _strangeness(probabilities: np.ndarray, score: str) -> np.ndarray:
    """s of each class, [samples, classes]."""
    p = _probabilities(probabilities)
    if score == "lac":
        return 1 - p
    if score != "aps":
        raise UserError(f"score must be lac or aps, not {score!r}")
    order = np.argsort(-p, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(p, order, 1), 1)
    s = np.empty_like(p)
    np.put_along_axis(s, order, sums, 1)
    return s


def conformal_threshold(
    probabilities: np.ndarray, labels: np.ndarray, alpha: float, score: str = "lac"
) -> float:
    """q, from labelled data that were neither trained on nor are judged."""
    if not (isinstance(alpha, float) and 0 < alpha < 1):
        raise UserError(f"alpha must be between 0 and 1, not {alpha!r}")
    s = _strangeness(probabilities, score)
    own = np.sort(s[np.arange(len(s)), _labels(labels, *s.shape)])
    rank = -(-(len(own) + 1) * (1 - Fraction(str(alpha))) // 1)  # floats would round past it
    return float(own[int(rank) - 1]) if rank <= len(own) else float("inf")


def conformal_sets(probabilities: np.ndarray, threshold: float, score: str = "lac") -> np.ndarray:
    """Which classes are in each sample's set, bool [samples, classes]."""
    s = _strangeness(probabilities, score)
    sets = s <= threshold
    if score == "aps":
        sets[np.arange(len(s)), s.argmin(1)] = True
    return sets


def coverage(sets: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(share of samples whose set holds the label, classes in a mean set)."""
    held = sets[np.arange(len(sets)), _labels(labels, *sets.shape)]
    return float(held.mean()), float(sets.sum(1).mean())


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Of answers: mean negative log-likelihood, share of conformal sets that hold the label, mean
    size of a set."""

    nll: float
    coverage: float
    set_size: float


def halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the samples of two halves: of each class every other sample, in order."""
    order = np.argsort(labels, kind="stable")
    return np.sort(order[::2]), np.sort(order[1::2])


def trust(scores: np.ndarray, labels: np.ndarray, alpha: float = 0.1, score: str = "lac") -> Trust:
    """Figures of scores [members, samples, classes] on labelled data of at least 2 samples.

    Each half (`halves`) is judged with the temperature and the threshold that the other one wants.
    """
    scores = _numbers("scores", scores, "members, samples, classes")
    labels = _labels(labels, *scores.shape[1:])
    if len(labels) < 2:
        raise UserError(f"data to fit on and to judge by: 2 samples needed, not {len(labels)}")
    first, second = halves(labels)
    p, sets = np.empty(scores.shape[1:]), np.empty(scores.shape[1:], bool)
    for fit, judge in ((first, second), (second, first)):
        temperature = fit_temperature(scores[:, fit], labels[fit])
        both = member_probabilities(scores, temperature).mean(0)
        threshold = conformal_threshold(both[fit], labels[fit], alpha, score)
        p[judge], sets[judge] = both[judge], conformal_sets(both[judge], threshold, score)
    held, size = coverage(sets, labels)
    return Trust(nll=negative_log_likelihood(p, labels), coverage=held, set_size=size)


def summary(
    scores: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    strange: Mapping[str, np.ndarray] | None = None,
    bins: int = BINS,
) -> dict[str, Any]:
    """All figures of an ensemble.

    scores, labels : of familiar data. strange : by name, scores of data from elsewhere, of as many
    members. Returns {"members", "samples", "temperature", "accuracy", "member_accuracy" (mean over
    the members), "nll", "ece", "brier", "entropy", "mutual_information" (means over the samples),
    "auroc": {name: {"entropy", "mutual_information"}}}.
    """
    members = member_probabilities(scores, temperature)
    p = members.mean(0)
    doubt = {"entropy": entropy(p), "mutual_information": mutual_information(members)}
    rates: dict[str, dict[str, float]] = {}
    for name, other in (strange or {}).items():
        others = member_probabilities(other, temperature)
        if (others.shape[0], others.shape[2]) != (members.shape[0], members.shape[2]):
            raise UserError(
                f"scores of {name} are of {others.shape[0]} members and {others.shape[2]} classes, "
                f"the labelled ones of {members.shape[0]} and {members.shape[2]}"
            )
        rates[name] = {
            "entropy": auroc(entropy(others.mean(0)), doubt["entropy"]),
            "mutual_information": auroc(mutual_information(others), doubt["mutual_information"]),
        }
    return {
        "members": members.shape[0],
        "samples": members.shape[1],
        "temperature": float(temperature),
        "accuracy": accuracy(p, labels),
        "member_accuracy": float(np.mean([accuracy(m, labels) for m in members])),
        "nll": negative_log_likelihood(p, labels),
        "ece": expected_calibration_error(p, labels, bins),
        "brier": brier(p, labels),
        **{name: float(value.mean()) for name, value in doubt.items()},
        "auroc": rates,
    }
