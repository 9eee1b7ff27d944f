"""Which images belong to a collection: what it is made of, and the row of every image ever seen.

``images.parquet`` cannot be made anew, because nothing else says which row is which image, so it has a copy,
``images.parquet.bak``. The copy is written after the table and before any part that knows its rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from dinoscope.base.types import Answers, Dismissed, Manifest, ModelDescription
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.storage.files import is_leftover, read_json, write_json
from dinoscope.storage.locks import LOCK_FILES

__all__ = [
    "FORMAT",
    "JSON_FILES",
    "choose_model",
    "list_models",
    "no_collection",
    "no_vectors",
    "read_manifest",
    "read_model",
    "set_shown",
]

FORMAT = 1


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
    return manifest


def list_models(path: Path) -> list[str]:
    """Return the keys of the models that were begun; each has a folder, perhaps without a vector yet."""
    return sorted(file.parent.name for file in (path / "vectors").glob("*/model.json"))


def read_model(path: Path, key: str) -> ModelDescription:
    """Return what ``Encoder.describe`` said of a model.

    Raises:
        DamagedError: If the file is damaged.
    """
    model: ModelDescription = read_json(path / "vectors" / key / "model.json", ModelDescription)
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
    return shown if shown in keys else keys[-1]


def no_vectors(path: Path) -> CollectionError:
    """Return the error of a collection that was begun only."""
    return CollectionError(f"{path} has no vectors yet: run 'dinoscope embed' again, it continues where it stopped")


def no_collection(path: Path) -> CollectionError:
    """Return the error of a path that is no collection, with the command that works for what stands there."""
    if not _is_foreign(path):
        return CollectionError(f"{path} is no collection: make one with 'dinoscope embed SOURCE -o {path}'")
    if not path.is_dir():
        return CollectionError(f"{path} is no collection: expected the folder that 'dinoscope embed SOURCE -o' made")
    named = path if path.name.strip(".") else path.resolve()  # "." has no name of its own
    return CollectionError(
        f"{path} is a folder but no collection: embed it with 'dinoscope embed {path} -o {named}.dino'"
    )


def set_shown(path: Path, key: str) -> None:
    """Make the vectors of this key the ones that a collection shows."""
    manifest = read_manifest(path)
    if manifest.get("vectors") != key:
        write_json(path / "collection.json", {**manifest, "vectors": key}, checked=True)


def _is_foreign(path: Path) -> bool:
    """Tell whether something stands there that no embedding made."""
    if not path.exists() or (path / "images.parquet").exists() or _backup(path).exists():
        return False
    ours = (*LOCK_FILES, "collection.json")  # and what a run that was killed as it began left unfinished
    return not path.is_dir() or any(p.name not in ours and not is_leftover(p) for p in path.iterdir())


def _backup(path: Path) -> Path:
    return path / "images.parquet.bak"
