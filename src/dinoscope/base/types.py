"""Types of JSON that is stored or passed on, and of the objects of which the keys are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypeAlias, TypedDict

from dinoscope.base.typed import Within

__all__ = [
    "Answer",
    "Answers",
    "Columns",
    "Dismissed",
    "JsonObject",
    "Machine",
    "Manifest",
    "ModelDescription",
    "Provenance",
    "SourceDescription",
]

JsonObject: TypeAlias = Mapping[str, object]  # of JSON values that are written or compared, never looked into
Columns: TypeAlias = dict[str, Any]  # as a table's file has them: an array of numbers, a list of texts or bytes


class SourceDescription(TypedDict):
    """What a collection was made of."""

    kind: str
    name: str


class Manifest(TypedDict):
    """What ``collection.json`` says; ``vectors`` is the key of those that are shown."""

    format: Annotated[int, Within(1, 2**31)]
    source: SourceDescription
    vectors: NotRequired[str]


class ModelDescription(TypedDict):
    """What ``Encoder.describe`` says and ``model.json`` holds; a baseline, or an older version, said less."""

    model: str
    dim: Annotated[int, Within(1, 1 << 16)]
    resolution: Annotated[int, Within(1, 1 << 14)]
    weights_sha256: str
    licence: str
    pooling: NotRequired[str]
    pad: NotRequired[bool]
    upstream: NotRequired[bool]
    preprocessing: NotRequired[str]
    precision: NotRequired[str]
    local: NotRequired[bool]


class Dismissed(TypedDict):
    """What ``dismissed.json`` holds: keys of findings that a person called no problem."""

    keys: list[str]


class Answer(TypedDict):
    """Whether two images, by what they hold, show the same picture; null if a person could not tell."""

    images: tuple[str, str]
    same: bool | None


class Answers(TypedDict):
    """What ``answers.json`` holds."""

    answers: list[Answer]


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
