"""Types of stored or exchanged JSON, and of objects with known keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict, get_args

from dinoscope.base.typed import Other, Within

__all__ = [
    "PICTURE_KINDS",
    "Answer",
    "Answers",
    "Columns",
    "Dismissed",
    "FolderNames",
    "JsonObject",
    "Machine",
    "Manifest",
    "ModelDescription",
    "PictureAnswer",
    "PictureKind",
    "Provenance",
    "SourceDescription",
]

JsonObject: TypeAlias = Mapping[str, object]  # of JSON values that are written or compared, never looked into
Columns: TypeAlias = dict[str, Any]  # as a table's file has them: an array of numbers, a list of texts or bytes
PictureKind: TypeAlias = Literal[
    "blurred", "dark", "blown out", "empty", "framed", "screenshot", "odd size", "odd shape"
]
PICTURE_KINDS: tuple[PictureKind, ...] = get_args(PictureKind)


class SourceDescription(TypedDict):
    """What a collection was made of."""

    kind: str
    name: str


class FolderNames(TypedDict):
    """How the names of folders become labels and splits; see ``FolderRule``."""

    root: NotRequired[str]
    labels: NotRequired[Literal["auto", "folder", "parent", "none"]]
    splits: NotRequired[dict[str, str]]


class Manifest(TypedDict):
    """What ``collection.json`` says.

    ``vectors`` is the key of those that are shown. ``range`` is what is black and what is white in pictures of more
    than 8 bits; None where there were none, and missing where each type had its own. ``left_out`` says how many files
    of the source were skipped, by how their names end. ``folders`` says how the names of folders become labels and
    splits, where a person chose, and ``columns`` which columns they want.
    """

    format: Annotated[int, Within(1, 2**31)]
    source: SourceDescription
    vectors: NotRequired[str]
    range: NotRequired[Annotated[list[float], Within(2, 2)] | None]
    left_out: NotRequired[dict[str, int]]
    folders: NotRequired[FolderNames]
    columns: NotRequired[list[str]]


class ModelDescription(TypedDict):
    """What ``Encoder.describe`` returns and ``model.json`` contains. Baselines and older versions have less."""

    model: str
    dim: Annotated[int, Within(1, 1 << 16)]
    resolution: Annotated[int, Within(0, 1 << 14)]
    weights_sha256: str
    licence: str
    pooling: NotRequired[str]
    focus: NotRequired[str]
    patches: NotRequired[bool]
    pad: NotRequired[bool]
    upstream: NotRequired[bool]
    preprocessing: NotRequired[str]
    precision: NotRequired[str]
    ranges: NotRequired[str]
    local: NotRequired[bool]
    own: NotRequired[bool]
    mean: NotRequired[Annotated[list[float], Within(3, 3)]]
    std: NotRequired[Annotated[list[float], Within(3, 3)]]
    assumed: NotRequired[str]
    geometry: NotRequired[str]
    repo: NotRequired[str]
    revision: NotRequired[str]


class Dismissed(TypedDict):
    """What ``dismissed.json`` holds: keys of findings that a person called no problem, and of those called right."""

    keys: list[str]
    confirmed: NotRequired[list[str]]


class Answer(TypedDict):
    """Whether two images, named by content, show the same picture; null if a person could not tell."""

    images: tuple[str, str]
    same: bool | None


class PictureAnswer(TypedDict):
    """Whether an image, by what it holds, is blurred, or of another kind of poor pictures; null as in ``Answer``."""

    image: str
    kind: Annotated[str, Other("duplicates")]  # any other: another version may know more kinds
    yes: bool | None


class Answers(TypedDict):
    """What ``answers.json`` holds: of pairs, and of pictures."""

    answers: list[Answer]
    pictures: NotRequired[list[PictureAnswer]]


class Machine(TypedDict):
    """A processor, its system, and the versions of what computes on it."""

    processor: str
    system: str
    versions: dict[str, str]


class Provenance(Machine):
    """What computed vectors, for the record."""

    dinoscope: str
    device: NotRequired[str]
    precision: str
