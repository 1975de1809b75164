"""Calibration and uncertainty of an ensemble, against netcal, scikit-learn and sums by hand."""

import math

import numpy as np
import pytest

from codesign.uncertainty import (
    accuracy,
    auroc,
    brier,
    entropy,
    expected_calibration_error,
    fit_temperature,
    member_probabilities,
    mutual_information,
    negative_log_likelihood,
    summary,
)
from hdl.params.errors import UserError

#: Four answers of which the second and the last are wrong.
HAND = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.6, 0.4, 0.0]])
RIGHT = np.array([0, 2, 2, 1])


def overconfident(samples=2000, scale=1.6, seed=2):
    """Scores `scale` times the logarithm of the labels' true probabilities: [1, samples, 10]."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(samples, 10)) * 2
    labels = np.array([rng.choice(10, p=np.exp(v) / np.exp(v).sum()) for v in z])
    return scale * z[None], labels


def test_figures_by_hand():
    assert accuracy(HAND, RIGHT) == 0.5
    by_hand = -(math.log(0.9) + math.log(0.3) + math.log(0.8) + math.log(0.4)) / 4
    assert negative_log_likelihood(HAND, RIGHT) == pytest.approx(by_hand, rel=1e-12)
    # .01 + .01, .04 + .25 + .49, .01 + .01 + .04, .36 + .36
    assert brier(HAND, RIGHT) == pytest.approx((0.02 + 0.78 + 0.06 + 0.72) / 4, rel=1e-12)
    # 5 bins: .5 and .6 share (.4, .6], .8 lies in (.6, .8], .9 in (.8, 1]
    assert expected_calibration_error(HAND, RIGHT, 5) == pytest.approx((1.1 + 0.2 + 0.1) / 4)
    assert expected_calibration_error(HAND, RIGHT, 1) == pytest.approx(abs(2 - 2.8) / 4)


def test_a_confidence_on_an_edge_is_in_the_lower_bin():
    """(lo, hi]: with 2 bins .5 is in the first. Its error cancels the other's in one bin only."""
    p = np.array([[0.5, 0.3, 0.2], [0.75, 0.25, 0.0]])
    assert expected_calibration_error(p, np.array([0, 1]), 2) == pytest.approx((0.5 + 0.75) / 2)
    assert expected_calibration_error(p, np.array([0, 1]), 1) == pytest.approx((0.75 - 0.5) / 2)


