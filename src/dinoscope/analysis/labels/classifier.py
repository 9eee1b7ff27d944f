"""Names for new images that a person can trust: calibrated, with a prediction set, or "unknown".

Everything is learnt from the labelled images themselves by leave-one-out: each is named by the others as a new image
would be, and what happens then says how far the votes, and an answer at all, can be trusted. Adding one image to many
changes next to nothing for the others, so a new image of the same kind behaves as a left-out one does (the reasoning
of Vovk 2015 and Barber et al. 2021 on cross-conformal prediction and the jackknife+).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.calibration import reliability
from dinoscope.analysis.labels.conformal import _ROUNDING, Judgement, fit_rules, judge_by_halves, nonconformity
from dinoscope.analysis.labels.voting import Votes, label_votes
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors, query_neighbors
from dinoscope.base.checks import check_count, check_labels, check_vectors
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["Classifier", "Label", "Verdict", "Voter", "known_labels", "sample_rows"]

Label = int | str
_SAMPLE, _CELLS = 20_000, 20_000_000  # most left-out images to learn from; fewer where the labels are very many
_MEMBERS = 5  # nearest members that stand for a label


@dataclass(frozen=True)
class Voter:
    """A neighbour with a vote: its position among the vectors given, label, and cosine similarity to the image."""

    position: int
    label: Label
    similarity: float


@dataclass(frozen=True)
class Verdict:
    """What the labelled images say about one image.

    Attributes:
        label: The label with the most votes; where ``unknown``, merely the nearest one.
        probability: Probability of that label, for an image of the known kind: calibrated, or the share of the votes
            where calibration did not make the error on held-out images smaller.
        unknown: Whether the image lies too far from everything to be named.
        p_value: Share of the labelled images that lie at least as far out, above 0 to 1; see ``p_values``.
        percentile: Share of the label's own images that lie nearer to the others of it than this one does, 0 to 100;
            NaN where the label has one image.
        prediction_set: The labels made to hold the truth with the coverage asked for, the most probable first; how
            often they do, ``Classifier.measured`` says.
        voters: The neighbours that decided, nearest first.
    """

    label: Label
    probability: float
    unknown: bool
    p_value: float
    percentile: float
    prediction_set: tuple[Label, ...]
    voters: tuple[Voter, ...]

    @property
    def familiarity(self) -> float:
        """The former name of ``p_value``."""
        warnings.warn("Verdict.familiarity is now p_value", DeprecationWarning, stacklevel=2)
        return self.p_value

    @property
    def label_set(self) -> tuple[Label, ...]:
        """The former name of ``prediction_set``."""
        warnings.warn("Verdict.label_set is now prediction_set", DeprecationWarning, stacklevel=2)
        return self.prediction_set


class Classifier:
    """Labelled vectors that name new ones.

    Attributes:
        positions: Positions of the labelled vectors among those given (N,).
        labels: Their labels (N,).
        names: The C labels, sorted.
        graph: Their neighbour graph.
        rules: What they taught by leave-one-out.
        coverage: Share of prediction sets that are to hold the truth.
        measured: Share of them that did, of left-out images or of a held-out split; NaN with fewer than 4 images.
        measured_on: "leave-one-out", or the name of that split.
    """

    def __init__(
        self,
        vectors: ArrayLike,
        labels: ArrayLike,
        *,
        k: int = 20,
        temperature: float = 0.07,
        coverage: float = 0.9,
        abstain: float = 0.05,
        graph: NeighborGraph | None = None,
    ) -> None:
        """Learn from labelled vectors.

        Args:
            vectors: Array (N, D).
            labels: Integers or strings (N,); None for an image without a label, which has no vote.
            k: Voters.
            temperature: See ``knn_predict``.
            coverage: Share of prediction sets that are to hold the truth.
            abstain: Share of images of the known kind that may be called unknown.
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
        self.k, self.temperature, self.coverage = check_count(k, "k"), temperature, coverage
        self._vectors = array[self.positions]
        self.graph = neighbors(self._vectors, k) if graph is None else check_graph(graph, len(self.positions))
        self.names, self._codes = np.unique(self.labels, return_inverse=True)
        # Of a label with few images, the 20th neighbour is another label's, and says nothing of what is unknown.
        self._near = max(1, min(k, int(np.median(np.bincount(self._codes))) // 2))
        self._crowding = nonconformity(self.graph, np.zeros(len(self.labels)), self._near)
        left_out = sample_rows(len(self.labels), len(self.names))
        votes, scores = self.ask(NeighborGraph(self.graph.indices[left_out], self.graph.similarities[left_out]))
        self.rules = fit_rules(votes, self._codes[left_out], scores, coverage=coverage, abstain=abstain)
        self.measured, self.measured_on = math.nan, "leave-one-out"
        if len(left_out) >= 4:
            self._measure(votes, self._codes[left_out], scores, abstain)
        self._members: dict[int, tuple[NDArray[np.float32], NDArray[np.float64]]] = {}

    def _measure(self, votes: Votes, truth: NDArray[np.intp], scores: NDArray[np.float64], abstain: float) -> None:
        """Measure sets and calibration on images that did not teach them; keep a calibration that makes it better."""
        judgement = judge_by_halves(votes, truth, scores, coverage=self.coverage, abstain=abstain)
        rows, right = np.arange(len(truth)), truth == votes.winners
        self.measured = float(judgement.sets[rows, truth].mean())
        as_they_are, calibrated = (
            reliability(np.minimum(chances[rows, votes.winners], 1), right).error
            for chances in (votes.shares, judgement.probabilities)
        )
        self.rules = replace(self.rules, calibrated=calibrated < as_they_are)

    def ask(self, graph: NeighborGraph) -> tuple[Votes, NDArray[np.float64]]:
        """Return the votes on rows with these labelled neighbours, and the rows' nonconformity (M,)."""
        votes = label_votes(graph, self._codes, k=self.k, temperature=self.temperature)  # texts take ten times as long
        return replace(votes, names=self.names), nonconformity(graph, self._crowding, self._near)

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
        self, graph: NeighborGraph, queries: NDArray[np.floating], own: NDArray[np.intp] | None = None
    ) -> list[Verdict]:
        """Return the verdicts on unit vectors (M, D), given their labelled neighbours.

        Args:
            graph: Their neighbours (M, k) among the labelled vectors.
            queries: The vectors.
            own: Number of the label of each that is labelled itself (M,), -1 for the others, which all are by default.
        """
        votes, scores = self.ask(graph)
        judgement = self.rules.judge(votes, scores)
        percentiles = self._percentiles(queries, votes.winners, np.full(len(graph), -1) if own is None else own)
        named = self.positions[graph.indices], self.labels[graph.indices], graph.similarities.astype(np.float64)
        voters = zip(*(each.tolist() for each in named), strict=True)
        return [
            self._verdict(judgement, row, winner, percentile, tuple(map(Voter, *each)))
            for row, (winner, percentile, each) in enumerate(
                zip(votes.winners.tolist(), percentiles, voters, strict=True)
            )
        ]

    def _verdict(
        self, judgement: Judgement, row: int, winner: int, percentile: float, voters: tuple[Voter, ...]
    ) -> Verdict:
        chances = judgement.probabilities[row]
        ranked = sorted(np.flatnonzero(judgement.sets[row]).tolist(), key=lambda c: (-chances[c], c != winner, c))
        return Verdict(
            label=self.names[winner].item(),
            probability=float(chances[winner]),
            unknown=bool(judgement.unknown[row]),
            p_value=float(judgement.p_values[row]),
            percentile=percentile,
            prediction_set=tuple(self.names[code].item() for code in ranked),
            voters=voters,
        )

    def _percentiles(
        self, queries: NDArray[np.floating], winners: NDArray[np.intp], own: NDArray[np.intp]
    ) -> list[float]:
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


def known_labels(labels: ArrayLike, count: int) -> tuple[NDArray[np.intp], NDArray[np.generic]]:
    """Return the positions of the items that have a label (n,) and their labels (n,); None is not a label.

    Raises:
        InputError: See ``check_labels``.
    """
    array = np.asarray(labels, dtype=object)
    if array.shape != (count,):
        raise InputError(f"labels must have one entry per item, expected shape ({count},), got {array.shape}")
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
