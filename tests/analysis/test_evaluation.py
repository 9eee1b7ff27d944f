import io
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from PIL import Image
from scipy.stats import binomtest

from dinoscope.analysis.labels.classifier import Classifier
from dinoscope.analysis.labels.evaluation import evaluate, log_loss, reliability
from dinoscope.analysis.labels.scoring import confusions, label_scores, wilson_interval
from dinoscope.analysis.labels.voting import knn_accuracy, knn_accuracy_split, label_votes
from dinoscope.analysis.neighbors import neighbors
from dinoscope.errors import InputError
from dinoscope.plots.evaluation import confusion_figure, evaluation_figures, reliability_figure
from dinoscope.wording.labels import tell_calibration, tell_coverage


def blobs(count: int = 600, seed: int = 0, width: int = 6, groups: int = 4) -> tuple[Any, Any]:
    centres = 2 * np.random.default_rng(99).standard_normal((groups, width))
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, groups, count)
    return centres[labels] + 1.5 * draw.standard_normal((count, width)), np.array(list("abcdefgh"))[labels]


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (3, 10), (10, 10), (887, 1000)])
def test_wilson_interval_equals_scipy(hits, count):
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(hits, count), (expected.low, expected.high), atol=1e-9)


def test_calibration_error_is_its_definition():
    draw = np.random.default_rng(0)
    claims = np.concatenate([draw.random(500), [0.0, 1.0, 0.2, 1 / 3]])
    right = draw.random(504) < claims**2
    found = reliability(claims, right, bins=10)
    error = 0.0
    for index in range(10):
        inside = (claims >= index / 10) & ((claims < (index + 1) / 10) | (index == 9))
        assert found.images[index] == inside.sum()
        assert found.claimed[index] == pytest.approx(claims[inside].mean(), abs=1e-12)
        assert found.right[index] == pytest.approx(right[inside].mean(), abs=1e-12)
        error += inside.mean() * abs(claims[inside].mean() - right[inside].mean())
    assert found.error == pytest.approx(error, abs=1e-12)
    assert reliability([1, 1], [True, True]).error == 0
    assert reliability([0.9], [False]).error == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("claims", "right", "message"),
    [
        ([0.5], [True, False], r"probabilities and right must have one shape \(M,\), got \(1,\) and \(2,\)"),
        ([], [], "must have one shape"),
        ([1.5], [True], "probabilities must lie between 0 and 1"),
        ([float("nan")], [True], "probabilities must lie between 0 and 1"),
    ],
)
def test_reliability_of_what_is_no_probability(claims, right, message):
    with pytest.raises(InputError, match=message):
        reliability(claims, right)


def test_log_loss_equals_scikit_learn():
    draw = np.random.default_rng(0)
    chances, truth = draw.dirichlet([1, 1, 1], 200), draw.integers(0, 3, 200)
    assert log_loss(chances, truth) == pytest.approx(sklearn.metrics.log_loss(truth, chances), abs=1e-9)
    assert log_loss(np.array([[1.0, 0.0]]), np.array([-1])) == pytest.approx(-np.log(1e-15))


def test_counts_precision_and_recall_equal_scikit_learn():
    vectors, labels = blobs()
    found = evaluate(vectors, labels)
    winners = label_votes(neighbors(vectors, 20), labels)
    given = winners.names[winners.winners]
    np.testing.assert_array_equal(found.counts, sklearn.metrics.confusion_matrix(labels, given))
    precision, recall, _, images = sklearn.metrics.precision_recall_fscore_support(labels, given)
    np.testing.assert_allclose([each.precision for each in found.labels], precision, atol=1e-6)
    np.testing.assert_allclose([each.recall for each in found.labels], recall, atol=1e-6)
    assert [each.images for each in found.labels] == images.tolist()
    assert [each.label for each in found.labels] == ["a", "b", "c", "d"]
    never = label_scores(np.array([[2, 0], [1, 0]]), ["x", "y"])
    assert np.isnan(never[1].precision)
    assert never[1].recall == 0
    assert never[0].precision == pytest.approx(2 / 3)


def test_leave_one_out_and_split_agree_with_the_protocol():
    vectors, labels = blobs()
    found = evaluate(vectors, labels)
    assert found.method == "leave-one-out"
    assert found.accuracy == pytest.approx(knn_accuracy(neighbors(vectors, 20), labels))
    assert found.interval == pytest.approx(wilson_interval(round(found.accuracy * 600), 600))
    assert found.positions.tolist() == list(range(600))
    mask = np.arange(600) % 3 > 0
    split = evaluate(vectors, labels, mask)
    assert split.method == "test"
    assert split.accuracy == pytest.approx(knn_accuracy_split(vectors, labels, mask))
    assert split.positions.tolist() == np.flatnonzero(~mask).tolist()
    at_default = {(each.k, each.temperature): each.accuracy for each in split.sweep}
    assert at_default[20, 0.07] == pytest.approx(split.accuracy)
    assert at_default[1, 0.02] == at_default[1, float("inf")] == knn_accuracy_split(vectors, labels, mask, k=1)
    assert len(split.sweep) == 24


