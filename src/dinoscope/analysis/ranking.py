"""Which model sees these images best: scores of a set of vectors, agreement of two, a ranking, a sentence of advice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis import metrics
from dinoscope.analysis.clusters.clustering import kmeans
from dinoscope.analysis.labels.voting import knn_accuracy
from dinoscope.analysis.neighbors import NeighborGraph, neighbors
from dinoscope.base.checks import check_count, check_labels
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import row_blocks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "Contender",
    "VectorScores",
    "advise",
    "certainty",
    "found_again",
    "mean_average_precision",
    "neighbor_agreement",
    "rank_agreement",
    "rank_without_labels",
    "score_vectors",
    "stratified_sample",
]

_BLOCK_BYTES = 64_000_000
_EQUAL = 1e-6  # difference of two float32 similarities that is rounding
_AS_GOOD = 0.01  # a difference of accuracy that a sample of a few thousand images cannot tell from chance
# From docs/benchmarks.md: python -m benchmarks.ranking
_MEASURED = (
    "On three labelled sets this order agreed with that by k-NN accuracy to 0.61 to 0.87 (Kendall's tau; 1 is the "
    "same), and of two models more than 0.02 apart it put the better one first in 86 to 96 of 100 pairs. It stays a "
    "guess: shares near 1 do not separate models, and models trained in other ways were not tried. A few hundred "
    "labels settle it."
)


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
        found_again: See ``found_again``; needs no labels.
        images_per_second: On this machine.
        megabytes: Size of the weights.
        baseline: Whether it is there to be beaten (raw pixels, untrained network), not to be taken.
    """

    name: str
    dim: int
    scores: VectorScores
    agreement: float
    found_again: float
    images_per_second: float
    megabytes: float
    baseline: bool = False


def score_vectors(
    vectors: ArrayLike, labels: ArrayLike | None = None, *, clusters: int | None = None, seed: int = 0
) -> VectorScores:
    """Score the vectors of one model.

    Args:
        vectors: Array (N, D), N >= 3.
        labels: Labels (N,), of which at least two differ and two are equal; without them the scores against labels
            are NaN, for where no label occurs twice no neighbour can name an image right.
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
    kinds = 0 if names is None else len(np.unique(names))
    if not 2 <= kinds < count:
        names = None
    distinct = len(np.unique(unit, axis=0))
    wanted = max(1, min(clusters or (10 if names is None else kinds), count // 2, distinct))
    found = kmeans(unit, wanted, seed=seed)
    accuracy = precision = nmi = silhouette = math.nan
    if names is not None:
        accuracy = knn_accuracy(graph, names, k=graph.k)
        precision = mean_average_precision(unit, names)
        nmi = metrics.normalized_mutual_information(names, found.labels)
        silhouette = metrics.silhouette(unit, names, "cosine")
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


def found_again(vectors: ArrayLike, changed: ArrayLike, rows: ArrayLike | None = None) -> float:
    """Return the share of changed copies that are nearest, by cosine, to their own image among all images, 0 to 1.

    What a model sees of an image should outlast a crop or other light, and tell it from the others. Where several
    images are equally near (1e-6), each has its share: copies in the collection cost little, and vectors that are
    identical vectors get 1 / N, not 1.

    Args:
        vectors: Array (N, D) of the images.
        changed: Array (M, D) of the changed copies, see ``dinoscope.sources.augmentation.augment``.
        rows: Rows (M,) of the images that were changed; by default M = N and all in their order.

    Raises:
        InputError: If the rows do not fit.
    """
    unit, copies = l2_normalize(vectors), l2_normalize(changed)
    own = np.arange(len(copies)) if rows is None else np.asarray(rows)
    if own.shape != (len(copies),) or (len(own) and not 0 <= own.min() <= own.max() < len(unit)):
        raise InputError(f"rows must name the image of each of {len(copies)} copies among {len(unit)}, got {own.shape}")
    total = 0.0
    for part in row_blocks(len(copies), max(1, _BLOCK_BYTES // (8 * len(unit)))):
        similarity = copies[part] @ unit.T
        gaps = similarity - np.take_along_axis(similarity, own[part, None], axis=1)
        total += float(((gaps <= _EQUAL).all(1) / (np.abs(gaps) <= _EQUAL).sum(1)).sum())
    return total / len(copies)


def rank_without_labels(contenders: Sequence[Contender]) -> list[int]:
    """Order contenders by ``found_again``, the best first, those without it last."""
    return [int(position) for position in np.argsort(-_found_again(contenders), kind="stable")]


def rank_agreement(contenders: Sequence[Contender]) -> float:
    """Return Kendall's tau-b between the order without labels and that by k-NN accuracy; NaN where it is undefined."""
    with LOADING:
        from scipy.stats import kendalltau

    accuracy = [each.scores.knn_accuracy for each in contenders]
    if len(contenders) < 2 or np.isnan(accuracy).any():
        return math.nan
    return float(kendalltau(_found_again(contenders), accuracy).statistic)


