"""The explorer's server: thin routes over ``explorer``; every error becomes an answer in one place.

Reading runs in threads. Long work runs one piece at a time, and everyone who asks for it waits for the same result. A
request names a model, map, column or row, never a path.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from dinoscope._version import __version__
from dinoscope.base.digests import digest_bytes
from dinoscope.base.paths import named_path
from dinoscope.errors import DinoscopeError, InputError
from dinoscope.explorer import answers as explorer_answers
from dinoscope.explorer import export as explorer_export
from dinoscope.explorer.copying import CopyPlace
from dinoscope.explorer.model_view import ModelData, check_sheet, collection_info, position_of
from dinoscope.explorer.picking import pick_images
from dinoscope.explorer.sheets import Originals, large_picture, media_type, sheet
from dinoscope.explorer.types import (
    ClusterQuery,
    CollectionInfo,
    ErrorAnswer,
    ExportQuery,
    ImageInfo,
    Matches,
    ModelView,
    Numbers,
    Picked,
    PickQuery,
    ProgressInfo,
    Reasons,
    Rows,
    RowsQuery,
    Running,
    SearchAnswer,
)
from dinoscope.server.decoding import Decoders
from dinoscope.server.jobs import Jobs, while_wanted
from dinoscope.server.page import add_page
from dinoscope.server.partners import Partners
from dinoscope.server.responses import (
    LookAlikes,
    MapId,
    ModelKey,
    RowNumber,
    SheetIndex,
    State,
    add_error_answers,
    binary_route,
    bytes_answer,
    file_answer,
    json_answer,
    progress_answer,
)
from dinoscope.server.routes import (
    add_beside,
    add_colours,
    add_columns,
    add_copies,
    add_files,
    add_findings,
    add_labelling,
    add_patches,
    add_weights,
)
from dinoscope.server.security import Access, Guard
from dinoscope.server.state import Workspace, check_writable
from dinoscope.server.uploads import Uploads
from dinoscope.stages.clusters import show_clusters
from dinoscope.stages.labels import has_classifier
from dinoscope.stages.queries.tokens import TOKEN_IMAGES
from dinoscope.stages.queries.windows import windows
from dinoscope.storage.progress import read_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.analysis.labels.classifier import Classifier
    from dinoscope.models.encoder import Encoder

__all__ = ["create_app"]

_PAUSE, _PATIENCE = 1.0, 6.0  # seconds without a request that mean the page has loaded, and the longest wait
_LOOKS_FOR_OTHERS = 500  # images that people on other machines may have looked at: seconds with a bundled model
_log = logging.getLogger("dinoscope")


def create_app(
    collection: str | os.PathLike[str],
    *,
    model: str | None = None,
    originals: Originals | None = None,
    weights: str | None = None,
    access: Access | None = None,
    read_only: bool = False,
    warm: bool = True,
    labels: str = "source",
    beside: str | os.PathLike[str] | None = None,
    copies: CopyPlace | None = None,
) -> FastAPI:
    """Return the explorer of a collection as an ASGI application.

    Args:
        collection: Folder of the collection.
        model: The model to show first, by default the one embedded last.
        originals: Where larger pictures than the thumbnails come from. If only this machine may ask, files too.
        weights: Path of the model's weights, if the model was named by a path.
        access: Who may ask; by default this machine alone.
        read_only: Write nothing: results stay in memory, and decisions of people are refused.
        warm: Whether to prepare what people are likely to ask for, once the server runs.
        labels: Which labels verdicts and findings use: "source", "mine" or "merged".
        beside: Another collection of the same images. The page can show its models' maps beside those of this one.
        copies: Where the page may copy files; by default nowhere. Only for a server that nobody else can reach.

    Raises:
        InputError: If ``copies`` is given together with ``read_only``.
        CollectionError: If there is no such collection, or it has no vectors of that model.
        InputError: If ``beside`` is the same collection, or shares fewer than two images with it.
    """
    if copies is not None and read_only:
        raise InputError("a server with --read-only writes nothing and copies no files: leave out --allow-copy")
    # absolute: errors replace the path by the folder's name, and "." would match in any sentence
    workspace = Workspace(named_path(collection).absolute(), model, weights, read_only=read_only, labels=labels)
    second = None if beside is None else Workspace(named_path(beside).absolute(), read_only=read_only)
    access = access or Access()
    explorer = _Explorer(workspace, originals, Partners(workspace, second), copies, access.is_private)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(explorer.warm()) if warm else None
        yield
        if warming is not None:
            warming.cancel()
        explorer.stop()

    app = FastAPI(
        title="dinoscope",
        version=__version__,
        lifespan=lifespan,
        dependencies=[Depends(explorer.note)],
        description="What the explorer's page asks for. Arrays are binary, little-endian, by position.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": ErrorAnswer, "description": "What is wrong, in one sentence."}},
        telemetry={"tracing": False, "metrics": False, "logs": False},  # even if the environment asks for it
    )
    app.state.explorer = explorer
    _add_collection(app, explorer)
    _add_arrays(app, explorer)
    add_columns(app, explorer.workspace)
    _add_clusters(app, explorer)
    _add_images(app, explorer)
    _add_results(app, explorer)
    add_findings(app, explorer.workspace, explorer.heavy)
    add_labelling(app, explorer.workspace, explorer.heavy)
    add_beside(app, explorer.partners, explorer.heavy)
    at_most = TOKEN_IMAGES if explorer.is_private else _LOOKS_FOR_OTHERS
    add_patches(app, explorer.workspace, explorer.heavy, explorer.looking, explorer.asking, at_most=at_most)
    add_colours(app, explorer.workspace, explorer.heavy, explorer.looking, explorer.drawing, at_most=at_most)
    add_weights(app, explorer.workspace, explorer.fetching)
    add_files(app, explorer.workspace, explorer.originals, is_private=explorer.is_private)
    add_copies(app, explorer.workspace, explorer.copies, explorer.copying, explorer.originals)
    _add_selections(app, explorer)
    add_page(app)
    folders = [each.path for each in (workspace, second) if each is not None]
    add_error_answers(app, folders, hidden=[] if copies is None else [copies.images, copies.into])
    app.add_middleware(Guard, access=access)
    return app


class _Explorer:
    """What the routes share."""

    def __init__(
        self,
        workspace: Workspace,
        originals: Originals | None,
        partners: Partners,
        copies: CopyPlace | None,
        is_private: bool,
    ) -> None:
        self.is_private = is_private
        self.workspace, self.originals, self.partners, self.copies = workspace, originals, partners, copies
        self.heavy = Jobs(1, "compute")
        self.looking = Jobs(1, "look")
        self.asking = Jobs(2, "ask")
        self.drawing = Jobs(2, "draw")
        self.decoding = Jobs(2, "decode")
        self.fetching = Jobs(1, "fetch")
        self.copying = Jobs(1, "copy")
        self.uploads, self.decoders = Uploads(), Decoders()
        self._asked: float | None = None

    async def data(self, model: str, state: str | None = None) -> ModelData:
        """Return a model; see ``Workspace.data``."""
        return await run_in_threadpool(self.workspace.data, model, state)

    async def classifier(self, data: ModelData) -> Classifier | None:
        """Return the classifier; None without labels, and while it is not ready.

        It is not ready while images are still being added, and while other work is ahead of it.
        """
        work = partial(self.workspace.classifier, data)
        if has_classifier(data.collection):
            return await run_in_threadpool(work)
        if await run_in_threadpool(read_progress, self.workspace.path):
            return None
        key = ("classifier", data.state)
        if self.heavy.busy and not self.heavy.has_begun(key):
            self.heavy.start(key, work)  # a later click gets it
            return None
        return await self.heavy.run(key, work)

    async def uploaded(self, request: Request, data: ModelData) -> tuple[NDArray[np.float32], Encoder, str]:
        """Return the vector (D,) of the image in a request, the model that made it, and its file's digest.

        The image's bytes are dropped as soon as it is decoded.

        Raises:
            ImageError: If it is not an image, too large, or not decoded in time.
        """
        async with self.uploads.one(request) as content:
            digest = digest_bytes(bytes(content))
            encoder = await self.asking.run(("encoder", data.key), partial(self.workspace.encoder, data), request)
            work = partial(self.decoders.square, content, encoder)
            try:
                square = await self.decoding.run(object(), work, request)
            except ClientDisconnect:
                self.decoders.give_up(content)
                raise
        vectors = await self.asking.run(object(), lambda: encoder.run(square[None]), request)
        return vectors[0], encoder, digest

    async def note(self) -> None:
        """Remember the time of the last request."""
        self._asked = time.monotonic()

    async def _calm(self) -> None:
        """Wait until the first page has loaded, or for a limited time: work on all cores would delay it."""
        began = time.monotonic()
        while (now := time.monotonic()) - began < _PATIENCE:
            if self._asked is not None and now - self._asked > _PAUSE:
                return
            await asyncio.sleep(_PAUSE / 10)

    async def warm(self) -> None:
        """Prepare search and verdicts, and compute missing columns, once the first page has loaded."""
        key = self.workspace.shown
        try:
            data = await self.data(key)
            await run_in_threadpool(data.view)
            await self._calm()
            self.asking.start(("encoder", key), lambda: self.workspace.encoder(data))
            if self.workspace.read_only:
                return  # a column appears once it is stored
            if await run_in_threadpool(read_progress, self.workspace.path):
                return  # the collection is about to change
            for name, work in data.preparations().items():
                await self.heavy.run((name, data.state), work)
        except DinoscopeError as error:
            _log.debug("not prepared: %s", error)

    def stop(self) -> None:
        """Start no more work, and wait for none."""
        for jobs in (self.heavy, self.looking, self.asking, self.drawing, self.decoding, self.fetching, self.copying):
            jobs.stop()
        self.decoders.stop()


def _add_collection(app: FastAPI, explorer: _Explorer) -> None:
    workspace = explorer.workspace

    @app.get("/api/collection", response_model=CollectionInfo)
    def collection(request: Request) -> Response:
        """Return what the collection is."""
        models, have = workspace.models(), explorer.originals is not None
        told = collection_info(
            workspace.path,
            workspace.shown,
            models,
            originals=have,
            files=have and explorer.is_private,
            writable=not workspace.read_only,
            copies_to=explorer.copies.into.resolve().name if explorer.copies else None,
        )
        return json_answer(request, told)

    @app.get("/api/progress", response_model=Running | None)
    def progress(request: Request) -> Response:
        """Return the progress of a running embedding, or null."""
        found = read_progress(workspace.path)
        if found is None:
            return json_answer(request, None)
        rate, left = found.images_per_second, found.seconds_left
        running = Running(done=found.done, total=found.total, images_per_second=rate, seconds_left=left)
        return json_answer(request, running)

    @app.get("/api/models/{model}", response_model=ModelView)
    def model_view(request: Request, model: ModelKey) -> Response:
        """Return what there is of a model, and in what state."""
        view = workspace.data(model).view()
        return json_answer(request, view.model_copy(update={"partners": explorer.partners.of(model)}))


def _add_arrays(app: FastAPI, explorer: _Explorer) -> None:
    workspace = explorer.workspace

    @app.get("/api/models/{model}/rows", **binary_route("uint32 (N)"))
    def rows(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return the row number of each position."""
        return bytes_answer(request, workspace.data(model, v).rows().tobytes(), v)

    @app.get("/api/models/{model}/columns/{name}", **binary_route("uint16 (N) codes, 65535 for none; or float32 (N)"))
    def column(
        request: Request, model: ModelKey, name: Annotated[str, InPath(max_length=100)], v: State = None
    ) -> Response:
        """Return a column."""
        return bytes_answer(request, workspace.data(model, v).column(name).tobytes(), v)

    @app.get("/api/models/{model}/maps/{map_id}", **binary_route("uint16 (N, 2); 0 to 65535 stands for -1 to 1"))
    async def map_(request: Request, model: ModelKey, map_id: MapId, v: State = None) -> Response:
        """Return a map, computed if it is not stored."""
        data = await explorer.data(model, v)
        if not await run_in_threadpool(data.is_ready, map_id):
            work = lambda: data.coordinates(map_id, while_wanted)  # noqa: E731
            await explorer.heavy.run(("map", data.state, map_id), work, request)
        return await run_in_threadpool(lambda: bytes_answer(request, data.points(map_id).tobytes(), v))

    @app.get("/api/models/{model}/maps/{map_id}/progress", response_model=ProgressInfo | None)
    async def map_progress(request: Request, model: ModelKey, map_id: MapId, v: State = None) -> Response:
        """Return the progress of a map that is being computed, or null if it is unknown."""
        data = await explorer.data(model, v)
        await run_in_threadpool(data.settings_of, map_id)  # or there is no such map
        return progress_answer(request, explorer.heavy.progress(("map", data.state, map_id)))

    @app.get("/api/models/{model}/maps/{map_id}/trust", **binary_route("float32 (N)"))
    async def trust(request: Request, model: ModelKey, map_id: MapId, v: State = None) -> Response:
        """Return how far to trust each image's place on a map, computed if it is not stored."""
        data = await explorer.data(model, v)
        values = await explorer.heavy.run(("trust", data.state, map_id), lambda: data.trust(map_id), request)
        return await run_in_threadpool(lambda: bytes_answer(request, values.tobytes(), v))

    @app.get("/api/models/{model}/sheets/{index}", **binary_route("A sheet of thumbnails", "image/webp"))
    async def thumbnails(request: Request, model: ModelKey, index: SheetIndex, v: State = None) -> Response:
        """Return a sheet of thumbnails."""
        data = await explorer.data(model, v)
        check_sheet(data.collection, index)
        work = lambda: sheet(data.collection, index, data.tile)  # noqa: E731
        drawn, is_complete = await explorer.drawing.run(("sheet", data.state, index), work, request)
        return bytes_answer(request, drawn, v if is_complete else None, "image/webp")


