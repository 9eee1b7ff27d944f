"""Which model sees these images best: scores of a set of vectors, agreement of two, a ranking, a sentence of advice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope import metrics
from dinoscope.checks import check_count, check_labels
from dinoscope.classify import knn_accuracy
from dinoscope.clusters import kmeans
from dinoscope.errors import InputError
from dinoscope.knn import NeighborGraph, l2_normalize, neighbors, row_blocks

__all__ = [
    "Contender", "VectorScores", "advise", "mean_average_precision", "neighbor_agreement", "rank_agreement",
    "rank_without_labels", "score_vectors", "stratified_sample",
]  # fmt: skip

_BLOCK_BYTES = 64_000_000
_AS_GOOD = 0.01  # a difference of accuracy that a sample of a few thousand images cannot tell from chance


@dataclass(frozen=True)
class VectorScores:
    """What one model's vectors are worth; NaN where there are no labels, or too few images.

    Attributes:
        knn_accuracy: Share of images named right by their 20 nearest, each left out in turn.
        mean_average_precision: See ``mean_average_precision``.
        nmi: Information that k-means clusters, as many as labels, share with the labels.
        silhouette_labels: Cosine silhouette of the labels.
        silhouette_clusters: Cosine silhouette of the k-means clusters; needs no labels.
        effective_rank: Directions that the vectors really use; needs no labels.
        hubness: See ``metrics.hubness``; needs no labels.
    """

    knn_accuracy: float
    mean_average_precision: float
    nmi: float
    silhouette_labels: float
    silhouette_clusters: float
    effective_rank: float
    hubness: float


@dataclass(frozen=True)
class Contender:
    """One line of a comparison.

    Attributes:
        name: Model and settings, for people.
        dim: Length of a vector.
        scores: What its vectors are worth.
        agreement: Share of its neighbours that the others find too, on average.
        images_per_second: On this machine.
        megabytes: Size of the weights.
        baseline: Whether it is there to be beaten (raw pixels, untrained network), not to be taken.
    """

    name: str
    dim: int
    scores: VectorScores
    agreement: float
    images_per_second: float
    megabytes: float
    baseline: bool = False


def score_vectors(
    vectors: ArrayLike, labels: ArrayLike | None = None, *, clusters: int | None = None, seed: int = 0
) -> VectorScores:
    """Score the vectors of one model.

    Args:
        vectors: Array (N, D), N >= 3.
        labels: Labels (N,), of which at least two differ; without them the scores against labels are NaN.
        clusters: Number of k-means clusters, by default that of the labels, else 10, at most N / 2.
        seed: Seed of k-means.

    Raises:
        InputError: If there are fewer than 3 vectors, or labels of another number.
    """
    unit = l2_normalize(vectors)
    count = len(unit)
    if count < 3:
        raise InputError(f"a comparison needs at least 3 images, got {count}")
    graph = neighbors(unit, min(20, count - 1))
    names = None if labels is None else check_labels(labels, count)
    kinds = len(np.unique(names)) if names is not None else 0
    distinct = len(np.unique(unit, axis=0))
    wanted = max(1, min(clusters or (kinds if kinds >= 2 else 10), count // 2, distinct))
    found = kmeans(unit, wanted, seed=seed)
    accuracy = precision = nmi = silhouette = math.nan
    if names is not None and kinds >= 2:
        accuracy = knn_accuracy(graph, names, k=graph.k)
        precision = mean_average_precision(unit, names)
        nmi = metrics.normalized_mutual_information(names, found.labels)
        silhouette = metrics.silhouette(unit, names, "cosine") if kinds < count else math.nan
    return VectorScores(
        accuracy, precision, nmi, silhouette, found.silhouette, metrics.effective_rank(unit), metrics.hubness(graph)
    )


def mean_average_precision(vectors: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean average precision of a search among the others for images of the same label.

    Every image that shares its label with another one is a query. Its average precision is the mean, over the images
    of its label, of the share of such images down to that one in the list by cosine similarity; equals come in the
    order of their rows. NaN where no label occurs twice.

    Raises:
        InputError: If labels and vectors are not equally many.
    """
    unit = l2_normalize(vectors)
    _, codes = np.unique(check_labels(labels, len(unit)), return_inverse=True)
    total, queries = 0.0, 0
    for part in row_blocks(len(unit), max(1, _BLOCK_BYTES // (16 * len(unit)))):
        similarity = unit[part] @ unit.T
        rows = np.arange(part.start, part.start + len(similarity))
        similarity[np.arange(len(rows)), rows] = np.inf  # itself first, then left out
        order = np.argsort(-similarity, axis=1, kind="stable")[:, 1:]
        relevant = codes[order] == codes[rows][:, None]
        hits = relevant.sum(1)
        precision = np.cumsum(relevant, axis=1) / np.arange(1, order.shape[1] + 1)
        average = (precision * relevant).sum(1)[hits > 0] / hits[hits > 0]
        total, queries = total + float(average.sum()), queries + len(average)
    return total / queries if queries else math.nan


def neighbor_agreement(first: NeighborGraph, second: NeighborGraph, k: int = 15) -> float:
    """Return the share of the ``k`` nearest neighbours that two models have in common, 0 to 1, mean over the images.

    Raises:
        InputError: If the graphs are of other images, or hold fewer than ``k`` neighbours.
    """
    if len(first) != len(second):
        raise InputError(f"both graphs must be of the same images, got {len(first)} and {len(second)}")
    check_count(k, "k", at_most=min(first.k, second.k), why="what both graphs hold")
    pairs = zip(first.indices[:, :k], second.indices[:, :k], strict=True)
    return float(np.mean([len(np.intersect1d(a, b, assume_unique=True)) for a, b in pairs]) / k)


def rank_without_labels(contenders: Sequence[Contender]) -> list[int]:
    """Order contenders, the best first, by what needs no labels: the mean of their ranks by two scores.

    They are the silhouette of the clusters (whose height follows how well clusters and labels agree: Lowe et al. 2024,
    arXiv:2406.02465) and the agreement with the other models (what several models see alike is in the images).
    """
    columns = [[each.scores.silhouette_clusters for each in contenders], [each.agreement for each in contenders]]
    ranks = np.mean([_ranks(column) for column in columns], axis=0)
    return [int(position) for position in np.argsort(-ranks, kind="stable")]


def rank_agreement(contenders: Sequence[Contender]) -> float:
    """Return Kendall's tau-b between the order without labels and that by k-NN accuracy; NaN where it is undefined."""
    from scipy.stats import kendalltau

    accuracy = [each.scores.knn_accuracy for each in contenders]
    if len(contenders) < 2 or np.isnan(accuracy).any():
        return math.nan
    places = np.argsort(rank_without_labels(contenders))
    return float(kendalltau(-places, accuracy).statistic)


def advise(contenders: Sequence[Contender]) -> str:
    """Return one sentence: which model to take for these images, and why.

    By k-NN accuracy where there are labels, else by ``rank_without_labels``. Among models that are equally good (0.01)
    the fastest is advised. A baseline is never advised, but if nothing beats it, that is what the sentence says.
    """
    real = [each for each in contenders if not each.baseline]
    if not real:
        return "Only baselines were compared: name at least one model."
    labelled = not any(math.isnan(each.scores.knn_accuracy) for each in contenders)
    if not labelled:
        best = next(contenders[i] for i in rank_without_labels(contenders) if not contenders[i].baseline)
        return (
            f"Without labels {best.name} looks best (clusters stand apart, other models agree with its neighbours): "
            "a guess, which a few hundred labels would settle."
        )
    best = max(real, key=lambda each: each.scores.knn_accuracy)
    top = best.scores.knn_accuracy
    beaten_by = [each for each in contenders if each.baseline and each.scores.knn_accuracy >= top]
    if beaten_by:
        baseline = max(beaten_by, key=lambda each: each.scores.knn_accuracy)
        return (
            f"No model beats the baseline {baseline.name} ({baseline.scores.knn_accuracy:.3f}; best model {best.name}, "
            f"{top:.3f}): try a larger model or a higher resolution."
        )
    fast = max((each for each in real if each.scores.knn_accuracy >= top - _AS_GOOD), key=_speed)
    if fast is not best and fast.images_per_second > 1.2 * best.images_per_second:
        times = fast.images_per_second / best.images_per_second
        return (
            f"Take {fast.name}: as good as the best ({fast.scores.knn_accuracy:.3f}; {best.name} {top:.3f}) and "
            f"{times:.1f} times as fast."
        )
    return f"Take {best.name}: it names the most images right ({top:.3f})."


def stratified_sample(labels: Sequence[str | None], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw ``count`` rows in which every label has its share; images without a label are one group of their own.

    Returns:
        Rows in ascending order, all of them where there are no more.
    """
    check_count(count, "count")
    total = len(labels)
    if count >= total:
        return np.arange(total)
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(total)
    _, codes = np.unique([" " if label is None else f"={label}" for label in labels], return_inverse=True)
    sizes = np.bincount(codes)
    # place of each row within its label, as a share of the label: the first rows by it have every label's share
    place = np.empty(total)
    for code in range(len(sizes)):
        members = shuffled[codes[shuffled] == code]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    return np.sort(order[:count]).astype(np.int64)


def _speed(contender: Contender) -> float:
    return contender.images_per_second


def _ranks(column: Sequence[float]) -> NDArray[np.float64]:
    """Return ranks, 1 the least, equals share the mean of theirs; NaN is the least of all."""
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(np.nan_to_num(np.asarray(column, np.float64), nan=-np.inf))
    return ranks
