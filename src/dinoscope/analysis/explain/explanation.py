"""What a map is made of: how closely it follows properties that anybody can name, such as brightness.

Plain functions over vectors, neighbours and one number per image and property. Properties count by their ranks, so
neither their units nor single extreme images matter.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.voting import knn_accuracy
from dinoscope.analysis.metrics.maps import draw_rows, map_neighbors
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors
from dinoscope.base.checks import check_count, check_labels, check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.ranks import average_ranks
from dinoscope.errors import InputError

__all__ = [
    "FEWEST",
    "Explained",
    "Explanation",
    "Trait",
    "alike",
    "explain",
    "find_traits",
    "morans_i",
    "rank_scores",
    "variance_share",
]

FEWEST = 20  # fewest images for meaningful figures
_STEPS = 10  # groups of equal size, for the variance of the vectors
_SHUFFLES = 99
_NAMED = 5_000  # images for guessing labels from properties
_LEANING = 0.1  # least share of the variance for "rises to one side"
_STRONG, _SURE = 0.25, 4.0  # of a trait: superiority beyond one half, and that in standard errors


@dataclass(frozen=True)
class Explained:
    """One property, or the labels.

    Attributes:
        name: Its name.
        embedding: How similar neighbours in the embedding are in it (Moran's I): 0 by chance, 1 the same.
        map: The same for neighbours on the map.
        variance: Share of the vectors' variance between its tenths, or between the labels; adjusted, so 0 by chance.
        within_labels: Moran's I in the embedding after subtracting each label's mean; None without labels, and for the
            labels themselves.
        by_labels: Share of its variance that lies between the labels; adjusted. None as above.
        across: Share of its variance that a plane over the map tells: whether it rises from one side to the other.
        direction: Where on the map it rises (x, y), of length 1.
    """

    name: str
    embedding: float
    map: float
    variance: float
    within_labels: float | None
    by_labels: float | None
    across: float | None
    direction: tuple[float, float] | None

    @property
    def rises(self) -> tuple[float, float] | None:
        """The direction, where a tenth of the variance or more goes that way; otherwise None."""
        return self.direction if self.across is not None and self.across >= _LEANING else None


@dataclass(frozen=True)
class Trait:
    """A property in which a cluster differs: the share of the images outside that its members exceed, on average."""

    name: str
    superiority: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """What ``explain`` found.

    Attributes:
        properties: The properties, first those that neighbours on the map share most.
        labels: The same for the labels, None without any.
        constant: Names of properties that are the same in all images.
        variance: Share of the vectors' variance that all properties together tell, adjusted; None for too few images.
            This and the next are of the properties that the images show.
        chance: The largest absolute Moran's I of 99 random values.
        k: Neighbours that were asked.
        named_by_properties: Share of the labels that the images with the most similar properties name right.
        named_by_vectors: The same for the neighbours in the embedding.
        most_common: Share of the most common label.
        sizes: Members of each cluster; empty without clusters.
        traits: Of each cluster, what sets it apart from all other images, the strongest first.
    """

    properties: tuple[Explained, ...]
    labels: Explained | None
    constant: tuple[str, ...]
    variance: float | None
    chance: float
    k: int
    named_by_properties: float | None
    named_by_vectors: float | None
    most_common: float | None
    sizes: tuple[int, ...]
    traits: tuple[tuple[Trait, ...], ...]


def explain(
    vectors: ArrayLike,
    properties: Mapping[str, ArrayLike],
    coordinates: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    labels: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    unseen: Container[str] = (),
    k: int = 15,
    seed: int = 0,
) -> Explanation:
    """Measure how closely each property follows the neighbours, the map, the vectors, the labels and the clusters.

    If neighbours share a property, the model need not look at it: the property may follow something else that the model
    sees. What is left within labels is a better hint.

    Args:
        vectors: Vectors (N, D), N >= 20.
        properties: Name -> finite numbers (N,).
        coordinates: The map (N, 2).
        graph: Neighbours of the vectors, ``k`` or more, if you have them.
        labels: Labels (N,), None for an image without one.
        clusters: Cluster of each image (N,), counted from 0, -1 for none.
        unseen: Names of properties that the images do not show, such as their order. Each is reported, but they are
            left out of what all properties explain together.
        k: Neighbours that count; at most a quarter of the other images.
        seed: Seed of the random orders, and of the sample for guessing labels.

    Raises:
        InputError: If the arrays do not fit each other, or there are too few images.
    """
    array = check_vectors(vectors, at_least=FEWEST)
    count = len(array)
    k = min(check_count(k, "k"), (count - 1) // 4)
    values = {name: _check_values(name, each, count) for name, each in properties.items()}
    points = _check_values("coordinates", coordinates, count, 2)
    near = (neighbors(array, k) if graph is None else check_graph(graph, count)).top(k).indices
    nearby = map_neighbors(points, k)
    codes, names = _label_codes(labels, count)
    varied = {name: rank_scores(each) for name, each in values.items() if np.ptp(each) > 0}
    steps = {name: _tenths(each) for name, each in varied.items()}
    spread = _Spread(array)
    told = [
        _explained(name, scores, spread.share([steps[name]]), near, nearby, points, codes)
        for name, scores in varied.items()
    ]
    draw, ranks = np.random.default_rng(seed), rank_scores(np.arange(count))
    dealt = (draw.permutation(ranks) for _ in range(_SHUFFLES))
    seen = [name for name in varied if name not in unseen]
    by_properties, by_vectors, common = _guessed(array, [varied[name] for name in seen], codes, k, seed)
    members = _check_clusters(clusters, count)
    sizes = np.bincount(members[members >= 0])
    return Explanation(
        properties=tuple(sorted(told, key=lambda each: -each.map)),
        labels=_of_labels(codes, array, near, nearby) if len(names) > 1 else None,
        constant=tuple(name for name in values if name not in varied),
        variance=spread.share([steps[name] for name in seen]) if seen else None,
        chance=max(abs(morans_i(scores, where)) for scores in dealt for where in (near, nearby)),
        k=k,
        named_by_properties=by_properties,
        named_by_vectors=by_vectors,
        most_common=common,
        sizes=tuple(sizes.tolist()),
        traits=find_traits(varied, members),
    )


def morans_i(values: ArrayLike, indices: ArrayLike) -> float:
    """Return Moran's I, the correlation of each value with those of its neighbours; each neighbour weighs the same.

    ``N / W * sum_ij w_ij z_i z_j / sum_i z_i^2`` with z the values less their mean (Moran 1950); of several columns,
    their products are added up. Rows of NaN count neither as images nor as neighbours.

    Args:
        values: One number a row (N,), or several (N, C).
        indices: Row numbers of the neighbours of each row (N, k).
    """
    given, near = np.asarray(values, np.float64), np.asarray(indices)
    given = given[:, None] if given.ndim == 1 else given
    known = np.isfinite(given.sum(axis=1))
    z = np.where(known[:, None], given - given[known].mean(axis=0), 0.0)
    variance = float(np.square(z).sum()) / max(1, int(known.sum()))
    pairs = int((known[:, None] & known[near]).sum())
    if variance == 0 or pairs == 0:
        return 0.0
    products = sum(float(np.einsum("ic,ic->", z, z[near[:, at]])) for at in range(near.shape[1]))
    return products / pairs / variance


def variance_share(vectors: ArrayLike, groups: list[NDArray[np.int64]]) -> float | None:
    """Return the share of the vectors' variance that groupings tell together, adjusted for their number.

    The R2 of a linear fit of the vectors (N, D) on indicators of all groups; of one grouping, the share of the
    variance that lies between its groups (eta squared). Adjusted as usual: 1 - (1 - R2) (N - 1) / (N - 1 - p), p the
    rank of the centred indicators (Ezekiel 1930), which makes 0 of groups without meaning.

    Args:
        vectors: Vectors (N, D).
        groups: Groupings, each with one number per image (N,), counted from 0.

    Returns:
        At most 1, below 0 by chance; None where there are more groups than images to tell them by.
    """
    return _Spread(np.asarray(vectors)).share(groups)


class _Spread:
    """Vectors about their mean, for ``variance_share`` of several groupings."""

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        self._centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(vectors.dtype)
        self._total = float(np.einsum("nd,nd->", self._centred, self._centred, dtype=np.float64))

    def share(self, groups: list[NDArray[np.int64]]) -> float | None:
        with LOADING:
            from scipy.sparse import csr_array, hstack

        count = len(self._centred)
        rows = np.arange(count)
        member = hstack([csr_array((np.ones(count), (rows, each))) for each in groups], format="csr")
        sums = member.T @ self._centred
        share = np.asarray(member.mean(axis=0), np.float64).ravel()
        gram = (member.T @ member).toarray() - count * np.outer(share, share)
        sizes, axes = np.linalg.eigh(gram)
        held = sizes > 1e-9 * max(float(sizes.max()), 1.0)
        freedom = count - 1 - int(held.sum())
        if freedom < 1 or self._total == 0:
            return None
        fitted = np.square(axes[:, held].T @ sums).sum(axis=1) / sizes[held]
        return 1 - (1 - float(fitted.sum()) / self._total) * (count - 1) / freedom


def _check_values(name: str, values: ArrayLike, count: int, width: int | None = None) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    shape = (count,) if width is None else (count, width)
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{name} must be finite numbers of shape {shape}, got shape {array.shape}")
    return array


def _label_codes(labels: ArrayLike | None, count: int) -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Return the number of each label (N,), -1 for none, and the labels."""
    given = np.full(count, None, object) if labels is None else np.asarray(labels, object)
    if given.shape != (count,):
        raise InputError(f"labels must have one entry per image, expected {count}, got shape {given.shape}")
    known = np.asarray([label is not None for label in given], bool)
    codes = np.full(count, -1, np.int64)
    if not known.any():
        return codes, np.zeros(0)
    names, codes[known] = np.unique(check_labels([str(label) for label in given[known]]), return_inverse=True)
    return codes, names


def rank_scores(values: NDArray[np.number]) -> NDArray[np.float64]:
    """Return ranks, equal ones averaged, as numbers of mean 0 and variance 1."""
    ranks = average_ranks(values)
    scores: NDArray[np.float64] = (ranks - ranks.mean()) / ranks.std()
    return scores


def _tenths(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the tenth of each, by rank, counted from 0 without gaps; equal ones in one."""
    steps = min(_STEPS, max(2, len(scores) // 20))
    found = np.minimum((average_ranks(scores) - 0.5) / len(scores) * steps, steps - 1).astype(np.int64)
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _explained(
    name: str,
    scores: NDArray[np.float64],
    variance: float | None,
    near: NDArray[np.integer],
    nearby: NDArray[np.integer],
    points: NDArray[np.float64],
    codes: NDArray[np.int64],
) -> Explained:
    known = codes >= 0
    within = by_labels = None
    if codes.max() > 0:
        means = np.bincount(codes[known], scores[known]) / np.bincount(codes[known])
        within = morans_i(np.where(known, scores - means[codes], np.nan), near)
        by_labels = variance_share(scores[known, None], [codes[known]])
    slope, *_ = np.linalg.lstsq(points - points.mean(axis=0), scores, rcond=None)
    left = scores - (points - points.mean(axis=0)) @ slope
    steep = float(np.linalg.norm(slope))
    return Explained(
        name=name,
        embedding=morans_i(scores, near),
        map=morans_i(scores, nearby),
        variance=variance or 0.0,
        within_labels=within,
        by_labels=by_labels,
        across=float(1 - np.square(left).mean()),
        direction=(float(slope[0] / steep), float(slope[1] / steep)) if steep > 0 else None,
    )


def _of_labels(
    codes: NDArray[np.int64], vectors: NDArray[np.floating], near: NDArray[np.integer], nearby: NDArray[np.integer]
) -> Explained:
    known = codes >= 0
    return Explained(
        name="label",
        embedding=alike(codes, near),
        map=alike(codes, nearby),
        variance=variance_share(vectors[known], [codes[known]]) or 0.0,
        within_labels=None,
        by_labels=None,
        across=None,
        direction=None,
    )


def alike(codes: NDArray[np.int64], near: NDArray[np.integer]) -> float:
    """Return Moran's I of indicators of the labels (N, C) without making them: there may be thousands."""
    known = codes >= 0
    shares = np.bincount(codes[known]) / known.sum()
    asked = known[:, None] & known[near]
    own, other = np.broadcast_to(codes[:, None], near.shape)[asked], codes[near][asked]
    if not len(own):
        return 0.0
    squares = float(np.square(shares).sum())
    # z_i z_j for z = indicator - shares
    products = (own == other) - shares[own] - shares[other] + squares
    return float(products.mean()) / (1 - squares)


def _guessed(
    vectors: NDArray[np.floating], scores: list[NDArray[np.float64]], codes: NDArray[np.int64], k: int, seed: int
) -> tuple[float | None, float | None, float | None]:
    """Return how many labels properties and vectors name right, and the share of the most common one."""
    known = np.flatnonzero(codes >= 0)
    if codes.max() < 1 or not scores or len(known) < FEWEST:
        return None, None, None
    chosen = known[draw_rows(len(known), _NAMED, seed)]
    labels = codes[chosen]
    told = np.column_stack([each[chosen] for each in scores])
    common = float(np.bincount(labels).max()) / len(labels)
    k = min(k, len(chosen) - 1)
    by_vectors = knn_accuracy(neighbors(vectors[chosen], k), labels, k)
    return knn_accuracy(_nearest(told, k), labels, k), by_vectors, common


def _nearest(points: NDArray[np.float64], k: int) -> NeighborGraph:
    """Return the nearest by euclidean distance, all with the same vote."""
    with LOADING:
        from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points).kneighbors(return_distance=False)
    return NeighborGraph(found.astype(np.int32), np.zeros(found.shape, np.float32))


def _check_clusters(clusters: ArrayLike | None, count: int) -> NDArray[np.int64]:
    members = np.full(count, -1) if clusters is None else np.asarray(clusters)
    if members.shape != (count,) or members.dtype.kind not in "iu" or members.min() < -1:
        raise InputError(f"clusters must be whole numbers from -1, of shape ({count},), got shape {members.shape}")
    return members.astype(np.int64)


def find_traits(properties: Mapping[str, ArrayLike], clusters: ArrayLike) -> tuple[tuple[Trait, ...], ...]:
    """Return what sets each cluster apart from all other images, by Mann and Whitney's statistic.

    Args:
        properties: Name -> finite numbers (N,); only their order counts.
        clusters: Cluster of each image (N,), counted from 0, -1 for none.

    Returns:
        The traits of each cluster, the strongest first.
    """
    members = np.asarray(clusters)
    count, held = len(members), members >= 0
    sizes = np.bincount(members[held])
    traits: list[list[Trait]] = [[] for _ in sizes]
    for name, each in properties.items():
        sums = np.bincount(members[held], average_ranks(each)[held])
        for at, (size, total) in enumerate(zip(sizes.tolist(), sums.tolist(), strict=True)):
            rest = count - size
            if not size or not rest:
                continue
            superiority = (total / size - (size + 1) / 2) / rest
            error = ((count + 1) / (12 * size * rest)) ** 0.5
            if abs(superiority - 0.5) >= max(_STRONG, _SURE * error):
                traits[at].append(Trait(name, superiority))
    return tuple(tuple(sorted(each, key=lambda trait: -abs(trait.superiority - 0.5))) for each in traits)