def _add_images(app: FastAPI, explorer: _Explorer) -> None:
    pictures = {"schema": {"type": "string", "format": "binary"}}
    kinds = ("application/octet-stream", "image/jpeg", "image/png", "image/webp")
    an_image = {"requestBody": {"required": True, "content": dict.fromkeys(kinds, pictures)}}

    @app.get("/api/models/{model}/images/{row}", response_model=ImageInfo)
    async def image(request: Request, model: ModelKey, row: RowNumber, v: State = None) -> Response:
        """Return what is known about an image."""
        data = await explorer.data(model, v)
        position_of(data.collection, row)
        classifier = await explorer.classifier(data)
        info = await explorer.asking.run(object(), lambda: explorer_answers.image_info(data, row, classifier), request)
        return json_answer(request, info)

    @app.get("/api/models/{model}/images/{row}/reasons", response_model=Reasons)
    async def reasons(request: Request, model: ModelKey, row: RowNumber, of: LookAlikes, v: State = None) -> Response:
        """Return which part of each look-alike makes it similar to an image."""
        data = await explorer.data(model, v)
        encoder = explorer.workspace.encoder
        work = lambda: explorer_answers.reasons(data, row, of, encoder(data), while_wanted)  # noqa: E731
        return json_answer(request, await explorer.heavy.run(("reasons", data.state, row, *of), work, request))

    @app.post("/api/models/{model}/reasons", response_model=Reasons, openapi_extra=an_image)
    async def reasons_from_outside(request: Request, model: ModelKey, of: LookAlikes, v: State = None) -> Response:
        """Return which part of each look-alike makes it similar to an uploaded image."""
        data = await explorer.data(model, v)
        vector, encoder, _ = await explorer.uploaded(request, data)
        work = lambda: explorer_answers.reasons(data, vector, of, encoder, while_wanted)  # noqa: E731
        return json_answer(request, await explorer.heavy.run(object(), work, request))

    @app.get(
        "/api/models/{model}/images/{row}/picture",
        response_class=Response,
        responses={200: {"description": "A picture", "content": {"image/jpeg": pictures, "image/png": pictures}}},
    )
    async def picture(request: Request, model: ModelKey, row: RowNumber, v: State = None) -> Response:
        """Return the largest available picture of an image."""
        data = await explorer.data(model, v)
        position = position_of(data.collection, row)
        work = lambda: large_picture(data.collection, position, explorer.originals)  # noqa: E731
        content = await explorer.drawing.run(("picture", data.state, row), work, request)
        return bytes_answer(request, content, None, media_type(content))  # only for a while: originals come and go

    @app.post("/api/models/{model}/search", response_model=SearchAnswer, openapi_extra=an_image)
    async def search(
        request: Request,
        model: ModelKey,
        map_id: Annotated[str | None, Query(alias="map", max_length=100, description="Map to place it on.")] = None,
        k: Annotated[int, Query(ge=1, le=200, description="Number of look-alikes.")] = 24,
        inside: Annotated[bool, Query(description="Whether parts of images count; slow the first time.")] = False,
        v: State = None,
    ) -> Response:
        """Return the look-alikes of an uploaded image file of at most 20 MB and 50 million pixels."""
        data = await explorer.data(model, v)
        if map_id is not None:
            await run_in_threadpool(data.is_ready, map_id)  # or there is no such map
        vector, encoder, digest = await explorer.uploaded(request, data)
        classifier = await explorer.classifier(data)
        if inside:
            look = lambda: windows(data.collection, encoder=encoder, on_progress=while_wanted)  # noqa: E731
            await explorer.heavy.run(("windows", data.state), look, request)
        work = partial(explorer_answers.search, data, vector, k, map_id, classifier, inside=inside, digest=digest)
        return json_answer(request, await explorer.asking.run(object(), work, request))

    @app.get("/api/models/{model}/inside", response_model=ProgressInfo | None)
    async def inside_progress(request: Request, model: ModelKey, v: State = None) -> Response:
        """Return how many images a running search has looked into, or null."""
        data = await explorer.data(model, v)
        return progress_answer(request, explorer.heavy.progress(("windows", data.state)))