def test_figures_that_netcal_and_scikit_learn_gave():
    """Of the same data: netcal 1.4.0 (ECE, TemperatureScaling), scikit-learn 1.9.1 (log_loss)."""
    scores, labels = overconfident()
    p = member_probabilities(scores)[0]
    assert expected_calibration_error(p, labels) == pytest.approx(0.1462860965123936, rel=1e-12)
    assert expected_calibration_error(p, labels, 7) == pytest.approx(0.1454774441146071, rel=1e-12)
    assert negative_log_likelihood(p, labels) == pytest.approx(1.4487539034653147, rel=1e-12)
    assert fit_temperature(scores, labels) == pytest.approx(1.58630576, rel=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", [1, 2])
def test_netcal(seed):
    metrics = pytest.importorskip("netcal.metrics")
    scaling = pytest.importorskip("netcal.scaling")
    scores, labels = overconfident(500, 2.0, seed)
    p = member_probabilities(scores)[0]
    for bins in (5, 15):
        theirs = metrics.ECE(bins).measure(p, labels)
        assert expected_calibration_error(p, labels, bins) == pytest.approx(theirs, rel=1e-12)
    fit = scaling.TemperatureScaling()
    fit.fit(p, labels)
    assert fit_temperature(scores, labels) == pytest.approx(1 / float(fit.weights[0]), rel=1e-4)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", [1, 2])
def test_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = overconfident(300, 1.0, seed)
    p = member_probabilities(scores)[0]
    assert negative_log_likelihood(p, labels) == pytest.approx(metrics.log_loss(labels, p))
    rng = np.random.default_rng(seed)
    above, below = rng.integers(3, 9, 200), rng.integers(0, 8, 300)
    truth = np.repeat([1, 0], [200, 300])
    theirs = metrics.roc_auc_score(truth, np.concatenate([above, below]))
    assert auroc(above, below) == pytest.approx(theirs, rel=1e-12)


def test_auroc_counts_pairs():
    above, below = np.array([3, 5, 5, 1]), np.array([1, 5, 2])
    pairs = [(a > b) + (a == b) / 2 for a in above for b in below]
    assert auroc(above, below) == pytest.approx(sum(pairs) / 12)
    assert auroc(np.array([2.0]), np.array([1.0])) == 1
    assert auroc(below, below) == 0.5
    assert auroc(above, below) + auroc(below, above) == pytest.approx(1)


def test_temperature():
    scores = np.array([[[0.0, math.log(4)]]])
    np.testing.assert_allclose(member_probabilities(scores)[0, 0], [0.2, 0.8])
    np.testing.assert_allclose(member_probabilities(scores, 2)[0, 0], [1 / 3, 2 / 3])
    np.testing.assert_allclose(member_probabilities(scores * 1e6)[0, 0], [0, 1])


def test_the_fitted_temperature_follows_the_unit_of_the_scores():
    scores, labels = overconfident(400)
    t = fit_temperature(scores, labels)
    assert fit_temperature(scores * 4096, labels) == pytest.approx(4096 * t, rel=1e-5)
    assert fit_temperature(np.repeat(scores, 3, 0), labels) == pytest.approx(t, rel=1e-5)
    fitted = negative_log_likelihood(member_probabilities(scores, t)[0], labels)
    for other in (0.98 * t, 1.02 * t):
        assert fitted < negative_log_likelihood(member_probabilities(scores, other)[0], labels)


def test_the_temperature_of_an_ensemble_is_of_its_mean():
    """Members that err independently: the mean is better than one, so it wants to be sharper."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 600)
    scores = 2 * np.eye(3)[labels] + rng.normal(size=(16, 600, 3)) * 2
    assert fit_temperature(scores, labels) < 0.8 * fit_temperature(scores[:1], labels)


def test_scores_that_say_nothing_or_all():
    assert fit_temperature(np.ones((2, 5, 3)), np.zeros(5, int)) == 1
    scores = np.eye(3)[None]
    t = fit_temperature(scores, np.arange(3))
    assert 1e-3 * scores.std() <= t < 0.1 * scores.std()
    assert accuracy(member_probabilities(scores, t)[0], np.arange(3)) == 1


def test_uncertainties_in_closed_form():
    uniform = np.full((1, 4), 0.25)
    assert entropy(uniform)[0] == pytest.approx(math.log(4))
    assert entropy(np.array([[1.0, 0.0]]))[0] == 0
    sure = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert mutual_information(sure)[0] == pytest.approx(math.log(2))  # each sure of another answer
    assert mutual_information(np.repeat(uniform[None], 3, 0))[0] == 0  # all as unsure as each other
    mixed = np.array([[[0.9, 0.1]], [[0.5, 0.5]]])
    apart = entropy(np.array([0.7, 0.3])) - (entropy(mixed[0, 0]) + entropy(mixed[1, 0])) / 2
    assert mutual_information(mixed)[0] == pytest.approx(float(apart))


def test_summary_tells_strange_data_apart():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 200)
    known = 4 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))
    strange = {"noise": rng.normal(size=(8, 100, 4)), "same": known}
    found = summary(known, labels, 1.0, strange)
    assert (found["members"], found["samples"]) == (8, 200)
    assert found["accuracy"] == 1 > found["member_accuracy"]
    assert found["auroc"]["same"] == {"entropy": 0.5, "mutual_information": 0.5}
    assert min(found["auroc"]["noise"].values()) > 0.9
    p = member_probabilities(known).mean(0)
    assert found["ece"] == expected_calibration_error(p, labels)
    assert found["brier"] == brier(p, labels)
    one = summary(known[:1], labels, 2.0)
    assert one["mutual_information"] == 0
    assert one["auroc"] == {}


NAN = np.where(np.arange(6).reshape(1, 2, 3) == 4, np.nan, 1.0)
BAD = [
    (lambda: member_probabilities(np.ones((2, 3))),
     "scores must be [members, samples, classes], none of them 0, not [2, 3]"),
    (lambda: fit_temperature(np.ones((0, 5, 3)), np.zeros(5, int)),
     "scores must be [members, samples, classes], none of them 0, not [0, 5, 3]"),
    (lambda: member_probabilities(NAN), "scores[0, 1, 1] is nan, not a finite number"),
    (lambda: member_probabilities(np.array([[["a"]]])), "scores must hold numbers, not <U1"),
    (lambda: member_probabilities(np.ones((1, 1, 2)), 0),
     "temperature must be a positive number, not 0"),
    (lambda: member_probabilities(np.ones((1, 1, 2)), math.nan),
     "temperature must be a positive number, not nan"),
    (lambda: accuracy(HAND, np.array([0, 1, 2, 3])), "labels must be 0..2, not 0..3"),
    (lambda: accuracy(HAND, np.array([0, 1, 2, -1])), "labels must be 0..2, not -1..2"),
    (lambda: accuracy(HAND, np.array([0, 1])), "labels must be 4 integers, one a sample"),
    (lambda: accuracy(HAND, np.zeros(4)), "labels must be 4 integers, one a sample"),
    (lambda: brier(HAND * 1.1, RIGHT), "probabilities of sample 0 must be 0..1 with the sum 1"),
    (lambda: brier(HAND - np.eye(4, 3)[:, [2, 0, 1]] + np.eye(4, 3), RIGHT),
     "probabilities of sample 0 must be 0..1 with the sum 1"),
    (lambda: expected_calibration_error(HAND, RIGHT, 0), "bins must be a positive integer, not 0"),
    (lambda: auroc(np.array([]), np.ones(3)),
     "positive scores must be [samples], none of them 0, not [0]"),
    (lambda: auroc(np.ones(3), np.array([1.0, np.inf])),
     "negative scores[1] is inf, not a finite number"),
    (lambda: summary(np.ones((2, 4, 3)), RIGHT, 1.0, {"odd": np.ones((3, 4, 3))}),
     "scores of odd are of 3 members and 3 classes, the labelled ones of 2 and 3"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(UserError) as error:
        call()
    assert str(error.value) == message