@pytest.mark.parametrize("references", [None, 1_500])
def test_what_is_promised_on_unseen_images_holds(references):
    vectors, labels = blobs(3_000)
    mask = None if references is None else np.arange(3_000) < references
    found = evaluate(vectors, labels, mask, coverage=0.9, abstain=0.1)
    assert found.accuracy < 0.9
    assert found.coverage == pytest.approx(0.9, abs=0.025)
    assert 1 < found.set_size < 3
    assert found.refused == pytest.approx(0.1, abs=0.025)
    assert found.calibrated.error < 0.03
    assert found.log_loss < found.log_loss_votes
    assert found.votes.images.sum() == found.calibrated.images.sum() == len(found.positions)


def test_pairs_that_are_mixed_up():
    truth, given = np.array(list("aaaabbc")), np.array(list("abbacbc"))
    found = confusions(truth, given, np.array([0.9, 0.3, 0.8, 1, 0.5, 1, 1]), np.arange(7) * 10)
    assert [(each.true, each.predicted, each.images, each.share) for each in found] == [
        ("a", "b", 2, 0.5),
        ("b", "c", 1, 0.5),
    ]
    assert found[0].examples == (20, 10)  # the surest first
    assert confusions(truth, truth, np.ones(7), np.arange(7)) == ()


def test_images_without_a_label_are_left_out():
    vectors, labels = blobs(400)
    given = labels.astype(object)
    given[::4] = None
    have = np.flatnonzero(np.arange(400) % 4)
    some, same = evaluate(vectors, given), evaluate(vectors[have], labels[have])
    assert some.positions.tolist() == have.tolist()
    assert (some.accuracy, some.log_loss) == (same.accuracy, same.log_loss)
    wrong = [position for each in some.confusions for position in each.examples]
    assert not set(wrong) & set(range(0, 400, 4))


def test_a_label_that_no_reference_has_is_a_mistake():
    vectors, labels = blobs(400)
    mask = (np.arange(400) < 200) & (labels != "d")
    found = evaluate(vectors, labels, mask)
    assert found.names.tolist() == ["a", "b", "c", "d"]
    assert found.labels[3].recall == 0
    assert np.isnan(found.labels[3].precision)
    assert found.counts[3].sum() == (labels == "d").sum()
    known = labels[~mask] != "d"
    assert found.coverage <= known.mean()


def test_numbers_as_labels_and_the_same_twice():
    vectors, labels = blobs(200)
    codes = np.unique(labels, return_inverse=True)[1]
    first, second = evaluate(vectors, codes), evaluate(vectors, codes)
    assert first.accuracy == second.accuracy == evaluate(vectors, labels).accuracy
    assert (first.log_loss, first.coverage, first.confusions) == (second.log_loss, second.coverage, second.confusions)


def test_the_smallest_collections():
    found = evaluate(np.eye(4), ["a", "b", "a", "b"])
    assert len(found.positions) == 4
    assert evaluate(np.ones((4, 2)), [7, 7, 7, 7]).accuracy == 1
    assert evaluate(np.ones((4, 2)), list("abcd")).accuracy == 0
    assert evaluate(np.eye(3), ["a", "b", "b"], np.array([True, True, False]), k=50).coverage in (0, 1)


@pytest.mark.parametrize(
    ("vectors", "labels", "mask", "message"),
    [
        (np.eye(3), list("abc"), None, "an evaluation needs at least 4 images with a label, got 3"),
        (np.eye(4), [None] * 4, None, "an evaluation needs at least 4 images with a label, got 0"),
        (np.eye(4), list("abc"), None, r"labels must have one entry per item, expected shape \(4,\), got \(3,\)"),
        (np.full((4, 2), np.nan), list("abcd"), None, "vectors must be finite"),
        (np.eye(4), list("abcd"), [1, 0, 1, 0], r"is_reference must be booleans of shape \(4,\), got int64 \(4,\)"),
        (np.eye(4), list("abcd"), [True] * 4, "at least 2 labelled references and 1 labelled other image, got 4 and 0"),
        (np.eye(4), ["a", None, "b", "b"], [True, True, False, False], "got 1 and 2"),
    ],
)
def test_what_cannot_be_evaluated_is_named(vectors, labels, mask, message):
    with pytest.raises(InputError, match=message):
        evaluate(vectors, labels, mask)


