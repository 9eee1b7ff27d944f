"""A person's answers about pairs of images: do these two show the same picture?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import Answers
from dinoscope.errors import InputError
from dinoscope.stages.cleaning.fingerprints import all_prints
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.locks import deciding

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.candidates import Candidates
    from dinoscope.analysis.cleaning.threshold import ThresholdFit
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "PairToAnswer",
    "answer_pairs",
    "answered",
    "candidates",
    "forget_answers",
    "pairs_to_answer",
    "picture_keys",
    "threshold_fit",
]

_FILE = "answers.json"
Contents = tuple[str, str]  # of two images, the lower first


@dataclass(frozen=True)
class PairToAnswer:
    """Two images for a person to judge, "same picture" or not: their rows, and their score."""

    rows: tuple[int, int]
    score: float


def pairs_to_answer(collection: OpenedCollection, count: int = 20) -> tuple[PairToAnswer, ...]:
    """Return the pairs with the most informative answers about the threshold of duplicates; see ``choose_pairs``.

    See ``Collection.pairs_to_answer``.
    """
    from dinoscope.analysis.cleaning.threshold import choose_pairs

    found = candidates(collection)
    chosen = choose_pairs(found.pairs.scores, answered(collection, found), found.suggested, count)
    rows, pairs = collection.rows.tolist(), found.pairs
    return tuple(
        PairToAnswer((rows[pairs.first[at]], rows[pairs.second[at]]), float(pairs.scores[at])) for at in chosen.tolist()
    )


def answer_pairs(collection: OpenedCollection, answers: Mapping[tuple[int, int], bool | None]) -> None:
    """Store in the collection whether pairs of images show the same picture. Stores all of them or none.

    See ``Collection.answer_pair``.
    """
    said = {_contents(collection, *rows): same for rows, same in answers.items()}
    with deciding(collection.path):
        known = {**_stored(collection), **said}
        listed = [{"images": list(images), "same": each} for images, each in sorted(known.items())]
        write_json(collection.path / _FILE, {"answers": listed}, checked=True, within=collection.path)


def forget_answers(collection: OpenedCollection) -> int:
    """Forget all answers; return how many there were.

    See ``Collection.forget_answers``.
    """
    with deciding(collection.path):
        count = len(_stored(collection))
        (collection.path / _FILE).unlink(missing_ok=True)
    return count


def threshold_fit(collection: OpenedCollection) -> ThresholdFit:
    """Return the threshold of duplicates from a person's answers, and how good it and others are."""
    from dinoscope.analysis.cleaning.threshold import fit_threshold

    found = candidates(collection)
    return fit_threshold(found.pairs.scores, answered(collection, found), found.suggested)


def answered(collection: OpenedCollection, found: Candidates) -> NDArray[np.float64]:
    """Return the answer to each candidate pair, 1, 0, 0.5 or NaN as in ``fit_threshold`` (P,)."""
    pairs, known = found.pairs, _stored(collection)
    answers = np.full(len(pairs.scores), np.nan)
    if not known:
        return answers
    named = {content for pair in known for content in pair}
    leader = {content: int(found.copy_of[at]) for at, content in enumerate(collection.contents) if content in named}
    told = {
        tuple(sorted((leader[one], leader[other]))): 0.5 if same is None else float(same)
        for (one, other), same in known.items()
        if one in leader and other in leader
    }
    for at, pair in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        answers[at] = told.get(pair, np.nan)
    return answers


def candidates(collection: OpenedCollection, least: float | None = None) -> Candidates:
    """Return the pairs that may show the same picture, compared by vectors and stored thumbnails; stored.

    Pairs that score less than ``LEAST`` are included only if ``least`` is lower.
    """
    from dinoscope.analysis.cleaning.altered import inside_frames
    from dinoscope.analysis.cleaning.candidates import LEAST, Candidates, score_pairs

    lowest = LEAST if least is None else float(min(least, LEAST))

    def compute() -> Candidates:
        pictures, prints = collection.thumbnails(np.arange(len(collection))), all_prints(collection)
        return score_pairs(
            collection.vectors,
            graph=neighbor_graph(collection) if len(collection) > 1 else None,
            keys=picture_keys(pictures, collection.sizes, collection.vectors),
            prints=prints,
            inside=inside_frames(pictures, prints),
            aspects=collection.sizes[:, 0] / collection.sizes[:, 1],
            preference=collection.sizes.prod(axis=1),
            least=lowest,
        )

    return collection.results.keep("duplicates", {"least": lowest}, Candidates, compute)


def picture_keys(pictures: Sequence[bytes], sizes: NDArray[np.int64], vectors: NDArray[np.float32]) -> list[str]:
    """Return a key for each picture, equal for exact copies: of one thumbnail, size and vector."""
    from dinoscope.base.digests import digest_bytes

    keys = [digest_bytes(picture, str(size)) for picture, size in zip(pictures, sizes.tolist(), strict=True)]
    first: dict[str, int] = {}
    for at, key in enumerate(keys):  # a thumbnail may be the same where the pictures are not
        leader = first.setdefault(key, at)
        if float(vectors[leader] @ vectors[at]) < 1 - 1e-5:
            keys[at] = f"{key} {at}"
    return keys


def _stored(collection: OpenedCollection) -> dict[Contents, bool | None]:
    """Return the answers, by the contents of both images."""
    path = collection.path / _FILE
    listed = read_json(path, Answers)["answers"] if path.exists() else []
    return {(each["images"][0], each["images"][1]): each["same"] for each in listed}


def _contents(collection: OpenedCollection, first: int, second: int) -> Contents:
    one, other = (collection.contents[collection.position(row)] for row in (first, second))
    if one == other:
        raise InputError(f"rows {first} and {second} hold the same image: a pair needs two that could differ")
    return (one, other) if one < other else (other, one)