def advise(contenders: Sequence[Contender]) -> str:
    """Return one sentence: which model to take for these images, and why.

    By k-NN accuracy where there are labels, else by ``found_again``. Among models that are equally good (0.01 of
    accuracy) the fastest is advised. A baseline is never advised, but if nothing beats it, that is what the sentence
    says.
    """
    real = [each for each in contenders if not each.baseline]
    if not real:
        return "Only baselines were compared: name at least one model."
    if any(math.isnan(each.scores.knn_accuracy) for each in contenders):
        return _advise_without_labels(contenders)
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


def _advise_without_labels(contenders: Sequence[Contender]) -> str:
    ordered = [contenders[position] for position in rank_without_labels(contenders)]
    best = next(each for each in ordered if not each.baseline)
    if math.isnan(best.found_again):
        return "Without labels, and without images that could be changed, nothing can be advised."
    if ordered[0].baseline:
        return (
            f"No model beats the baseline {ordered[0].name} ({ordered[0].found_again:.3f} of changed images found "
            f"again; best model {best.name}, {best.found_again:.3f}): try a larger model or a higher resolution."
        )
    least = best.found_again - _AS_GOOD
    close = [each.name for each in ordered if each is not best and not each.baseline and each.found_again >= least]
    verb = "is" if len(close) == 1 else "are"
    rest = f"; {', '.join(close)} {verb} as good, as far as these images show." if close else "."
    return f"Without labels {best.name} looks best: it finds most changed images again ({best.found_again:.3f}){rest}"


def certainty(contenders: Sequence[Contender]) -> str:
    """Return one sentence: how far the order without labels can be trusted.

    Where there are labels, by how well it agrees with them here; otherwise by what ``benchmarks.ranking`` measured.
    """
    if any(math.isnan(each.scores.knn_accuracy) for each in contenders):
        return _MEASURED
    tau = rank_agreement(contenders)
    if math.isnan(tau):
        return "There is nothing to put in order: all are equal, by k-NN accuracy or without labels."
    return f"The order without labels agrees with that by k-NN accuracy to {tau:.2f} (Kendall's tau; 1 is the same)."


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
    # Place of each row within its label, as a share of the label: the first rows by it have every label's share. Where
    # the first one stands is drawn: at a fixed place, labels of two would come after all labels of three.
    grouped = shuffled[np.argsort(codes[shuffled], kind="stable")]
    group = codes[grouped]
    within = np.arange(total) - (np.cumsum(sizes) - sizes)[group]
    place = (within + generator.random(len(sizes))[group]) / sizes[group]
    return np.sort(grouped[np.argsort(place, kind="stable")[:count]]).astype(np.int64)


def _found_again(contenders: Sequence[Contender]) -> NDArray[np.float64]:
    return np.nan_to_num([each.found_again for each in contenders], nan=-np.inf)


def _speed(contender: Contender) -> float:
    return contender.images_per_second
