"""What the explorer's page receives. In JSON the names are camelCase. web/src/lib/api.ts is made from it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

__all__ = [
    "Answer",
    "CategoryColumn",
    "CheckedInfo",
    "Checks",
    "ClusterInfo",
    "ClusterQuery",
    "CollectionInfo",
    "Column",
    "ColumnInfo",
    "ColumnText",
    "ColumnValue",
    "Columns",
    "Copied",
    "CopyQuery",
    "Dismissal",
    "ErrorAnswer",
    "Explained",
    "ExportQuery",
    "FailureInfo",
    "FilesInfo",
    "FilesQuery",
    "Finding",
    "Findings",
    "ImageInfo",
    "LabelEvaluation",
    "MapInfo",
    "MapName",
    "MatchInfo",
    "Matches",
    "ModelInfo",
    "ModelView",
    "Moved",
    "MovedImage",
    "Name",
    "NumberColumn",
    "Numbers",
    "PartnerInfo",
    "PatchImage",
    "PatchPair",
    "PatchPairs",
    "PatchView",
    "PickQuery",
    "Picked",
    "Positions",
    "ProgressInfo",
    "PropertyInfo",
    "Question",
    "QuestionAnswer",
    "ReasonInfo",
    "Reasons",
    "Row",
    "Rows",
    "RowsQuery",
    "Running",
    "ScoreInfo",
    "SearchAnswer",
    "Sheets",
    "Stayed",
    "Table",
    "TokensInfo",
    "VerdictInfo",
    "WeightsInfo",
]

Row = Annotated[int, Field(ge=0, le=2**32 - 1, description="Number of an image, the same in every model, permanently.")]


class Answer(BaseModel):
    """A part of an answer; its fields have camelCase names in JSON."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, use_attribute_docstrings=True
    )


class ModelInfo(Answer):
    """A model that the collection has vectors of."""

    key: str
    name: str
    dim: int
    resolution: int | None
    pooling: str
    focus: str
    """What a vector describes: image or foreground."""
    images: int
    patches: bool
    """Whether it may show patches; false where its weights are known to give none."""


class CollectionInfo(Answer):
    """What the collection is."""

    name: str
    kind: str
    version: str
    model: str
    """Key of the model that is shown first."""
    models: list[ModelInfo]
    live: bool
    """False in a report: nothing can be uploaded or computed."""
    originals: bool
    """Whether pictures larger than the thumbnails are available."""
    files: bool = False
    """Whether the files may be taken away as they are."""
    writable: bool
    """Whether findings can be dismissed, pairs answered and collections written."""
    copies_to: str | None = None
    """Name of the folder that files can be copied to; null where that is not allowed."""


class CategoryColumn(Answer):
    """A column of few different texts; images have codes, 65535 for none."""

    kind: Literal["category"] = "category"
    name: str
    """label, cluster, predicted, split, and others."""
    title: str
    description: str
    values: list[str]
    """In the order of their codes."""
    counts: list[int]


class NumberColumn(Answer):
    """A column of numbers."""

    kind: Literal["number"] = "number"
    name: str
    """trust, probability, and others."""
    title: str
    description: str
    min: float
    max: float
    per_map: bool
    """True for trust: every map has its own."""


Column = Annotated[CategoryColumn | NumberColumn, Field(discriminator="kind")]


class MapInfo(Answer):
    """A map. Perhaps it is computed at the first request."""

    id: str
    """umap, tsne, pca, or another stored map."""
    title: str
    settings: dict[str, str | int | float]
    ready: bool
    """False: it is computed at the first request, which may take a while."""
    seconds: float | None
    """About how long that takes; null where it is ready."""


class Sheets(Answer):
    """How the thumbnails lie in their sheets."""

    tile: int
    """Pixels a side of one tile; a thumbnail is centred in it, on transparent ground."""
    columns: int
    rows: int
    count: int
    """Number of sheets; in a report perhaps fewer than needed for every image."""
    positions: list[int] | None = None
    """Positions that have a thumbnail, in the order of the tiles; null if every position has its own."""


class FailureInfo(Answer):
    """An image that could not be read."""

    row: Row
    id: str
    reason: str


class MapName(Answer):
    """A map of another model."""

    id: str
    title: str


class PartnerInfo(Answer):
    """A model whose maps can be shown beside those of the one that is shown."""

    id: str
    title: str
    maps: list[MapName]


class ModelView(Answer):
    """One model's arrays: which there are, and their state."""

    key: str
    count: int
    state: str
    """Changes whenever any array of this model does; part of every cacheable address."""
    images: str
    """Changes with the images and their vectors, and not with what is found of them."""
    columns: list[Column]
    maps: list[MapInfo]
    sheets: Sheets
    failures: list[FailureInfo]
    partners: list[PartnerInfo] = []
    """Other models of the same images, in this collection or in the one that is shown beside it; none in a report."""


