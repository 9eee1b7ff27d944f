"""What a report says, gathered before it is drawn: results, sample images, queries, colours, pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import one_thread_each, side_by_side
from dinoscope.errors import DinoscopeError, InputError
from dinoscope.models.catalogue import MODELS
from dinoscope.plots.image_map import Tiles, pick_tiles
from dinoscope.plots.palette import cluster_colors, group_colors, label_groups
from dinoscope.stages.cleaning.checks import CHECKABLE, Checkable, findings_checked
from dinoscope.stages.cleaning.findings import all_findings, dismissed_keys
from dinoscope.stages.cleaning.pictures import picture_scores
from dinoscope.stages.clusters import all_scores, find_clusters, judge_as_stored
from dinoscope.stages.labels import evaluate_labels
from dinoscope.stages.maps import make_map, map_quality, tuning
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.properties import explain_map, measured_properties
from dinoscope.stages.queries.colour_grids import colours_at
from dinoscope.stages.queries.patches import has_scheme
from dinoscope.stages.queries.search import search
from dinoscope.storage.thumbnails import size_of

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.checked import Checked
    from dinoscope.analysis.clusters.clustering import Clustering
    from dinoscope.analysis.explain.explanation import Explanation
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.analysis.maps.quality import MapQuality
    from dinoscope.analysis.maps.tuning import Tuning
    from dinoscope.analysis.scores import Score
    from dinoscope.stages.cleaning.findings import Findings
    from dinoscope.stages.clusters import ClusterJudgement
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.queries.search import Match

__all__ = [
    "EVIDENCE",
    "EXAMPLES",
    "MAX_CLUSTERS",
    "SHOWN",
    "Facts",
    "Query",
    "QueryGroup",
    "Sample",
    "best_labels",
    "cluster_label_table",
    "gather",
]

MAX_CLUSTERS = 60  # shown with pictures; more are counted
SHOWN, EVIDENCE, EXAMPLES = 9, 4, 6  # findings of a kind; images of one; pairs of labels that are mixed up
_TYPICAL, _UNUSUAL = 5, 4  # members of a cluster that are shown
_SEEN = 12  # clusters, the largest, whose middle image is shown as the model sees it
_ANSWERS = 4  # images shown beside a query
_GROUPS, _JUDGED = 10, 10  # labels with queries; nearest images that show a good one
_MANY = 20_000  # images from which findings and evaluation, of minutes, are shown only where they are stored
Value = TypeVar("Value")


@dataclass(frozen=True)
class Sample:
    """What is shown of a cluster: positions of members, and the mean similarity of all to the centre."""

    members: NDArray[np.int64]
    similarity: float
    medoid: int
    near: list[int]
    edge: list[int]


@dataclass(frozen=True)
class Query:
    """An image, by its position, and those most similar to it."""

    position: int
    found: list[Match]


@dataclass(frozen=True)
class QueryGroup:
    """The query images of a label, or of a cluster: the best first, the worst last."""

    name: str
    queries: list[Query]


@dataclass
class Facts:
    """Everything that the sections read."""

    collection: OpenedCollection
    members: NDArray[np.int64]  # label of each image, -1 for none
    names: list[str]  # of labels; none where all images have one, which tells nothing apart
    coordinates: NDArray[np.float32] | None
    clusters: Clustering | None
    scores: list[Score]
    missing: dict[str, str]  # result -> why there is none
    chose_k: bool
    samples: list[Sample] = field(default_factory=list)
    queries: list[QueryGroup] = field(default_factory=list)
    quality: MapQuality | None = None
    judged: ClusterJudgement | None = None
    explanation: Explanation | None = None
    properties: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # those that the map is explained by
    evaluation: Evaluation | None = None
    findings: Findings | None = None
    kept: dict[str, list[int]] = field(default_factory=dict)  # kind -> numbers of findings that were not dismissed
    checked: dict[Checkable, Checked] = field(default_factory=dict)  # what checks say about the rest
    tuning: Tuning | None = None
    tiles: Tiles | None = None
    pictures: dict[int, bytes] = field(default_factory=dict)
    seen: list[NDArray[np.uint8]] = field(default_factory=list)  # colours of the patches of clusters' middle images
    lacks_weights: bool = False  # there would be such colours if the model's weights were at hand
    label_colors: list[str] = field(default_factory=list)
    cluster_colors: list[str] = field(default_factory=list)
    small: int | None = None  # longest side in pixels, where all pictures are tiny
    title: str = ""
    author: str = ""
    command: str = ""  # that writes this report again
    private: bool = False  # whether private columns may be shown
    explorer: bool = False  # whether the file holds the explorer, which pictures can open

    @property
    def few(self) -> bool:
        """Whether there are so few images that what takes minutes of many is computed for the report."""
        return len(self.collection) <= _MANY


def gather(collection: OpenedCollection, k: int | None, *, explorer: bool = False) -> Facts:
    """Compute, or read back, everything that the report of a collection shows; ``k`` as in ``clusters``.

    ``explorer`` says whether the file will hold the explorer, which shows poor pictures, too.

    Raises:
        InputError: If ``k`` is given and cannot be used.
    """
    missing: dict[str, str] = {}

    def attempt(name: str, compute: Callable[[], Value]) -> Value | None:
        try:
            return compute()
        except InputError as error:  # too few images for it
            missing[name] = str(error)
            return None

    members, names = label_groups(collection.labels)
    if len(names) == 1 and not members.any():
        members, names = np.full(len(members), -1), []
    attempt(
        "neighbors", lambda: neighbor_graph(collection)
    )  # for the record: the steps below read it only when they compute
    if len(collection) <= _MANY:
        _compute_ahead(collection, k, explorer)
    # a given k that cannot be used is an error
    clusters = attempt("clusters", lambda: find_clusters(collection)) if k is None else find_clusters(collection, k)
    coordinates = attempt("map", lambda: make_map(collection))
    scores = attempt("scores", lambda: all_scores(collection, k)) or []
    facts = Facts(collection, members, names, coordinates, clusters, scores, missing, k is None)
    facts.label_colors = group_colors(np.bincount(members[members >= 0], minlength=len(names)))
    if clusters is not None:
        facts.cluster_colors = cluster_colors(np.bincount(clusters.labels, minlength=len(clusters.medoids)))
        facts.samples = [_sample(collection, clusters, number) for number in range(len(clusters.medoids))]
        facts.judged = attempt("cluster quality", lambda: judge_as_stored(collection, k))
    if coordinates is not None and len(collection) > 2:
        facts.quality = attempt("map quality", lambda: map_quality(collection))
    if coordinates is not None and (facts.few or collection.results.stored("explanation")):
        facts.explanation = attempt("explanation", lambda: explain_map(collection, cluster_settings={"k": k}))
        if facts.explanation is not None and facts.explanation.properties:
            facts.properties = measured_properties(collection)
    _examine(facts, attempt)
    if coordinates is not None:
        facts.tiles = pick_tiles(coordinates)
    facts.queries = _queries(facts)
    _load_pictures(facts)
    facts.seen = _seen(facts)
    return facts


def _compute_ahead(collection: OpenedCollection, k: int | None, explorer: bool) -> None:
    """Compute what takes long side by side, so that it is there when it is asked for.

    An error comes again then. Products of matrices have one thread each: with more, last digits would depend on what
    runs beside them.
    """

    def look_at_map() -> None:
        all_scores(collection, k)
        explain_map(collection, cluster_settings={"k": k})

    def tried(compute: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            with suppress(DinoscopeError):
                compute()

        return work

    works: list[Callable[[], object]] = [look_at_map, lambda: all_findings(collection)]
    if explorer:
        works.append(lambda: picture_scores(collection))
    works.append(lambda: evaluate_labels(collection))
    with one_thread_each():
        side_by_side(map(tried, works))


def _examine(facts: Facts, attempt: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Gather what is known about labels and single images. What takes long is used only if it is stored."""
    collection = facts.collection
    if facts.few or collection.results.stored("evaluation"):
        facts.evaluation = attempt("evaluation", lambda: evaluate_labels(collection))
    if facts.few or collection.results.stored("duplicates"):
        found = facts.findings = all_findings(collection)
        dismissed = dismissed_keys(collection)
        facts.kept = {
            kind: [at for at, key in enumerate(keys) if key not in dismissed] for kind, keys in found.keys.items()
        }
        facts.checked = {kind: told for kind in CHECKABLE if (told := findings_checked(collection, kind)).checked}
    tried = collection.results.stored("tuning")
    if tried:
        settings: dict[str, Any] = {name: value for name, value in tried[0].items() if name != "labels"}
        facts.tuning = tuning(collection, **settings)


