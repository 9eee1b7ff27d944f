"""Names for new images that a person can trust: calibrated, with the set that holds the truth, or "unknown".

Everything is learnt from the labelled images themselves by leave-one-out: each is named by the others as a new image
would be, and what happens then says how far the votes, and an answer at all, can be trusted. Adding one image to many
changes next to nothing for the others, so a new image of the same kind behaves as a left-out one does (the reasoning
of Vovk 2015 and Barber et al. 2021 on cross-conformal prediction and the jackknife+).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.calibration import Calibration, fit_calibration
from dinoscope.checks import check_count, check_labels, check_vectors
from dinoscope.classify import Votes, label_votes
from dinoscope.errors import InputError
from dinoscope.knn import NeighborGraph, neighbors, query_neighbors, row_blocks

__all__ = [
    "Classifier", "Judgement", "Rules", "Verdict", "Voter", "conformal_quantile",
    "familiarity", "fit_rules", "known_labels", "sample_rows", "strangeness",
]  # fmt: skip

_SAMPLE, _CELLS = 20_000, 20_000_000  # most left-out images to learn from; fewer where the labels are very many
_MEMBERS = 5  # nearest members that stand for a label
_DENSITY = 0.25  # how far the crowding around the neighbours counts
_ROUNDING = 1e-6  # cosine distances below it are rounding errors


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Return the score that a further one does not exceed with probability ``level`` or more.

    It is the ceil((N + 1) * level)-th smallest, which corrects for the finite number (Vovk et al. 2005; Angelopoulos
    and Bates 2021, arXiv:2107.07511), and infinity where N is too small to tell.

    Args:
        scores: Numbers (N,), exchangeable with the further one.
        level: Above 0, below 1.

    Raises:
        InputError: ``level`` is out of range.
    """
    if not 0 < level < 1:
        raise InputError(f"a level must be above 0 and below 1, got {level!r}; 0.9 is usual")
    ordered = np.sort(np.asarray(scores, np.float64))
    rank = int(np.ceil((len(ordered) + 1) * level - 1e-9))  # 0.9 * 10 is 9, whatever binary fractions say
    return float(ordered[rank - 1]) if rank <= len(ordered) else float("inf")


def familiarity(known: ArrayLike, strange: ArrayLike) -> NDArray[np.float64]:
    """Return what share of known images is at least as strange, the image itself included.

    It is the conformal p-value of Bates et al. 2023 (arXiv:2104.08279): of images of the known kind at most a share a
    gets a or less.

    Args:
        known: Strangeness of known images (N,).
        strange: Strangeness of the images asked about (M,).
    """
    ordered = np.sort(np.asarray(known, np.float64))
    below = np.searchsorted(ordered, np.asarray(strange, np.float64), side="left")
    share: NDArray[np.float64] = (1 + len(ordered) - below) / (len(ordered) + 1)
    return share


