from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from sklearn.metrics import log_loss

from dinoscope.analysis.labels.calibration import Calibration, fit_calibration
from dinoscope.analysis.labels.classifier import Classifier, sample_rows
from dinoscope.analysis.labels.conformal import conformal_quantile, fit_rules, nonconformity, p_values
from dinoscope.analysis.labels.voting import Votes, label_votes
from dinoscope.analysis.neighbors import neighbors, query_neighbors
from dinoscope.errors import InputError


def blobs(count: int, seed: int = 0, width: int = 6, groups: int = 4, spread: float = 1.0) -> tuple[Any, Any]:
    """Groups that overlap, around the same centres whatever the seed."""
    centres = 2 * np.random.default_rng(99).standard_normal((groups, width))
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, groups, count)
    return centres[labels] + spread * draw.standard_normal((count, width)), np.array(list("abcdefgh"))[labels]


def test_calibration_by_hand():
    found = Calibration(floor=0.1, power=2).probabilities(np.array([[0.8, 0.2, 0.0]]))
    np.testing.assert_allclose(found, [[0.81 / 0.91, 0.09 / 0.91, 0.01 / 0.91]], atol=1e-12)


@pytest.mark.parametrize("labels", [2, 10, 200])
def test_calibration_by_softmax_equals_the_formula_to_the_bit(labels):
    shares = np.random.default_rng(0).dirichlet(np.full(labels, 0.1), 2_000)
    scaled = np.log(shares + 0.01) * 1.3
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found = Calibration(floor=0.01, power=1.3).probabilities(shares)
    np.testing.assert_array_equal(found, scaled / scaled.sum(axis=1, keepdims=True))