class MovedImage(Answer):
    """An image whose neighbours differ between two models."""

    row: Row
    kept: int
    """Neighbours that both find."""
    here: list[Row]
    """The nearest by the model that is shown."""
    there: list[Row]
    """The nearest by the other one."""


class Moved(Answer):
    """What two models see differently, in the images with vectors of both."""

    k: int
    """Neighbours compared."""
    shared: float
    """How many of them both find, as a mean over the images."""
    chance: float
    """The same if one model's neighbours were drawn at random."""
    images: int
    """Images with vectors of both."""
    only_here: int
    only_there: int
    moved: list[MovedImage]
    """Those whose neighbours changed most, at most 500."""


class MatchInfo(Answer):
    """A look-alike."""

    row: Row
    id: str
    label: str | None
    similarity: float
    """Cosine, 1 is the same."""


class ReasonInfo(Answer):
    """Which part of a look-alike makes it similar to the query image.

    ``heat`` is how much each of 16 x 16 places matters, from 0 to 255, and ``place`` where they lie on its tile: left,
    top, width and height as shares. ``without`` is the similarity while the most important square is hidden.
    """

    row: Row
    without: float
    heat: list[int]
    place: tuple[float, float, float, float]


class Reasons(Answer):
    """A reason for each requested look-alike."""

    reasons: list[ReasonInfo]


class PatchImage(Answer):
    """What the model sees in one image, from the top left, row by row."""

    row: Row
    rows: int
    """Patches from top to bottom."""
    columns: int
    """Patches from left to right; together they cover the whole image."""
    colours: list[int]
    """Red, green and blue of each patch, 0 to 255: similar patches have similar colours, in all images."""
    foreground: list[int]
    """How much of each patch stands out from the ground, 0 to 255."""
    sure: float
    """How clearly the image falls into the two, 0 to 1."""
    clear: bool
    """Whether the foreground can be relied on."""
    parts: list[int]
    """Number of the part that each patch belongs to."""
    attention: list[int] | None
    """Where the model looks, 0 to 255; null where it does not tell."""
    similar: str
    """Base64 of bytes: for each patch of the image that was asked about, the cosine similarity of every patch of this
    one; 0 to 255 for 0 to 1."""


class PatchView(Answer):
    """What the model sees in an image, which comes first, and in its nearest neighbours."""

    images: list[PatchImage]
    bundled: bool
    """Whether the model is one of the small bundled ones, which see less than official weights."""
    basis: str
    """Names the colours. With the same name, a colour means the same."""


class PatchPair(Answer):
    """Two patches that match: the middle of each, as shares of its image from the left and from the top."""

    first: tuple[float, float]
    second: tuple[float, float]
    similarity: float


class PatchPairs(Answer):
    """Patches of two images that match, the most similar first."""

    pairs: list[PatchPair]
    patches: int
    """How many patches the first image has."""


class TokensInfo(Answer):
    """Whether the patch tokens are kept, which a search by a patch needs, or what keeping them takes."""

    kept: bool
    images: int
    """Images without kept tokens."""
    megabytes: float
    """What these take on the disk."""
    seconds: float
    """How long these take."""
    resumes: bool
    """Whether the work goes on where somebody stopped it. With few images it begins again."""
    obstacle: str | None
    """Why it cannot be kept from here; null if it can."""


class Matches(Answer):
    """Look-alikes, the best first."""

    matches: list[MatchInfo]


class VerdictInfo(Answer):
    """What the labelled images say about an image."""

    label: str
    probability: float
    set: list[str]
    """Labels, one of which should be the truth in ``set_level`` of the cases."""
    set_level: float
    set_measured: float | None
    """Share of the cases in which one was; null where there are too few images to measure it."""
    measured_on: str
    """"leave-one-out", or the split on which that was measured."""
    unknown: bool
    percentile: float | None
    """How far out the image lies: further than this many percent of its class; null where that is not known."""
    voters: list[MatchInfo]
    """The neighbours that decided."""


class ColumnValue(Answer):
    """A text that images have, and how many."""

    value: str
    count: int


class ColumnInfo(Answer):
    """What a table, the images' files, or a person says about each image."""

    name: str
    kind: Literal["number", "date", "category", "text", "boolean"]
    missing: int
    """How many images have no value."""
    distinct: int
    """How many different values there are."""
    low: float | None
    """The least number or date; dates are seconds since 1970. Null for the other kinds, and without a value."""
    high: float | None
    values: list[ColumnValue]
    """The texts of a category, the most common first, at most 65,535; of a boolean yes and no."""
    private: bool
    """Whether it is left out of what others get, unless requested."""
    of_file: str | None
    """What it says of the image's file, such as size (bytes) or aspect (width by height); null for other columns."""