def strangeness(graph: NeighborGraph, crowding: NDArray[np.float64], k: int = 20) -> NDArray[np.float64]:
    """Score how far rows lie from everything: the higher, the stranger.

    It is log(d) - mean of log(d') / 4, d being the mean cosine distance to the ``k`` nearest (after Sun et al. 2022,
    arXiv:2204.06507) and d' the same of each of them: a distance counts for more where images lie close together. The
    whole of d' would make it a local density ratio, which overlooks what falls into a gap.

    Args:
        graph: Neighbours (M, k or more) among known images.
        crowding: ``log(d)`` of each known image (N,): this function on their own graph with ``np.zeros(N)``.
        k: Neighbours; fewer where the graph holds fewer.
    """
    near = graph.top(min(k, graph.k))
    distance = np.log(np.maximum(1 - near.similarities.mean(axis=1, dtype=np.float64), 0) + _ROUNDING)
    result: NDArray[np.float64] = distance - _DENSITY * crowding[near.indices].mean(axis=1)
    return result


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the rules say about M images.

    Attributes:
        probabilities: Probability of each label (M, C).
        sets: Which labels belong to the image's set (M, C), the winner always.
        familiarity: See ``familiarity`` (M,).
        unknown: Whether to refuse an answer (M,).
    """

    probabilities: NDArray[np.float64]
    sets: NDArray[np.bool_]
    familiarity: NDArray[np.float64]
    unknown: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rules:
    """What left-out images taught.

    Attributes:
        calibration: From votes to probabilities.
        least: A label belongs to the set from this probability on; minus infinity where all do.
        known: Strangeness of the left-out images (N,).
        refuse: Share of known images that may be refused.
    """

    calibration: Calibration
    least: float
    known: NDArray[np.float64] = field(repr=False)
    refuse: float

    def judge(self, votes: Votes, strange: NDArray[np.float64]) -> Judgement:
        """Judge images by their votes and their strangeness (M,)."""
        probabilities = self.calibration.probabilities(votes.shares)
        sets = probabilities >= self.least
        sets[np.arange(len(sets)), votes.winners] = True
        known = familiarity(self.known, strange)
        return Judgement(probabilities, sets, known, known <= self.refuse)


def fit_rules(
    votes: Votes, truth: NDArray[np.intp], strange: NDArray[np.float64], *,
    set_level: float = 0.9, refuse: float = 0.05,
) -> Rules:  # fmt: skip
    """Learn from left-out images how to judge new ones.

    The set of labels is the conformal one with the least mean size (LAC, Sadinle et al. 2019): all labels that are
    probable enough. The winner is always in it, also while learning: its score is 0, another label's is one minus
    its probability. Where winners alone are right more often than ``set_level``, sets of one are what is asked for.

    Args:
        votes: Votes on N left-out images.
        truth: Number of their true labels (N,); -1 for a label that nobody can vote for.
        strange: Their strangeness (N,).
        set_level: Share of sets that are to hold the truth.
        refuse: Share of images of the known kind that may be called unknown.

    Raises:
        InputError: A level is out of range, or the arrays do not fit each other.
    """
    if not 0 <= refuse < 1:
        raise InputError(f"refuse must be at least 0 and below 1, got {refuse!r}; 0.05 is usual, 0 refuses nothing")
    nameable = truth >= 0
    calibration = fit_calibration(votes.shares[nameable], truth[nameable])
    probability = calibration.probabilities(votes.shares)[np.arange(len(truth)), truth]
    scores = np.where(truth == votes.winners, 0.0, np.where(nameable, 1 - probability, np.inf))
    # Half a rounding error to the safe side: the label that sets the limit is itself in.
    least = 1 - conformal_quantile(scores, set_level) - 1e-12
    return Rules(calibration, least, np.sort(strange), refuse)


@dataclass(frozen=True)
class Voter:
    """A neighbour with a vote: its position among the vectors given, label, and cosine similarity to the image."""

    position: int
    label: Any
    similarity: float


@dataclass(frozen=True)
class Verdict:
    """What the labelled images say about one image.

    Attributes:
        label: The label with the most votes; where ``unknown``, merely the nearest one.
        probability: Calibrated probability of that label, for an image of the known kind.
        unknown: Whether the image lies too far from everything to be named.
        familiarity: Share of the labelled images that lie at least as far out, above 0 to 1.
        percentile: Share of the label's own images that lie nearer to the others of it than this one does, 0 to 100;
            NaN where the label has one image.
        label_set: The labels that hold the truth at the level asked for, the most probable first.
        voters: The neighbours that decided, nearest first.
    """

    label: Any
    probability: float
    unknown: bool
    familiarity: float
    percentile: float
    label_set: tuple[Any, ...]
    voters: tuple[Voter, ...]


class Classifier:
    """Labelled vectors that name new ones.

    Attributes:
        positions: Positions of the labelled vectors among those given (N,).
        labels: Their labels (N,).
        names: The C labels, sorted.
        graph: Their neighbour graph.
        rules: What they taught by leave-one-out.
        set_level: Share of sets of labels that are to hold the truth.
    """

    def __init__(
        self, vectors: ArrayLike, labels: ArrayLike, *, k: int = 20, temperature: float = 0.07,
        set_level: float = 0.9, refuse: float = 0.05, graph: NeighborGraph | None = None,
    ) -> None:  # fmt: skip
        """Learn from labelled vectors.

        Args:
            vectors: Array (N, D).
            labels: Integers or strings (N,); None for an image without a label, which has no vote.
            k: Voters.
            temperature: See ``knn_predict``.
            set_level: Share of sets of labels that are to hold the truth.
            refuse: Share of images of the known kind that may be called unknown.
            graph: Neighbour graph of the labelled vectors, ``k`` or more, where there is one already.

        Raises:
            InputError: Fewer than two vectors have a label, or an argument cannot work.
        """
        array = check_vectors(vectors)
        self.positions, self.labels = known_labels(labels, len(array))
        if len(self.positions) < 2:
            raise InputError(
                f"classification needs at least 2 images with a label, got {len(self.positions)} of {len(array)}; "
                "label some more"
            )
        self.k, self.temperature, self.set_level = check_count(k, "k"), temperature, set_level
        self._vectors = array[self.positions]
        self.graph = graph if graph is not None else neighbors(self._vectors, k)
        self.names, self._codes = np.unique(self.labels, return_inverse=True)
        # Of a label with few images, the 20th neighbour is another label's, and says nothing of what is unknown.
        self._near = max(1, min(k, int(np.median(np.bincount(self._codes))) // 2))
        self._crowding = strangeness(self.graph, np.zeros(len(self.labels)), self._near)
        left_out = sample_rows(len(self.labels), len(self.names))
        votes, strange = self.ask(NeighborGraph(self.graph.indices[left_out], self.graph.similarities[left_out]))
        self.rules = fit_rules(votes, self._codes[left_out], strange, set_level=set_level, refuse=refuse)
        self._members: dict[int, tuple[NDArray[np.float32], NDArray[np.float64]]] = {}

    def ask(self, graph: NeighborGraph) -> tuple[Votes, NDArray[np.float64]]:
        """Return the votes on rows with these labelled neighbours, and the rows' strangeness (M,)."""
        votes = label_votes(graph, self._codes, k=self.k, temperature=self.temperature)  # texts take ten times as long
        return replace(votes, names=self.names), strangeness(graph, self._crowding, self._near)

    def classify(self, queries: ArrayLike) -> list[Verdict]:
        """Name vectors (M, D) of new images.

        Raises:
            InputError: See ``query_neighbors``.
        """
        asked = check_vectors(queries, "queries")
        verdicts: list[Verdict] = []
        for rows in row_blocks(len(asked), max(1, _CELLS // len(self.names))):
            graph = query_neighbors(self._vectors, asked[rows], self.k)
            verdicts += self.verdicts(graph, asked[rows])
        return verdicts

    def left_out(self, vectors: ArrayLike, positions: ArrayLike) -> list[Verdict]:
        """Name some of the vectors given at first (N, D), at these positions (M,), by all others that have a label."""
        at = np.asarray(positions, np.intp)
        asked = check_vectors(np.asarray(vectors)[at])  # not all of them: a click asks for one of many
        own = np.where(np.isin(at, self.positions), self._codes[self._place(at)], -1)
        return self.verdicts(self.left_out_graph(vectors, at), asked, own)

    def left_out_graph(self, vectors: ArrayLike, positions: ArrayLike) -> NeighborGraph:
        """Return the labelled neighbours of some of the vectors given at first (N, D), none its own neighbour."""
        at = np.asarray(positions, np.intp)
        near = self.graph.top(min(self.k, self.graph.k))
        place = self._place(at)
        indices, similarities = near.indices[place], near.similarities[place]
        without = self.positions[place] != at
        if without.any():
            found = query_neighbors(self._vectors, check_vectors(np.asarray(vectors)[at[without]]), near.k)
            indices[without], similarities[without] = found.indices, found.similarities
        return NeighborGraph(indices, similarities)

    def _place(self, positions: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return where the positions stand among those with a label; anything for one without."""
        return np.minimum(np.searchsorted(self.positions, positions), len(self.positions) - 1)

    def verdicts(
        self, graph: NeighborGraph, queries: NDArray[Any], own: NDArray[np.intp] | None = None
    ) -> list[Verdict]:
        """Return the verdicts on unit vectors (M, D) whose labelled neighbours are known already.

        Args:
            graph: Their neighbours (M, k) among the labelled vectors.
            queries: The vectors.
            own: Number of the label of each that is labelled itself (M,), -1 for the others, which all are by default.
        """
        votes, strange = self.ask(graph)
        judgement = self.rules.judge(votes, strange)
        percentiles = self._percentiles(queries, votes.winners, np.full(len(graph), -1) if own is None else own)
        return [
            self._verdict(graph, judgement, row, winner, percentile)
            for row, (winner, percentile) in enumerate(zip(votes.winners.tolist(), percentiles, strict=True))
        ]

    def _verdict(self, graph: NeighborGraph, judgement: Judgement, row: int, winner: int, percentile: float) -> Verdict:
        chances = judgement.probabilities[row]
        ranked = sorted(np.flatnonzero(judgement.sets[row]).tolist(), key=lambda c: (-chances[c], c != winner, c))
        voters = zip(graph.indices[row].tolist(), graph.similarities[row].tolist(), strict=True)
        return Verdict(
            label=self.names[winner].item(),
            probability=float(chances[winner]),
            unknown=bool(judgement.unknown[row]),
            familiarity=float(judgement.familiarity[row]),
            percentile=percentile,
            label_set=tuple(self.names[code].item() for code in ranked),
            voters=tuple(Voter(int(self.positions[i]), self.labels[i].item(), float(s)) for i, s in voters),
        )

    def _percentiles(self, queries: NDArray[Any], winners: NDArray[np.intp], own: NDArray[np.intp]) -> list[float]:
        """Return how far out each query lies among the members of its label, in percent."""
        out = np.full(len(queries), np.nan)
        for code in np.unique(winners).tolist():
            if code not in self._members:
                members = self._vectors[self._codes == code]
                spread = neighbors(members, _MEMBERS).similarities if len(members) > 1 else members
                self._members[code] = members, np.sort(1 - spread.mean(axis=1, dtype=np.float64))
            members, spreads = self._members[code]
            if len(members) < 2:
                continue
            rows = np.flatnonzero(winners == code)
            near = query_neighbors(members, queries[rows], _MEMBERS + 1).similarities.astype(np.float64)
            itself = own[rows] == code  # a member that was left out is not near because of itself
            mean = np.where(itself, near[:, 1:].mean(axis=1), near[:, :_MEMBERS].mean(axis=1))
            # nearer by more than rounding: the products behind both need not agree in their last bits
            out[rows] = 100 * np.searchsorted(spreads, 1 - mean - _ROUNDING) / len(members)
        found: list[float] = out.tolist()
        return found


def known_labels(labels: ArrayLike, count: int) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return the positions of the items that have a label (n,) and their labels (n,); None is no label.

    Raises:
        InputError: See ``check_labels``.
    """
    array = np.asarray(labels, dtype=object)
    if array.shape != (count,):
        raise InputError(f"labels must have one entry an item, expected shape ({count},), got {array.shape}")
    positions = np.flatnonzero([label is not None for label in array])
    given = array[positions].tolist()
    if len({isinstance(label, str) for label in given}) > 1:  # NumPy would make texts of them: "nan" of a missing one
        odd = next(label for label in given if not isinstance(label, str))
        raise InputError(
            f"labels must be all texts or all integers, got {odd!r} among texts; None stands for an image without one"
        )
    return positions, check_labels(given) if given else np.empty(0, np.str_)


def sample_rows(count: int, labels: int) -> NDArray[np.intp]:
    """Return the rows that are left out to learn from: all, or a fixed random sample of a large collection."""
    most = min(_SAMPLE, max(1_000, _CELLS // labels))
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))