def test_calibration_improves_the_loss_on_unseen_images():
    """The shares are the square root of the truth's chances, made to sum to one: power 2 undoes that."""
    draw = np.random.default_rng(0)
    chances = draw.dirichlet([0.4] * 5, 8_000)
    truth = (draw.random((8_000, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 4)
    shares = np.sqrt(chances) / np.sqrt(chances).sum(axis=1, keepdims=True)
    found = fit_calibration(shares[:4_000], truth[:4_000])
    assert found.power == pytest.approx(2, abs=0.15)
    before = log_loss(truth[4_000:], shares[4_000:])
    after = log_loss(truth[4_000:], found.probabilities(shares[4_000:]))
    best = log_loss(truth[4_000:], np.maximum(chances[4_000:], 1e-12))
    assert best - 0.01 < after < best + 0.02 < before


def test_calibration_is_the_minimum_of_platts_loss():
    vectors, labels = blobs(300)
    names, truth = np.unique(labels, return_inverse=True)
    shares = label_votes(neighbors(vectors, 10), labels, k=10).shares
    found = fit_calibration(shares, truth)
    targets = np.full((300, len(names)), 1 / 302 / (len(names) - 1))
    targets[np.arange(300), truth] = 301 / 302

    def loss(logs: Any) -> Any:
        return -(targets * np.log(Calibration(*np.exp(logs)).probabilities(shares))).sum(axis=1).mean()

    best = minimize(loss, [-3.0, 0.0], method="BFGS")
    assert loss(np.log([found.floor, found.power])) == pytest.approx(best.fun, abs=1e-6)


def test_no_error_is_no_certainty():
    found = fit_calibration(np.eye(2)[[0, 1] * 5], np.array([0, 1] * 5))
    assert found.probabilities(np.array([[1.0, 0.0]]))[0, 0] == pytest.approx(11 / 12, abs=1e-3)


def test_calibration_wants_one_truth_a_row():
    with pytest.raises(InputError, match=r"truth must have one entry for each row of shares, got \(2,\) for \(3, 2\)"):
        fit_calibration(np.ones((3, 2)) / 2, np.array([0, 1]))


def test_conformal_quantile_is_corrected_for_finite_numbers():
    scores = np.arange(1, 100)[::-1]  # 99 scores: the ceil(100 * 0.9) = 90th smallest
    assert conformal_quantile(scores, 0.9) == 90
    assert conformal_quantile(scores[:9], 0.9) == scores[:9].max()  # ceil(10 * 0.9) = 9 of 9
    assert conformal_quantile(scores[:8], 0.9) == np.inf  # ceil(9 * 0.9) = 9 of 8: too few to tell
    assert conformal_quantile([], 0.5) == np.inf
    for level in (0, 1, -0.1, 90, float("nan")):
        with pytest.raises(InputError, match="a level must be above 0 and below 1"):
            conformal_quantile(scores, level)


@pytest.mark.parametrize("count", [19, 50, 333])
def test_quantile_and_p_values_keep_their_promises(count):
    """The exact law of exchangeable continuous scores: P(score <= quantile) = ceil((n + 1) level) / (n + 1)."""
    draw = np.random.default_rng(0)
    scores = draw.standard_normal((4_000, count + 1))
    covered = np.mean([row[-1] <= conformal_quantile(row[:-1], 0.9) for row in scores])
    assert covered == pytest.approx(np.ceil((count + 1) * 0.9) / (count + 1), abs=0.015)
    refused = np.mean([p_values(row[:-1], row[-1:])[0] <= 0.05 for row in scores])
    assert refused == pytest.approx(np.floor((count + 1) * 0.05) / (count + 1), abs=0.012)


def test_p_values_by_hand():
    np.testing.assert_allclose(p_values([1, 2, 3, 4], [0, 2, 2.5, 9]), [1, 4 / 5, 3 / 5, 1 / 5])


def test_nonconformity_is_its_definition():
    vectors, _ = blobs(60)
    known, asked = vectors[:50], vectors[50:]
    among = 1 - cdist(known, known, "cosine")
    np.fill_diagonal(among, -np.inf)
    crowding = np.log(1 - np.sort(among, axis=1)[:, -5:].mean(axis=1))
    across = cdist(asked, known, "cosine")
    near = np.argsort(across, axis=1)[:, :5]
    expected = np.log(np.take_along_axis(across, near, axis=1).mean(axis=1)) - crowding[near].mean(axis=1) / 4
    own = nonconformity(neighbors(known, 9), np.zeros(50), 5)
    np.testing.assert_allclose(own, crowding, atol=1e-3)  # distances count from 1e-6 on
    np.testing.assert_allclose(nonconformity(query_neighbors(known, asked, 9), own, 5), expected, atol=1e-3)


@pytest.mark.parametrize("spread", [1.0, 2.0])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.97])
def test_sets_hold_the_truth_as_often_as_asked(level, spread):
    """Or as often as the winner is right, where that is more: a set is never empty."""
    vectors, labels = blobs(1_200, spread=spread)
    fresh, truth = blobs(3_000, seed=1, spread=spread)
    verdicts = Classifier(vectors, labels, coverage=level).classify(fresh)
    right = np.mean([verdict.label == each for verdict, each in zip(verdicts, truth, strict=True)])
    held = np.mean([each in verdict.prediction_set for verdict, each in zip(verdicts, truth, strict=True)])
    assert held == pytest.approx(max(level, right), abs=0.025)
    for verdict in verdicts:
        assert verdict.prediction_set[0] == verdict.label
        assert len(set(verdict.prediction_set)) == len(verdict.prediction_set)


@pytest.mark.parametrize("abstain", [0.02, 0.1])
def test_what_is_far_is_unknown_and_what_is_not_seldom(abstain):
    vectors, labels = blobs(1_500, width=30)
    classifier = Classifier(vectors, labels, abstain=abstain)
    known = classifier.classify(blobs(3_000, seed=1, width=30)[0])
    assert np.mean([each.unknown for each in known]) == pytest.approx(abstain, abs=0.012)
    far = classifier.classify(np.random.default_rng(2).standard_normal((50, 30)))  # any direction
    assert np.mean([each.unknown for each in far]) > 0.9
    for each in known + far:
        assert each.unknown == (each.p_value <= abstain)


