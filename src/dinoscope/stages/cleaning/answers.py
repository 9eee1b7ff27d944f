"""What a person answered: do these two show the same picture, and is this one blurred?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_choice
from dinoscope.base.types import PICTURE_KINDS, Answers, PictureKind
from dinoscope.errors import InputError
from dinoscope.stages.cleaning.fingerprints import all_prints
from dinoscope.stages.cleaning.pictures import picture_scores
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.locks import deciding

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.candidates import Candidates
    from dinoscope.analysis.cleaning.threshold import ThresholdFit
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "SUBJECTS",
    "Question",
    "Subject",
    "answer_questions",
    "answered",
    "ask",
    "candidates",
    "forget_answers",
    "picture_fits",
    "picture_keys",
    "pictures_answered",
    "questions",
    "threshold_fit",
]

Subject: TypeAlias = Literal["duplicates"] | PictureKind
SUBJECTS: tuple[Subject, ...] = ("duplicates", *PICTURE_KINDS)
_FILE = "answers.json"
Contents = tuple[str, ...]  # of one image, or of two, the lower first
Said = dict[tuple[Subject, Contents], bool | None]


@dataclass(frozen=True)
class Question:
    """What a person is asked about: the rows of two images, or of one, and the score."""

    rows: tuple[int, ...]
    score: float


def questions(collection: OpenedCollection, about: Subject = "duplicates", count: int = 20) -> tuple[Question, ...]:
    """Return the pairs or pictures whose answers would tell most about a threshold; see ``Collection.questions``."""
    return _chosen(collection, _asked(collection, about), count)


def ask(collection: OpenedCollection, about: Subject, count: int) -> tuple[tuple[Question, ...], ThresholdFit]:
    """Return ``questions`` and ``threshold_fit`` of the same answers: somebody else may answer meanwhile."""
    asked = _asked(collection, about)
    return _chosen(collection, asked, count), _fitted(asked)


def answer_questions(
    collection: OpenedCollection, answers: Mapping[tuple[int, ...], bool | None], about: Subject = "duplicates"
) -> None:
    """Remember in the collection what a person said of pairs or pictures, all of it or none.

    See ``Collection.answer_question``.
    """
    _check(about)
    said: Said = {(about, _contents(collection, about, rows)): yes for rows, yes in answers.items()}
    with deciding(collection.path):
        _write(collection, {**_stored(collection), **said})


def forget_answers(collection: OpenedCollection, about: Subject = "duplicates") -> int:
    """Forget all answers about a subject; return how many there were.

    See ``Collection.forget_answers``.
    """
    _check(about)
    with deciding(collection.path):
        known = _stored(collection)
        left = {key: yes for key, yes in known.items() if key[0] != about}
        if len(left) < len(known):
            _write(collection, left)
    return len(known) - len(left)


def threshold_fit(collection: OpenedCollection, about: Subject = "duplicates") -> ThresholdFit:
    """Return the threshold that a person's answers make of a subject, and how good it and others are."""
    return _fitted(_asked(collection, about))


def picture_fits(collection: OpenedCollection, answers: NDArray[np.float64]) -> dict[PictureKind, ThresholdFit]:
    """Return what answers (see ``pictures_answered``) make of each kind that somebody was asked about."""
    given = [kind for number, kind in enumerate(PICTURE_KINDS) if not np.isnan(answers[:, number]).all()]
    apart = _one_of_each(collection) if given else np.empty(0, np.int64)
    return {kind: _fitted(_asked_of(collection, kind, answers, apart)) for kind in given}


def pictures_answered(collection: OpenedCollection) -> NDArray[np.float64]:
    """Return the answer to each picture and each kind of poor pictures, 1, 0, 0.5 or NaN (N, K)."""
    known = _stored(collection)
    answers = np.full((len(collection), len(PICTURE_KINDS)), np.nan)
    if not any(about in PICTURE_KINDS for about, _ in known):
        return answers
    positions: dict[str, list[int]] = {}
    for at, content in enumerate(collection.contents):
        positions.setdefault(content, []).append(at)
    for (about, contents), yes in known.items():
        if about in PICTURE_KINDS:
            answers[positions.get(contents[0], []), PICTURE_KINDS.index(about)] = 0.5 if yes is None else yes
    return answers