class Columns(Answer):
    """All columns; the place of one in this list names it elsewhere."""

    columns: list[ColumnInfo]


class ColumnText(Answer):
    """What a column says about an image."""

    name: str
    text: str
    of_file: str | None
    """As in ``ColumnInfo``."""


class Positions(Answer):
    """Images by their position in the arrays."""

    rows: list[int]


class ImageInfo(Answer):
    """All that is known about one image."""

    row: Row
    id: str
    label: str | None
    split: str | None
    caption: str | None
    labels: list[str]
    """All labels, of an image that may have several; its `label` is then null."""
    cluster: int | None
    width: int
    height: int
    verdict: VerdictInfo | None
    """What the other images say about this one; null without labels."""
    neighbors: list[MatchInfo]
    columns: list[ColumnText]
    """What the columns say about it."""


class SearchAnswer(Answer):
    """What an uploaded image is similar to."""

    here: MatchInfo | None
    """The image of the collection that is the same file, or has the same vector."""
    matches: list[MatchInfo]
    verdict: VerdictInfo | None
    place: tuple[float, float] | None
    """On the requested map, in its units (-1 to 1)."""
    seconds: float
    """Time on the server."""
    parts: list[tuple[float, float, float, float] | None] | None
    """Where in its tile each match is like it (left, top, width, height, as shares); null for the image as a whole, and
    for all where nobody looked inside."""


FindingKind: TypeAlias = Literal["duplicate", "outlier", "label_error", "leak", "picture"]


class Finding(Answer):
    """Something to look at."""

    key: str
    """Stable over runs and models. Stored when the finding is dismissed."""
    kind: FindingKind
    rows: list[Row]
    """The images that it is about, the most important first."""
    evidence: list[Row]
    """Images shown as evidence: neighbours, voters."""
    text: str
    """One line, plain text."""
    suggestion: str | None
    """Suggested label, or file to keep."""
    score: float
    """Larger is more certain."""
    dismissed: bool
    confirmed: bool
    """Whether a person has said that it is right."""


class CheckedInfo(Answer):
    """A person's checks of random findings of one kind, and what they say about the others."""

    kind: Literal["label_error", "outlier"]
    checked: int
    right: int
    """Those that are right: the label is wrong, or the image does not belong."""
    rest: int
    """Findings that nobody has checked."""
    low: int
    """Fewest of the rest that are right, and the most: with 90% certainty."""
    high: int
    next: list[str]
    """Keys of those to check next, in the order in which they were drawn."""


class Checks(Answer):
    """The random checks, for each kind that has them."""

    checks: list[CheckedInfo]


class Findings(Answer):
    """The list of findings, the surest of each kind first; a picture with two labels before all other copies."""

    findings: list[Finding]
    self_test: str | None
    """What the self-test of the labels to check found; null without labels."""
    threshold: float
    """Score from which pairs are near-duplicates."""
    suggested: float
    """The one that the collection suggests."""
    answers: int
    """Answers that set the threshold; 0 while the collection does."""
    checks: list[CheckedInfo]


class Question(Answer):
    """What a person is asked: do two images show the same picture, or is one blurred; and what the answers so far say.

    ``rows`` is null where nothing is left to ask. ``threshold`` is the one in use, ``count`` those that reach it; their
    ``precision`` and ``recall`` are null without enough answers, else lower bound, median and upper bound.
    """

    rows: list[Row] | None
    sizes: list[Annotated[list[int], Field(min_length=2, max_length=2)]]
    """Width and height of the originals."""
    yes: int
    no: int
    unsure: int
    enough: int
    """Answers needed before they set the threshold."""
    suggested: float
    threshold: float
    count: int
    precision: list[float] | None
    recall: list[float] | None
    note: str | None
    """What is not asked about, and why."""


class ScoreInfo(Answer):
    """One line of the score table."""

    name: str
    value: float
    meaning: str


class ClusterInfo(Answer):
    """One cluster."""

    cluster: int
    size: int
    medoid: Row
    cohesion: float
    purity: float | None
    labels: list[tuple[str, int]]
    traits: str
    """What sets it apart from all other images, in words; empty if nothing does."""


class Table(Answer):
    """Counts with names for rows and columns."""

    rows: list[str]
    columns: list[str]
    counts: list[list[int]]


class LabelEvaluation(Answer):
    """How well neighbours name the images."""

    accuracy: float
    labels: list[str]
    precision: list[float | None]
    recall: list[float | None]
    confusion: list[tuple[int, int, int]]
    """Place of the true label, of the one given, and how many images; no zeros."""


class PropertyInfo(Answer):
    """How closely neighbours agree in a property, or in the labels: 0 is chance, 1 the same."""

    name: str
    embedding: float
    map: float
    within_labels: float | None
    by_labels: float | None
    rises: str
    """Where on the map there is more of it, in words; empty if unknown."""


