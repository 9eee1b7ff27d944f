"""The explorer's routes for the files of images: all of them as a ZIP, and copies where the server may make some."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
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
from dinoscope.server.responses import ModelKey, State, binary_route, json_answer
from dinoscope.server.state import Workspace

__all__ = ["add_copies", "add_files"]

_KEPT = 8  # selections that were asked for last, and copies that can be undone
_Key = Annotated[str, InPath(min_length=1, max_length=64, description="What an answer said.")]


def add_files(app: FastAPI, workspace: Workspace, originals: Originals | None) -> None:
    """Add the routes of ZIP files.

    A browser writes an answer to the disk as it comes only if a link asks for it, and a link brings no list of images.
    So the list is sent first, which also tells how large the ZIP will be, and the link names it.
    """
    asked: OrderedDict[str, tuple[str, tuple[int, ...]]] = OrderedDict()  # the state, and the images

    @app.post("/api/models/{model}/files", response_model=FilesInfo)
    async def measure(request: Request, model: ModelKey, body: FilesQuery, v: State = None) -> Response:
        """Return how many files there are of images, and how large they are; ask for them by the key."""
        data = await run_in_threadpool(workspace.data, model, v)
        if originals is None:
            raise CollectionError("the files are not at hand: start dinoscope explore with --images to have them")
        rows, key = tuple(dict.fromkeys(body.rows)), secrets.token_urlsafe(16)
        found = await run_in_threadpool(measure_files, data.collection, originals, rows, key)
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
        """Return the files of images as they are, as a ZIP file that is made while it is sent."""
        if originals is None or key not in asked:
            raise Unknown("this selection is not kept any more: ask for its files again")
        state, rows = asked[key]
        data = await run_in_threadpool(workspace.data, model, state)
        headers = {"Content-Disposition": f'attachment; filename="{safe_name(name)}.zip"', "Cache-Control": "no-store"}
        pieces = pack_files(data.collection, originals, rows)
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)


def add_copies(app: FastAPI, workspace: Workspace, place: CopyPlace | None, copying: Jobs) -> None:
    """Add the routes of copies; one is made at a time, among the ``copying`` jobs."""
    journals: OrderedDict[str, Path] = OrderedDict()

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
            raise CollectionError("files are being copied already: wait until that has ended")
        work = lambda: copy_files(data.collection, body.rows, body.folder, to, while_wanted)  # noqa: E731
        told, journal = await copying.run("copy", work)
        if journal is not None:
            told = told.model_copy(update={"key": secrets.token_urlsafe(16)})
            journals[str(told.key)] = journal
            while len(journals) > _KEPT:
                journals.popitem(last=False)
        return json_answer(request, told)

    @app.get("/api/models/{model}/copies", response_model=ProgressInfo | None)
    async def progress(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return how far copying is at this moment, or null."""
        await run_in_threadpool(workspace.data, model, v)
        found = copying.progress("copy")
        return json_answer(request, found and ProgressInfo(done=found[0], total=found[1]))

    @app.delete("/api/models/{model}/copies/{key}", response_model=Copied)
    async def undo(request: Request, model: ModelKey, key: _Key) -> Response:
        """Take copies away again that this server made, but not changed ones."""
        to = allowed()
        await run_in_threadpool(workspace.data, model)
        if key not in journals:
            raise Unknown("these copies cannot be undone here: 'dinoscope sort --undo JOURNAL' undoes them")
        journal = journals[key]
        told = await copying.run(object(), lambda: undo_copies(to, journal))
        journals.pop(key, None)
        return json_answer(request, told)