def _add_results(app: FastAPI, explorer: _Explorer) -> None:
    @app.get("/api/models/{model}/maps/{map_id}/numbers", response_model=Numbers)
    async def numbers(request: Request, model: ModelKey, map_id: MapId, v: State = None) -> Response:
        """Return how far to trust a map, the clusters and the labels, computed if it is not stored."""
        data = await explorer.data(model, v)
        work = lambda: explorer_answers.numbers(data, map_id)  # noqa: E731
        return json_answer(request, await explorer.heavy.run(("numbers", data.state, map_id), work, request))


def _add_clusters(app: FastAPI, explorer: _Explorer) -> None:
    @app.put(
        "/api/models/{model}/clusters",
        status_code=204,
        dependencies=[Depends(partial(check_writable, explorer.workspace))],
    )
    async def clusters(request: Request, model: ModelKey, body: ClusterQuery, v: State = None) -> Response:
        """Show another number of k-means clusters, computed if they are not stored."""
        data = await explorer.data(model, v)
        if body.k > len(data.collection):
            raise InputError(f"k must be at most {len(data.collection)}, the number of images, got {body.k}")
        await explorer.heavy.run(
            ("clusters", data.state, body.k), lambda: show_clusters(data.collection, body.k), request
        )
        return Response(status_code=204)