def test_few_images_of_a_label_still_tell_what_is_far():
    """Of about six images a label, two neighbours count, not twenty."""
    vectors, labels = blobs(24, width=30)
    far = np.random.default_rng(2).standard_normal((50, 30))
    verdicts = Classifier(vectors, labels, abstain=0.1).classify(far)
    assert np.mean([each.unknown for each in verdicts]) > 0.95  # 0.8 with twenty


def test_probabilities_are_those_of_the_truth():
    vectors, labels = blobs(2_000, spread=2)
    fresh, truth = blobs(4_000, seed=1, spread=2)
    verdicts = Classifier(vectors, labels).classify(fresh)
    right = np.mean([verdict.label == each for verdict, each in zip(verdicts, truth, strict=True)])
    assert np.mean([verdict.probability for verdict in verdicts]) == pytest.approx(right, abs=0.02)


def test_a_verdict_names_its_voters_and_how_far_out_it_lies():
    vectors, labels = blobs(200)
    given = labels.astype(object)
    given[::3] = None  # a third of the images has no label: no vote, but still a position
    fresh = blobs(5, seed=1)[0]
    classifier = Classifier(vectors, given, k=7)
    similarity = 1 - cdist(fresh, vectors, "cosine")
    similarity[:, ::3] = -np.inf
    for row, verdict in enumerate(classifier.classify(fresh)):
        assert [voter.position for voter in verdict.voters] == np.argsort(-similarity[row])[:7].tolist()
        assert [voter.label for voter in verdict.voters] == [given[voter.position] for voter in verdict.voters]
        np.testing.assert_allclose(
            [v.similarity for v in verdict.voters], np.sort(similarity[row])[::-1][:7], atol=1e-6
        )
        members = vectors[given == verdict.label]
        own = cdist(members, members, "cosine")
        np.fill_diagonal(own, np.inf)
        out = np.sort(own, axis=1)[:, :5].mean(axis=1)
        mine = np.sort(cdist(fresh[row : row + 1], members, "cosine"))[0, :5].mean()
        assert verdict.percentile == pytest.approx(100 * (out < mine).mean(), abs=1e-6)


def test_the_same_twice_and_one_by_one():
    vectors, labels = blobs(300)
    fresh = blobs(20, seed=1)[0]
    together = Classifier(vectors, labels).classify(fresh)
    assert together == Classifier(vectors, labels).classify(fresh)
    single = [Classifier(vectors, labels).classify(fresh[row : row + 1])[0] for row in range(3)]
    for one, same in zip(single, together, strict=False):
        assert (one.label, one.prediction_set, one.unknown) == (same.label, same.prediction_set, same.unknown)
        assert one.probability == pytest.approx(same.probability, abs=1e-5)


def test_a_graph_made_before_gives_the_same_rules():
    vectors, labels = blobs(100)
    rules = Classifier(vectors, labels, graph=neighbors(vectors, 30)).rules
    assert rules.calibration == Classifier(vectors, labels).rules.calibration


def test_a_large_collection_teaches_by_a_fixed_sample(monkeypatch):
    monkeypatch.setattr("dinoscope.analysis.labels.classifier._SAMPLE", 50)
    rows = sample_rows(200, 4)
    assert (len(rows), len(np.unique(rows)), rows.tolist()) == (50, 50, sample_rows(200, 4).tolist())
    assert sample_rows(50, 4).tolist() == list(range(50))
    vectors, labels = blobs(200)
    assert len(Classifier(vectors, labels).rules.known) == 50


def test_few_images_are_never_unknown_and_hold_every_label_in_the_set():
    (verdict,) = Classifier([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]], ["a", "b", "b"], k=99).classify([[0.0, -1.0]])
    assert not verdict.unknown
    assert set(verdict.prediction_set) == {"a", "b"}
    assert len(verdict.voters) == 3


