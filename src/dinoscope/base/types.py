"""Types of JSON that is stored or passed on, and of the objects of which the keys are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypeAlias, TypedDict

__all__ = ["Columns", "JsonObject", "Machine", "Manifest", "ModelDescription", "Provenance", "SourceDescription"]

JsonObject: TypeAlias = Mapping[str, object]  # of JSON values that are written or compared, never looked into
Columns: TypeAlias = dict[str, Any]  # as a table's file has them: an array of numbers, a list of texts or bytes


class SourceDescription(TypedDict):
    """What a collection was made of."""

    kind: str
    name: str


class Manifest(TypedDict):
    """What ``collection.json`` says.

    ``vectors`` is the key of those that are shown; ``folders`` says how the names of folders become labels and splits,
    where a person chose.
    """

    format: int
    source: SourceDescription
    vectors: NotRequired[str]
    folders: NotRequired[JsonObject]


class ModelDescription(TypedDict):
    """What ``Encoder.describe`` says and ``model.json`` holds; a baseline, or an older version, said less."""

    model: str
    dim: int
    resolution: int
    weights_sha256: str
    licence: str
    pooling: NotRequired[str]
    pad: NotRequired[bool]
    upstream: NotRequired[bool]
    preprocessing: NotRequired[str]
    precision: NotRequired[str]
    local: NotRequired[bool]


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
