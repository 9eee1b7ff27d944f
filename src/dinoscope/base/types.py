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

    ``vectors`` is the key of those that are shown. ``range`` is what is black and what is white in pictures of more
    than 8 bits; None where there were none, and missing where each type had its own. ``left_out`` says how many files
    of the source were passed over, by how their names end. ``folders`` says how the names of folders become labels and
    splits, where a person chose.
    """

    format: int
    source: SourceDescription
    vectors: NotRequired[str]
    range: NotRequired[list[float] | None]
    left_out: NotRequired[dict[str, int]]
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
    mean: NotRequired[list[float]]
    std: NotRequired[list[float]]
    assumed: NotRequired[str]
    geometry: NotRequired[str]
    repo: NotRequired[str]
    revision: NotRequired[str]


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
