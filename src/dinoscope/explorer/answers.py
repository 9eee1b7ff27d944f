"""What the explorer says about images: single ones, look-alikes and numbers. No web in it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.errors import InputError
from dinoscope.explorer.columns import texts_of_image
from dinoscope.explorer.model_view import MapScale, ModelData, can_judge, position_of
from dinoscope.explorer.sheets import part_of_tile
from dinoscope.explorer.types import (
    ClusterInfo,
    Explained,
    ImageInfo,
    JudgementInfo,
    LabelEvaluation,
    MatchInfo,
    Numbers,
    PropertyInfo,
    ReasonInfo,
    Reasons,
    ScoreInfo,
    SearchAnswer,
    Table,
    VerdictInfo,
)
from dinoscope.stages.clusters import all_scores, judge_clusters
from dinoscope.stages.labels import evaluate_labels
from dinoscope.stages.maps import map_quality, principal_axes
from dinoscope.stages.properties import explain_map
from dinoscope.stages.queries.reasons import find_reasons
from dinoscope.stages.queries.windows import search_inside
from dinoscope.wording.in_short import advice
from dinoscope.wording.scores import judge, map_figures

if TYPE_CHECKING:
    from dinoscope.analysis.explain.explanation import Explanation
    from dinoscope.analysis.labels.classifier import Classifier, Verdict
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.maps import MethodSettings
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["find_rows", "image_info", "look_alikes", "mean_vector", "numbers", "reasons", "search"]

_NEIGHBORS = 24
_SAME = 0.9999  # cosine of two vectors of one picture: other machines round otherwise
_FOUND = 1000  # rows that a search for text gives, at most
_MOST_CELLS = 1_000_000  # of a table that a page is sent


def image_info(data: ModelData, row: int, classifier: Classifier | None, k: int = _NEIGHBORS) -> ImageInfo:
    """Return what is known about an image; without a classifier there is no verdict.

    Raises:
        Unknown: If no image with vectors has this row number.
    """
    collection = data.collection
    at = position_of(collection, row)
    width, height = collection.sizes[at].tolist()
    cluster = None
    if data.clusters is not None:
        code = int(data.column("cluster")[at])
        cluster = code if code != 65535 else None
    verdict = None
    if classifier is not None:
        verdict = _verdict(collection, classifier.left_out(collection.vectors, [at])[0], classifier)
    return ImageInfo(
        row=row,
        id=collection.ids[at],
        label=_text(collection.labels[at]),
        split=_text(collection.splits[at]),
        caption=_text(collection.captions[at]),
        labels=list(collection.label_sets[at]),
        cluster=cluster,
        width=width,
        height=height,
        verdict=verdict,
        neighbors=look_alikes(collection, collection.vectors[at], k, without=[at]),
        columns=texts_of_image(collection, at),
    )


def look_alikes(
    collection: OpenedCollection, vector: NDArray[np.float32], k: int, without: ArrayLike = ()
) -> list[MatchInfo]:
    """Return the images most like a vector (D,), by exact cosine similarity, except for those at some positions."""
    similarity = collection.vectors @ vector
    similarity[np.asarray(without, np.intp)] = -np.inf
    order = _largest(similarity, min(k, len(similarity) - np.size(without)))
    return _matches(collection, order, similarity[order])


def mean_vector(collection: OpenedCollection, rows: Sequence[int]) -> tuple[NDArray[np.float32], list[int]]:
    """Return the direction of several images together (D,) and their positions.

    Raises:
        InputError: If there are none, one is not in the collection, or they cancel out.
    """
    if not rows:
        raise InputError("rows must name at least one image")
    positions = sorted({position_of(collection, row) for row in rows})
    total = collection.vectors[positions].sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise InputError("these images have no direction in common: take fewer of them")
    return (total / length).astype(np.float32), positions


def search(
    data: ModelData,
    vector: NDArray[np.float32],
    k: int,
    map_name: str | None,
    classifier: Classifier | None,
    *,
    inside: bool = False,
    digest: str = "",
) -> SearchAnswer:
    """Say what an image from outside looks like, where it lies on a map, and what its neighbours call it.

    It is one of the collection's own if its file has the ``digest`` of one's, or if their vectors are the same.

    The similarities to all images are computed once, for all three; ``inside``, the look-alikes count by their parts.

    Raises:
        Unknown: If there is no such map.
    """
    began = time.perf_counter()
    collection = data.collection
    similarity = collection.vectors @ vector
    nearest = _largest(similarity, min(max(k, 20), len(similarity)))
    verdict = None
    if classifier is not None:
        voters = _largest(similarity[classifier.positions], min(classifier.k, len(classifier.positions)))
        graph = NeighborGraph(
            voters[None].astype(np.int32), np.minimum(similarity[classifier.positions[voters]], 1)[None]
        )
        said = classifier.verdicts(graph, vector[None])[0]
        verdict = _verdict(collection, said, classifier)
    matches, parts = _matches(collection, nearest[:k], similarity[nearest[:k]]), None
    if inside:
        spots = search_inside(collection, vector, k)
        matches = [MatchInfo(row=s.row, id=s.id, label=s.label, similarity=s.similarity) for s in spots]
        sizes = [collection.sizes[collection.position(spot.row)].tolist() for spot in spots]
        parts = [
            None if spot.box is None else part_of_tile(spot.box, size, data.tile)
            for spot, size in zip(spots, sizes, strict=True)
        ]
    same = next((at for at, content in enumerate(collection.contents) if content == digest), None)
    if same is None and similarity[nearest[0]] >= _SAME:
        same = int(nearest[0])
    return SearchAnswer(
        here=None if same is None else _matches(collection, np.asarray([same]), similarity[[same]])[0],
        matches=matches,
        parts=parts,
        verdict=verdict,
        place=None if map_name is None else _place(data, map_name, vector, nearest),
        seconds=time.perf_counter() - began,
    )


def reasons(
    data: ModelData,
    query: int | NDArray[np.float32],
    rows: Sequence[int],
    encoder: Encoder,
    on_progress: Callable[[int, int], None] | None = None,
) -> Reasons:
    """Return what makes some images like one, a row or the vector of an image from outside.

    Raises:
        Unknown: If there is no image of one of these numbers.
    """
    collection = data.collection
    if isinstance(query, int):
        position_of(collection, query)  # or there is no such image
    positions = [position_of(collection, each) for each in rows]
    listed = []
    found_reasons = find_reasons(collection, query, rows, encoder=encoder, on_progress=on_progress)
    for at, found in zip(positions, found_reasons, strict=True):
        width, height = collection.sizes[at].tolist()
        heat = np.maximum(found.heat, 0)
        share = np.rint(255 * heat / max(float(heat.max()), 1e-9)).astype(int).ravel()
        place = part_of_tile((0, 0, width, height), (width, height), data.tile)
        listed.append(ReasonInfo(row=found.row, without=found.without, heat=share.tolist(), place=place))
    return Reasons(reasons=listed)


def find_rows(collection: OpenedCollection, text: str) -> list[int]:
    """Return the rows of the images whose id holds a text, or one of whose several labels does; at most 1,000.

    Upper and lower case are the same. What has one label is found by the column of labels.
    """
    wanted = text.casefold()
    found: list[int] = []
    for position, (name, labels) in enumerate(zip(collection.ids.tolist(), collection.label_sets, strict=True)):
        if any(wanted in each.casefold() for each in (name, *labels)):
            found.append(int(collection.rows[position]))
            if len(found) == _FOUND:
                break
    return found


def numbers(data: ModelData, map_name: str, *, evaluate: bool = True, explain: bool = True) -> Numbers:
    """Return how far to trust a map and the clusters; where it is asked for, the labels, and what a map is made of.

    Raises:
        Unknown: If there is no such map.
    """
    collection = data.collection
    settings = data.settings_of(map_name)
    scores = _map_scores(data, settings)
    if len(collection) >= 3:
        # scores() clusters with these settings and no others; what it found would take the place of what is shown
        shown = data.clusters or {
            "method": "kmeans",
            "k": data.usual_k,
            "seed": 0,
        }  # a page may ask before any are found
        usual = shown == {"method": "kmeans", "k": shown.get("k"), "seed": 0}
        told = all_scores(collection, shown["k"]) if usual else ()
        scores += [
            ScoreInfo(name=each.name, value=each.value, meaning=each.meaning)
            for each in told
            if not each.name.startswith("map:") and not each.name.endswith("on the map")
        ]
    found = _explanation(data, settings) if explain else None
    clusters, confusion = _cluster_infos(data, found)
    scores = [each for each in scores if math.isfinite(each.value)]
    return Numbers(
        judged=_judged(collection, scores, found),
        scores=scores,
        clusters=clusters,
        confusion=confusion,
        evaluation=_evaluation(collection) if evaluate else None,
        explained=None if found is None else _explained(found),
    )


def _judged(
    collection: OpenedCollection, scores: Sequence[ScoreInfo], found: Explanation | None
) -> list[JudgementInfo]:
    helpful = advice(collection, found)
    told = [
        JudgementInfo(about=each.about, tone=each.tone, text=each.text, command=None)
        for each in judge({each.name: each.value for each in scores})
    ]
    if helpful is None:
        return told
    weak = f"{helpful.verdict} {helpful.text}"
    return [JudgementInfo(about="model", tone="bad", text=weak, command=helpful.command or None), *told]


def _map_scores(data: ModelData, settings: MethodSettings) -> list[ScoreInfo]:
    if len(data.collection) < 3:
        return []
    told = map_figures(map_quality(data.collection, **settings))
    return [
        ScoreInfo(
            name=f"labels: {name}" if name == "silhouette on the map" else f"map: {name}", value=value, meaning=text
        )
        for name, value, text in told
        if name != "silhouette in the embedding"  # it does not describe the map: all_scores has it
    ]


def _explanation(data: ModelData, settings: MethodSettings) -> Explanation | None:
    from dinoscope.analysis.explain.explanation import FEWEST

    if len(data.collection) < FEWEST or data.clusters is None:
        return None
    return explain_map(data.collection, cluster_settings=data.clusters, map_settings=settings)


def _explained(found: Explanation) -> Explained:
    from dinoscope.wording.explanation import conclusions, direction_in_words

    labels, *listed = [
        None
        if each is None
        else PropertyInfo(
            name=each.name,
            embedding=each.embedding,
            map=each.map,
            within_labels=each.within_labels,
            by_labels=each.by_labels,
            rises=direction_in_words(each),
        )
        for each in (found.labels, *found.properties)
    ]
    return Explained(labels=labels, properties=[each for each in listed if each], conclusions=conclusions(found))


def _cluster_infos(data: ModelData, found: Explanation | None) -> tuple[list[ClusterInfo], Table | None]:
    from dinoscope.wording.explanation import traits_in_words

    if data.clusters is None:
        return [], None
    collection = data.collection
    labels, medoids = data.stored_clusters()
    quality = judge_clusters(collection, **data.clusters).quality
    infos, names = [], sorted({str(label) for label in collection.labels if label is not None})
    place = {name: column for column, name in enumerate(names)}
    fits = 0 < len(medoids) * len(names) <= _MOST_CELLS
    counts = np.zeros((len(medoids), len(names)) if fits else (0, 0), np.int64)
    for number, medoid in enumerate(medoids):
        members = np.flatnonzero(labels == number)
        named = Counter(str(label) for label in collection.labels[members] if label is not None)
        for label, count in named.items() if fits else ():
            counts[number, place[label]] = count
        infos.append(
            ClusterInfo(
                cluster=number,
                size=len(members),
                medoid=int(collection.rows[medoid]),
                cohesion=float(quality.cohesion[number]),
                purity=_finite(float(quality.purity[number])),
                labels=named.most_common(10),
                traits="" if found is None else traits_in_words(found, number),
            )
        )
    if not fits:
        return infos, None
    return infos, Table(rows=[str(number) for number in range(len(infos))], columns=names, counts=counts.tolist())


def _evaluation(collection: OpenedCollection) -> LabelEvaluation | None:
    if not can_judge(collection):
        return None
    try:
        found = evaluate_labels(collection)
    except InputError:  # too few images of a split have a label
        return None
    place = {str(name): at for at, name in enumerate(found.names)}
    told = sorted(found.labels, key=lambda each: place[each.label])
    # not the table of all pairs: that of 5,000 labels has 25 million cells
    wrong = [(place[each.true], place[each.predicted], each.images) for each in found.confusions]
    right = [(at, at, round(each.recall * each.images)) for at, each in enumerate(told) if each.images]
    return LabelEvaluation(
        accuracy=found.accuracy,
        labels=[each.label for each in told],
        precision=[_finite(each.precision) for each in told],
        recall=[_finite(each.recall) for each in told],
        confusion=[cell for cell in right + wrong if cell[2]],
    )


def _largest(values: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the places of the k largest values, descending, the lower place first among equals."""
    if k < 1:
        return np.zeros(0, np.intp)
    reached = np.flatnonzero(values >= np.partition(values, len(values) - k)[len(values) - k])
    return reached[np.argsort(-values[reached], kind="stable")[:k]]


