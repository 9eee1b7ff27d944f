"""Weights for a machine without a network: packed into one file on one that has it, checked and unpacked there."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO

from dinoscope.base.digests import sha256
from dinoscope.errors import InputError, ModelError
from dinoscope.models.catalogue import LICENCE_LINKS, Model
from dinoscope.models.hub.download import Say, fetch_weights
from dinoscope.models.hub.local import COMMIT, CONFIGS, FILE_NAME, SHA256, repository, unpacked_store
from dinoscope.storage.files import remove_leftover_folders, replacing, temporary

__all__ = ["PackedFile", "PackedModel", "pack", "unpack"]

_MANIFEST = "dinoscope-weights.json"
_FORMAT, _VERSION = "dinoscope-weights", 1
_MANIFEST_BYTES = 1 << 20  # far more than any manifest needs
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class PackedFile:
    """A file in an archive: its name, its size in bytes, the SHA-256 of its content."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class PackedModel:
    """A model in an archive.

    Attributes:
        name: Its name on the machine that packed it.
        repo: Hub id of its repository.
        revision: Commit of that repository.
        licence: Licence of the weights; empty where unknown.
        licence_link: Where its text is.
        files: The weights, and what says how they are used, if there is anything.
    """

    name: str
    repo: str
    revision: str
    licence: str
    licence_link: str
    files: tuple[PackedFile, ...]

    @property
    def folder(self) -> str:
        """Where the files are, in the archive and among the unpacked weights."""
        return f"{self.repo.replace('/', '--')}/{self.revision}"


def pack(models: Sequence[Model], target: Path, *, say: Say | None = None) -> list[PackedModel]:
    """Write weights, fetched where they are not here, as one plain tar for a machine without a network.

    Args:
        models: Models that come from a repository.
        target: The archive; it is written whole or not at all.
        say: As in `fetch_weights`.

    Returns:
        What the archive holds, as its manifest says.

    Raises:
        InputError: There is no model to pack, or the archive's name is a folder's.
        ModelError, DownloadError: See `fetch_weights`.
        WriteError: The archive cannot be written.
    """
    if not models:
        raise InputError("nothing to pack: expected one model or more; see 'dinoscope models'")
    if target.is_dir():  # told before gigabytes are fetched
        raise InputError(f"{target} is a folder: expected the name of the archive, such as {target / 'weights.tar'}")
    wanted = {repository(model): model for model in models}
    paths = {repo: fetch_weights(model, say=say) for repo, model in wanted.items()}
    packed = [_describe(model, repo, paths[repo]) for repo, model in wanted.items()]
    manifest = json.dumps(
        {"format": _FORMAT, "version": _VERSION, "models": [asdict(each) for each in packed]}, indent=2
    )
    with replacing(target) as part, tarfile.open(part, mode="w") as tar:
        _add(tar, _MANIFEST, io.BytesIO(manifest.encode()), len(manifest.encode()))
        for each in packed:
            for file in each.files:
                with (paths[each.repo].parent / file.name).open("rb") as content:
                    _add(tar, f"{each.folder}/{file.name}", content, file.bytes)
    return packed


def _describe(model: Model, repo: str, weights: Path) -> PackedModel:
    paths = [path for path in (weights, *map(weights.with_name, CONFIGS)) if path.is_file()]
    return PackedModel(
        model.name,
        repo,
        weights.parent.name,
        model.licence,
        LICENCE_LINKS.get(model.licence, ""),
        tuple(PackedFile(path.name, path.stat().st_size, sha256(path)) for path in paths),
    )