@dataclass(frozen=True)
class _Asked:
    """What may be asked about: positions of images (P, 2) or (P, 1), scores and answers (P,), the suggested cut."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]
    answers: NDArray[np.float64]
    suggested: float


def _asked(collection: OpenedCollection, about: Subject) -> _Asked:
    _check(about)
    if about == "duplicates":
        found = candidates(collection)
        pairs = found.pairs
        places = np.stack([pairs.first, pairs.second], axis=1)
        return _Asked(places, pairs.scores, answered(collection, found), found.suggested)
    return _asked_of(collection, about, pictures_answered(collection), _one_of_each(collection))


def _asked_of(
    collection: OpenedCollection, kind: PictureKind, answers: NDArray[np.float64], apart: NDArray[np.int64]
) -> _Asked:
    from dinoscope.analysis.cleaning.pictures import FAINTEST, SUGGESTED

    number = PICTURE_KINDS.index(kind)
    scores = picture_scores(collection).scores[:, number]
    at = apart[scores[apart] >= FAINTEST]
    return _Asked(at[:, None], scores[at], answers[at, number], SUGGESTED)


def _one_of_each(collection: OpenedCollection) -> NDArray[np.int64]:
    """Return the position of the first picture of each content: exact copies are one question, and one answer."""
    first: dict[str, int] = {}
    for at, content in enumerate(collection.contents):
        first.setdefault(content, at)
    return np.fromiter(first.values(), np.int64, len(first))


def _chosen(collection: OpenedCollection, asked: _Asked, count: int) -> tuple[Question, ...]:
    from dinoscope.analysis.cleaning.threshold import choose_questions

    rows = collection.rows[asked.positions].tolist()
    chosen = choose_questions(asked.scores, asked.answers, asked.suggested, count)
    return tuple(Question(tuple(rows[at]), float(asked.scores[at])) for at in chosen.tolist())


def _fitted(asked: _Asked) -> ThresholdFit:
    from dinoscope.analysis.cleaning.threshold import fit_threshold

    return fit_threshold(asked.scores, asked.answers, asked.suggested)


def _check(about: Subject) -> None:
    check_choice(about, "about", SUBJECTS)


def answered(collection: OpenedCollection, found: Candidates) -> NDArray[np.float64]:
    """Return the answer to each candidate pair, 1, 0, 0.5 or NaN as in ``fit_threshold`` (P,)."""
    known = {images: same for (about, images), same in _stored(collection).items() if about == "duplicates"}
    pairs = found.pairs
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


def _stored(collection: OpenedCollection) -> Said:
    """Return the answers, by their subject and the contents of the images."""
    path = collection.path / _FILE
    if not path.exists():
        return {}
    held = read_json(path, Answers)
    said: Said = {("duplicates", tuple(each["images"])): each["same"] for each in held["answers"]}
    # a kind that another version knows is kept as it is
    return said | {(cast(Subject, each["kind"]), (each["image"],)): each["yes"] for each in held.get("pictures", ())}


def _write(collection: OpenedCollection, said: Said) -> None:
    if not said:
        (collection.path / _FILE).unlink(missing_ok=True)
        return
    pairs, pictures = [], []
    for (about, contents), yes in sorted(said.items(), key=lambda each: each[0]):
        if about == "duplicates":
            pairs.append({"images": list(contents), "same": yes})
        else:
            pictures.append({"image": contents[0], "kind": about, "yes": yes})
    content: dict[str, object] = {"answers": pairs} | ({"pictures": pictures} if pictures else {})
    write_json(collection.path / _FILE, content, checked=True, within=collection.path)


def _contents(collection: OpenedCollection, about: Subject, rows: Sequence[int]) -> Contents:
    expected = 2 if about == "duplicates" else 1
    if len(rows) != expected:
        raise InputError(f"a question about {about} is about {expected} rows, got {len(rows)}: {list(rows)}")
    contents = sorted(collection.contents[collection.position(row)] for row in rows)
    if len(set(contents)) < len(contents):
        raise InputError(f"rows {rows[0]} and {rows[1]} hold the same image: a pair needs two that could differ")
    return tuple(contents)