def _matches(
    collection: OpenedCollection, positions: NDArray[np.intp], similarities: NDArray[np.float32]
) -> list[MatchInfo]:
    return [
        MatchInfo(
            row=int(collection.rows[at]),
            id=collection.ids[at],
            label=_text(collection.labels[at]),
            similarity=float(np.clip(similarity, -1, 1)),
        )
        for at, similarity in zip(positions.tolist(), similarities.tolist(), strict=True)
    ]


def _verdict(collection: OpenedCollection, verdict: Verdict, classifier: Classifier) -> VerdictInfo:
    at = np.asarray([voter.position for voter in verdict.voters], np.intp)
    similarities = np.asarray([voter.similarity for voter in verdict.voters], np.float32)
    return VerdictInfo(
        label=str(verdict.label),
        probability=verdict.probability,
        set=[str(each) for each in verdict.prediction_set],
        set_level=classifier.coverage,
        set_measured=_finite(classifier.measured),
        measured_on=classifier.measured_on,
        unknown=verdict.unknown,
        percentile=_finite(verdict.percentile),
        voters=_matches(collection, at, similarities),
    )


def _place(
    data: ModelData, map_name: str, vector: NDArray[np.float32], nearest: NDArray[np.intp]
) -> tuple[float, float] | None:
    """Return where a vector belongs on a map that is there, from -1 to 1."""
    from dinoscope.analysis.maps.projection import transform

    if not data.is_ready(map_name):
        return None
    coordinates = data.coordinates(map_name)
    method = data.method(map_name)
    if method == "pca":
        found = principal_axes(data.collection, coordinates).place(vector[None])
    else:  # only the nearest have a say
        found = transform(vector[None], data.collection.vectors[nearest], coordinates[nearest], method=method)
    x, y = MapScale.of(coordinates).apply(found)[0].tolist()
    return x, y


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