class Explained(Answer):
    """What the map is made of."""

    labels: PropertyInfo | None
    properties: list[PropertyInfo]
    """First those in which neighbours on the map are most similar."""
    conclusions: list[str]


class JudgementInfo(Answer):
    """What the figures of one thing mean, in a sentence."""

    about: Literal["model", "map", "clusters", "labels"]
    tone: Literal["good", "middling", "bad", "unknown"]
    text: str
    command: str | None
    """What to type in a terminal to change that; null where there is nothing to change."""


class Numbers(Answer):
    """How far to trust what is seen."""

    judged: list[JudgementInfo]
    """What the figures mean. First what the model cannot see in these images, if there is something."""
    scores: list[ScoreInfo]
    clusters: list[ClusterInfo]
    confusion: Table | None
    """Images of each cluster (rows) and label (columns)."""
    evaluation: LabelEvaluation | None
    """Named by neighbours, each image left out in turn."""
    explained: Explained | None
    """What this map is made of; null for very few images."""


class Picked(Answer):
    """A few images that represent many."""

    rows: list[Row]
    """The most important first."""
    distance: float
    """How far an image is from the nearest of them, on average (1 - cosine)."""
    random_distance: float
    """The same of as many images drawn at random."""


class Rows(Answer):
    """Images by number."""

    rows: list[Row]


class Running(Answer):
    """A run that embeds at this moment."""

    done: int
    total: int
    images_per_second: float
    seconds_left: float


class ProgressInfo(Answer):
    """Progress of the work that somebody waits for."""

    done: int
    total: int


class WeightsInfo(Answer):
    """Weights that are needed and not on the server's machine."""

    name: str
    repository: str
    """Where they come from."""
    megabytes: float | None
    """Size of the download; null where it is not known before."""
    licence: str
    """Empty where it is not known."""
    licence_link: str
    obstacle: str | None
    """Why the page cannot fetch them; null if it can."""


class ErrorAnswer(Answer):
    """What went wrong, in one sentence."""

    error: str
    weights: WeightsInfo | None = None
    """What to fetch first, if that is the reason."""


class FilesInfo(Answer):
    """Files that can be downloaded as a ZIP."""

    key: str
    """The key to download them with."""
    files: int
    bytes: int | None
    """About how many bytes they have together; null if only reading them would tell."""
    missing: int
    """How many images have no file of their name."""


class Stayed(Answer):
    """A file that was left alone."""

    name: str
    reason: str


class Copied(Answer):
    """What was done with files."""

    folder: str
    done: int
    there: int
    """Files of the same content that were there already."""
    stayed: int
    reasons: list[Stayed]
    """Why the first of them stayed."""
    journal: str | None
    """Name of the file that records what was done; it can undo it."""
    key: str | None = None
    """The key to undo it with, while this server runs."""


class Name(Answer):
    """Name of a new collection."""

    name: str


class _Asked(BaseModel):
    """Content of a request, exactly as described."""

    model_config = ConfigDict(strict=True, extra="forbid")


def _whole(value: object) -> object:
    """Accept 7.0 for 7, which JSON does not distinguish."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Rows = Annotated[list[Annotated[Row, BeforeValidator(_whole)]], Field(min_length=1, max_length=1_000_000)]


class RowsQuery(_Asked):
    """Images that together form a query."""

    rows: _Rows
    k: Annotated[int, Field(ge=1, le=200), BeforeValidator(_whole)] = 24


class ClusterQuery(_Asked):
    """How many clusters are to be shown."""

    k: Annotated[int, Field(ge=2, le=200), BeforeValidator(_whole)]


class ExportQuery(_Asked):
    """Images to take away."""

    rows: _Rows
    format: Literal["csv", "files", "collection"]
    name: str = Field("selection", max_length=200, pattern="[A-Za-z0-9]")


class FilesQuery(_Asked):
    """Images whose files are wanted."""

    rows: _Rows


class CopyQuery(_Asked):
    """Images whose files are to be copied."""

    rows: _Rows
    folder: str = Field(min_length=1, max_length=200, pattern=r"[^\s.]")
    """The name of a folder below the one that the server may copy to."""


class Dismissal(_Asked):
    """Whether a finding is a problem."""

    dismissed: bool
    confirmed: bool = False
    """Whether it is one; then it is not dismissed."""


class PickQuery(_Asked):
    """A few images to pick."""

    count: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_whole)]
    by: Literal["coverage", "typical", "uncertain", "balanced"] = "typical"
    rows: _Rows | None = None
    """From which images; null for all."""


class QuestionAnswer(_Asked):
    """What a person answers of one image or two; null where nobody can say."""

    rows: Annotated[list[Annotated[Row, BeforeValidator(_whole)]], Field(min_length=1, max_length=2)]
    yes: bool | None