def _add_selections(app: FastAPI, explorer: _Explorer) -> None:
    workspace = explorer.workspace

    @app.post("/api/models/{model}/query", response_model=Matches)
    async def query(request: Request, model: ModelKey, body: RowsQuery, v: State = None) -> Response:
        """Return the look-alikes of one or several images of the collection together."""
        data = await explorer.data(model, v)

        def answer() -> Matches:
            vector, positions = explorer_answers.mean_vector(data.collection, body.rows)
            return Matches(matches=explorer_answers.look_alikes(data.collection, vector, body.k, without=positions))

        return json_answer(request, await explorer.asking.run(object(), answer, request))

    @app.post("/api/models/{model}/pick", response_model=Picked)
    async def pick(request: Request, model: ModelKey, body: PickQuery, v: State = None) -> Response:
        """Return a few images that are worth a label or that represent the others."""
        data = await explorer.data(model, v)
        work = lambda: pick_images(data.collection, body, while_wanted)  # noqa: E731
        return json_answer(request, await explorer.heavy.run(object(), work, request))

    @app.get("/api/models/{model}/find", response_model=Rows)
    def find(
        request: Request, model: ModelKey, text: Annotated[str, Query(max_length=200)], v: State = None
    ) -> Response:
        """Return the images whose id contains a text, at most 1,000."""
        return json_answer(request, Rows(rows=explorer_answers.find_rows(workspace.data(model, v).collection, text)))

    texts = {"schema": {"type": "string"}}
    named = {"schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}

    @app.post(
        "/api/models/{model}/export",
        response_class=Response,
        responses={
            200: {
                "description": "A file to save, or the name of the new collection",
                "content": {"text/csv": texts, "text/plain": texts, "application/json": named},
            }
        },
    )
    def export(request: Request, model: ModelKey, body: ExportQuery, v: State = None) -> Response:
        """Return images as a table or a list of ids, or write them as a new collection beside this one.

        In the table, an apostrophe goes before a text that a spreadsheet would take for a formula.
        """
        data = workspace.data(model, v)
        if body.format == "collection":
            check_writable(workspace)
            name = explorer_export.write_collection(data.collection, data.key, body.rows, body.name)
            return JSONResponse({"name": name})
        name = explorer_export.safe_name(body.name)
        if body.format == "csv":
            return file_answer(request, explorer_export.as_csv(data, body.rows), f"{name}.csv", "text/csv")
        return file_answer(request, explorer_export.as_list(data.collection, body.rows), f"{name}.txt", "text/plain")
