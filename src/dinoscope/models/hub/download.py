"""Official weights: how they get here from a hub.

Downloads go through huggingface_hub into its cache, which other programs share. It lacks three things that a file of
gigabytes needs, so they are done here with its own building blocks. An interrupted download continues in the next run,
too. The content is checked against the SHA-256 that the hub names. A missing network is reported at once.

huggingface_hub is imported inside functions: it takes time, and reads its environment variables at that moment.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from dinoscope.base.digests import sha256
from dinoscope.errors import DinoscopeError, DownloadError
from dinoscope.models.catalogue import LICENCE_LINKS, Model
from dinoscope.models.hub.errors import explain
from dinoscope.models.hub.local import COMMIT, CONFIGS, FILE_NAME, SHA256, find_weights, repository

__all__ = ["Say", "fetch_weights"]

Say = Callable[[str], None]
Show = Callable[[int, int], None]


def fetch_weights(
    model: Model, *, complete: bool = False, say: Say | None = None, on_progress: Show | None = None
) -> Path:
    """Return where a model's weights are, after downloading them if they are not on this machine.

    A download that was cut goes on where it stopped. A bar shows the progress on a terminal.

    Args:
        model: A model that comes from a repository.
        complete: Ask for the configuration that is missing beside weights which are here, too: another program may
            have fetched them alone.
        say: Called once, before a download, with a paragraph: what, how large, from where, its licence, where to.
        on_progress: Called with the bytes that are here and all of them, 0 where that is unknown, again and again while
            the weights come. What it raises ends the download, which goes on there another time.

    Raises:
        ModelError: There is no such repository, revision or file, or the model comes from no repository.
        DownloadError: The weights are not here and cannot be fetched whole; the message says what to do.
    """
    repo = repository(model)
    found = find_weights(model)
    if found is not None and not (complete and _is_incomplete(found, model)):
        return found
    try:
        with _quiet():
            if found is None:
                return _download(model, repo, say or (lambda _: None), on_progress)
            _bring_configs(replace(model, revision=found.parent.name), repo)
            return found
    except DinoscopeError:
        raise
    except Exception as error:  # httpx's or httpx2's, by the hub's version: neither is a dependency of ours
        reason = explain(error, model, lambda name: _holds(model, repo, name))
        if reason is None:
            raise
    raise reason  # outside of the handler: what the hub raised may hold a token or a signed address


def _is_incomplete(weights: Path, model: Model) -> bool:
    """Tell whether weights in the hub's cache lack what their repository may have."""
    from huggingface_hub import constants

    missing = not model.family and any(not weights.with_name(name).exists() for name in CONFIGS)
    return missing and weights.is_relative_to(constants.HF_HUB_CACHE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the hub's remarks on its retries, with addresses in them, off the terminal."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class _Remote:
    """A file on the hub: its name, address, name in the cache (the SHA-256 of a large file), size where known."""

    name: str
    url: str
    etag: str
    bytes: int | None


def _download(model: Model, repo: str, say: Say, on_progress: Show | None) -> Path:
    from huggingface_hub import constants

    weights = _ask(model, repo, model.file)
    say(_announcement(model, f"{constants.ENDPOINT}/{repo}", constants.HF_HUB_CACHE, weights.bytes))
    _bring_configs(model, repo)  # first, so that weights which are found have theirs beside them
    return _bring(weights, model, repo, on_progress)


def _bring_configs(model: Model, repo: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    for name in CONFIGS[: 1 if model.family else 2]:
        try:
            _bring(_ask(model, repo, name), model, repo)
        except HfHubHTTPError as error:
            if error.response.status_code != 404:  # a repository may do without
                raise


def _ask(model: Model, repo: str, name: str) -> _Remote:
    """Ask the hub for a file, once: hf_hub_download tries for minutes before it says that there is no network."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo, name, revision=model.revision)
    held = get_hf_file_metadata(url, headers=_headers(), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    if held.etag and FILE_NAME.fullmatch(held.etag) and COMMIT.fullmatch(held.commit_hash or ""):
        return _Remote(name, url, held.etag, held.size)
    raise DownloadError(
        f"could not fetch {model.name}: what answers at {constants.ENDPOINT} is not a hub (no commit and ETag): check "
        "HF_ENDPOINT, and whether this network wants you to log in first"
    )


def _holds(model: Model, repo: str, name: str) -> bool:
    try:
        return bool(_ask(model, repo, name))
    except (OSError, DownloadError):
        return False


def _headers() -> dict[str, str]:
    """Return what is sent with a request: the token if there is one, which httpx keeps from other hosts."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    return {**build_hf_headers(), "Accept-Encoding": "identity"}  # packed, a file could not go on where it was cut


def _bring(remote: _Remote, model: Model, repo: str, on_progress: Show | None = None) -> Path:
    """Bring a file into the hub's cache."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.file_download import repo_folder_name

    cache, folder = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=repo, repo_type="model")
    blob = cache / folder / "blobs" / remote.etag
    lock = cache / ".locks" / folder / f"{remote.etag}.lock"  # the one that the hub itself takes
    for place in (blob, lock):
        place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not blob.exists():
            _transfer(remote, model, blob, on_progress or (lambda *_: None))
    path = Path(hf_hub_download(repo, remote.name, revision=model.revision))  # finds the blob, and links it
    if not path.is_symlink():  # a system without links, where it is copied
        blob.unlink(missing_ok=True)
    return path


def _announcement(model: Model, address: str, cache: str, size: int | None) -> str:
    megabytes = size / 1e6 if size else model.megabytes
    amount = f"{megabytes:,.1f} MB" if megabytes else "size unknown"
    licence = f"{model.licence}, {LICENCE_LINKS[model.licence]}" if model.licence in LICENCE_LINKS else model.licence
    return (
        f"downloading {model.name}: {model.file}, {amount}, from {address}, once, to {cache}\n"
        f"licence: {licence or f'see {address}'}"
    )


class _Growing(io.BufferedWriter):
    """A file that is written at its end, and tells how long it becomes."""

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path, "a"))
        self._tell = tell

    def write(self, content: Any, /) -> int:
        """Write bytes; see ``io.BufferedWriter``."""
        written = super().write(content)
        self._tell(self.tell())
        return written


def _transfer(remote: _Remote, model: Model, blob: Path, on_progress: Show) -> None:
    """Fetch the content of `blob` beside it, going on where an earlier run was cut, and put it in place if it is right.

    Raises:
        DownloadError: The content is not what the hub announced, or the disk is too small.
    """
    from huggingface_hub.file_download import http_get

    part, size = blob.with_name(f"{blob.name}.dinoscope-part"), remote.bytes
    have = part.stat().st_size if part.exists() else 0
    if have and (size is None or have > size):
        part.unlink()
        have = 0
    free = shutil.disk_usage(blob.parent).free
    if size is not None and free < size - have:
        raise DownloadError(
            f"the disk is too full for {model.name}: {(size - have) / 1e6:,.1f} MB needed in {blob.parents[2]}, "
            f"{free / 1e6:,.1f} MB free: make room, or set HF_HOME to a folder on another disk"
        )
    on_progress(have, size or 0)
    try:
        with _Growing(part, lambda here: on_progress(here, size or 0)) as file:
            http_get(
                remote.url,
                file,
                resume_size=have,
                headers=_headers(),
                expected_size=size,
                displayed_filename=remote.name,
            )
            file.flush()
            os.fsync(file.fileno())
    except Exception as error:
        if type(error) is not OSError or error.errno is not None:  # else: the hub's remark on the size, checked below
            came = part.stat().st_size / 1e6 if part.exists() else 0.0
            error.add_note(f"{came:,.1f} of {(size or 0) / 1e6:,.1f} MB of {remote.name}")  # for the message
            raise
    _check(part, remote, model)
    part.replace(blob)


def _check(part: Path, remote: _Remote, model: Model) -> None:
    got = part.stat().st_size
    if remote.bytes is not None and got != remote.bytes:
        wrong = f"{remote.bytes:,} bytes, got {got:,}"
    elif SHA256.fullmatch(remote.etag) and (digest := sha256(part)) != remote.etag:
        wrong = f"SHA-256 {remote.etag[:12]}..., got {digest[:12]}..."
    else:
        return
    part.unlink()
    raise DownloadError(
        f"what came as {remote.name} of {model.name} is not what the hub announced: expected {wrong}; it is deleted: "
        "run the same command again, and if that repeats, another network or HF_ENDPOINT"
    )
