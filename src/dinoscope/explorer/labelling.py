"""Labelling for the explorer: the labels, the next question, and how many of the other labels are right."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from dinoscope.explorer.types import Answer, Row
from dinoscope.stages.labelling.by_hand import all_annotations
from dinoscope.stages.labelling.session import labelling_session

if TYPE_CHECKING:
    from dinoscope.stages.labelling.session import Progress
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "GivenLabels",
    "LabelAnswer",
    "LabelChange",
    "LabelQuestion",
    "LabelRest",
    "Labelling",
    "given_labels",
    "labelling",
]

_MOST = 100_000  # images that one act concerns
_MOST_LETTERS = 200
_Text = Annotated[str, Field(max_length=_MOST_LETTERS)]
_Rows = Annotated[list[Row], Field(min_length=1, max_length=_MOST)]
_Seen = Annotated[int, Field(ge=0, description="The revision that the page has seen.")]


class LabelChange(BaseModel):
    """What a person says about some images."""

    rows: _Rows
    label: _Text | None = None
    """Empty takes the label away, null leaves it."""
    add_tags: Annotated[list[_Text], Field(max_length=100)] = []
    drop_tags: Annotated[list[_Text], Field(max_length=100)] = []
    seen: _Seen


class LabelAnswer(BaseModel):
    """What a person says to a question."""

    kind: Literal["one", "batch", "audit"]
    rows: _Rows
    label: _Text | None
    """Null where a batch holds an image of another label, or a person does not know what an image is."""
    seen: _Seen
    batches: bool = False


class LabelRest(BaseModel):
    """What a person says of all images without a label at once."""

    does: Literal["take", "ask"]
    """Take the proposals as their labels; or ask again about those that were put off."""
    seen: _Seen
    batches: bool = False


class GivenLabels(Answer):
    """Labels and tags that people gave: all, or those that changed after a revision."""

    revision: int
    labels: list[str]
    """All labels that are given, sorted."""
    counts: list[int]
    """How many images have each."""
    tags: list[str]
    """All tags that are given, sorted."""
    rows: list[Row]
    """Images that changed."""
    codes: list[int]
    """Number of the label of each of these, -1 for none."""
    tagged: list[list[str]]
    """The tags of each of these."""
    undoable: int
    redoable: int


class LabelQuestion(Answer):
    """What is asked of a person."""

    kind: Literal["one", "batch", "audit"]
    rows: list[Row]
    label: str | None
    """What is proposed."""
    probability: float
    likely: list[str]
    """Labels that are likely, the likeliest first."""


class LabelProgress(Answer):
    """How far labelling has come."""

    answers: int
    named: int
    count: int
    """Images of the collection."""
    taken: int
    """Images whose label is a proposal that a person took unseen."""
    put_off: int
    """Images that a person did not know."""
    sample: int
    """Answers on the random part that the proposals do not know."""
    unanswered: int
    """Images of the random part without an answer: wrong for `low`, right for `high`."""
    low: float
    """Share of the other images whose proposals are right, at least."""
    high: float
    stop: bool
    """Whether 95% of them are right, by the stopping rule."""


class Labelling(Answer):
    """The next question, the progress, and the labels if they changed."""

    question: LabelQuestion | None
    """Null when every image has a label, or was put off twice."""
    progress: LabelProgress
    given: GivenLabels


def given_labels(collection: OpenedCollection, since: int = 0) -> GivenLabels:
    """Return the labels and tags that people gave, of the images that changed after a revision."""
    history, said = collection.history(), all_annotations(collection)
    counts = Counter(label for label in said.labels.tolist() if label is not None)
    names = sorted(counts, key=str.casefold)
    numbers = {name: code for code, name in enumerate(names)}
    changed = set(history.changed_since(since))
    places = [at for at, content in enumerate(collection.contents) if content in changed]
    return GivenLabels(
        revision=said.revision,
        labels=names,
        counts=[counts[name] for name in names],
        tags=sorted({tag for tags in said.tags.tolist() for tag in tags}, key=str.casefold),
        rows=collection.rows[places].tolist(),
        codes=[numbers.get(said.labels[at], -1) for at in places],
        tagged=[list(said.tags[at]) for at in places],
        undoable=said.undoable,
        redoable=said.redoable,
    )


def labelling(collection: OpenedCollection, *, batches: bool, since: int) -> Labelling:
    """Return the next question, how far labelling has come, and what changed after a revision."""
    session = labelling_session(collection)
    asked = session.ask(batches=batches)
    question = None
    if asked is not None:
        question = LabelQuestion(
            kind=asked.kind,
            rows=list(asked.rows),
            label=asked.label,
            probability=asked.probability,
            likely=list(asked.prediction_set),
        )
    return Labelling(
        question=question,
        progress=_progress(session.progress(), len(collection)),
        given=given_labels(collection, since),
    )


def _progress(found: Progress, count: int) -> LabelProgress:
    rest = found.rest
    return LabelProgress(
        answers=found.answers,
        named=found.named,
        count=count,
        taken=found.taken,
        put_off=found.put_off,
        sample=rest.sample,
        unanswered=rest.unanswered,
        low=rest.low,
        high=rest.high,
        stop=found.stop,
    )
