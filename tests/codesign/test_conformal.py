"""Conformal sets: closed forms, the guarantee by simulation, and the split of labelled data."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.uncertainty import (
    conformal_sets,
    conformal_threshold,
    coverage,
    fit_temperature,
    halves,
    member_probabilities,
    negative_log_likelihood,
    trust,
)
from hdl.params.errors import UserError


def uniform(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes; the label's probabilities are 1/(n+1), .., n/(n+1), shuffled."""
    own = np.random.default_rng(n).permutation(np.arange(1, n + 1)) / (n + 1)
    labels = np.arange(n) % 2
    p = np.where(np.arange(2) == labels[:, None], own[:, None], 1 - own[:, None])
    return p, labels


@pytest.mark.parametrize("n", [1, 2, 9, 10, 19, 99, 500])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3, 0.5, 0.99])
def test_the_threshold_of_uniform_scores(n, alpha):
    """The scores are 1/(n+1) .. n/(n+1): the k-th smallest is k/(n+1)."""
    p, labels = uniform(n)
    found = conformal_threshold(p, labels, alpha)
    percent = round(100 * alpha)
    rank = -(-(n + 1) * (100 - percent) // 100)  # exact: .9 * 10 in floats may be above 9
    if rank > n:
        assert found == float("inf")
        assert conformal_sets(p, found).all()
    else:
        assert found == pytest.approx(rank / (n + 1), abs=1e-12)


def test_sets_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.5, 0.5, 0.0]])
    assert conformal_sets(p, 0.7).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert conformal_sets(p, 0.1).tolist() == [[0, 0, 0]] * 3
    assert conformal_sets(p, 0.8, "aps").tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]
    assert conformal_sets(p, 0.1, "aps").tolist() == [[1, 0, 0]] * 3  # never empty
    assert conformal_sets(p, float("inf"), "aps").all()
    assert coverage(conformal_sets(p, 0.7), np.array([0, 2, 1])) == (2 / 3, 5 / 3)
    threshold = conformal_threshold(p, np.array([1, 2, 0]), 0.5, "aps")
    assert threshold == pytest.approx(0.9)  # scores .9, 1, .5: the 2nd of 3


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (50, 0.1), (50, 0.25)])
def test_sets_cover_as_often_as_promised(n, alpha, score):
    """Coverage is between 1 - alpha and 1 - alpha + 1/(n+1) in the mean over calibrations (Vovk;
    the upper bound for scores without ties, and of aps if its best class is not forced in)."""
    rng = np.random.default_rng(7)
    rounds, tests, classes = 1500, 40, 4
    z = rng.normal(size=(rounds, n + tests, classes)) * 2
    truth = np.exp(z - z.max(2, keepdims=True))
    truth /= truth.sum(2, keepdims=True)
    labels = (truth.cumsum(2) < rng.random((rounds, n + tests, 1))).sum(2)
    p = member_probabilities(z, 3.0)  # wrong on purpose
    held = []
    for q, y in zip(p, labels, strict=True):
        threshold = conformal_threshold(q[:n], y[:n], alpha, score)
        held.append(coverage(conformal_sets(q[n:], threshold, score), y[n:])[0])
    mean, error = np.mean(held), np.std(held) / np.sqrt(rounds)
    assert mean >= 1 - alpha - 4 * error
    if score == "lac":
        assert mean <= 1 - alpha + 1 / (n + 1) + 4 * error


def test_crepes_gives_the_same_sets():
    crepes = pytest.importorskip("crepes")
    rng = np.random.default_rng(3)
    p = member_probabilities(rng.normal(size=(1, 700, 5)) * 2).mean(0)
    labels = rng.integers(0, 5, 700)
    alphas = 1 - p[np.arange(500), labels[:500]]
    theirs = crepes.ConformalClassifier().fit(alphas)
    theirs = theirs.predict_set(1 - p[500:], confidence=0.9, smoothing=False)
    ours = conformal_sets(p[500:], conformal_threshold(p[:500], labels[:500], 0.1))
    np.testing.assert_array_equal(ours, theirs.astype(bool))


def test_halves_deal_out_each_class():
    labels = np.array([2, 0, 1, 0, 1, 0, 1, 2, 0, 1])
    first, second = halves(labels)
    assert np.sort(np.r_[first, second]).tolist() == list(range(10))
    for k in range(3):
        counts = (labels[first] == k).sum(), (labels[second] == k).sum()
        assert abs(counts[0] - counts[1]) <= 1
    assert halves(labels)[0].tolist() == first.tolist()


def test_trust_is_judged_with_what_the_other_half_wants():
    rng = np.random.default_rng(11)
    scores, labels = rng.normal(size=(3, 400, 5)), rng.integers(0, 5, 400)
    scores[:, np.arange(400), labels] += 1
    found = trust(scores, labels)
    first, second = halves(labels)
    losses, held, sizes = [], [], []
    for fit, judge in ((first, second), (second, first)):
        p = member_probabilities(scores, fit_temperature(scores[:, fit], labels[fit])).mean(0)
        losses.append(negative_log_likelihood(p[judge], labels[judge]))
        q = conformal_threshold(p[fit], labels[fit], 0.1)
        sets = p[judge] >= 1 - q - 1e-15
        held.append(sets[np.arange(200), labels[judge]].mean())
        sizes.append(sets.sum(1).mean())
    assert found.nll == pytest.approx(np.mean(losses))
    assert found.coverage == pytest.approx(np.mean(held))
    assert found.set_size == pytest.approx(np.mean(sizes))
    assert abs(found.coverage - 0.9) < 0.06
    assert 1 < found.set_size < 5
    # Labels that scores say nothing of: all classes, or nearly.
    blind = trust(scores, rng.permutation(labels))
    assert blind.set_size > 4


def test_two_samples_are_enough_and_one_is_not():
    scores = np.array([[[3.0, 0], [0, 3.0]]])
    found = trust(scores, np.array([0, 1]))
    assert (found.coverage, found.set_size) == (1.0, 2.0)  # one sample promises nothing
    with pytest.raises(UserError, match="2 samples needed, not 1"):
        trust(scores[:, :1], np.array([0]))


def test_wrong_input_is_refused():
    p, labels = uniform(9)
    for alpha in (0, 1, 0.0, 1.0, -0.1, float("nan"), "few"):
        with pytest.raises(UserError, match="alpha must be between 0 and 1"):
            conformal_threshold(p, labels, alpha)
    with pytest.raises(UserError, match="score must be lac or aps, not 'raps'"):
        conformal_sets(p, 0.5, "raps")
    with pytest.raises(UserError, match="labels must be 9 integers"):
        conformal_threshold(p, labels[:-1], 0.1)
    with pytest.raises(UserError, match="probabilities of sample 0 must be"):
        conformal_sets(2 * p, 0.5)
