"""Routes for the files of images: a ZIP of them, and copies if the server may make them."""

from __future__ import annotations

import logging
import secrets
import shlex
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from dinoscope.errors import CollectionError
from dinoscope.explorer.copying import CopyPlace, copy_files, undo_copies
from dinoscope.explorer.export import safe_name
from dinoscope.explorer.model_view import Unknown
from dinoscope.explorer.packing import measure_files, pack_files
from dinoscope.explorer.sheets import Originals
from dinoscope.explorer.types import Copied, CopyQuery, FilesInfo, FilesQuery, ProgressInfo
from dinoscope.server.jobs import Jobs, while_wanted
from dinoscope.server.responses import ModelKey, State, binary_route, json_answer, progress_answer
from dinoscope.server.state import Workspace

__all__ = ["add_copies", "add_files"]

_log = logging.getLogger("dinoscope")
_KEPT = 8  # recent selections, and copies that can be undone
_AnyModel = Annotated[
    str, InPath(alias="model", min_length=1, max_length=300, description="Key of a model of the collection.")
]
_Key = Annotated[str, InPath(min_length=1, max_length=64, description="What an answer said.")]


def add_files(app: FastAPI, workspace: Workspace, originals: Originals | None, *, is_private: bool) -> None:
    """Add the routes of ZIP files. A server that others can reach does not offer them.

    A browser streams an answer to the disk only from a link, and a link cannot carry a list of images. So the page
    sends the list first and learns how large the ZIP will be. The link then names the list.
    """
    asked: OrderedDict[str, tuple[str, NDArray[np.uint32]]] = OrderedDict()  # the state, and the images

    def allow() -> None:
        if not is_private:  # a file also contains what the camera wrote, such as a place
            raise HTTPException(
                403, "a server that others can reach gives no files: start it without --host and --allow-host"
            )

    @app.post("/api/models/{model}/files", response_model=FilesInfo)
    async def measure(request: Request, model: ModelKey, body: FilesQuery, v: State = None) -> Response:
        """Return how many files some images have, how large they are, and a key to download them with."""
        allow()
        data = await run_in_threadpool(workspace.data, model, v)
        if originals is None:
            raise CollectionError("the files are not available: start dinoscope explore with --images to get them")
        rows, key = np.fromiter(dict.fromkeys(body.rows), np.uint32), secrets.token_urlsafe(16)
        found = await run_in_threadpool(measure_files, data.collection, originals, rows.tolist(), key)
        asked[key] = (data.state, rows)
        while len(asked) > _KEPT:
            asked.popitem(last=False)
        return json_answer(request, found)

    @app.get("/api/models/{model}/files/{key}", **binary_route("A ZIP file", "application/zip"))
    async def files(
        model: ModelKey,
        key: _Key,
        name: Annotated[str, Query(max_length=200, pattern="[A-Za-z0-9]", description="Of the ZIP file.")] = "images",
    ) -> Response:
        """Return the unchanged files of images as a ZIP file that is made while it is sent."""
        allow()
        if originals is None or key not in asked:
            raise Unknown("this selection is not kept any more: ask for its files again")
        state, rows = asked[key]
        data = await run_in_threadpool(workspace.data, model, state)
        headers = {"Content-Disposition": f'attachment; filename="{safe_name(name)}.zip"', "Cache-Control": "no-store"}
        pieces = pack_files(data.collection, originals, rows.tolist())
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)


def add_copies(
    app: FastAPI, workspace: Workspace, place: CopyPlace | None, copying: Jobs, originals: Originals | None
) -> None:
    """Add the routes of copies; one is made at a time, among the ``copying`` jobs."""
    journals = _Journals()

    def allowed() -> CopyPlace:
        if place is None:
            raise HTTPException(403, "this server may not copy files: start dinoscope explore with --allow-copy FOLDER")
        return place

    @app.post("/api/models/{model}/copies", response_model=Copied)
    async def copy(request: Request, model: ModelKey, body: CopyQuery, v: State = None) -> Response:
        """Copy the files of images into a folder; nothing is overwritten."""
        to = allowed()
        data = await run_in_threadpool(workspace.data, model, v)
        if copying.busy:
            raise CollectionError("files are being copied or taken away: wait until that has ended")
        work = lambda: copy_files(data.collection, body.rows, body.folder, to, originals, while_wanted, _tell)  # noqa: E731
        told, journal = await copying.run("copy", work)
        if journal is not None and told.done:
            told = told.model_copy(update={"key": journals.keep(journal)})
        return json_answer(request, told)

    @app.get("/api/models/{model}/copies", response_model=ProgressInfo | None)
    async def progress(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return the progress of copying, or null."""
        await run_in_threadpool(workspace.data, model, v)
        return progress_answer(request, copying.progress("copy"))

    @app.delete("/api/models/{model}/copies/{key}", response_model=Copied)
    async def undo(request: Request, _model: _AnyModel, key: _Key) -> Response:
        """Remove copies that this server made, except changed ones."""
        to = allowed()
        journal = journals.take(key)
        left = True
        try:
            told = await copying.run(object(), lambda: undo_copies(to, journal))
            left = told.stayed > 0
        finally:
            if left:  # it may work later
                journals.keep(journal, key)
        return json_answer(request, told.model_copy(update={"key": key if left else None}))


class _Journals:
    """The latest journals of copies that can be undone, by the key that the page got."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Path] = OrderedDict()

    def keep(self, journal: Path, key: str | None = None) -> str:
        """Keep a journal; return its key."""
        key = key or secrets.token_urlsafe(16)
        self._held[key] = journal
        while len(self._held) > _KEPT:
            self._held.popitem(last=False)
        return key

    def take(self, key: str) -> Path:
        """Return a journal. Nobody else gets it until it is kept again.

        Raises:
            Unknown: If there is none.
        """
        if key not in self._held:
            raise Unknown("these copies cannot be undone here: 'dinoscope sort --undo JOURNAL' undoes them")
        return self._held.pop(key)


def _tell(journal: Path) -> None:
    """Print how to undo the copies before the first is made: the server may end meanwhile."""
    _log.warning("to undo the copies: %s", shlex.join(["dinoscope", "sort", "--undo", str(journal)]))
