"""Official weights on this machine: in the hub's cache, or unpacked from an archive. Nothing here asks a network."""

from __future__ import annotations

import re
from pathlib import Path

from platformdirs import user_data_path

from dinoscope.base.telemetry import switched_off
from dinoscope.errors import DownloadError, ModelError
from dinoscope.models.catalogue import LICENCE_LINKS, Model
from dinoscope.models.processor import PROCESSOR

__all__ = [
    "COMMIT",
    "CONFIGS",
    "FILE_NAME",
    "SHA256",
    "find_weights",
    "is_offline",
    "prepare_hub",
    "repository",
    "require_weights",
    "unpacked_store",
]

# What says how weights are to be used, where a repository has it. A row of the table needs no processor's.
CONFIGS = ("config.json", PROCESSOR)
COMMIT = re.compile(r"[0-9a-f]{40,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def find_weights(model: Model) -> Path | None:
    """Return where a model's weights are on this machine, without any network call.

    Looked for in huggingface's cache (`HF_HOME`, `HF_HUB_CACHE`), then among what `offline.unpack` has put
    on this machine. The repository's config.json, if it has one, lies in the same folder.

    Returns:
        The file; None if it is not here, or if the model comes from no repository.
    """
    if model.repo is None:
        return None
    prepare_hub()
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(model.repo, model.file, revision=model.revision)
    except ValueError:  # a name that no hub has; `fetch_weights` says so
        return None
    return Path(cached) if isinstance(cached, str) else _find_unpacked(model, model.repo)


def require_weights(model: Model) -> Path:
    """Return where a model's weights are on this machine, without any network call.

    Raises:
        DownloadError: They are not here; the message holds the command that downloads them, their size and licence.
        ModelError: The model comes from no repository.
    """
    repo = repository(model)
    if (found := find_weights(model)) is not None:
        return found
    pinned = f" --revision {model.revision}" if model.revision else ""
    if model.licence:
        told = f"{model.megabytes:,.1f} MB, licence: {model.licence}, {LICENCE_LINKS[model.licence]}"
    else:
        told = f"size and licence: https://huggingface.co/{repo}"
    raise DownloadError(
        f"the weights of {model.name} are not on this machine, and nothing is downloaded without asking: run "
        f"'dinoscope models fetch {model.name}{pinned}' ({told}), then try again"
    )


def repository(model: Model) -> str:
    """Return the hub id of a model's repository.

    Raises:
        ModelError: If it comes from none.
    """
    if model.repo is None:
        where = "ships with dinoscope" if model.family == "bundled" else "is named by its path"
        raise ModelError(f"{model.name} {where}: expected a model that comes from a hub; see 'dinoscope models'")
    return model.repo


def prepare_hub() -> None:
    """Import what reads huggingface_hub's variables: nothing but file requests leaves this machine."""
    with switched_off():
        import huggingface_hub.constants  # noqa: F401


def is_offline() -> bool:
    """Tell whether a person has forbidden requests to the hub: ``HF_HUB_OFFLINE``."""
    prepare_hub()
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def unpacked_store() -> Path:
    """Return where weights are unpacked: no cache, because a machine without a network cannot fetch them again."""
    return user_data_path("dinoscope") / "models"


def _find_unpacked(model: Model, repo: str) -> Path | None:
    """Look for the revision that is asked for, or else for the last that was unpacked."""
    folder = unpacked_store() / repo.replace("/", "--")
    held = (path for path in folder.glob(f"*/{model.file}") if path.is_file())
    found = [path for path in held if model.revision in (None, path.parent.name)]
    return max(found, key=lambda path: path.parent.stat().st_mtime_ns, default=None)