def _add(tar: tarfile.TarFile, name: str, content: BinaryIO, size: int) -> None:
    """Add a file without anything of this machine: no owner, no time."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, content)


def unpack(archive: Path) -> list[str]:
    """Put the weights of an archive of `pack` where `find_weights` looks for them.

    Everything is checked before anything is put in place, and nothing that is there already is changed.

    Returns:
        The names of its models.

    Raises:
        ModelError: It is no such archive, or damaged; or other files are where its files belong.
        OSError: There is no room or no permission.
    """
    if not archive.is_file():
        raise ModelError(f"no archive at {archive}: expected one that 'dinoscope models pack' wrote")
    store = unpacked_store()
    try:
        with tarfile.open(archive, "r:") as tar:
            models = _read_manifest(tar)
            store.mkdir(parents=True, exist_ok=True)
            remove_leftover_folders(store)
            folder = temporary(store / "unpack")
            try:
                _extract(tar, models, folder)
                new = [each for each in models if not _is_there(each, store)]
                for each in new:
                    (store / each.folder).parent.mkdir(exist_ok=True)
                    (folder / each.folder).rename(store / each.folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        reason = str(error) if isinstance(error, _Damaged) else "it is not a plain tar, or was cut"
        raise ModelError(
            f"{archive.name} cannot be unpacked: {reason}; nothing was changed: copy it again, or pack it again with "
            "'dinoscope models pack'"
        ) from None
    return [each.name for each in models]


class _Damaged(ValueError):
    """An archive that is not what `pack` writes; the message is the reason alone."""


def _read_manifest(tar: tarfile.TarFile) -> list[PackedModel]:
    first = tar.next()
    if first is None or first.name != _MANIFEST or not first.isreg() or first.size > _MANIFEST_BYTES:
        raise _Damaged(f"it must begin with {_MANIFEST}, got {first.name if first else 'nothing'!r}")
    try:
        content = json.loads(_open(tar, first).read())
        kind, version = content["format"], content["version"]
        if (kind, version) != (_FORMAT, _VERSION):
            raise _Damaged(
                f"expected format {_FORMAT} {_VERSION}, got {kind!r} {version!r} (a newer dinoscope may read it)"
            )
        models = [
            PackedModel(**{**row, "files": tuple(PackedFile(**file) for file in row["files"])})
            for row in content["models"]
        ]
        sound = all(_is_sound(each) for each in models) and len({each.folder for each in models}) == len(models) > 0
    except _Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise _Damaged("its manifest is damaged")
    return models


def _is_sound(model: PackedModel) -> bool:
    """Whether the names in a manifest are names and nothing that leads elsewhere."""
    return bool(
        model.name.isprintable()
        and _REPO.fullmatch(model.repo)
        and COMMIT.fullmatch(model.revision)
        and model.files
        and all(FILE_NAME.fullmatch(file.name) and SHA256.fullmatch(file.sha256) for file in model.files)
    )


def _extract(tar: tarfile.TarFile, models: Sequence[PackedModel], folder: Path) -> None:
    """Write the files of an archive into an empty folder, each checked against the manifest."""
    expected = {f"{model.folder}/{file.name}": file for model in models for file in model.files}
    while (member := tar.next()) is not None:
        file = expected.pop(member.name, None)
        if file is None or member.type != tarfile.REGTYPE or member.issparse():
            raise _Damaged(f"it holds {member.name!r}, which its manifest does not name as a file")
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            shutil.copyfileobj(_open(tar, member), out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        if (member.size, sha256(path)) != (file.bytes, file.sha256):
            raise _Damaged(f"{member.name} is not what its manifest says: expected SHA-256 {file.sha256[:12]}...")
    if expected:
        raise _Damaged(f"it was cut: {next(iter(expected))} is missing")


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None  # a regular file
    return content


def _is_there(model: PackedModel, store: Path) -> bool:
    """Whether the very files are unpacked already."""
    place = store / model.folder
    if not place.exists():
        return False
    for file in model.files:
        path = place / file.name
        if not path.is_file() or path.stat().st_size != file.bytes or sha256(path) != file.sha256:
            raise ModelError(
                f"{path} is not what the archive holds, and nothing was changed: move {place} away, then run the same "
                "command again"
            )
    return True