def test_two_identical_images_and_a_label_with_one_image():
    (verdict,) = Classifier([[1.0, 0.0], [1.0, 0.0]], ["a", "a"]).classify([[1.0, 0.0]])
    assert (verdict.label, verdict.probability, verdict.percentile, verdict.prediction_set) == ("a", 1, 0, ("a",))
    (verdict,) = Classifier([[1.0, 0.0], [1.0, 0.0]], ["a", "b"]).classify([[1.0, 0.0]])
    assert 0 < verdict.probability <= 1
    assert np.isnan(verdict.percentile)
    assert Classifier([[1.0, 0.0]] * 30, [3] * 30).classify([[0.9, 0.1]])[0].label == 3


def test_a_truth_that_nobody_can_vote_for_counts_against_the_sets():
    votes = Votes(np.array(["a", "b"]), np.tile([0.9, 0.1], (40, 1)), np.zeros(40, np.intp))
    truth = np.where(np.arange(40) < 36, 0, -1)
    assert fit_rules(votes, truth, np.arange(40.0), coverage=0.8).least > 0.5
    assert fit_rules(votes, truth, np.arange(40.0), coverage=0.95).least == -np.inf


@pytest.mark.parametrize(
    ("vectors", "labels", "message"),
    [
        ([[1.0, 0.0]], ["a"], "classification needs at least 2 images with a label, got 1 of 1"),
        ([[1.0, 0.0]] * 3, [None, "a", None], "classification needs at least 2 images with a label, got 1 of 3"),
        ([[1.0, 0.0]] * 3, [None] * 3, "classification needs at least 2 images with a label, got 0 of 3"),
        ([[1.0, np.nan]] * 3, ["a"] * 3, "vectors must be finite, got NaN or infinity in 3 of 3 rows"),
        ([[1.0, 0.0]] * 3, ["a"] * 2, r"labels must have one entry per item, expected shape \(3,\), got \(2,\)"),
        ([[1.0, 0.0]] * 3, [0.5, 1.5, None], "labels must be integers or strings, got dtype float64"),
        ([[1.0, 0.0]] * 3, ["a", "b", float("nan")], "labels must be all texts or all integers, got nan among texts"),
        ([[0.0, 0.0]] * 3, ["a"] * 3, "vectors must not be zero"),
    ],
)
def test_what_cannot_work_is_named(vectors, labels, message):
    with pytest.raises(InputError, match=message):
        Classifier(vectors, labels)


def test_queries_and_settings_that_cannot_work_are_named():
    vectors, labels = blobs(30)
    with pytest.raises(InputError, match=r"queries must have the width of vectors, expected \(M, 6\), got \(1, 2\)"):
        Classifier(vectors, labels).classify([[1.0, 0.0]])
    with pytest.raises(InputError, match="queries must be finite"):
        Classifier(vectors, labels).classify([[np.nan] * 6])
    with pytest.raises(InputError, match="a level must be above 0 and below 1, got 1"):
        Classifier(vectors, labels, coverage=1)
    with pytest.raises(InputError, match="abstain must be at least 0 and below 1, got 5"):
        Classifier(vectors, labels, abstain=5)
    assert not any(each.unknown for each in Classifier(vectors, labels, abstain=0).classify(-vectors))
    with pytest.raises(InputError, match="k must be a whole number, 1 or more; got 0"):
        Classifier(vectors, labels, k=0)


def test_former_names_of_a_verdict_still_work():
    vectors, labels = blobs(40)
    verdict = Classifier(vectors, labels).classify(vectors[:1])[0]
    with pytest.warns(DeprecationWarning, match="is now p_value"):
        assert verdict.familiarity == verdict.p_value
    with pytest.warns(DeprecationWarning, match="is now prediction_set"):
        assert verdict.label_set == verdict.prediction_set