def size(picture: bytes) -> Any:
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.format == "PNG"
        return opened.size


def test_pictures_are_pngs_and_the_same_twice():
    vectors, labels = blobs(200)
    pictures = evaluation_figures(evaluate(vectors, labels))
    assert set(pictures) == {"confusion.png", "reliability.png"}
    assert all(min(size(picture)) > 500 for picture in pictures.values())
    assert pictures == evaluation_figures(evaluate(vectors, labels))


def test_of_very_many_labels_pairs_are_kept_and_no_square(monkeypatch):
    vectors, labels = blobs(200, groups=8)
    usual = evaluate(vectors, labels)
    monkeypatch.setattr("dinoscope.analysis.labels.evaluation.MOST_COUNTED", 7)
    found = evaluate(vectors, labels)
    assert found.counts.shape == (0, 0)
    assert (found.labels, found.confusions, found.names.tolist()) == (usual.labels, usual.confusions, list("abcdefgh"))
    assert evaluation_figures(found) == evaluation_figures(usual)
    assert evaluation_figures(found)["confusion.png"] == confusion_figure(usual.counts, list("abcdefgh"))


@pytest.mark.parametrize("references", [None, 250])
def test_images_are_evaluated_in_blocks(references, monkeypatch):
    vectors, labels = blobs(400)
    mask = None if references is None else np.arange(400) < references
    usual = evaluate(vectors, labels, mask)
    monkeypatch.setattr("dinoscope.analysis.labels.evaluation._CELLS", 30)
    sizes, ask = [], Classifier.ask

    def watched(self, graph):
        sizes.append(len(graph))
        return ask(self, graph)

    monkeypatch.setattr(Classifier, "ask", watched)
    found = evaluate(vectors, labels, mask)
    assert (found.sweep, found.confusions, found.labels) == (usual.sweep, usual.confusions, usual.labels)
    for name in ("log_loss", "log_loss_votes", "coverage", "set_size", "refused", "interval"):
        assert getattr(found, name) == getattr(usual, name)
    if references is not None:
        assert max(sizes[1:]) <= 7  # the first are those that the classifier learns from


def test_the_picture_of_many_labels_shows_those_with_the_most_mistakes(monkeypatch):
    texts = []
    monkeypatch.setattr("matplotlib.figure.Figure.text", lambda _self, _x, _y, text, **_: texts.append(text))
    confusion_figure(np.eye(300), ["a"] * 300)
    assert texts[1].endswith("; the 29 labels with the most mistakes, of 300")


def test_pictures_of_odd_collections():
    assert size(confusion_figure([[1]], ["$x"]))[0] > 500
    few, many = (size(confusion_figure(np.eye(n), ["漢字 and a very long name indeed"] * n)) for n in (30, 300))
    assert few == many  # what is beyond thirty labels shares a line
    one = reliability([1.0], [True])
    assert size(reliability_figure(one, one)) == size(reliability_figure(reliability([0.2], [False]), one))
    with pytest.raises(InputError, match=r"counts must have shape \(C, C\) for C names, got \(2, 2\) for 1 names"):
        confusion_figure(np.eye(2), ["a"])


def test_probabilities_are_calibrated_only_where_that_helps():
    draw = np.random.default_rng(5)
    centres = draw.standard_normal((3, 8))
    labels = draw.integers(0, 3, 600)
    vectors = centres[labels] + draw.standard_normal((600, 8))
    is_reference = np.arange(600) < 300
    given = labels.copy()
    noisy = np.flatnonzero(is_reference)[::2]
    given[noisy] = draw.integers(0, 3, len(noisy))  # the references teach doubt, and the others deserve none
    found = evaluate(vectors, given, is_reference)
    assert found.calibrated.error == found.votes.error
    assert found.log_loss == found.log_loss_votes
    assert "calibration did not help" in tell_calibration(found)
    other = evaluate(vectors, given)  # of the same kind
    assert other.calibrated.error <= other.votes.error


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_a_classifier_knows_how_often_its_sets_held_the_truth(spread):
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 4, 400)
    vectors = draw.standard_normal((4, 8))[labels] + spread * draw.standard_normal((400, 8))
    judge, found = Classifier(vectors, labels), evaluate(vectors, labels)
    assert (judge.measured, judge.measured_on) == (found.coverage, found.method)
    assert judge.rules.calibrated == (found.calibrated.error < found.votes.error)
    verdict = judge.left_out(vectors, [0])[0]
    if not judge.rules.calibrated:
        share = judge.ask(judge.left_out_graph(vectors, [0]))[0].shares.max()
        assert verdict.probability == pytest.approx(share)
    assert f"{found.coverage:.0%} of cases" in tell_coverage(judge)
    assert tell_coverage(Classifier(vectors[:3], labels[:3])) == ""
