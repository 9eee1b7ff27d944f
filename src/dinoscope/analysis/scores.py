"""The score table: how far a map and its clusters can be trusted, in numbers with one-line explanations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors
from dinoscope.base.splits import held_out_split, training_split

if TYPE_CHECKING:
    from dinoscope.analysis.maps.quality import MapQuality

__all__ = ["MAP_MEANINGS", "Score", "compute_scores"]

# What each figure of a map says, wherever it is shown; ``wording.scores`` fills in the number of neighbours.
MAP_MEANINGS = {
    "trustworthiness": "how often images close on the map really are similar (1 is always, 0.5 is chance; {k})",
    "continuity": "how often similar images are also close together on the map (1 is always, 0.5 is chance; {k})",
    "neighbours kept": "share of an image's {k} most similar images that are among its {k} nearest on the map",
    "rank correlation": "whether images that are unlike each other lie far apart on the map (1 is best)",
    "silhouette on the map": "how well the labels are separated on the map, euclidean; -1 to 1",
    "silhouette in the embedding": "how well the labels are separated in the embedding, cosine; -1 to 1",
}

_SAMPLE = 5_000  # images for judging neighbours on the map, if there are more


@dataclass(frozen=True)
class Score:
    """One line of the table: a stable name, the value, and what it means in one line."""

    name: str
    value: float
    meaning: str


def compute_scores(
    vectors: NDArray[np.float32],
    graph: NeighborGraph,
    coordinates: NDArray[np.float32],
    clusters: NDArray[np.int32],
    labels: NDArray[np.generic],
    splits: NDArray[np.generic],
    quality: MapQuality | None = None,
) -> list[Score]:
    """Compute every score that the data allow.

    Args:
        vectors: Unit vectors (N, D).
        graph: Their neighbour graph.
        coordinates: The map (N, 2).
        clusters: Cluster of each image (N,).
        labels: Labels (N,), None where there is none; without two labels the scores against labels are left out.
        splits: Splits (N,); where training and test (else validation) occur, training images also name the others.
        quality: What ``map_quality`` says about the map, if you have it; otherwise it is computed.
    """
    from dinoscope.analysis import metrics
    from dinoscope.analysis.maps.quality import map_quality

    check_graph(graph, len(vectors))
    scores = []
    if len(vectors) > 2:
        if quality is None:
            quality = map_quality(vectors, coordinates, graph=graph, labels=labels, sample=_SAMPLE)
        judged = int(np.isfinite(quality.images.torn).sum())
        drawn = f", of {judged:,} random images" if judged < len(vectors) else ""
        k = quality.k
        scores += [
            Score(
                "map: trustworthiness",
                quality.trustworthiness,
                MAP_MEANINGS["trustworthiness"].format(k=f"{k} nearest{drawn}"),
            ),
            Score("map: neighbours kept", quality.neighbors_kept, MAP_MEANINGS["neighbours kept"].format(k=k)),
        ]
    if 2 <= len(np.unique(clusters)) < len(clusters):
        scores += [
            Score(
                "clusters: silhouette in the embedding",
                metrics.silhouette(vectors, clusters, "cosine"),
                "how much nearer images are to their own cluster than to the next, cosine; -1 to 1",
            ),
            Score(
                "clusters: silhouette on the map",
                metrics.silhouette(coordinates, clusters, "euclidean"),
                "the same on the map, euclidean; a map exaggerates gaps, so trust the line above more",
            ),
        ]
    scores += [
        Score(
            "embedding: effective rank",
            metrics.effective_rank(vectors),
            f"number of directions that the vectors really use, of {vectors.shape[1]}",
        ),
        Score(
            "embedding: hubness",
            metrics.hubness(graph),
            "skewness of how often an image is a neighbour of others; above 2 a few images crowd every search",
        ),
    ]
    known = np.asarray([label is not None for label in labels])
    names = np.asarray([str(label) for label in labels[known]])
    if len(np.unique(names)) >= 2:
        scores += _label_scores(quality, clusters[known], names)
        if not known.all():  # an image without a label has no vote
            vectors, splits = vectors[known], splits[known]
            graph = neighbors(vectors, graph.k)
        scores += _knn_scores(vectors, graph, names, splits)
    return scores


def _label_scores(quality: MapQuality | None, clusters: NDArray[np.int32], names: NDArray[np.str_]) -> list[Score]:
    from dinoscope.analysis import metrics

    out = []
    if quality is not None and quality.silhouette_map is not None and quality.silhouette_embedding is not None:
        out = [
            Score(
                "labels: silhouette in the embedding",
                quality.silhouette_embedding,
                MAP_MEANINGS["silhouette in the embedding"],
            ),
            Score("labels: silhouette on the map", quality.silhouette_map, MAP_MEANINGS["silhouette on the map"]),
        ]
    out += [
        Score(
            "clusters and labels: NMI",
            metrics.normalized_mutual_information(names, clusters),
            "information that clusters and labels share; 1 is the same partition, 0 none",
        ),
        Score(
            "clusters and labels: AMI",
            metrics.adjusted_mutual_information(names, clusters),
            "the same, corrected for what chance would share",
        ),
        Score(
            "clusters and labels: ARI",
            metrics.adjusted_rand_index(names, clusters),
            "pairs of images on which clusters and labels agree, corrected for chance",
        ),
        Score(
            "clusters and labels: accuracy",
            metrics.clustering_accuracy(names, clusters),
            "share of images with the right label when each cluster gets its best label of its own",
        ),
    ]
    return out


def _knn_scores(
    vectors: NDArray[np.float32], graph: NeighborGraph, names: NDArray[np.str_], splits: NDArray[np.generic]
) -> list[Score]:
    from dinoscope.analysis.labels.voting import knn_accuracy, knn_accuracy_split

    k = min(20, graph.k)
    meaning = "share of images named right by their {} nearest neighbours{}"
    out = [
        Score(
            "labels: k-NN accuracy", knn_accuracy(graph, names, k=k), meaning.format(k, ", each image left out in turn")
        )
    ]
    learnt, held = training_split(splits.tolist()), held_out_split(splits.tolist())
    if learnt is not None and held is not None:
        train, test = splits == learnt, splits == held
        chosen, k = train | test, min(k, int(train.sum()))
        accuracy = knn_accuracy_split(vectors[chosen], names[chosen], train[chosen], k=k)
        out.append(
            Score(
                f"labels: k-NN accuracy, {learnt} to {held}", accuracy, meaning.format(k, " among the training images")
            )
        )
    return out
