"""Which images belong to a collection: what it is made of, and the row of every image ever seen.

``images.parquet`` cannot be made again, because nothing else says which row is which image, so it has a copy,
``images.parquet.bak``. The copy is written after the table and before any part that knows its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from dinoscope.base.paths import similar_path
from dinoscope.base.typed import mismatch
from dinoscope.base.types import Answers, Dismissed, JsonObject, Manifest, ModelDescription
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.storage.files import is_leftover, read_json, write_json
from dinoscope.storage.locks import LOCK_FILES

__all__ = [
    "FORMAT",
    "JSON_FILES",
    "choose_model",
    "is_gone",
    "is_range",
    "list_models",
    "no_collection",
    "no_vectors",
    "other_weights",
    "owner_of",
    "read_manifest",
    "read_model",
    "set_columns",
    "set_folders",
    "stored_range",
    "update_manifest",
    "weights_text",
]

FORMAT = 1
_FOLDERS = ("details", "vectors", "results")
_DECIDED = ("dismissed.json", "answers.json", "annotations.parquet", "columns.parquet")
_FILES = ("collection.json", "images.parquet", "images.parquet.bak", "progress.json", *_DECIDED)

JSON_FILES: dict[str, type] = {
    "collection.json": Manifest,
    "model.json": ModelDescription,
    "dismissed.json": Dismissed,
    "answers.json": Answers,
}


class _Format(TypedDict):
    """What is the same in every format."""

    format: int


def read_manifest(path: Path) -> Manifest:
    """Read collection.json.

    Raises:
        CollectionError: If it is damaged, or of a format that this version of dinoscope does not know.
    """
    file = path / "collection.json"
    held = read_json(file, _Format)
    if held["format"] > FORMAT:
        raise CollectionError(
            f"{path} has format {held['format']}, this version of dinoscope reads {FORMAT}: install the newer version "
            "that wrote it ('pip install --upgrade dinoscope'), or embed the images again into a new folder"
        )
    manifest: Manifest = read_json(file, Manifest)
    if not is_range(manifest.get("range")):
        raise DamagedError(file, "its range is not two numbers, black before white")
    return manifest


def list_models(path: Path) -> list[str]:
    """Return the keys of all models, including ones without a vector yet."""
    return sorted(file.parent.name for file in (path / "vectors").glob("*/model.json"))


def read_model(path: Path, key: str) -> ModelDescription:
    """Return what ``Encoder.describe`` said about a model.

    Raises:
        DamagedError: If the file is damaged.
    """
    file = path / "vectors" / key / "model.json"
    model: ModelDescription = read_json(file, ModelDescription)
    if (model["resolution"] == 0) != model.get("own", False):  # vectors that were made elsewhere have none
        raise DamagedError(file, f"resolution should be from 1 to {1 << 14:,}, got {model['resolution']}")
    return model


def choose_model(path: Path, shown: str | None, model: str | None) -> str:
    """Return the key of a model.

    Args:
        path: The collection.
        shown: The key that it shows.
        model: A model's name or key; by default the one that is shown.

    Raises:
        CollectionError: If the collection has no vectors of it.
    """
    keys = list_models(path)
    if model is not None:
        names, damage = {}, None
        for key in keys:
            try:
                names[key] = read_model(path, key)["model"]
            except DamagedError as error:  # of another model, if this one is found
                damage = error
        keys = [key for key in keys if model in (names.get(key), key)]
        if not keys and damage is not None:
            raise damage
        if not keys:
            raise CollectionError(
                f"{path} has no vectors of {model!r} (it has: {', '.join(sorted(set(names.values()))) or 'none'}): "
                f"embed them with 'dinoscope embed SOURCE -o {path} --model {model}'"
            )
    if not keys:
        raise no_vectors(path)
    if shown in keys:
        return shown
    return keys[-1] if model is None else min(keys, key=len)  # settings that are not the usual ones make a key longer


def other_weights(one: ModelDescription, other: ModelDescription) -> str:
    """Return a sentence about vectors of a model with this name but other weights; empty if there are none."""
    if one["model"] != other["model"] or one["weights_sha256"] == other["weights_sha256"]:
        return ""
    first, second = (weights_text(each) for each in (one, other))
    return f"{one['model']} has other weights in each ({first}; {second}): their vectors cannot be compared"


def weights_text(model: ModelDescription) -> str:
    """Return which weights a model has, for people: the commit, where they come from a hub, and their digest."""
    commit = f"commit {str(model['revision'])[:12]}, " if model.get("revision") else ""
    return f"{commit}SHA-256 {str(model['weights_sha256'])[:12]}"


def no_vectors(path: Path) -> CollectionError:
    """Return the error of a collection without vectors."""
    return CollectionError(f"{path} has no vectors yet: run 'dinoscope embed' again, it continues where it stopped")


def is_gone(path: Path) -> CollectionError:
    """Return the error of a collection that vanished after it was opened."""
    return CollectionError(f"{path} is gone: it was deleted or moved since it was opened")


def no_collection(path: Path) -> CollectionError:
    """Return the error for a path that is not a collection, with the command that works for it."""
    if not _is_foreign(path):
        near = "" if path.exists() else similar_path(path)
        return CollectionError(f"{path} is not a collection: make one with 'dinoscope embed SOURCE -o {path}'{near}")
    if not path.is_dir():
        return CollectionError(f"{path} is not a collection: expected the folder that 'dinoscope embed SOURCE -o' made")
    named = path if path.name.strip(".") else path.resolve()  # "." has no name of its own
    return CollectionError(
        f"{path} is a folder but no collection: embed it with 'dinoscope embed {path} -o {named}.dino'"
    )


def owner_of(path: Path) -> Path | None:
    """Return the collection that a file belongs to by its name and place; None for other files in its folder."""
    place = path.parent.resolve() / path.name
    for folder in place.parents:
        if (folder / "collection.json").exists() and ((folder / "images.parquet").exists() or _backup(folder).exists()):
            first, *below = place.relative_to(folder).parts
            return folder if first in _FOLDERS or (not below and first in _FILES) else None
    return None


def stored_range(path: Path) -> tuple[float, float] | None:
    """Return what is black and what is white in pictures of more than 8 bits; None where no range is stored."""
    held = read_manifest(path).get("range")
    return None if held is None else (float(held[0]), float(held[1]))


def is_range(held: object) -> bool:
    """Tell whether the content of a file is a range of values, or "none"."""
    return held is None or (isinstance(held, list) and not mismatch(held, tuple[float, float]) and held[0] < held[1])


def update_manifest(path: Path, **said: object) -> None:
    """Update ``collection.json``. Nothing is written if it is up to date."""
    manifest = read_manifest(path)
    if manifest != (changed := {**manifest, **said}):
        write_json(path / "collection.json", changed, checked=True, within=path)


def set_folders(path: Path, rule: JsonObject) -> None:
    """Store a person's rules for the names of folders, so that later embeddings follow them; {} means none."""
    _set_choice(path, "folders", rule or None)


def set_columns(path: Path, names: Sequence[str] | None) -> None:
    """Store which columns a person wants, so that later embeddings follow it; None means all."""
    _set_choice(path, "columns", None if names is None else list(names))


def _set_choice(path: Path, name: str, choice: object) -> None:
    manifest = read_manifest(path)
    if manifest.get(name) != choice:
        held = {each: value for each, value in manifest.items() if each != name}
        chosen = {} if choice is None else {name: choice}
        write_json(path / "collection.json", held | chosen, checked=True, within=path)


def _is_foreign(path: Path) -> bool:
    """Tell whether the folder contains something that no embedding made."""
    if not path.exists() or (path / "images.parquet").exists() or _backup(path).exists():
        return False
    ours = (*LOCK_FILES, "collection.json")  # and what a run that was killed as it began left unfinished
    return not path.is_dir() or any(p.name not in ours and not is_leftover(p) for p in path.iterdir())


def _backup(path: Path) -> Path:
    return path / "images.parquet.bak"
