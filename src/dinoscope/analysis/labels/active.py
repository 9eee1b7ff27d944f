"""Labelling by a person and a machine in turn: what the machine proposes, and what it asks next.

The machine names all images from the few that a person named. Labels flow along the neighbour graph (local and global
consistency, Zhou et al. 2004), and a ridge regression of the labels on the vectors says the same of far images; both
are multiplied. It asks where an answer tells most: medoids of clusters first, so that every kind of image is seen once,
then images between two labels among others that are, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph, check_graph
from dinoscope.base.checks import check_count, check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["Kind", "Proposer", "Question", "doubtful", "first_images", "look_alikes"]

_NEIGHBORS, _TEMPERATURE = 15, 0.1  # edges of an image, and how fast they lose weight with the similarity
_FLOW = 0.95  # share of an image's label that comes from its neighbours
_COLD, _WARM = 40, 15  # steps of the flow, at first and from the last result on
_PENALTY, _SHARPNESS, _FLOOR = 3.0, 5.0, 0.02
_APART = 15  # images this near to one that is asked about are not asked in the same turn
_FIRST = 50  # medoids
_BATCH, _LEAST = 24, 4  # images of a batch at most, and at least
_ACCEPTED = 0.5  # probability that a batch is right as a whole, at which it is offered
_POWERS = np.geomspace(0.5, 8, 17)
Kind = Literal["one", "batch", "audit"]


@dataclass(frozen=True, eq=False)
class Question:
    """A question to a person: which label one image has, or whether a batch of look-alikes all have the proposed label.

    Attributes:
        kind: "one", "batch", or "audit" (one image of the random part, see ``audit``).
        positions: The images (n,), the most doubtful first.
        label: Number of the label that is proposed; -1 for none.
    """

    kind: Kind
    positions: NDArray[np.intp]
    label: int


class Proposer:
    """Names images by those that a person named, again and again as there come to be more of them."""

    def __init__(self, vectors: ArrayLike, graph: NeighborGraph) -> None:
        """Prepare for naming.

        Args:
            vectors: Array (N, D).
            graph: Their neighbour graph.

        Raises:
            InputError: The two do not fit each other.
        """
        with LOADING:
            from scipy.sparse import csr_matrix, diags

        self.vectors = l2_normalize(check_vectors(vectors, at_least=2))
        count = len(self.vectors)
        self.graph = check_graph(graph, count)
        near = graph.top(min(_NEIGHBORS, graph.k))
        weights = np.exp((near.similarities - near.similarities[:, :1]) / _TEMPERATURE)
        edges = (weights.ravel(), (np.repeat(np.arange(count), near.k), near.indices.ravel()))
        matrix = csr_matrix(edges, (count, count))
        matrix = matrix + matrix.T
        degrees = np.asarray(matrix.sum(axis=1)).ravel()
        scale = diags(1 / np.sqrt(np.maximum(degrees, 1e-12)))
        self._flow = (scale @ matrix @ scale).tocsr().astype(np.float32)
        self.density: NDArray[np.float32] = np.sqrt(degrees).astype(np.float32)
        centred = self.vectors - self.vectors.mean(axis=0)
        self._features = np.concatenate([centred, np.full((count, 1), 0.1, np.float32)], axis=1)
        self._last: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def propose(self, codes: NDArray[np.intp], labels: int) -> NDArray[np.float64]:
        """Return the probability of each label of each image (N, C), rows sum to 1; those that are known are certain.

        Args:
            codes: Number of each image's label (N,), -1 where it is not known.
            labels: How many labels there are, C.

        Raises:
            InputError: No image has a label, or the numbers do not fit.
        """
        known = np.flatnonzero(codes >= 0)
        if codes.shape != (len(self),) or not len(known) or codes.max() >= labels:
            raise InputError(f"codes must be {len(self)} numbers below {labels}, one of them 0 or more; label an image")
        truth = np.zeros((len(self), labels), np.float32)
        truth[known, codes[known]] = 1
        chances = np.log(self._spread(truth) + _FLOOR) + _log_softmax(_SHARPNESS * self._regress(truth, known))
        result = np.exp(_log_softmax(chances).astype(np.float64))
        result[known] = truth[known]
        return result

    def sharpness(self, codes: NDArray[np.intp], labels: int) -> float:
        """Return the power of the probabilities that fits best what was left out: every fifth image that is known.

        Arguments as in ``propose``; 1 where fewer than ten images are known.
        """
        known = np.flatnonzero(codes >= 0)
        if len(known) < 10:
            return 1.0
        left_out, last = known[::5], self._last
        others = codes.copy()
        others[left_out] = -1
        chances = np.log(self.propose(others, labels)[left_out] + 1e-9)
        self._last = last
        rows = np.arange(len(left_out))
        fits = [_log_softmax(power * chances)[rows, codes[left_out]].mean() for power in _POWERS]
        return float(_POWERS[int(np.argmax(fits))])

    def around(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of values (N,) among each image's neighbours, weighted."""
        return np.asarray(self._flow @ values)

    def _spread(self, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Let labels flow along the graph; each label has the same influence as the root of its images has."""
        source = truth / np.sqrt(np.maximum(truth.sum(axis=0), 1))
        is_warm = self._last is not None and self._last.shape == truth.shape
        flowing = self._last if self._last is not None and is_warm else source
        for _ in range(_WARM if is_warm else _COLD):
            flowing = _FLOW * (self._flow @ flowing) + (1 - _FLOW) * source
        self._last = flowing
        shares: NDArray[np.float32] = flowing / (flowing.sum(axis=1, keepdims=True) + 1e-20)
        return shares

    def _regress(self, truth: NDArray[np.float32], known: NDArray[np.intp]) -> NDArray[np.float32]:
        given = self._features[known]
        gram = given.T @ given + _PENALTY * np.eye(given.shape[1], dtype=np.float32)
        result: NDArray[np.float32] = self._features @ np.linalg.solve(gram, given.T @ truth[known])
        return result


def first_images(vectors: ArrayLike, count: int = _FIRST, seed: int = 0) -> NDArray[np.intp]:
    """Return the images to ask about at first (n,): medoids of ``count`` clusters, those of large clusters first.

    Args:
        vectors: Array (N, D).
        count: How many; fewer where there are fewer images.
        seed: The same seed gives the same images.
    """
    with LOADING:
        from sklearn.cluster import KMeans

    unit = l2_normalize(check_vectors(vectors))
    wanted = min(check_count(count, "count"), len(unit))
    found = KMeans(wanted, n_init=1, max_iter=20, random_state=seed).fit(unit)
    sizes = np.bincount(found.labels_, minlength=wanted)
    distances = ((unit - found.cluster_centers_[found.labels_]) ** 2).sum(axis=1)
    order = np.lexsort((distances, found.labels_))
    nearest = order[np.r_[0, np.cumsum(sizes)[:-1]][sizes > 0]]
    return np.asarray(nearest[np.argsort(-sizes[sizes > 0], kind="stable")], np.intp)


def doubtful(
    proposer: Proposer, chances: NDArray[np.float64], free: NDArray[np.bool_], turn: int, count: int = 1
) -> list[int]:
    """Return the images whose labels would tell most (up to ``count``), which lie apart.

    Args:
        proposer: What made the proposals.
        chances: Its proposals (N, C).
        free: Which images may be asked about (N,).
        turn: Number of the turn: between two labels among others that are, and wherever many images lie, by turns.
        count: How many.
    """
    ordered = np.sort(chances, axis=1)
    doubt = 1 - ordered[:, -1]
    between = doubt + (ordered[:, -2] if chances.shape[1] > 1 else 0)
    worth = doubt * proposer.density if turn % 2 else between * proposer.around(between)
    chosen: list[int] = []
    blocked = ~free
    for at in np.argsort(-np.where(free, worth, -1))[: int(free.sum())].tolist():
        if len(chosen) >= count:
            break
        if not blocked[at]:
            chosen.append(at)
            blocked[proposer.graph.indices[at, :_APART]] = True
    return chosen


def look_alikes(
    proposer: Proposer,
    chances: NDArray[np.float64],
    free: NDArray[np.bool_],
    seed: int,
    *,
    caution: float = 1.0,
    accepted: float = _ACCEPTED,
) -> Question | None:
    """Return the largest batch of look-alikes that is likely to share the proposed label; None if there is none.

    Args:
        proposer: What made the proposals.
        chances: Its proposals (N, C).
        free: Which images may be asked about (N,).
        seed: Chooses where.
        caution: Above 1, where batches were wrong more often than their probabilities said.
        accepted: Probability that the batch is right as a whole.
    """
    winners = chances.argmax(axis=1)
    cost = -np.log(np.maximum(chances.max(axis=1), 1e-6)) * caution
    likely = np.flatnonzero(free & (cost < 0.3))
    if len(likely) < _LEAST:
        return None
    # doubtful ones first: where all are sure a batch teaches nothing
    drawn = np.random.default_rng(seed).random(len(likely))
    first = likely[int(np.argmax(cost[likely] * drawn))]
    fit = np.flatnonzero(free & (winners == winners[first]))
    near = fit[np.argsort(-(proposer.vectors[fit] @ proposer.vectors[first]), kind="stable")][: 3 * _BATCH]
    near = np.r_[first, near[near != first]]
    most = int((np.cumsum(cost[near]) < -np.log(accepted)).sum())
    if most < _LEAST:
        return None
    batch = near[: min(most, _BATCH)]
    return Question("batch", batch[np.argsort(-cost[batch], kind="stable")], int(winners[first]))


def _log_softmax(values: NDArray[np.floating]) -> NDArray[np.floating]:
    with LOADING:
        from scipy.special import log_softmax

    return np.asarray(log_softmax(values, axis=1))