def cluster_label_table(facts: Facts, clusters: Clustering) -> NDArray[np.int64]:
    """Count the images of each cluster and label (clusters, labels)."""
    table = np.zeros((len(clusters.medoids), len(facts.names)), np.int64)
    known = facts.members >= 0
    np.add.at(table, (clusters.labels[known], facts.members[known]), 1)
    return table


def best_labels(facts: Facts, clusters: Clustering) -> list[tuple[int, int]]:
    """Pair clusters with labels so that the pairs share the most images."""
    with LOADING:
        from scipy.optimize import linear_sum_assignment

    table = cluster_label_table(facts, clusters)
    pairs = zip(*linear_sum_assignment(-table), strict=True)
    return [(int(number), int(label)) for number, label in pairs if table[number, label]]


def _sample(collection: OpenedCollection, clusters: Clustering, number: int) -> Sample:
    """Choose the medoid, the members nearest to the centre, and a few of the outer quarter."""
    members = np.flatnonzero(clusters.labels == number)
    center = clusters.centers[number] / max(float(np.linalg.norm(clusters.centers[number])), 1e-12)
    similarity = collection.vectors[members] @ center
    medoid = int(clusters.medoids[number])
    order = [int(i) for i in members[np.argsort(-similarity, kind="stable")] if i != medoid]
    near = order[:_TYPICAL]
    outer = order[max(len(near), (3 * len(order)) // 4) :]
    chosen = np.random.default_rng(number).permutation(len(outer))[:_UNUSUAL]
    edge = [outer[i] for i in sorted(chosen.tolist())]
    return Sample(members, float(similarity.mean()), medoid, near, edge)


def _queries(facts: Facts) -> list[QueryGroup]:
    """Choose of each label, or of each cluster where there are no labels, a good, a typical and a failing image.

    The better one has more of its nearest images with its label; where there are no labels, nearer ones.
    """
    collection = facts.collection
    if len(collection) < 2:
        return []
    graph = neighbor_graph(collection)
    near, similarities = graph.indices[:, :_JUDGED], graph.similarities[:, :_JUDGED].mean(axis=1)
    if facts.names:
        members, names = facts.members, facts.names
        alike = (members[near] == members[:, None]).mean(axis=1)
    else:
        members = np.zeros(len(collection), np.int64)
        if facts.clusters is not None:
            members = facts.clusters.labels.astype(np.int64)
        names = ["all images"] if facts.clusters is None else [f"Cluster {at}" for at in range(len(facts.samples))]
        alike = np.zeros(len(collection))
    groups = []
    for group in np.argsort(-np.bincount(members[members >= 0], minlength=len(names)), kind="stable")[:_GROUPS]:
        of = np.flatnonzero(members == group)
        ranked = of[np.lexsort((-similarities[of], -alike[of]))].tolist()
        chosen = dict.fromkeys((ranked[0], ranked[len(ranked) // 2], ranked[-1]))
        answers = [(each, search(collection, int(collection.rows[each]), _ANSWERS)) for each in chosen]
        groups.append(QueryGroup(names[group], [Query(*each) for each in answers]))
    return groups


def _load_pictures(facts: Facts) -> None:
    collection = facts.collection
    asked = [query for group in facts.queries for query in group.queries]
    wanted = {query.position for query in asked}
    wanted |= {collection.position(match.row) for query in asked for match in query.found}
    for sample in facts.samples[:MAX_CLUSTERS]:
        wanted |= {sample.medoid, *sample.near, *sample.edge}
    wanted |= _pictures_of_findings(facts)
    if facts.evaluation is not None:
        wanted |= {at for pair in facts.evaluation.confusions[:EXAMPLES] for at in pair.examples}
    shown = sorted(wanted)
    everything = sorted(wanted | set(facts.tiles.positions.tolist() if facts.tiles is not None else []))
    facts.pictures = dict(zip(everything, collection.thumbnails(everything), strict=True))
    longest = max((max(size_of(facts.pictures[i])) for i in shown), default=0)
    facts.small = longest if 0 < longest <= 48 else None


def _seen(facts: Facts) -> list[NDArray[np.uint8]]:
    """Look at the middle images of the largest clusters, unless pictures are tiny or it would take long."""
    collection = facts.collection
    model = MODELS.get(str(collection.model["model"]))
    quick = (model is not None and model.family == "bundled") or has_scheme(collection)
    if facts.small or not quick or not collection.model.get("patches", True):
        return []
    try:
        return colours_at(collection, [sample.medoid for sample in facts.samples[:_SEEN]])
    except DinoscopeError:  # the report has no such section
        facts.lacks_weights = True
        return []


def _pictures_of_findings(facts: Facts) -> set[int]:
    """Return the positions of the images that are shown as findings or as evidence."""
    found = facts.findings
    if found is None:
        return set()
    first = {kind: numbers[:SHOWN] for kind, numbers in facts.kept.items()}
    wanted = {position for at in first["duplicates"] for position in found.duplicates.groups[at][:EVIDENCE]}
    wanted |= {position for at in first["leaks"] for position in found.leaks[at].positions[:EVIDENCE]}
    for kind, listed in (("outliers", found.outliers), ("label_errors", found.label_errors)):
        if listed is not None:
            for at in first[kind]:
                wanted |= {int(listed.positions[at]), *listed.neighbors[at, :3].tolist()}
    return wanted
